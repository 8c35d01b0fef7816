package config

import (
	"reflect"
	"strings"
)

// Value is a piece of YAML that is not decoded, as text on one line: what an override
// takes behind its equals sign.
type Value string

var valueType = reflect.TypeFor[Value]()

// valueNode is the inverse.
func valueNode(v Value) (*node, error) {
	r := &reader{}
	n, err := r.parse([]byte(v))
	if err == nil && len(r.errors) > 0 {
		err = r.errors
	}
	if n == nil {
		n = &node{text: "null"}
	}
	return n, err
}

// flow writes a node in one line so that it reads back the same, its numbers as they were written.
func (n *node) flow() string {
	var parts []string
	switch n.kind {
	case scalar:
		if n.isNull() {
			return "null"
		}
		if !n.quoted && (n.looksNumber() || isBool(n.text)) {
			return n.text
		}
		return text(n.text)
	case list:
		for _, item := range n.items {
			parts = append(parts, item.flow())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if n.short != nil {
		parts = append(parts, kindKey+": "+n.short.flow())
	}
	for _, e := range n.entries {
		parts = append(parts, text(e.name)+": "+e.value.flow())
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
