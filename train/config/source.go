package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// What a document may cost before anything is allocated for it.
const (
	maxBytes = 1 << 20 // of a document or override
	maxNodes = 100_000 // after aliases are expanded
	maxDepth = 64      // of nested sections and lists
)

// place is where a piece of the document was written.
type place struct {
	file     string
	line     int
	override string
}

func (p place) error(at path, msg string) *Error {
	return &Error{File: p.file, Line: p.line, Override: p.override, Key: at.String(), Msg: oneLine(msg)}
}

type nodeKind int

const (
	scalar nodeKind = iota
	list
	section
)

// node is the document as a tree without aliases, each piece knowing its place.
type node struct {
	kind    nodeKind
	place   place
	text    string // scalar
	quoted  bool   // scalar: text by its notation
	items   []*node
	entries []entry
	// short is the scalar that an override extended into this section:
	// `sampler: heun` with sampler.steps=9. It stands for `kind`.
	short *node
}

type entry struct {
	name  string
	place place
	value *node
	// merged entries came by `<<` and yield to the section's own keys.
	merged bool
}

// child gives the value at one step of a path, or nil.
func (n *node) child(step string) *node {
	if n == nil {
		return nil
	}
	if i, ok := indexOf(step); ok && n.kind == list {
		if i < len(n.items) {
			return n.items[i]
		}
		return nil
	}
	if e := n.entry(step); e != nil {
		return e.value
	}
	return nil
}

func (n *node) entry(name string) *entry {
	for i := range n.entries {
		if n.entries[i].name == name {
			return &n.entries[i]
		}
	}
	return nil
}

// isNull says whether a plain scalar is YAML's null.
func (n *node) isNull() bool {
	if n.kind != scalar || n.quoted {
		return false
	}
	switch n.text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// reader turns YAML text into a node tree within a budget.
type reader struct {
	place  place // file or override
	nodes  int
	open   map[*yaml.Node]bool // anchors being expanded
	errors Errors
}

// parse reads exactly one document. It returns nil without error for an empty one.
func (r *reader) parse(src []byte) (root *node, err error) {
	if len(src) > maxBytes {
		return nil, r.place.error(nil, fmt.Sprintf("is %d bytes long; a config has at most %d", len(src), maxBytes))
	}
	for i := 0; i < len(src); {
		c, size := utf8.DecodeRune(src[i:])
		if c == utf8.RuneError && size == 1 {
			at := r.place
			if at.override == "" {
				at.line = 1 + bytes.Count(src[:i], []byte("\n"))
			}
			return nil, at.error(nil, fmt.Sprintf("is not UTF-8 text (byte %d)", i))
		}
		i += size
	}
	// The parser is other people's code and the text anybody's: a panic in there
	// is a refused document, not a crash.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, r.place.error(nil, "is not YAML that can be read")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, r.syntax(src, err)
	}
	if err := dec.Decode(&second); err == nil {
		at := r.place
		if at.override == "" {
			at.line = second.Line
		}
		return nil, at.error(nil, "a second document begins; a config is one document")
	} else if !errors.Is(err, io.EOF) {
		return nil, r.syntax(src, err)
	}
	r.open = map[*yaml.Node]bool{}
	root, err = r.convert(doc.Content[0], nil)
	if err != nil {
		return nil, err
	}
	return root, nil
}

var (
	yamlLine      = regexp.MustCompile(`^line (\d+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntax gives the YAML library's error our form.
func (r *reader) syntax(src []byte, err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	at := r.place
	if m := unknownAnchor.FindStringSubmatch(msg); m != nil && at.override == "" {
		msg = "nothing is called &" + cut(m[1]) + ", which *" + cut(m[1]) + " refers to"
		at.line = 1 + bytes.Count(src[:max(0, bytes.Index(src, []byte("*"+m[1])))], []byte("\n"))
	}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		msg = msg[len(m[0]):]
		if at.override == "" {
			at.line, _ = strconv.Atoi(m[1])
		}
	}
	hint := ""
	if at.override != "" {
		hint = `; put text with YAML's special characters in quotes, as in key='"value"'`
	}
	return at.error(nil, "is not valid YAML: "+msg+hint)
}

// at is the place of a YAML node.
func (r *reader) at(y *yaml.Node) place {
	p := r.place
	if p.override == "" {
		p.line = y.Line
	}
	return p
}

// convert copies a YAML node. Errors of single keys are collected; an error
// returned ends the reading, because the document is beyond its bounds.
func (r *reader) convert(y *yaml.Node, p path) (*node, error) {
	at := r.at(y)
	if r.nodes++; r.nodes > maxNodes {
		return nil, at.error(p, fmt.Sprintf("the document has more than %d values with its aliases expanded", maxNodes))
	}
	if len(p) > maxDepth {
		return nil, at.error(p[:4], fmt.Sprintf("is nested more than %d levels deep", maxDepth))
	}
	switch y.Kind {
	case yaml.AliasNode:
		return r.alias(y, p)
	case yaml.SequenceNode:
		return r.list(y, p)
	case yaml.MappingNode:
		return r.section(y, p)
	}
	n := &node{kind: scalar, place: at, text: y.Value}
	n.quoted = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if y.Style&yaml.TaggedStyle != 0 {
		n.quoted = n.quoted || y.Tag == "!!str"
		r.tag(y, p)
	}
	return n, nil
}

func (r *reader) alias(y *yaml.Node, p path) (*node, error) {
	if r.open[y.Alias] {
		return nil, r.at(y).error(p, "the alias *"+cut(y.Value)+" contains itself")
	}
	r.open[y.Alias] = true
	defer delete(r.open, y.Alias)
	n, err := r.convert(y.Alias, p)
	if n != nil {
		n.place = r.at(y) // where it is used: that is where its key path is
	}
	return n, err
}

func (r *reader) list(y *yaml.Node, p path) (*node, error) {
	r.tag(y, p)
	n := &node{kind: list, place: r.at(y)}
	for i, c := range y.Content {
		item, err := r.convert(c, p.index(i))
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	return n, nil
}

func (r *reader) section(y *yaml.Node, p path) (*node, error) {
	r.tag(y, p)
	n := &node{kind: section, place: r.at(y)}
	seen := map[string]int{} // name → index of its entry
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			r.errors.add(r.at(k).error(p, "a key must be a word, not a list or section"))
			continue
		}
		at := r.at(k)
		if k.Tag == "!!merge" {
			if err := r.merge(n, seen, v, p, at); err != nil {
				return nil, err
			}
			continue
		}
		value, err := r.convert(v, p.key(k.Value))
		if err != nil {
			return nil, err
		}
		e := entry{name: k.Value, place: at, value: value}
		j, dup := seen[k.Value]
		switch {
		case !dup:
			seen[k.Value] = len(n.entries)
			n.entries = append(n.entries, e)
		case n.entries[j].merged:
			n.entries[j] = e
		default:
			r.errors.add(at.error(p.key(k.Value), fmt.Sprintf("is given twice, first on line %d", n.entries[j].place.line)))
		}
	}
	return n, nil
}

// merge adds the keys of `<<: *base` or `<<: [*a, *b]` that the section does
// not have itself; of several sources the first wins.
func (r *reader) merge(n *node, seen map[string]int, v *yaml.Node, p path, at place) error {
	base, err := r.convert(v, p)
	if err != nil {
		return err
	}
	sources := []*node{base}
	if base.kind == list {
		sources = base.items
	}
	for _, s := range sources {
		if s.kind != section {
			r.errors.add(at.error(p, "<< takes a section or a list of sections"))
			continue
		}
		for _, e := range s.entries {
			if _, ok := seen[e.name]; !ok {
				seen[e.name] = len(n.entries)
				e.merged = true
				n.entries = append(n.entries, e)
			}
		}
	}
	return nil
}

// tag refuses explicit tags other than YAML's own kinds, which change nothing here.
func (r *reader) tag(y *yaml.Node, p path) {
	if y.Style&yaml.TaggedStyle == 0 {
		return
	}
	switch y.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map":
	default:
		r.errors.add(r.at(y).error(p, "the tag "+quote(y.Tag)+" means nothing here"))
	}
}
