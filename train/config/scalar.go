package config

import (
	"encoding"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	decimal  = regexp.MustCompile(`^[+-]?(\d+(_\d+)*(\.(\d+(_\d+)*)?)?|\.\d+(_\d+)*)([eE][+-]?\d{1,9})?$`)
	whole    = regexp.MustCompile(`^[+-]?(0|[1-9]\d*(_\d+)*)$`)
	prefixed = regexp.MustCompile(`^[+-]?0(x[0-9a-fA-F]+(_[0-9a-fA-F]+)*|o[0-7]+(_[0-7]+)*|b[01]+(_[01]+)*)$`)
	infinite = regexp.MustCompile(`^[+-]?\.(inf|Inf|INF)$`)
	notANum  = regexp.MustCompile(`^\.(nan|NaN|NAN)$`)
)

// describe says what a node is, for "must be X, is Y".
func describe(n *node) string {
	switch {
	case n.kind == list:
		return "a list"
	case n.kind == section:
		return "a section"
	case n.isNull():
		return "empty"
	case n.quoted:
		return "the text " + quote(n.text)
	case n.looksNumber():
		return "the number " + cut(n.text)
	case isBool(n.text):
		return n.text
	default:
		return "the text " + quote(n.text)
	}
}

func (n *node) looksNumber() bool {
	t := n.text
	return !n.quoted && (decimal.MatchString(t) || prefixed.MatchString(t) || infinite.MatchString(t) || notANum.MatchString(t))
}

func isBool(s string) bool {
	switch s {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return true
	}
	return false
}

// setScalar fills v, of a scalar Go type, from a plain or quoted scalar. The
// message of a failure has the form "must be X, is Y".
func setScalar(n *node, v reflect.Value) (msg string) {
	t := v.Type()
	must := "must be " + typeName(t) + ", is " + describe(n)
	if n.kind != scalar || n.isNull() {
		return must + emptyHint(n, t)
	}
	switch {
	case isText(t):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			if valid := choicesOf(t); valid != nil {
				return "is " + quote(n.text) + choices(n.text, valid)
			}
			return "is " + quote(n.text) + ": " + err.Error()
		}
	case t == durationType:
		d, err := time.ParseDuration(n.text)
		if err != nil {
			return must
		}
		v.SetInt(int64(d))
	case t.Kind() == reflect.Bool:
		if n.quoted || !isBool(n.text) {
			return must
		}
		v.SetBool(n.text[0] == 't' || n.text[0] == 'T')
	case t.Kind() == reflect.String:
		if !n.quoted && (n.looksNumber() || isBool(n.text)) {
			return must + `; text that looks like one is written "` + n.text + `" with its quotes`
		}
		v.SetString(n.text)
	case n.quoted:
		return must + "; numbers have no quotes"
	case isFloat(t):
		return setFloat(n, v, must)
	default:
		return setInt(n, v, must)
	}
	return ""
}

func emptyHint(n *node, t reflect.Type) string {
	if n.isNull() && t.Kind() == reflect.String && !isText(t) {
		return `; empty text is written ""`
	}
	return ""
}

func setFloat(n *node, v reflect.Value, must string) string {
	switch {
	case infinite.MatchString(n.text):
		sign := 1
		if n.text[0] == '-' {
			sign = -1
		}
		v.SetFloat(math.Inf(sign))
		return ""
	case !decimal.MatchString(n.text):
		return must
	}
	clean := strings.ReplaceAll(n.text, "_", "")
	f, err := strconv.ParseFloat(clean, v.Type().Bits())
	if err != nil {
		return fmt.Sprintf("is %s, beyond the range of a %d-bit float", cut(n.text), v.Type().Bits())
	}
	if f == 0 && strings.ContainsAny(mantissa(clean), "123456789") {
		return fmt.Sprintf("is %s, too small for a %d-bit float", cut(n.text), v.Type().Bits())
	}
	v.SetFloat(f)
	return ""
}

// mantissa is a decimal number without its exponent.
func mantissa(s string) string {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i]
	}
	return s
}

// setInt takes 20_000, 0xff, and whole numbers in float notation such as 1e4.
func setInt(n *node, v reflect.Value, must string) string {
	clean := strings.ReplaceAll(n.text, "_", "")
	var i *big.Int
	switch {
	case whole.MatchString(n.text) || prefixed.MatchString(n.text):
		if len(clean) <= 100 { // longer ones are out of range anyway
			i, _ = new(big.Int).SetString(clean, 0)
		}
	case decimal.MatchString(n.text) && !strings.ContainsAny(n.text, ".eE"):
		return "has a leading zero, which YAML versions read differently; write " + cut(strings.TrimLeft(clean, "+-0"))
	case decimal.MatchString(n.text):
		f, err := strconv.ParseFloat(clean, 64)
		switch {
		case err != nil || math.Abs(f) > 1e20: // i stays nil: out of range
		case len(clean) > 100 || f != 0 && math.Abs(f) < 0.5 || f == 0 && strings.ContainsAny(mantissa(clean), "123456789"):
			return must
		default: // exact: 9007199254740993.0 is no float64
			r, ok := new(big.Rat).SetString(clean)
			if !ok || !r.IsInt() {
				return must
			}
			i = r.Num()
		}
	default:
		return must
	}
	if isUint(v.Type()) {
		if i != nil && i.IsUint64() && !v.OverflowUint(i.Uint64()) {
			v.SetUint(i.Uint64())
			return ""
		}
	} else if i != nil && i.IsInt64() && !v.OverflowInt(i.Int64()) {
		v.SetInt(i.Int64())
		return ""
	}
	lo, hi := intRange(v.Type())
	return fmt.Sprintf("is %s; must be from %s to %s", cut(n.text), lo, hi)
}

// intRange gives the ends of an integer type as text.
func intRange(t reflect.Type) (lo, hi string) {
	if isUint(t) {
		return "0", strconv.FormatUint(math.MaxUint64>>(64-t.Bits()), 10)
	}
	most := int64(math.MaxInt64 >> (64 - t.Bits()))
	return strconv.FormatInt(-most-1, 10), strconv.FormatInt(most, 10)
}

// choicesOf asks a text type for its valid words.
func choicesOf(t reflect.Type) []string {
	if c, ok := reflect.New(t).Interface().(interface{ Choices() []string }); ok {
		return c.Choices()
	}
	return nil
}

// typeName says in a user's words what a Go type takes.
func typeName(t reflect.Type) string {
	switch {
	case isVariant(t):
		return "the name of a " + variantOf(reflect.New(t)).core().noun + ", or a section with kind"
	case isText(t):
		if valid := choicesOf(t); valid != nil {
			return "one of " + strings.Join(valid, ", ")
		}
		return "text"
	case t == valueType:
		return "any value"
	case t == durationType:
		return "a duration such as 30s or 1h30m"
	case isUint(t):
		return "a whole number ≥ 0"
	case isInt(t):
		return "a whole number"
	case isFloat(t):
		return "a number"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list (each element " + typeName(t.Elem()) + ")"
	case reflect.Array:
		return fmt.Sprintf("a list of %d (each element %s)", t.Len(), typeName(t.Elem()))
	case reflect.Map:
		return "a section of names (each value " + typeName(t.Elem()) + ")"
	case reflect.Pointer:
		return typeName(t.Elem()) + " or null"
	default:
		return "a section"
	}
}
