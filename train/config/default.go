package config

import "reflect"

// setDefaults calls SetDefaults on every struct below v, children first, so that
// a parent may adjust what its parts would be on their own.
func setDefaults(v reflect.Value) {
	t := v.Type()
	switch {
	case isText(t) || isVariant(t):
	case t.Kind() == reflect.Array:
		for i := range v.Len() {
			setDefaults(v.Index(i))
		}
	case t.Kind() == reflect.Struct:
		s := schemaOf(t)
		for _, f := range s.fields {
			setDefaults(v.FieldByIndex(f.index))
		}
		for i := len(s.inline) - 1; i >= 0; i-- { // inner embedded structs come later in the list
			callDefaults(v.FieldByIndex(s.inline[i]))
		}
		callDefaults(v)
		for _, f := range s.fields {
			dropEmpty(v.FieldByIndex(f.index))
		}
	}
}

func callDefaults(v reflect.Value) {
	if d, ok := v.Addr().Interface().(interface{ SetDefaults() }); ok {
		d.SetDefaults()
	}
}

// dropEmpty makes an empty list or map nil, as decoding `[]` does.
func dropEmpty(v reflect.Value) {
	if (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 {
		v.SetZero()
	}
}

// Defaults gives a T with every default filled in.
func Defaults[T any]() T {
	var c T
	setDefaults(reflect.ValueOf(&c).Elem())
	return c
}
