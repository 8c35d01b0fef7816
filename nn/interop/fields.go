package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Kinds of errors of this package, for errors.Is; all are of internal/badfile's one
// type, whose message names file, place and what would be right.
var (
	ErrConfig      = errors.New("not a valid configuration")
	ErrUnsupported = errors.New("not supported")
)

// maxConfig bounds a configuration file; real ones have some kilobytes.
const maxConfig = 1 << 20

// readBounded reads a whole configuration file.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	if len(text) > maxConfig {
		return nil, badfile.New(path, ErrConfig, "is longer than %d bytes: not a configuration", maxConfig)
	}
	return text, nil
}

// fields are the members of a configuration's object. The getters mark what they
// read and keep the first error; done reports it, or a field that nobody read.
type fields struct {
	path  string
	m     map[string]*field
	order []string
	err   error
}

type field struct {
	raw  json.RawMessage
	at   int64 // of the key
	used bool
}

// parseFields reads one JSON object, strictly: no key twice, nothing behind it.
func parseFields(path string, text []byte) (*fields, error) {
	f := &fields{path: path, m: map[string]*field{}}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	bad := func(format string, args ...any) error {
		return badfile.At(path, d.InputOffset(), ErrConfig, format, args...)
	}
	t, err := d.Token()
	if err != nil {
		return nil, bad("is not valid JSON: %v", err)
	}
	if t != json.Delim('{') {
		return nil, bad("must be a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, bad("is not valid JSON: %v", err)
		}
		name, ok := key.(string)
		if !ok {
			return nil, bad("is not valid JSON: a key must be a string")
		}
		v := &field{at: d.InputOffset()}
		if f.m[name] != nil {
			return nil, bad("field %q stands there twice", name)
		}
		if err := d.Decode(&v.raw); err != nil {
			return nil, bad("field %q is not valid JSON: %v", name, err)
		}
		f.m[name] = v
		f.order = append(f.order, name)
	}
	if _, err := d.Token(); err != nil {
		return nil, bad("is not valid JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bad("has more text behind the object")
	}
	return f, nil
}

// take marks a field as read; nil: it is not there.
func (f *fields) take(name string) json.RawMessage {
	v := f.m[name]
	if v == nil {
		return nil
	}
	v.used = true
	return v.raw
}

func (f *fields) isNull(name string) bool {
	v := f.m[name]
	return v == nil || string(v.raw) == "null"
}

// fail blames a field. The first complaint stands.
func (f *fields) fail(name string, kind error, format string, args ...any) {
	if f.err != nil {
		return
	}
	at := int64(-1)
	if v := f.m[name]; v != nil {
		at = v.at
	}
	e := badfile.At(f.path, at, kind, format, args...)
	f.err = e.In(fmt.Sprintf("field %q", name))
}

// refuse says that a value is valid there but not supported here.
func (f *fields) refuse(name, format string, args ...any) {
	f.fail(name, ErrUnsupported, format+", is %s", append(args, f.show(name))...)
}

func (f *fields) show(name string) string {
	v := f.m[name]
	if v == nil {
		return "not there"
	}
	if len(v.raw) > 60 {
		return string(v.raw[:60]) + "…"
	}
	return string(v.raw)
}

// value decodes a field into out, which stays as it is where the field is not there.
func (f *fields) value(name string, out any, want string) {
	raw := f.take(name)
	if raw == nil {
		return
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if string(raw) == "null" || d.Decode(out) != nil {
		f.fail(name, ErrConfig, "must be %s, is %s", want, f.show(name))
	}
}

func (f *fields) int(name string, def, lo, hi int) int {
	n := def
	f.value(name, &n, fmt.Sprintf("an integer from %d to %d", lo, hi))
	if f.m[name] != nil && (n < lo || n > hi) {
		f.fail(name, ErrConfig, "must be an integer from %d to %d, is %s", lo, hi, f.show(name))
	}
	return n
}

// optInt is an integer, or null.
func (f *fields) optInt(name string, lo, hi int) (n int, ok bool) {
	if f.isNull(name) {
		f.take(name)
		return 0, false
	}
	return f.int(name, lo, lo, hi), true
}

func (f *fields) float(name string, def float64) float64 {
	x := def
	f.value(name, &x, "a number")
	if math.Abs(x) > math.MaxFloat32 {
		f.fail(name, ErrConfig, "must be a number of moderate size, is %s", f.show(name))
	}
	return x
}

func (f *fields) bool(name string, def bool) bool {
	f.value(name, &def, "true or false")
	return def
}

func (f *fields) string(name, def string) string {
	f.value(name, &def, "a string")
	return def
}

// optString is a string, or null.
func (f *fields) optString(name, def string) (s string, ok bool) {
	if f.m[name] != nil && f.isNull(name) {
		f.take(name)
		return "", false
	}
	return f.string(name, def), true
}

func (f *fields) strings(name string, def []string) []string {
	var out []string
	f.value(name, &out, "a list of strings")
	if out == nil {
		return slices.Clone(def)
	}
	return out
}

func (f *fields) ints(name string, def []int, lo, hi int) []int {
	var out []int
	f.value(name, &out, "a list of integers")
	if out == nil {
		return slices.Clone(def)
	}
	for _, n := range out {
		if n < lo || n > hi {
			f.fail(name, ErrConfig, "must be integers from %d to %d, is %s", lo, hi, f.show(name))
		}
	}
	return out
}

// oneOf is a string among the words; others are refused.
func (f *fields) oneOf(name, def string, words ...string) string {
	s := f.string(name, def)
	if f.err == nil && !slices.Contains(words, s) {
		f.refuse(name, "must be %s", list(words))
	}
	return s
}

func list(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = strconv.Quote(w)
	}
	if len(q) == 1 {
		return q[0]
	}
	return strings.Join(q[:len(q)-1], ", ") + " or " + q[len(q)-1]
}

// metadata are keys that diffusers writes about the file, not about the network.
var metadata = []string{"_class_name", "_diffusers_version", "_name_or_path", "_commit_hash", "_use_default_values"}

// done reports the first error, or a field that the class does not have.
func (f *fields) done(class string) error {
	for _, name := range f.order {
		if f.err == nil && !f.m[name].used && !slices.Contains(metadata, name) {
			f.fail(name, ErrConfig, "is no field of a %s", class)
		}
	}
	return f.err
}
