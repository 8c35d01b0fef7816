package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Form is one form of a file.
type Form struct {
	Name string
	Root any      // a struct or a pointer to one; its values do not matter
	Keys []string // a file with one of them has this form; none: a file with none of the other forms'
	// Required are the keys that a file must have, where not those of the tags: defaults may come from elsewhere.
	Required []string
}

// JSONSchema gives a JSON Schema (draft 7) of YAML files, for editors: keys with their
// documentation, defaults, words and bounds that the tags say, and the kinds of all registries that
// they lead to. The last form is that of files that are of no other. It accepts every file that decoding
// accepts, and more: what Validate methods refuse is not in it, nor, where a section names no kind, which one
// it is that keys belong to.
func JSONSchema(title string, forms ...Form) ([]byte, error) {
	w := &schemaWriter{definitions: map[string]any{}, open: map[reflect.Type]string{}}
	var root map[string]any
	for i := len(forms) - 1; i >= 0; i-- {
		f := forms[i]
		t := reflect.TypeOf(f.Root)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		w.definitions[f.Name] = w.form(t, f.Required)
		of := refer(f.Name)
		if root == nil {
			root = map[string]any{"allOf": []any{of}}
			continue
		}
		var told []any
		for _, key := range f.Keys {
			told = append(told, map[string]any{"required": []string{key}})
		}
		root = map[string]any{"if": map[string]any{"anyOf": told}, "then": of, "else": root}
	}
	root["$schema"], root["title"], root["definitions"] = "http://json-schema.org/draft-07/schema#", title, w.definitions
	var b bytes.Buffer
	if err := writeJSON(&b, root, 0); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// form is a whole file that is decoded into t.
func (w *schemaWriter) form(t reflect.Type, required []string) map[string]any {
	v := reflect.New(t).Elem()
	setDefaults(v)
	s := w.object(v)
	s["properties"].(map[string]any)[extendsKey] = map[string]any{
		"description": "files that this one is put over; their names are relative to it",
		"anyOf":       []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}}},
	}
	if required == nil {
		required = requiredOf(t)
	}
	if required != nil { // the file that is extended may have it
		s["if"] = map[string]any{"not": map[string]any{"required": []string{extendsKey}}}
		s["then"] = map[string]any{"required": required}
	}
	return s
}

// writeJSON writes a line for each key down to those of a section, in alphabetical order.
func writeJSON(b *bytes.Buffer, v any, depth int) error {
	m, ok := v.(map[string]any)
	if !ok || depth > 3 {
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(v)
		b.Truncate(b.Len() - 1) // the end of the line
		return err
	}
	b.WriteString("{")
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n%s%q: ", strings.Repeat(" ", depth+1), key)
		if err := writeJSON(b, m[key], depth+1); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "\n%s}", strings.Repeat(" ", depth))
	return nil
}

// schemaWriter gathers what several places refer to.
type schemaWriter struct {
	definitions map[string]any
	open        map[reflect.Type]string // structs that have a definition
}

// refer is the reference to a definition.
func refer(name string) map[string]any { return map[string]any{"$ref": "#/definitions/" + name} }

// object is a struct whose defaults v has; no key is required.
func (w *schemaWriter) object(v reflect.Value) map[string]any {
	properties := map[string]any{}
	for _, f := range schemaOf(v.Type()).fields {
		properties[f.name] = w.field(&f, v.FieldByIndex(f.index))
		if f.was != "" {
			properties[f.was] = map[string]any{"description": "old name of " + f.name}
		}
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// requiredOf are the keys that a struct must be given, nil if there are none.
func requiredOf(t reflect.Type) (keys []string) {
	for _, f := range schemaOf(t).fields {
		if f.required {
			keys = append(keys, f.name)
		}
	}
	return keys
}

// field is what a key takes, with its documentation and default.
func (w *schemaWriter) field(f *field, v reflect.Value) map[string]any {
	s := w.typed(f, f.typ, v)
	if _, refers := s["$ref"]; refers { // beside which nothing else counts
		s = map[string]any{"allOf": []any{s}}
	}
	if f.doc != "" {
		s["description"] = f.doc
	}
	if d, ok := jsonDefault(v); ok && !f.required {
		s["default"] = d
	}
	return s
}

// typed is what a type takes. v is a value of it with the defaults, or invalid.
func (w *schemaWriter) typed(f *field, t reflect.Type, v reflect.Value) map[string]any {
	switch {
	case isVariant(t):
		return w.variant(variantOf(reflect.New(t)).core())
	case t == valueType:
		return map[string]any{}
	case t == durationType:
		return map[string]any{"type": "string", "pattern": `^[-+]?([0-9.]+(ns|us|µs|ms|s|m|h))+$`}
	case isText(t):
		if words := choicesOf(t); words != nil {
			return map[string]any{"enum": words}
		}
		return map[string]any{"type": []string{"string", "number", "boolean"}}
	case isNumber(t):
		return number(f, t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		if v.IsValid() && !v.IsNil() {
			v = v.Elem()
		} else {
			v = reflect.Value{}
		}
		return map[string]any{"anyOf": []any{w.typed(f, t.Elem(), v), map[string]any{"type": "null"}}}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		if f.oneof != nil {
			return map[string]any{"enum": f.oneof}
		}
		return map[string]any{"type": "string"}
	case reflect.Slice, reflect.Array:
		s := map[string]any{"type": "array", "items": w.element(f, t.Elem())}
		if t.Kind() == reflect.Array {
			s["minItems"], s["maxItems"] = t.Len(), t.Len()
		}
		return s
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": w.element(f, t.Elem())}
	}
	if !v.IsValid() {
		v = reflect.New(t).Elem()
		setDefaults(v)
	}
	return w.section(v)
}

// element is an element of a list or map, which must have what is required.
func (w *schemaWriter) element(f *field, t reflect.Type) map[string]any {
	s := w.typed(f, t, reflect.Value{})
	if t.Kind() == reflect.Struct && !isText(t) && !isVariant(t) {
		if required := requiredOf(t); required != nil {
			s = map[string]any{"allOf": []any{s, map[string]any{"required": required}}}
		}
	}
	return s
}

// section is a struct that a key holds; one that leads to itself is a definition.
func (w *schemaWriter) section(v reflect.Value) map[string]any {
	t := v.Type()
	if name, open := w.open[t]; open {
		if name == "" { // met again below itself
			name = "section-" + strings.ReplaceAll(t.String(), ".", "-")
			w.open[t] = name
		}
		return refer(name)
	}
	w.open[t] = ""
	s := w.object(v)
	name := w.open[t]
	if name == "" {
		delete(w.open, t)
		return s
	}
	w.definitions[name] = s
	return refer(name)
}

// variant refers to the definition of a registry: the name of a kind, or a section.
func (w *schemaWriter) variant(r *registry) map[string]any {
	name := "kinds-of-" + strings.ReplaceAll(r.noun, " ", "-")
	ref := refer(name)
	if _, done := w.definitions[name]; done {
		return ref
	}
	w.definitions[name] = nil // kinds may lead back here
	kinds := r.names()
	words := func() map[string]any {
		var each []any
		for _, k := range kinds {
			each = append(each, map[string]any{"const": k, "description": r.lookup(k).doc})
		}
		return map[string]any{"anyOf": each, "description": r.doc}
	}
	var all, branches []any
	for _, k := range kinds {
		kind := r.lookup(k)
		own := strings.ReplaceAll(r.noun, " ", "-") + "-" + k
		s := w.object(kind.defaults())
		s["properties"].(map[string]any)[kindKey] = map[string]any{"const": k, "description": kind.doc}
		s["description"] = kind.doc
		w.definitions[own] = s
		then := []any{refer(own)}
		if required := requiredOf(kind.config); required != nil {
			then = append(then, map[string]any{"required": required})
		}
		all = append(all, refer(own))
		branches = append(branches, map[string]any{
			"if":   map[string]any{"properties": map[string]any{kindKey: map[string]any{"const": k}}, "required": []string{kindKey}},
			"then": map[string]any{"allOf": then},
		})
	}
	branches = append(branches, map[string]any{ // it refines the default, or what the file that is extended says
		"if":   map[string]any{"not": map[string]any{"required": []string{kindKey}}},
		"then": map[string]any{"anyOf": all},
	})
	w.definitions[name] = map[string]any{
		"anyOf": []any{words(), map[string]any{"type": "object", "properties": map[string]any{kindKey: words()}, "allOf": branches}},
	}
	return ref
}

// What is a number here and perhaps text to another reader of YAML: 20_000, 1e-4.
const (
	wholeText  = `^[-+]?([0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+)$`
	numberText = `^[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)([eE][-+]?[0-9]+)?$`
)

// number has the bounds of a field.
func number(f *field, t reflect.Type) map[string]any {
	s := map[string]any{"type": []string{"integer", "string"}, "pattern": wholeText}
	if isFloat(t) {
		s = map[string]any{"type": []string{"number", "string"}, "pattern": numberText}
	}
	if b := f.bounds; b != nil {
		if !math.IsInf(b.lo, 0) {
			s[map[bool]string{true: "exclusiveMinimum", false: "minimum"}[b.loOpen]] = b.lo
		}
		if !math.IsInf(b.hi, 0) {
			s[map[bool]string{true: "exclusiveMaximum", false: "maximum"}[b.hiOpen]] = b.hi
		}
	} else if isUint(t) {
		s["minimum"] = 0
	}
	return s
}

// jsonDefault is a default as JSON; what has sections below it says its defaults there.
func jsonDefault(v reflect.Value) (any, bool) {
	t := v.Type()
	if t.Kind() == reflect.Pointer && v.IsNil() {
		return nil, true
	}
	for t.Kind() == reflect.Pointer {
		v = v.Elem()
		t = v.Type()
	}
	if isVariant(t) {
		name, _ := variantOf(v.Addr()).get()
		return name, name != ""
	}
	if t.Kind() == reflect.Struct && !isText(t) {
		return nil, false
	}
	n, err := toNode(v, nil)
	if err != nil {
		return nil, false
	}
	return n.json()
}

// json is a node as encoding/json takes it; false where JSON has no such number.
func (n *node) json() (any, bool) {
	switch {
	case n.kind == list:
		items := []any{}
		for _, item := range n.items {
			v, ok := item.json()
			if !ok {
				return nil, false
			}
			items = append(items, v)
		}
		return items, true
	case n.kind == section:
		fields := map[string]any{}
		for _, e := range n.entries {
			v, ok := e.value.json()
			if !ok {
				return nil, false
			}
			fields[e.name] = v
		}
		return fields, true
	case n.quoted:
		return n.text, true
	case n.isNull():
		return nil, true
	case isBool(n.text):
		return n.text == "true", true
	}
	if _, err := strconv.ParseFloat(n.text, 64); err != nil || infinite.MatchString(n.text) {
		return n.text, !infinite.MatchString(n.text) // a duration
	}
	return json.Number(n.text), true
}
