package config

import (
	"strconv"
	"strings"
)

// override puts one `key.path=value` of the command line over the document. The
// value is YAML. It returns the document, which is made where there was none.
func (r *reader) override(root *node, text string) (*node, error) {
	key, value, ok := strings.Cut(text, "=")
	r.place = place{override: cut(oneLine(text))}
	if !ok || strings.TrimSpace(key) == "" {
		return root, r.place.error(nil, "must have the form key=value, as in optim.lr=1e-4")
	}
	v, err := r.parse([]byte(value))
	if err != nil {
		return root, err
	}
	if v == nil { // `key=` is YAML's null
		v = &node{kind: scalar, place: r.place}
	}
	p := parsePath(strings.TrimSpace(key))
	for _, step := range p {
		if step == "" || len(step) > 200 {
			return root, r.place.error(nil, quote(key)+" is not a key path such as optim.lr or layers[0].width")
		}
	}
	if len(p) > maxDepth {
		return root, r.place.error(nil, "the key path is too deep")
	}
	if root == nil {
		root = &node{kind: section, place: r.place}
	}
	return root, r.set(root, p, nil, v)
}

// set walks to the parent of the overridden value, making sections on the way.
func (r *reader) set(n *node, rest, done path, v *node) error {
	if n.kind == list {
		return r.setItem(n, rest, done, v)
	}
	if n.kind == scalar {
		extend(n, r.place)
	}
	step := rest[0]
	e := n.entry(step)
	if e == nil {
		if r.nodes++; r.nodes > maxNodes {
			return r.place.error(nil, "the document with its overrides is too large")
		}
		n.entries = append(n.entries, entry{name: step, place: r.place, value: &node{kind: section, place: r.place}})
		e = &n.entries[len(n.entries)-1]
	}
	if len(rest) == 1 {
		e.place, e.value = r.place, v
		return nil
	}
	return r.set(e.value, rest[1:], done.key(step), v)
}

// extend makes a section of a scalar, so that `sampler: heun` can be refined by
// sampler.steps=9. What is not a variant refuses it when decoded.
func extend(n *node, at place) {
	was := *n
	*n = node{kind: section, place: at}
	if !was.isNull() {
		n.short = &was
	}
}

func (r *reader) setItem(n *node, rest, done path, v *node) error {
	i, ok := indexOf(rest[0])
	if !ok {
		if j, err := strconv.Atoi(rest[0]); err == nil {
			i, ok = j, j >= 0
		}
	}
	if !ok || i >= len(n.items) {
		return r.place.error(done, "is a list of "+strconv.Itoa(len(n.items))+" in the file; "+quote(rest[0])+" is none of its places (counted from 0)")
	}
	if len(rest) == 1 {
		n.items[i] = v
		return nil
	}
	return r.set(n.items[i], rest[1:], done.index(i), v)
}
