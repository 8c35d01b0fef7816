package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Registered is any Registry, for [Reference].
type Registered interface{ registry() *registry }

func (r *Registry[Arg, Out]) registry() *registry { return r.core }

// Reference writes Markdown tables of every key: of root (a struct or a pointer
// to one; its values do not matter), of its sections, of all kinds of the
// registries that it leads to, and of the extra registries. A key or kind
// without documentation is an error.
func Reference(w io.Writer, root any, extra ...Registered) error {
	t := reflect.TypeOf(root)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	ref := &reference{seen: map[*registry]bool{}}
	v := reflect.New(t).Elem()
	setDefaults(v)
	if isVariant(t) {
		ref.meet(variantOf(v.Addr()).core())
	} else {
		ref.section("", "", v)
	}
	for _, r := range extra {
		ref.meet(r.registry())
	}
	for i := 0; i < len(ref.queue); i++ { // kinds may lead to further registries
		ref.kinds(ref.queue[i])
	}
	if len(ref.missing) > 0 {
		return fmt.Errorf("config: no doc tag on %s", strings.Join(ref.missing, ", "))
	}
	_, err := io.WriteString(w, strings.TrimLeft(ref.b.String(), "\n"))
	return err
}

type reference struct {
	b       strings.Builder
	queue   []*registry
	seen    map[*registry]bool
	missing []string
	open    []reflect.Type // structs being written, against endless ones
}

func (ref *reference) meet(r *registry) {
	if !ref.seen[r] {
		ref.seen[r] = true
		ref.queue = append(ref.queue, r)
	}
}

// section writes the table of a struct and then those of the structs in it.
func (ref *reference) section(prefix, doc string, v reflect.Value) {
	if prefix != "" {
		fmt.Fprintf(&ref.b, "\n### `%s`\n", prefix)
		if doc != "" {
			fmt.Fprintf(&ref.b, "\n%s\n", sentence(doc))
		}
	}
	ref.table(prefix, v)
	ref.below(prefix, v)
}

func (ref *reference) table(prefix string, v reflect.Value) {
	s := schemaOf(v.Type())
	if len(s.fields) == 0 {
		return
	}
	ref.b.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range s.fields {
		if f.doc == "" {
			ref.missing = append(ref.missing, fmt.Sprintf("%v %q", v.Type(), f.name))
		}
		fmt.Fprintf(&ref.b, "| `%s` | %s | %s | %s |\n", join(prefix, f.name),
			cell(ref.typeCell(&f)), cell(defaultCell(&f, v.FieldByIndex(f.index))), cell(f.doc))
	}
}

// below writes the sections that the keys of a struct hold.
func (ref *reference) below(prefix string, v reflect.Value) {
	ref.open = append(ref.open, v.Type())
	defer func() { ref.open = ref.open[:len(ref.open)-1] }()
	for _, f := range schemaOf(v.Type()).fields {
		name, t, value := join(prefix, f.name), f.typ, v.FieldByIndex(f.index)
		fresh := false
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
			switch t.Kind() {
			case reflect.Slice, reflect.Array:
				name += "[]"
			case reflect.Map:
				name += ".<name>"
			}
			if t, fresh = t.Elem(), fresh || t.Kind() != reflect.Pointer || value.IsNil(); !fresh {
				value = value.Elem()
			}
		}
		if t.Kind() != reflect.Struct || isText(t) || isVariant(t) || ref.isOpen(t) {
			continue
		}
		if fresh {
			value = reflect.New(t).Elem()
			setDefaults(value)
		}
		ref.section(name, f.doc, value)
	}
}

func (ref *reference) isOpen(t reflect.Type) bool {
	for _, o := range ref.open {
		if o == t {
			return true
		}
	}
	return false
}

func (ref *reference) kinds(r *registry) {
	fmt.Fprintf(&ref.b, "\n## Kinds of %s\n\n%s\n", r.noun, sentence(r.doc))
	names := r.names()
	if len(names) == 0 {
		return
	}
	ref.b.WriteString("\n| kind | meaning |\n|---|---|\n")
	for _, name := range names {
		k := r.lookup(name)
		if k.doc == "" {
			ref.missing = append(ref.missing, r.noun+" "+name)
		}
		fmt.Fprintf(&ref.b, "| `%s` | %s |\n", name, cell(k.doc))
	}
	for _, name := range names {
		k := r.lookup(name)
		if len(schemaOf(k.config).fields) == 0 {
			continue
		}
		fmt.Fprintf(&ref.b, "\n### %s `%s`\n", r.noun, name)
		c := k.defaults()
		ref.table("", c)
		ref.below("", c)
	}
}

// typeCell says what a key takes; a variant links to its kinds.
func (ref *reference) typeCell(f *field) string {
	t, form := f.typ, "%s"
	for {
		switch t.Kind() {
		case reflect.Pointer:
			form = fmt.Sprintf(form, "%s or null")
		case reflect.Slice:
			form = fmt.Sprintf(form, "list of: %s")
		case reflect.Array:
			form = fmt.Sprintf(form, fmt.Sprintf("list of %d: %%s", t.Len()))
		case reflect.Map:
			form = fmt.Sprintf(form, "names, each: %s")
		default:
			return fmt.Sprintf(form, ref.plainType(t, f))
		}
		t = t.Elem()
	}
}

func (ref *reference) plainType(t reflect.Type, f *field) string {
	switch {
	case isVariant(t):
		r := variantOf(reflect.New(t)).core()
		ref.meet(r)
		anchor := "kinds-of-" + strings.ReplaceAll(strings.ToLower(r.noun), " ", "-")
		return fmt.Sprintf("[kind of %s](#%s)", r.noun, anchor)
	case f.oneof != nil:
		return "`" + strings.Join(f.oneof, "`, `") + "`"
	case f.bounds != nil:
		name := "number"
		if !isFloat(t) {
			name = "whole number"
		}
		return name + " " + f.bounds.String()
	case isText(t) && choicesOf(t) != nil:
		return "`" + strings.Join(choicesOf(t), "`, `") + "`"
	case t == durationType:
		return "duration"
	}
	return strings.TrimPrefix(typeName(t), "a ")
}

func defaultCell(f *field, v reflect.Value) string {
	if f.required && v.IsZero() {
		return "required"
	}
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	t := v.Type()
	if t.Kind() == reflect.Struct && !isText(t) && !isVariant(t) {
		return "see below"
	}
	if isVariant(t) {
		return variantDefault(v)
	}
	n, err := toNode(v, nil)
	if err != nil {
		return "see the kinds"
	}
	return "`" + inline(n) + "`"
}

// variantDefault is the kind, and what the field sets differently from the
// kind's own defaults.
func variantDefault(v reflect.Value) string {
	vr := variantOf(v.Addr())
	k, c := configOf(vr)
	if k == nil {
		return "required"
	}
	own := k.defaults()
	n := &node{kind: section, entries: []entry{{name: kindKey, value: &node{text: k.name, quoted: true}}}}
	for _, f := range schemaOf(k.config).fields {
		a, b := c.FieldByIndex(f.index), own.FieldByIndex(f.index)
		if reflect.DeepEqual(a.Interface(), b.Interface()) {
			continue
		}
		if value, err := toNode(a, nil); err == nil {
			n.entries = append(n.entries, entry{name: f.name, value: value})
		}
	}
	if len(n.entries) == 1 {
		return "`" + k.name + "`"
	}
	return "`" + inline(n) + "`"
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// cell keeps text inside its table cell.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// sentence starts with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
