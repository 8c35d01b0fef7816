package tensor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// withoutGolden are the public functions that give tensors and have no case in a
// golden file, each with what proves it instead.
var withoutGolden = map[string]string{
	"Scope.Tensor":     "copies values from the host",
	"Scope.TensorOf":   "copies values from the host",
	"Scope.Ints":       "copies values from the host",
	"Scope.IntsOf":     "copies values from the host",
	"Scope.Variable":   "makes a leaf",
	"Scope.Leaf":       "makes a leaf",
	"Scope.Param":      "makes a leaf",
	"Kept.Tensor":      "gives back what Keep was given",
	"Scope.Full":       "a constant",
	"Scope.Zeros":      "a constant",
	"Scope.Ones":       "a constant",
	"Scope.Normal":     "random: held to rng, whose numbers have known answers",
	"Scope.Uniform":    "random: held to rng, whose numbers have known answers",
	"Scope.Hold":       "gives its argument back",
	"Scope.Release":    "gives its argument back",
	"Tensor.Recompute": "gives its argument back: TestRecomputeChangesNoBit",
	"Scope.Checkpoint": "the bits of what it runs: TestCheckpointChangesNoBit, TestCheckpointGradients",
	"Scope.Grad":       "is what TestGoldenOps checks, by GradOf",
	"Scope.GradOf":     "is what TestGoldenOps checks",
	"Scope.JVP":        "is what TestGoldenOps checks",
	"Tensor.Dropout":   "random: TestDropoutMaskRepeatsWithItsKey",
	"Pointwise.Apply":  "every elementwise operation goes through it",
	"PointwiseSum.Sum": "every loss goes through it",
	"Einsum.Apply":     "is what EinsumOf calls",
	"Custom.Apply":     "the user's own: TestCustomGradients",
	"Scope.Host":       "the user's own: TestHost",
}

// TestEveryOperationHasGoldenValues finds the package's public functions that
// give tensors in its source, so that a new one cannot be forgotten.
func TestEveryOperationHasGoldenValues(t *testing.T) {
	cases, _ := openGolden(t)
	covered := map[string]bool{}
	for _, c := range cases {
		covered[goldenName(c.Op)] = true
	}
	found := map[string]bool{}
	for _, f := range publicTensorFuncs(t) {
		found[f] = true
		name := f[strings.LastIndexByte(f, '.')+1:]
		_, exempt := withoutGolden[f]
		switch has := covered[goldenName(name)]; {
		case !has && !exempt:
			t.Errorf("%s has no case in internal/golden/testdata/ops: add one called %s", f, goldenName(name))
		case has && exempt && !strings.HasPrefix(f, "Pointwise"):
			t.Errorf("%s has golden values, and stands in withoutGolden", f)
		}
	}
	for f := range withoutGolden {
		if !found[f] {
			t.Errorf("withoutGolden names %s, which is not there", f)
		}
	}
	if len(found) < 50 {
		t.Errorf("found only %d functions", len(found))
	}
}

// goldenName is what the case of a method is called: mat_mul and MatMul are matmul.
func goldenName(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

// publicTensorFuncs are the exported functions and methods with a *Tensor among
// their results, as Name or Receiver.Name.
func publicTensorFuncs(t *testing.T) (names []string) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Type.Results == nil || !givesTensor(f.Type.Results) {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				receiver := typeName(f.Recv.List[0].Type)
				if !ast.IsExported(receiver) {
					continue
				}
				name = receiver + "." + name
			}
			names = append(names, name)
		}
	}
	return names
}

func givesTensor(results *ast.FieldList) bool {
	for _, r := range results.List {
		typ := r.Type
		if a, ok := typ.(*ast.ArrayType); ok {
			typ = a.Elt
		}
		if p, ok := typ.(*ast.StarExpr); ok && typeName(p) == "Tensor" {
			return true
		}
	}
	return false
}

// typeName is the name in a type expression, without pointers and type parameters.
func typeName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return typeName(x.X)
	case *ast.IndexExpr:
		return typeName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}
