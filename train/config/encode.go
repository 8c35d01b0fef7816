package config

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Resolved writes a config (a struct, or a pointer to one) as YAML with every
// value in it, defaults too, in the order of the struct's fields. Decoding the
// result gives an equal struct, and other YAML readers read the same numbers.
// What no YAML gives back is an error: NaN, text that is not UTF-8, a Variant
// without a kind.
func Resolved(cfg any) ([]byte, error) {
	n, err := toNode(reflect.ValueOf(cfg), nil)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var b bytes.Buffer
	emit(&b, n, 0, false)
	return b.Bytes(), nil
}

// toNode is the inverse of decoding.
func toNode(v reflect.Value, p path) (*node, error) {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		if v.IsNil() {
			return &node{text: "null"}, nil
		}
		return toNode(v.Elem(), p)
	}
	if !v.CanAddr() { // methods may have pointer receivers
		c := reflect.New(t).Elem()
		c.Set(v)
		v = c
	}
	switch {
	case isVariant(t):
		return variantNode(variantOf(v.Addr()), p)
	case isText(t):
		text, err := v.Addr().Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return nil, fmt.Errorf("%v: %w", p, err)
		}
		return textNode(string(text), p)
	case t == valueType:
		n, err := valueNode(Value(v.String()))
		if err != nil {
			return nil, fmt.Errorf("%v: %w", p, err)
		}
		return n, nil
	case t == durationType:
		return &node{text: formatDuration(time.Duration(v.Int()))}, nil
	case isInt(t):
		return &node{text: strconv.FormatInt(v.Int(), 10)}, nil
	case isUint(t):
		return &node{text: strconv.FormatUint(v.Uint(), 10)}, nil
	case isFloat(t):
		if math.IsNaN(v.Float()) {
			return nil, fmt.Errorf("%v: NaN cannot stand in a config", p)
		}
		return &node{text: formatFloat(v.Float(), t.Bits())}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &node{text: strconv.FormatBool(v.Bool())}, nil
	case reflect.String:
		return textNode(v.String(), p)
	case reflect.Slice, reflect.Array:
		n := &node{kind: list}
		for i := range v.Len() {
			item, err := toNode(v.Index(i), p.index(i))
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case reflect.Map:
		return mapNode(v, p)
	case reflect.Struct:
		n := &node{kind: section}
		return n, n.addFields(v, p)
	}
	panic(fmt.Sprintf("config: %v, key %v: the type %v cannot stand in a config", v.Type(), p, t))
}

// addFields appends the fields of a struct to a section.
func (n *node) addFields(v reflect.Value, p path) error {
	for _, f := range schemaOf(v.Type()).fields {
		value, err := toNode(v.FieldByIndex(f.index), p.key(f.name))
		if err != nil {
			return err
		}
		n.entries = append(n.entries, entry{name: f.name, value: value})
	}
	return nil
}

func variantNode(vr variant, p path) (*node, error) {
	k, c := configOf(vr)
	if k == nil {
		name, cfg := vr.get()
		return nil, fmt.Errorf("%v: the %s %q with a config of type %T is none of its registry", p, vr.core().noun, name, cfg)
	}
	name := &node{text: k.name, quoted: true}
	if len(schemaOf(k.config).fields) == 0 {
		return name, nil
	}
	n := &node{kind: section, entries: []entry{{name: kindKey, value: name}}}
	return n, n.addFields(c, p)
}

func mapNode(v reflect.Value, p path) (*node, error) {
	n := &node{kind: section}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		if !utf8.ValidString(k.String()) || len(k.String()) > maxName {
			return nil, fmt.Errorf("%v: %s cannot be a name in a config", p, quote(k.String()))
		}
		value, err := toNode(v.MapIndex(k), p.key(k.String()))
		if err != nil {
			return nil, err
		}
		n.entries = append(n.entries, entry{name: k.String(), value: value})
	}
	return n, nil
}

func textNode(s string, p path) (*node, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%v: text that is not UTF-8 cannot stand in a config", p)
	}
	return &node{text: s, quoted: true}, nil
}

// formatFloat gives the shortest decimal that reads back as the same float, with
// the dot and signed exponent that YAML 1.1 readers need to see a number.
func formatFloat(f float64, bits int) string {
	if math.IsInf(f, 0) {
		return map[bool]string{true: ".inf", false: "-.inf"}[f > 0]
	}
	s := strconv.FormatFloat(f, 'g', -1, bits)
	m := mantissa(s)
	if strings.Contains(m, ".") {
		return s
	}
	return m + ".0" + s[len(m):]
}

// formatDuration leaves out the zeros of 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// emit writes a node in block style, its lists of plain values in one line.
// begun says that the indentation of its first line is written.
func emit(b *bytes.Buffer, n *node, depth int, begun bool) {
	pad := strings.Repeat("  ", depth)
	for i, e := range n.entries {
		if i > 0 || !begun {
			b.WriteString(pad)
		}
		b.WriteString(text(e.name) + ":")
		emitValue(b, e.value, depth+1)
	}
	for _, item := range n.items {
		b.WriteString(pad + "-")
		if item.kind == section && len(item.entries) > 0 {
			b.WriteString(" ")
			emit(b, item, depth+1, true)
		} else {
			emitValue(b, item, depth+1)
		}
	}
	if n.kind == scalar || len(n.entries)+len(n.items) == 0 {
		b.WriteString(inline(n) + "\n")
	}
}

func emitValue(b *bytes.Buffer, n *node, depth int) {
	if n.isInline() {
		b.WriteString(" " + inline(n) + "\n")
		return
	}
	b.WriteString("\n")
	emit(b, n, depth, false)
}

// isInline says whether a value stands on its key's line.
func (n *node) isInline() bool {
	if n.kind == section {
		return len(n.entries) == 0
	}
	for _, item := range n.items {
		if !item.isInline() {
			return false
		}
	}
	return true
}

// inline writes a node in one line.
func inline(n *node) string {
	var parts []string
	switch {
	case n.kind == scalar && n.quoted:
		return text(n.text)
	case n.kind == scalar:
		return n.text
	case n.kind == list:
		for _, item := range n.items {
			parts = append(parts, inline(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	for _, e := range n.entries {
		parts = append(parts, text(e.name)+": "+inline(e.value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

var (
	plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)
	reserved  = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|nan|inf)$`)
)

// text writes a string so that every YAML reader reads a string.
func text(s string) string {
	if plainText.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	return strconv.Quote(s) // Go's escapes are among those of YAML's double quotes
}
