package main

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

// operators finds what can be changed at a node. What does not compile is
// dropped later, so they need no types.
type operators struct {
	f   *source
	put func(kind string, n ast.Node, after string)
}

const (
	flipSign      = "flip a sign"
	dropTerm      = "drop a term"
	dropFactor    = "drop a factor"
	dropSum       = "drop a sum"
	dropCall      = "drop a call"
	swapOperands  = "swap operands"
	wrongConstant = "wrong constant"
	dropAddition  = "drop an accumulation"
	dropStatement = "drop a statement"
	otherFunction = "another function"
)

// droppable are methods without which a chain goes on, by what is lost.
var droppable = map[string]string{
	"Add": dropTerm, "Sub": dropTerm, "AddScalar": dropTerm, "AddConst": dropTerm, "RSubConst": dropTerm,
	"Mul": dropFactor, "Div": dropFactor, "Scale": dropFactor, "Pow": dropFactor, "PowConst": dropFactor, "MulAdd": dropFactor,
	"SumTo": dropSum, "SumKeep": dropSum, "Sum": dropSum, "MeanKeep": dropSum, "Mean": dropSum,
	"Neg": flipSign,
	"Abs": dropCall, "Sign": dropCall, "Sqrt": dropCall, "Rsqrt": dropCall, "Recip": dropCall, "Square": dropCall,
	"Exp": dropCall, "Expm1": dropCall, "Log": dropCall, "Log1p": dropCall, "Sin": dropCall, "Cos": dropCall, "Tanh": dropCall,
	"Sigmoid": dropCall, "Erf": dropCall, "Softplus": dropCall, "Softmax": dropCall,
	"T": dropCall, "Permute": dropCall, "Reshape": dropCall, "Expand": dropCall, "Contiguous": dropCall, "Detach": dropCall, "SiLU": dropCall,
}

// others are functions that another is easily confused with.
var others = map[string]string{
	"Add": "Sub", "Sub": "Add", "Minimum": "Maximum", "Maximum": "Minimum", "Less": "LessEq", "LessEq": "Less", "Sin": "Cos", "Cos": "Sin",
	"MeanKeep": "SumKeep", "SumKeep": "MeanKeep", "Mul": "Div", "MaxKeep": "MinKeep",
	"convInput": "convWeight", "convWeight": "convInput", "outputAt": "inputAt", "inputAt": "outputAt",
}

// unordered are functions whose operands may change places.
var unordered = map[string]bool{
	"Add": true, "Mul": true, "Minimum": true, "Maximum": true, "Min": true, "Max": true, "Eq": true, "highest": true, "sameShape": true,
}

// silent are calls within which nothing is changed: errors, and memory whose size is no result.
var silent = map[string]bool{
	"check": true, "usagePanic": true, "shapePanic": true, "dtypePanic": true, "panic": true, "make": true, "take": true, "grown": true,
	"Lock": true, "Unlock": true, "Put": true, "Get": true, "in": true,
}

// plumbing are calls whose absence, and the order of whose arguments, say nothing about derivatives.
var plumbing = map[string]bool{
	"append": true, "copy": true, "min": true, "max": true, "len": true, "cap": true, "save": true, "dual": true,
	"NewPointwise": true, "NewPointwiseSum": true, "unary": true,
}

func (o *operators) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		o.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.SUB {
			o.put(flipSign, n, o.f.of(n.X))
		}
	case *ast.BasicLit:
		o.constant(n)
	case *ast.CallExpr:
		if silent[callee(n)] {
			return false
		}
		o.call(n)
	case *ast.AssignStmt:
		o.assign(n)
	case *ast.IncDecStmt:
		o.put(dropStatement, n, "")
	case *ast.ExprStmt:
		if c, ok := n.X.(*ast.CallExpr); !ok || !plumbing[callee(c)] && !silent[callee(c)] {
			o.put(dropStatement, n, "")
		}
	case *ast.IfStmt:
		if refuses(n.Body) {
			return false
		}
	case *ast.SelectorExpr:
		_, indexed := n.X.(*ast.IndexExpr)
		return !indexed || !handles[n.Sel.Name]
	case *ast.ArrayType:
		return false // its length is no constant to get wrong
	}
	return true
}

// handles are what all elements of a list have in common, as in[0].g: which one is asked makes no difference.
var handles = map[string]bool{"g": true, "s": true, "Const": true}

// refuses reports whether a block only refuses wrong input: what wrong input is, other tests say.
func refuses(b *ast.BlockStmt) bool {
	if len(b.List) != 1 {
		return false
	}
	x, ok := b.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	c, ok := x.X.(*ast.CallExpr)
	return ok && silent[callee(c)]
}

func (o *operators) binary(n *ast.BinaryExpr) {
	for _, side := range []ast.Expr{n.X, n.Y} {
		if l, ok := side.(*ast.BasicLit); ok && l.Kind == token.STRING {
			return // a name
		}
	}
	x, y := o.f.of(n.X), o.f.of(n.Y)
	switch n.Op {
	case token.ADD:
		o.put(flipSign, n, "("+x+" - "+y+")")
		o.put(dropTerm, n, x)
		o.put(dropTerm, n, y)
	case token.SUB:
		o.put(flipSign, n, "("+x+" + "+y+")")
		o.put(dropTerm, n, x)
		o.put(dropTerm, n, "(-("+y+"))")
	case token.MUL:
		o.put(dropFactor, n, x)
		o.put(dropFactor, n, y)
	case token.QUO:
		o.put(dropFactor, n, x)
		o.put(swapOperands, n, "("+y+" / "+x+")")
	}
}

func (o *operators) constant(n *ast.BasicLit) {
	switch n.Kind {
	case token.INT:
		if v, err := strconv.Atoi(n.Value); err == nil {
			o.put(wrongConstant, n, strconv.Itoa(v+1))
			if v > 0 {
				o.put(wrongConstant, n, strconv.Itoa(v-1))
			}
		}
	case token.FLOAT:
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil {
			o.put(wrongConstant, n, strconv.FormatFloat(2*v, 'g', -1, 64))
			o.put(flipSign, n, "(-"+n.Value+")")
		}
	}
}

func (o *operators) call(n *ast.CallExpr) {
	name := callee(n)
	if plumbing[name] {
		return
	}
	if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
		o.method(n, sel, name)
	} else if to, ok := others[name]; ok {
		o.put(otherFunction, n.Fun, to)
	}
	switch {
	case (name == "add" || name == "push") && len(n.Args) > 0: // a gradient's contribution
		last := n.Args[len(n.Args)-1]
		o.put(flipSign, last, o.f.of(last)+".Neg()")
	case name == "plus" && len(n.Args) == 2:
		o.put(dropTerm, n, o.f.of(n.Args[0]))
		o.put(dropTerm, n, o.f.of(n.Args[1]))
		return
	}
	o.arguments(n)
}

// method changes x.M(args).
func (o *operators) method(n *ast.CallExpr, sel *ast.SelectorExpr, name string) {
	x := o.f.of(sel.X)
	if kind, ok := droppable[name]; ok {
		o.put(kind, n, x)
	}
	if to, ok := others[name]; ok {
		o.put(otherFunction, sel.Sel, to)
	}
	if len(n.Args) == 0 {
		return
	}
	first := o.f.of(n.Args[0])
	switch name {
	case "Add", "Mul":
		o.put(droppable[name], n, first)
	case "Sub":
		o.put(dropTerm, n, first+".Neg()")
	case "Scale":
		o.put(flipSign, n.Args[0], "-("+first+")")
	}
	switch name {
	case "Sub", "Div", "MatMul", "Less", "LessEq", "Pow":
		o.put(swapOperands, n, first+"."+name+"("+x+")")
	}
}

// arguments changes the places of neighbouring arguments.
func (o *operators) arguments(n *ast.CallExpr) {
	if name := callee(n); unordered[name] || n.Ellipsis.IsValid() {
		return
	}
	for i := 1; i < len(n.Args); i++ {
		a, b := n.Args[i-1], n.Args[i]
		if !simple(a) || !simple(b) {
			continue
		}
		args := make([]string, len(n.Args))
		for k, x := range n.Args {
			args[k] = o.f.of(x)
		}
		args[i-1], args[i] = args[i], args[i-1]
		o.put(swapOperands, n, o.f.of(n.Fun)+"("+strings.Join(args, ", ")+")")
	}
}

// simple reports whether x is a name, or a part of one, or its address.
func simple(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return true
	case *ast.SelectorExpr:
		return simple(x.X)
	case *ast.IndexExpr:
		return simple(x.X)
	case *ast.UnaryExpr:
		return x.Op == token.AND && simple(x.X)
	case *ast.CallExpr: // of a method without arguments, as b.T()
		sel, ok := x.Fun.(*ast.SelectorExpr)
		return ok && len(x.Args) == 0 && simple(sel.X)
	}
	return false
}

func (o *operators) assign(n *ast.AssignStmt) {
	if len(n.Lhs) != 1 || len(n.Rhs) != 1 {
		if n.Tok == token.ASSIGN {
			o.put(dropStatement, n, "")
		}
		return
	}
	x, y := o.f.of(n.Lhs[0]), o.f.of(n.Rhs[0])
	switch n.Tok {
	case token.ADD_ASSIGN:
		o.put(dropAddition, n, x+" = "+y)
		o.put(flipSign, n, x+" -= "+y)
	case token.SUB_ASSIGN:
		o.put(dropAddition, n, x+" = "+y)
		o.put(flipSign, n, x+" += "+y)
	case token.MUL_ASSIGN:
		o.put(dropFactor, n, x+" = "+y)
	}
	if n.Tok != token.DEFINE {
		o.put(dropStatement, n, "")
	}
}

// callee is the name of what is called, without its receiver.
func callee(c *ast.CallExpr) string {
	f := c.Fun
	switch x := f.(type) {
	case *ast.IndexExpr:
		f = x.X
	case *ast.ParenExpr:
		f = x.X
	}
	switch x := f.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}
