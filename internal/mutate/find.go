package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one change of one function.
type mutant struct {
	file string // relative to the module
	fn   string // Receiver.name, or the variable
	kind string
	edit
	line int    // of the change
	id   string // of the change: file, function, kind, texts and which of equal ones
	key  string // of the change and the function's text: what results are kept by

	decl *scope // the function that is copied
	why  string // from equivalent.txt

	status status
	by     string // the test that noticed
}

// edit replaces bytes of a file.
type edit struct {
	from, to      int
	before, after string
}

// scope is a function declaration or a literal in a package variable, in which
// mutants are made.
type scope struct {
	file *source
	name string
	decl *ast.FuncDecl // or
	lit  *ast.FuncLit
}

func (s *scope) node() ast.Node {
	if s.decl != nil {
		return s.decl
	}
	return s.lit
}

func (s *scope) body() *ast.BlockStmt {
	if s.decl != nil {
		return s.decl.Body
	}
	return s.lit.Body
}

// source is a parsed file.
type source struct {
	name string // relative to the module
	text []byte
	fset *token.FileSet
	ast  *ast.File
}

func (f *source) offset(p token.Pos) int { return f.fset.Position(p).Offset }
func (f *source) of(n ast.Node) string   { return string(f.text[f.offset(n.Pos()):f.offset(n.End())]) }

func (m *mutant) String() string {
	return fmt.Sprintf("%s %s:%d %s: %s: %s → %s", m.id, m.file, m.line, m.fn, m.kind, short(m.before), short(m.after))
}

// short is s on one line.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 90 {
		s = string(r[:60]) + " … " + string(r[len(r)-25:])
	}
	if s == "" {
		return "nothing"
	}
	return "`" + s + "`"
}

// filter says which files and functions are wanted.
type filter struct{ file, fn *regexp.Regexp }

func newFilter(files, funcs string) (f filter, err error) {
	if f.file, err = regexp.Compile(files); err != nil {
		return f, fmt.Errorf("-file: %w", err)
	}
	if f.fn, err = regexp.Compile(funcs); err != nil {
		return f, fmt.Errorf("-func: %w", err)
	}
	return f, nil
}

func (f filter) all() bool { return f.file.String() == "" && f.fn.String() == "" }

// drawn are n mutants, or all if there are fewer: of every function its share, rounded to
// where it falls in the order of the source, and within a function in the order of their
// ids, which are digests. Those of equivalent.txt are not among them.
func drawn(ms []*mutant, n int) (some []*mutant) {
	ms = slices.DeleteFunc(slices.Clone(ms), func(m *mutant) bool { return m.why != "" })
	at := 0
	for _, group := range groupBy(ms, func(m *mutant) *scope { return m.decl }) {
		from, to := at, at+len(group)
		at = to
		share := to*min(n, len(ms))/len(ms) - from*min(n, len(ms))/len(ms)
		slices.SortFunc(group, func(a, b *mutant) int { return strings.Compare(a.id, b.id) })
		some = append(some, group[:share]...)
	}
	return some
}

// both are the mutants of a that are in b too.
func both(a, b []*mutant) []*mutant {
	return slices.DeleteFunc(slices.Clone(a), func(m *mutant) bool { return !slices.Contains(b, m) })
}

// find parses a target's package and makes its mutants, in the order of the source.
func find(root string, t target, match filter) ([]*mutant, error) {
	include, err := regexp.Compile(t.include)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(t.dir), "*.go"))
	if err != nil {
		return nil, err
	}
	var all []*mutant
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f := &source{name: t.dir + "/" + filepath.Base(path), text: text, fset: token.NewFileSet()}
		if !match.file.MatchString(f.name) {
			continue
		}
		if f.ast, err = parser.ParseFile(f.fset, path, text, parser.ParseComments); err != nil {
			return nil, err
		}
		for _, s := range f.scopes(include, t.exprs) {
			if match.fn.MatchString(s.name) {
				all = append(all, s.mutants()...)
			}
		}
	}
	return all, nil
}

// scopes are the functions of a file that hold derivatives.
func (f *source) scopes(include *regexp.Regexp, exprs bool) (all []*scope) {
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if name := funcName(d); d.Body != nil && include.MatchString(name) {
				all = append(all, &scope{file: f, name: name, decl: d})
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || d.Tok != token.VAR || !exprs {
					continue
				}
				for i, x := range v.Values {
					ast.Inspect(x, func(n ast.Node) bool {
						if lit, ok := n.(*ast.FuncLit); ok {
							all = append(all, &scope{file: f, name: v.Names[i].Name, lit: lit})
							return false
						}
						return true
					})
				}
			}
		}
	}
	return all
}

// funcName is name, or Receiver.name.
func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	x := d.Recv.List[0].Type
	for {
		switch y := x.(type) {
		case *ast.StarExpr:
			x = y.X
			continue
		case *ast.IndexExpr:
			x = y.X
			continue
		case *ast.IndexListExpr:
			x = y.X
			continue
		case *ast.Ident:
			return y.Name + "." + d.Name.Name
		}
		return d.Name.Name
	}
}

// mutants are all changes of a function, each once.
func (s *scope) mutants() (all []*mutant) {
	f := s.file
	whole := f.of(s.node())
	seen := map[edit]bool{}
	count := map[string]int{}
	operators := operators{f: f, put: func(kind string, n ast.Node, after string) {
		e := edit{f.offset(n.Pos()), f.offset(n.End()), f.of(n), after}
		if e.before == e.after || seen[e] {
			return
		}
		seen[e] = true
		m := &mutant{file: f.name, fn: s.name, kind: kind, edit: e, line: f.fset.Position(n.Pos()).Line, decl: s}
		what := strings.Join([]string{m.file, m.fn, m.kind, strings.Join(strings.Fields(e.before), " "), strings.Join(strings.Fields(e.after), " ")}, "\x00")
		count[what]++ // equal changes of a function differ by their number
		what += fmt.Sprint("\x00", count[what])
		m.id = digest(what)
		m.key = digest(what + "\x00" + whole)
		all = append(all, m)
	}}
	ast.Inspect(s.body(), operators.visit)
	slices.SortStableFunc(all, func(a, b *mutant) int { return a.from - b.from })
	return all
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:5])
}
