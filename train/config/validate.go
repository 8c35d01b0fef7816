package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Validate checks a config that a program built instead of decoding it: the
// same rules, and the errors name key paths only. cfg is a struct or a pointer to one.
func Validate(cfg any) error {
	v := reflect.Indirect(reflect.ValueOf(cfg))
	addressable := reflect.New(v.Type()).Elem()
	addressable.Set(v)
	d := &decoder{places: &Places{}, failed: map[string]bool{}}
	d.validate(addressable, nil)
	if len(d.errors) > 0 {
		return d.errors
	}
	return nil
}

// Locate gives the errors of building what stands at key the places of their
// keys: a [FieldError] is read relative to key. The result is of type [Errors],
// or nil for nil.
func (ps *Places) Locate(key string, err error) error {
	if err == nil {
		return nil
	}
	return ps.locate(parsePath(key), err)
}

func (ps *Places) locate(at path, err error) Errors {
	var out Errors
	for _, e := range flatten(err) {
		name, msg := blamed(e)
		p := at
		for _, step := range parsePath(name) {
			p = p.key(step)
		}
		out.add(ps.error(p, msg))
	}
	return out
}

// validate checks v and all below it, children first. A struct with a mistake in
// it is not asked to validate itself: it would speak of values nobody wrote.
func (d *decoder) validate(v reflect.Value, p path) {
	t := v.Type()
	switch {
	case len(d.errors) >= maxErrors || isText(t):
	case t.Kind() == reflect.Pointer:
		if !v.IsNil() {
			d.validate(v.Elem(), p)
		}
	case isVariant(t):
		d.validateVariant(variantOf(v.Addr()), p)
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		for i := range v.Len() {
			d.validate(v.Index(i), p.index(i))
		}
	case t.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			elem := reflect.New(t.Elem()).Elem()
			elem.Set(v.MapIndex(k))
			d.validate(elem, p.key(k.String()))
		}
	case t.Kind() == reflect.Struct:
		d.validateStruct(v, p)
	}
}

func (d *decoder) validateStruct(v reflect.Value, p path) {
	s := schemaOf(v.Type())
	for _, f := range s.fields {
		d.validateField(&f, v.FieldByIndex(f.index), p.key(f.name))
	}
	for i := len(s.inline) - 1; i >= 0; i-- {
		part := v.FieldByIndex(s.inline[i])
		if !d.anyFailed(part, p) {
			d.callValidate(part, p)
		}
	}
	if !d.failed[p.String()] {
		d.callValidate(v, p)
	}
}

// anyFailed says whether a key of an inline struct has a mistake.
func (d *decoder) anyFailed(v reflect.Value, p path) bool {
	for _, f := range schemaOf(v.Type()).fields {
		if d.failed[p.key(f.name).String()] {
			return true
		}
	}
	return false
}

func (d *decoder) callValidate(v reflect.Value, p path) {
	c, ok := v.Addr().Interface().(interface{ Validate() error })
	if !ok {
		return
	}
	if err := c.Validate(); err != nil {
		for _, e := range d.places.locate(p, err) {
			d.errors.add(e)
			d.fail(parsePath(e.Key))
		}
	}
}

func (d *decoder) validateField(f *field, v reflect.Value, p path) {
	if d.failed[p.String()] && !isSection(v) {
		return
	}
	if f.required && v.IsZero() && !isVariant(f.typ) { // a variant says itself that it is
		at, found := d.places.find(p)
		if k := v.Kind(); !found || k == reflect.String || k == reflect.Slice || k == reflect.Map {
			d.add(at, p, "is required: "+f.doc)
			return
		}
	}
	d.checkTags(f, v, p)
	d.validate(v, p)
}

func isSection(v reflect.Value) bool {
	switch reflect.Indirect(v).Kind() {
	case reflect.Struct, reflect.Slice, reflect.Array, reflect.Map:
		return true
	}
	return false
}

// checkTags checks range and oneof, for lists on every element.
func (d *decoder) checkTags(f *field, v reflect.Value, p path) {
	if f.bounds == nil && f.oneof == nil {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.checkTags(f, v.Elem(), p)
		}
		return
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			d.checkTags(f, v.Index(i), p.index(i))
		}
		return
	}
	if d.failed[p.String()] {
		return
	}
	msg := ""
	if f.bounds != nil {
		if x := toFloat(v); !f.bounds.contain(x) {
			msg = fmt.Sprintf("must be %v, is %v", f.bounds, v.Interface())
		}
	} else if !slices.Contains(f.oneof, v.String()) {
		msg = "is " + quote(v.String()) + choices(v.String(), f.oneof)
	}
	if msg != "" {
		d.errors.add(d.places.error(p, msg))
		d.fail(p)
	}
}

func toFloat(v reflect.Value) float64 {
	switch {
	case isInt(v.Type()):
		return float64(v.Int())
	case isUint(v.Type()):
		return float64(v.Uint())
	default:
		return v.Float()
	}
}
