package nn

import (
	"fmt"
	"path"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"github.com/langevin-go/langevin/tensor"
)

// Named is a parameter with its name in a model.
type Named struct {
	Name  string
	Param *tensor.Param
}

// Params gives the parameters of a model in the order of its fields, and sets
// their names: see [NamedParams].
func Params(model any) []*tensor.Param {
	named := NamedParams(model)
	ps := make([]*tensor.Param, len(named))
	for i, n := range named {
		if n.Param.Name != n.Name {
			n.Param.Name = n.Name
		}
		ps[i] = n.Param
	}
	return ps
}

// NamedParams finds the parameters of a model: the *tensor.Param among the exported
// fields of a struct and of what these hold, through pointers, interfaces, slices
// and arrays. A name is the path of fields in snake case with the indices of
// lists, joined by dots: blocks.3.attn.qkv.weight. The fields of an embedded struct
// are named as if they were the outer one's. Nil fields are skipped; a parameter
// that is reached twice keeps its first name.
//
// Two parameters of one name are a bug of the model's type and panic.
func NamedParams(model any) []Named {
	w := walker{seen: map[*tensor.Param]bool{}, names: map[string]bool{}}
	w.walk(reflect.ValueOf(model), "")
	return w.found
}

type walker struct {
	found []Named
	seen  map[*tensor.Param]bool
	names map[string]bool
	path  []uintptr                   // structs that are being walked, against cycles
	visit func(pointer reflect.Value) // if set, called with every pointer to a layer
}

var paramType = reflect.TypeFor[*tensor.Param]()

func (w *walker) walk(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			w.walk(v.Elem(), name)
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if v.Type() == paramType {
			w.add(v.Interface().(*tensor.Param), name)
			return
		}
		for _, p := range w.path {
			if p == v.Pointer() {
				return
			}
		}
		w.path = append(w.path, v.Pointer())
		if w.visit != nil {
			w.visit(v)
		}
		w.walk(v.Elem(), name)
		w.path = w.path[:len(w.path)-1]
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case f.Anonymous:
				w.walk(v.Field(i), name)
			case f.IsExported():
				w.walk(v.Field(i), join(name, snake(f.Name)))
			}
		}
	case reflect.Slice, reflect.Array:
		switch v.Type().Elem().Kind() {
		case reflect.Pointer, reflect.Interface, reflect.Struct, reflect.Slice, reflect.Array:
			for i := range v.Len() {
				w.walk(v.Index(i), join(name, strconv.Itoa(i)))
			}
		}
	}
}

func (w *walker) add(p *tensor.Param, name string) {
	if w.seen[p] {
		return
	}
	if w.names[name] {
		panic(fmt.Sprintf("nn: two parameters are named %q", name))
	}
	w.seen[p], w.names[name] = true, true
	w.found = append(w.found, Named{name, p})
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

// snake is NormOut → norm_out, QKV → qkv, AdaLN → ada_ln.
func snake(s string) string {
	r := []rune(s)
	var b strings.Builder
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) {
			afterWord := !unicode.IsUpper(r[i-1])
			beforeWord := i+1 < len(r) && unicode.IsLower(r[i+1])
			if afterWord || beforeWord {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// Count is the number of elements of all parameters of a model.
func Count(model any) int {
	n := 0
	for _, p := range NamedParams(model) {
		n += p.Param.Elems()
	}
	return n
}

// Match gives the parameters of a model whose names match one of the patterns, in
// which * stands for any characters, also dots, and ? for one, as in blocks.*.weight.
// A pattern that is malformed or matches nothing is an error.
func Match(model any, patterns ...string) ([]*tensor.Param, error) {
	all := Params(model)
	taken := make([]bool, len(all))
	for _, pat := range patterns {
		hits := 0
		for i, p := range all {
			ok, err := path.Match(pat, p.Name)
			if err != nil {
				return nil, fmt.Errorf("parameter pattern %q: %v", pat, err)
			}
			if ok {
				hits++
				taken[i] = true
			}
		}
		if hits == 0 {
			return nil, fmt.Errorf("parameter pattern %q matches none of the %d parameters (the first is %s)", pat, len(all), first(all))
		}
	}
	var out []*tensor.Param
	for i, p := range all {
		if taken[i] {
			out = append(out, p)
		}
	}
	return out, nil
}

func first(ps []*tensor.Param) string {
	if len(ps) == 0 {
		return "missing"
	}
	return ps[0].Name
}

// Freeze stops gradients to the parameters that match: see [Match].
func Freeze(model any, patterns ...string) error {
	ps, err := Match(model, patterns...)
	for _, p := range ps {
		p.Frozen = true
	}
	return err
}

// Convert changes the dtype of every parameter in place: Float64 for checks.
func Convert(model any, dtype tensor.DType) {
	for _, p := range NamedParams(model) {
		p.Param.Convert(dtype)
	}
}
