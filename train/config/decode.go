package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Decode fills the struct (or [Variant]) that into points to: first the
// defaults, then the YAML document src, then the overrides in their order, each
// `key.path=value`. file names the document in errors; an empty src is a
// document without keys.
//
// An error is of type [Errors]: one line each for every key that is unknown,
// given twice, of the wrong type or of an impossible value, with its place.
// *into is then partly filled and must not be used.
func Decode(file string, src []byte, overrides []string, into any) error {
	_, err := Load(file, src, overrides, into)
	return err
}

// Load is Decode that also gives the places of the keys, for mistakes that show
// later: a class that the data set lacks, a file that is not there.
func Load(file string, src []byte, overrides []string, into any) (*Places, error) {
	return document(file, src).Load(overrides, into)
}

// Load decodes like the function Load.
func (s Source) Load(overrides []string, into any) (*Places, error) {
	v := target(into)
	v.SetZero()
	setDefaults(v)
	return s.load(overrides, v)
}

// LoadOver is Load where what into points to has the defaults, in place of those of its type.
func (s Source) LoadOver(overrides []string, into any) (*Places, error) {
	return s.load(overrides, target(into))
}

func target(into any) reflect.Value {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config.Decode: into must be a pointer to a struct, is %T", into))
	}
	return v.Elem()
}

// load decodes over v, which has its defaults.
func (s Source) load(overrides []string, v reflect.Value) (*Places, error) {
	r := &reader{}
	root, err := s.parse(r)
	if err != nil {
		return nil, Errors{err.(*Error)}
	}
	if root != nil && (root.kind == list || root.kind == scalar && !isVariant(v.Type())) {
		msg := "must be a section with keys" + keyList(schemaOf(v.Type()).names()) + ", is " + describe(root)
		return nil, Errors{root.place.error(nil, msg)}
	}
	for _, o := range overrides {
		if root, err = r.override(root, o); err != nil {
			r.errors.add(err.(*Error))
		}
	}
	d := &decoder{places: &Places{file: s.file(), root: root}, root: v.Type(), errors: r.errors, failed: map[string]bool{}}
	for _, e := range r.errors {
		d.fail(parsePath(e.Key))
	}
	if root != nil {
		d.value(root, v, nil)
	}
	d.validate(v, nil)
	if len(d.errors) > 0 {
		return nil, d.errors
	}
	return d.places, nil
}

// LoadFile is Load of a file on disk and those that it extends: see [ReadFile].
func LoadFile(file string, overrides []string, into any) (*Places, error) {
	s, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	return s.Load(overrides, into)
}

// readText is the text of a YAML file.
func readText(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w; must be a YAML file%s", file, fs.ErrNotExist, similarFile(file))
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s: is a folder; must be a YAML file", file)
	case err == nil && info.Size() > maxBytes:
		return nil, fmt.Errorf("%s: is %d bytes long; a config has at most %d", file, info.Size(), maxBytes)
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxBytes+1)) // a pipe has no size
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return src, nil
}

// Look is the source with overrides before it is decoded: where its keys are, and what texts they have.
func (s Source) Look(overrides []string) (*Places, error) {
	r := &reader{}
	root, err := s.parse(r)
	if err != nil {
		return nil, Errors{err.(*Error)}
	}
	for _, o := range overrides {
		if root, err = r.override(root, o); err != nil {
			return nil, Errors{err.(*Error)}
		}
	}
	return &Places{file: s.file(), root: root}, nil
}

// similarFile suggests a YAML file of a similar name in the same folder.
func similarFile(file string) string {
	dir, base := filepath.Split(file)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".yaml" || ext == ".yml" {
			names = append(names, e.Name())
		}
	}
	if n := nearest(base, names); n != "" {
		return "; did you mean " + dir + n + "?"
	}
	return ""
}

// Places knows where each key of a decoded config was written.
type Places struct {
	file  string
	root  *node
	names map[string]string // other names of the document's own keys
}

// Rename has errors about a key of the document's top level speak of the key that stands for it there.
func (ps *Places) Rename(key, written string) {
	if ps.names == nil {
		ps.names = make(map[string]string)
	}
	ps.names[key] = written
}

// Has reports whether a key is in the document.
func (ps *Places) Has(key string) bool {
	_, found := ps.find(parsePath(key))
	return found
}

// Text is the text at a key, "" where there is none.
func (ps *Places) Text(key string) string {
	n := ps.root
	for _, step := range parsePath(key) {
		n = n.child(step)
	}
	if n == nil || n.kind != scalar || n.isNull() {
		return ""
	}
	return n.text
}

// Errorf is a mistake at a key path such as data.path, found after decoding. Of
// a key that has its default it names the nearest section that is in the file.
func (ps *Places) Errorf(key, format string, args ...any) *Error {
	return ps.error(parsePath(key), fmt.Sprintf(format, args...))
}

func (ps *Places) error(p path, msg string) *Error {
	if len(p) > 0 {
		if written, ok := ps.names[p[0]]; ok {
			p = append(path{written}, p[1:]...)
		}
	}
	at, found := ps.find(p)
	if !found && len(p) > 0 && (ps.file != "" || ps.root != nil) {
		msg += " (its default; the key is not set)"
	}
	return at.error(p, msg)
}

// find gives the place of a path, or of its deepest ancestor in the document.
func (ps *Places) find(p path) (at place, found bool) {
	at = place{file: ps.file}
	if ps.root == nil {
		return at, false
	}
	n := ps.root
	at = n.place
	for _, step := range p {
		if e := n.entry(step); e != nil {
			at, n = e.place, e.value
		} else if n = n.child(step); n != nil {
			at = n.place
		} else {
			return at, false
		}
	}
	return at, true
}

type decoder struct {
	places *Places
	root   reflect.Type // of the document
	errors Errors
	failed map[string]bool // paths with an error at or below them
}

// add records a mistake at a place.
func (d *decoder) add(at place, p path, msg string) {
	d.errors.add(at.error(p, msg))
	d.fail(p)
}

func (d *decoder) fail(p path) {
	for i := range len(p) + 1 {
		d.failed[p[:i].String()] = true
	}
}

// value decodes a node into v, which holds its default.
func (d *decoder) value(n *node, v reflect.Value, p path) {
	if len(d.errors) >= maxErrors {
		return
	}
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		if n.isNull() {
			v.SetZero()
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
			setDefaults(v.Elem())
		}
		d.value(n, v.Elem(), p)
		return
	}
	if isVariant(t) {
		d.variant(n, variantOf(v.Addr()), p)
		return
	}
	switch {
	case t == valueType:
		v.SetString(n.flow())
	case isText(t) || t == durationType || t.Kind() < reflect.Array || t.Kind() == reflect.String:
		if msg := setScalar(n, v); msg != "" {
			d.add(n.place, p, msg)
		}
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		d.list(n, v, p)
	case t.Kind() == reflect.Map:
		d.named(n, v, p)
	default:
		d.section(n, v, p)
	}
}

func (d *decoder) list(n *node, v reflect.Value, p path) {
	if n.kind != list {
		hint := ""
		if n.kind == scalar && !n.isNull() {
			hint = "; write [" + cut(n.text) + "]"
		}
		d.add(n.place, p, "must be "+typeName(v.Type())+", is "+describe(n)+hint)
		return
	}
	if v.Kind() == reflect.Array {
		if len(n.items) != v.Len() {
			d.add(n.place, p, fmt.Sprintf("must be a list of %d, has %d", v.Len(), len(n.items)))
			return
		}
	} else {
		v.SetZero() // an empty list is nil, so that equal configs are deeply equal
		if len(n.items) > 0 {
			v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
		}
	}
	for i, item := range n.items {
		v.Index(i).SetZero()
		setDefaults(v.Index(i))
		d.value(item, v.Index(i), p.index(i))
	}
}

// maxName bounds the names that a user makes up; YAML itself ends at 1024.
const maxName = 200

// named decodes a map, whose keys are the user's.
func (d *decoder) named(n *node, v reflect.Value, p path) {
	if n.kind != section || n.short != nil {
		d.add(n.place, p, "must be "+typeName(v.Type())+", is "+describe(n.shown()))
		return
	}
	v.SetZero()
	if len(n.entries) > 0 {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(n.entries)))
	}
	for _, e := range n.entries {
		if len(e.name) > maxName {
			d.add(e.place, p.key(e.name), fmt.Sprintf("is a name of %d bytes; at most %d", len(e.name), maxName))
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		setDefaults(elem)
		d.value(e.value, elem, p.key(e.name))
		v.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), elem)
	}
}

// shown is the scalar that an override wrongly treated as a section.
func (n *node) shown() *node {
	if n.short != nil {
		return n.short
	}
	return n
}

func (d *decoder) section(n *node, v reflect.Value, p path) {
	if n.kind != section || n.short != nil {
		d.add(n.shown().place, p, "must be a section with keys"+keyList(schemaOf(v.Type()).names())+", is "+describe(n.shown()))
		return
	}
	d.fields(n, v, p, nil)
}

func keyList(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// fields decodes the entries of a section into a struct. r is the registry of
// the variant whose config that is, or nil: then kind is not a key of its own.
func (d *decoder) fields(n *node, v reflect.Value, p path, r *registry) {
	s := schemaOf(v.Type())
	for _, e := range n.entries {
		if r != nil && e.name == kindKey {
			continue
		}
		if len(d.errors) >= maxErrors {
			return
		}
		f, ok := s.find(e.name)
		if !ok {
			if e.name == extendsKey && len(p) == 0 {
				d.add(e.place, p.key(e.name), "is for files; neither overrides nor a run's config extend others")
				continue
			}
			d.add(e.place, p.key(e.name), "unknown key"+d.elsewhere(e.name, s, p, r))
			continue
		}
		if f.name != e.name && n.entry(f.name) != nil {
			d.add(e.place, p.key(e.name), "is the old name of "+f.name+", which is given, too")
			continue
		}
		d.value(e.value, v.FieldByIndex(f.index), p.key(e.name))
	}
}
