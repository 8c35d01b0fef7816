package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// selector is the variable that picks a mutant, in each mutated package; its
// value comes from the environment.
const (
	selector    = "mutantNumber"
	environment = "LANGEVIN_MUTANT"
)

// rewritten is a file in which every function carries its mutants.
type rewritten struct {
	name    string
	text    []byte
	mutants []span
}

// span are the lines of a rewritten file that are there for a mutant.
type span struct {
	from, to int
	m        *mutant
}

// rewrite makes a package's files with all mutants in them, numbered from 1 by
// their place in ms. A function begins with a switch to copies of it, methods of
// the same receiver; a literal has the changed bodies within it.
func rewrite(ms []*mutant) ([]*rewritten, error) {
	var files []*rewritten
	for _, group := range groupBy(ms, func(m *mutant) *source { return m.decl.file }) {
		f := group[0].decl.file
		r := &rewritten{name: f.name}
		var inserts []insertion
		for _, mutants := range groupBy(group, func(m *mutant) *scope { return m.decl }) {
			inserts = append(inserts, mutants[0].decl.carry(mutants, number(ms))...)
		}
		slices.SortStableFunc(inserts, func(a, b insertion) int { return a.from - b.from })
		var out bytes.Buffer
		at := 0
		for _, i := range inserts {
			out.Write(f.text[at:i.from])
			for _, p := range i.parts {
				first := 1 + bytes.Count(out.Bytes(), []byte("\n"))
				out.WriteString(p.text)
				if p.m != nil {
					r.mutants = append(r.mutants, span{first, 1 + bytes.Count(out.Bytes(), []byte("\n")), p.m})
				}
			}
			at = i.to
		}
		out.Write(f.text[at:])
		r.text = out.Bytes()
		if _, err := parser.ParseFile(token.NewFileSet(), f.name, r.text, parser.SkipObjectResolution); err != nil {
			return nil, fmt.Errorf("rewriting: %w", err)
		}
		files = append(files, r)
	}
	return files, nil
}

// number gives a mutant's number among all.
func number(ms []*mutant) func(*mutant) int {
	numbers := make(map[*mutant]int, len(ms))
	for i, m := range ms {
		numbers[m] = i + 1
	}
	return func(m *mutant) int { return numbers[m] }
}

// groupBy keeps the order of first appearance.
func groupBy[K comparable](ms []*mutant, key func(*mutant) K) (groups [][]*mutant) {
	at := map[K]int{}
	for _, m := range ms {
		k := key(m)
		if _, ok := at[k]; !ok {
			at[k] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[k]] = append(groups[at[k]], m)
	}
	return groups
}

// insertion replaces bytes of a file by parts, some of which are a mutant's.
type insertion struct {
	from, to int
	parts    []part
}

type part struct {
	text string
	m    *mutant
}

// carry gives the changes to a file that put mutants into their function.
func (s *scope) carry(ms []*mutant, number func(*mutant) int) []insertion {
	f, body := s.file, s.body()
	open, end := f.offset(body.Lbrace)+1, f.offset(body.End())
	changed := func(m *mutant) string {
		return string(f.text[open-1:m.from]) + m.after + string(f.text[m.to:end])
	}
	dispatch := []part{{text: "\nswitch " + selector + " {\n"}}
	if s.lit != nil {
		for _, m := range ms {
			dispatch = append(dispatch, part{text: fmt.Sprintf("case %d:\n", number(m))}, part{changed(m), m}, part{text: "\n"})
		}
		return []insertion{{open, open, append(dispatch, part{text: "}\n"})}}
	}
	h := s.header()
	var copies []part
	for _, m := range ms {
		name := fmt.Sprintf("%s_mutant%d", s.decl.Name.Name, number(m))
		dispatch = append(dispatch, part{text: fmt.Sprintf("case %d:\n%s\n", number(m), h.call(name))})
		copies = append(copies, part{text: "\n\n" + h.declare(name)}, part{changed(m), m})
	}
	return []insertion{
		{f.offset(s.decl.Pos()), f.offset(body.Lbrace), []part{{text: h.declare(s.decl.Name.Name)}}},
		{open, open, append(dispatch, part{text: "}\n"})},
		{end, end, append(copies, part{text: "\n"})},
	}
}

// header is a function's signature with a name for everything.
type header struct {
	receiver, receiverName string // with its parentheses, or empty
	types, typeArgs        string // with their brackets, or empty
	params, args, results  string
}

func (s *scope) header() (h header) {
	f, d := s.file, s.decl
	blank := 0
	list := func(fields *ast.FieldList) (params, args []string) {
		if fields == nil {
			return nil, nil
		}
		for _, field := range fields.List {
			names := field.Names
			if len(names) == 0 {
				names = []*ast.Ident{{Name: "_"}}
			}
			for _, n := range names {
				name := n.Name
				if name == "_" {
					name = fmt.Sprintf("unnamed%d", blank)
					blank++
				}
				params = append(params, name+" "+f.of(field.Type))
				if _, ok := field.Type.(*ast.Ellipsis); ok {
					name += "..."
				}
				args = append(args, name)
			}
		}
		return params, args
	}
	if d.Recv != nil {
		params, args := list(d.Recv)
		h.receiver, h.receiverName = "("+params[0]+") ", args[0]+"."
	}
	if d.Type.TypeParams != nil {
		params, args := list(d.Type.TypeParams)
		h.types, h.typeArgs = "["+strings.Join(params, ", ")+"]", "["+strings.Join(args, ", ")+"]"
	}
	params, args := list(d.Type.Params)
	h.params, h.args = strings.Join(params, ", "), strings.Join(args, ", ")
	if r := d.Type.Results; r != nil {
		h.results = f.of(r)
	}
	return h
}

func (h *header) declare(name string) string {
	return fmt.Sprintf("func %s%s%s(%s) %s ", h.receiver, name, h.types, h.params, h.results)
}

func (h *header) call(name string) string {
	call := fmt.Sprintf("%s%s%s(%s)", h.receiverName, name, h.typeArgs, h.args)
	if h.results == "" {
		return call + "\nreturn"
	}
	return "return " + call
}

// selectorFile is the file that reads the number of the mutant to be.
func selectorFile(pkg string) []byte {
	return fmt.Appendf(nil, `package %s

import (
	mutantOS "os"
	mutantConv "strconv"
)

var %s = func() int { n, _ := mutantConv.Atoi(mutantOS.Getenv(%q)); return n }()
`, pkg, selector, environment)
}

// base is a file's name without its folder.
func base(name string) string { return filepath.Base(filepath.FromSlash(name)) }
