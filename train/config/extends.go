package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// extendsKey names, at the top of a file, the files that it extends.
const extendsKey = "extends"

// maxFiles bounds what one file may extend, directly and by way of others.
const maxFiles = 16

// Source is a config as it is written: a document with those that it extends.
type Source struct {
	layers []layer // each is put over those before it; errors name the last one
}

// layer is one document.
type layer struct {
	file    string
	text    []byte
	extends bool // a file of its own, in which extends is a key
}

// document is the source that is one document, which extends nothing.
func document(file string, src []byte) Source { return Source{[]layer{{file: file, text: src}}} }

// ReadFile reads a YAML file and those that it extends:
//
//	extends: base.yaml               # or a list, of which later ones are put over earlier ones
//
// Names are relative to the file that they stand in. A section refines that of the
// file that is extended, one that names a kind replaces it, and so does everything else.
func ReadFile(file string) (Source, error) {
	var s Source
	return s, s.read(file, nil)
}

// read adds a file, after those that it extends; open are the files that wait for it.
func (s *Source) read(file string, open []string) error {
	src, err := readText(file)
	if err != nil {
		return err
	}
	r := &reader{place: place{file: file}}
	root, err := r.parse(src)
	if err != nil {
		return Errors{err.(*Error)}
	}
	bases, at, err := extended(root)
	if err != nil {
		return Errors{err.(*Error)}
	}
	here := realName(file)
	for i, base := range bases {
		wrong := func(format string, args ...any) error {
			return Errors{at[i].error(path{extendsKey}, fmt.Sprintf(format, args...))}
		}
		name := base
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), base)
		}
		if real := realName(name); real == here {
			return wrong("the file extends itself")
		} else if slices.Contains(open, real) {
			return wrong("%s extends this file", name)
		}
		if len(s.layers)+len(open)+1 >= maxFiles {
			return wrong("more than %d files would be read", maxFiles)
		}
		if err := s.read(name, append(open[:len(open):len(open)], here)); err != nil {
			var placed Errors
			if errors.As(err, &placed) { // it says where already
				return err
			}
			return wrong("%v", err)
		}
	}
	s.layers = append(s.layers, layer{file, src, true})
	return nil
}

// realName tells whether two names are of the same file.
func realName(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	return file
}

// extended are the files that a document extends, and where it says so.
func extended(root *node) (files []string, at []place, err error) {
	if root == nil {
		return nil, nil, nil
	}
	e := root.entry(extendsKey)
	if e == nil {
		return nil, nil, nil
	}
	items := e.value.items
	if e.value.kind != list {
		items = []*node{e.value}
	}
	for _, n := range items {
		if n.kind != scalar || n.isNull() || n.text == "" {
			return nil, nil, n.place.error(path{extendsKey}, "must be the name of a YAML file, or a list of such names, is "+describe(n))
		}
		files, at = append(files, n.text), append(at, n.place)
	}
	return files, at, nil
}

// parse gives the layers put over one another, or nil where all are empty.
func (s Source) parse(r *reader) (*node, error) {
	var all *node
	for _, l := range s.layers {
		r.place = place{file: l.file}
		n, err := r.parse(l.text)
		if err != nil {
			return nil, err
		}
		if n == nil || n.isNull() {
			continue
		}
		if len(s.layers) > 1 && n.kind != section {
			return nil, n.place.error(nil, "must be a section with keys, as a file that extends others or is extended, is "+describe(n))
		}
		if l.extends && n.kind == section {
			n.entries = slices.DeleteFunc(n.entries, func(e entry) bool { return e.name == extendsKey })
		}
		if all == nil {
			all = n
		} else {
			all = putOver(all, n)
		}
	}
	return all, nil
}

// file is the document that errors without a place of their own speak of.
func (s Source) file() string { return s.layers[len(s.layers)-1].file }

// putOver gives base with what top says instead.
func putOver(base, top *node) *node {
	switch {
	case top.kind != section || top.entry(kindKey) != nil || base.kind == list || base.isNull():
		return top
	case base.kind == scalar: // the name of a kind, whose keys these are
		n := *top
		n.short = base
		return &n
	}
	n := *base
	n.place, n.entries = top.place, slices.Clone(base.entries)
	for _, e := range top.entries {
		if old := n.entry(e.name); old != nil {
			old.place, old.value = e.place, putOver(old.value, e.value)
		} else {
			n.entries = append(n.entries, e)
		}
	}
	return &n
}
