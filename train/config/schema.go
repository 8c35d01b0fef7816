package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// field is what the tags of a struct field say.
type field struct {
	name     string // yaml name
	index    []int  // for reflect.Value.FieldByIndex, through inlined structs
	typ      reflect.Type
	was      string // the name that it had in earlier versions
	doc      string
	required bool
	bounds   *bounds
	oneof    []string
}

// schema is the decoded form of a struct type's tags.
type schema struct {
	fields []field
	byName map[string]int
	inline [][]int // embedded structs, for their Validate methods
}

func (s *schema) names() []string {
	out := make([]string, len(s.fields))
	for i, f := range s.fields {
		out[i] = f.name
	}
	return out
}

// Keys are the keys of a section, a pointer to its config struct, in order.
func Keys(section any) []string { return schemaOf(reflect.TypeOf(section).Elem()).names() }

var schemas sync.Map // reflect.Type → *schema

// schemaOf reads the tags of a struct type. What is wrong with them is a bug of
// the program and panics, naming type and field.
func schemaOf(t reflect.Type) *schema {
	if s, ok := schemas.Load(t); ok {
		return s.(*schema)
	}
	s := &schema{byName: map[string]int{}}
	s.collect(t, t, nil)
	schemas.Store(t, s) // before the types of its fields, which may lead back to t
	for _, f := range s.fields {
		checkType(t, f, f.typ)
	}
	return s
}

func (s *schema) collect(root, t reflect.Type, index []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("yaml")
		if tag == "-" || !sf.IsExported() && !tagged {
			continue
		}
		name, opt, _ := strings.Cut(tag, ",")
		at := append(index[:len(index):len(index)], i)
		bug := func(format string, args ...any) {
			panic(fmt.Sprintf("config: %v.%s: "+format, append([]any{root, sf.Name}, args...)...))
		}
		if opt == "inline" {
			if sf.Type.Kind() != reflect.Struct || !sf.IsExported() {
				bug("only an exported struct can be inline")
			}
			s.inline = append(s.inline, at)
			s.collect(root, sf.Type, at)
			continue
		}
		f := field{name: name, index: at, typ: sf.Type, was: sf.Tag.Get("was"), doc: sf.Tag.Get("doc"), required: opt == "required"}
		switch {
		case !sf.IsExported():
			bug("has a yaml tag but is not exported")
		case !plainKey(name):
			bug("needs a yaml tag with a name, or yaml:\"-\"")
		case opt != "" && opt != "required":
			bug("the yaml tag's option %q is none of inline, required", opt)
		}
		if _, dup := s.byName[name]; dup {
			bug("the yaml name %q is taken by another field", name)
		}
		if v, ok := sf.Tag.Lookup("range"); ok {
			b, err := parseBounds(v)
			if err != nil || !isNumber(scalarOf(sf.Type)) || scalarOf(sf.Type) == durationType {
				bug("the tag range:%q needs a form like [0,1) or (0,inf) and a number", v)
			}
			b.integer = !isFloat(scalarOf(sf.Type))
			f.bounds = b
		}
		if v, ok := sf.Tag.Lookup("oneof"); ok {
			f.oneof = strings.Fields(v)
			if len(f.oneof) == 0 || scalarOf(sf.Type).Kind() != reflect.String {
				bug("the tag oneof:%q needs words and a string", v)
			}
		}
		s.byName[name] = len(s.fields)
		s.fields = append(s.fields, f)
	}
}

// find gives the field of a key, by its name or by that of earlier versions.
func (s *schema) find(name string) (*field, bool) {
	if i, ok := s.byName[name]; ok {
		return &s.fields[i], true
	}
	for i := range s.fields {
		if f := &s.fields[i]; f.was == name && name != "" {
			return f, true
		}
	}
	return nil, false
}

// checkType panics on a type that no YAML can fill.
func checkType(root reflect.Type, f field, t reflect.Type) {
	if isText(t) || t == durationType || isVariant(t) {
		return
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.String:
	case reflect.Struct:
		schemaOf(t)
	case reflect.Slice, reflect.Array:
		checkType(root, f, t.Elem())
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			panic(fmt.Sprintf("config: %v, key %s: the keys of a map must be strings", root, f.name))
		}
		checkType(root, f, t.Elem())
	case reflect.Pointer:
		if k := t.Elem().Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
			panic(fmt.Sprintf("config: %v, key %s: no pointers to %v", root, f.name, k))
		}
		checkType(root, f, t.Elem())
	default:
		panic(fmt.Sprintf("config: %v, key %s: the type %v cannot stand in a config", root, f.name, t))
	}
}

var (
	textDecoder  = reflect.TypeFor[encoding.TextUnmarshaler]()
	textEncoder  = reflect.TypeFor[encoding.TextMarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

// isText says whether a type reads and writes itself as text.
func isText(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(textDecoder) && reflect.PointerTo(t).Implements(textEncoder)
}

// scalarOf looks through pointers, slices and arrays to what they hold.
func scalarOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	return t
}

func isNumber(t reflect.Type) bool { return isInt(t) || isUint(t) || isFloat(t) }
func isInt(t reflect.Type) bool    { return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 }
func isUint(t reflect.Type) bool   { return t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 }
func isFloat(t reflect.Type) bool {
	return t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64
}

// bounds is an interval of the extended reals.
type bounds struct {
	lo, hi         float64
	loOpen, hiOpen bool
	integer        bool // of a type that has no infinity
}

func parseBounds(s string) (*bounds, error) {
	lo, hi, ok := strings.Cut(s, ",")
	if !ok || len(lo) < 2 || len(hi) < 2 || !strings.ContainsAny(lo[:1], "[(") || !strings.ContainsAny(hi[len(hi)-1:], "])") {
		return nil, strconv.ErrSyntax
	}
	b := &bounds{loOpen: lo[0] == '(', hiOpen: hi[len(hi)-1] == ')'}
	var err1, err2 error
	b.lo, err1 = strconv.ParseFloat(strings.TrimSpace(lo[1:]), 64)
	b.hi, err2 = strconv.ParseFloat(strings.TrimSpace(hi[:len(hi)-1]), 64)
	if err1 != nil || err2 != nil || !(b.lo <= b.hi) {
		return nil, strconv.ErrSyntax
	}
	return b, nil
}

func (b *bounds) contain(v float64) bool {
	return (v > b.lo || v == b.lo && !b.loOpen) && (v < b.hi || v == b.hi && !b.hiOpen)
}

// String says the bounds as a condition: "> 0 and ≤ 1". An open infinite end
// excludes infinity only, which whole numbers cannot be.
func (b *bounds) String() string {
	var parts []string
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	if !math.IsInf(b.lo, -1) {
		parts = append(parts, map[bool]string{true: "> ", false: "≥ "}[b.loOpen]+number(b.lo))
	}
	if !math.IsInf(b.hi, 1) {
		parts = append(parts, map[bool]string{true: "< ", false: "≤ "}[b.hiOpen]+number(b.hi))
	}
	if !b.integer && (b.hiOpen && math.IsInf(b.hi, 1) || b.loOpen && math.IsInf(b.lo, -1)) {
		parts = append(parts, "finite")
	}
	return strings.Join(parts, " and ")
}
