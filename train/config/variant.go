package config

import (
	"reflect"
	"slices"
	"strings"
)

// variant decodes `name`, {kind: name, ...}, or {...} over the default.
func (d *decoder) variant(n *node, vr variant, p path) {
	r := vr.core()
	var name *node
	switch {
	case n.kind == scalar && !n.isNull():
		name = n
	case n.kind == section:
		name = n.short
		if e := n.entry(kindKey); e != nil {
			name = e.value
		}
	default:
		d.add(n.place, p, "must be the name of a "+r.noun+", or a section with kind, is "+describe(n)+choices("", r.names()))
		return
	}
	k, c := configOf(vr)
	if name != nil {
		at := p
		if name != n && name != n.short {
			at = p.key(kindKey)
		}
		if name.kind != scalar || name.isNull() || !name.quoted && (name.looksNumber() || isBool(name.text)) {
			d.add(name.place, at, "must be the name of a "+r.noun+", is "+describe(name)+choices("", r.names()))
			return
		}
		if k = r.lookup(name.text); k == nil {
			d.add(name.place, at, r.unknown(name.text))
			return
		}
		c = k.defaults()
	} else if k == nil {
		d.add(n.place, p, "has no kind of "+r.noun+choices("", r.names()))
		return
	}
	if n.kind == section {
		d.fields(n, c, p, r)
	}
	vr.set(k.name, c.Interface())
}

func (d *decoder) validateVariant(vr variant, p path) {
	if k, c := configOf(vr); k != nil {
		d.validateStruct(c, p)
		return
	}
	if d.failed[p.String()] {
		return
	}
	name, _ := vr.get()
	r := vr.core()
	at, _ := d.places.find(p)
	switch {
	case name == "":
		d.add(at, p, "is required: the name of a "+r.noun+choices("", r.names()))
	case r.lookup(name) == nil:
		d.add(at, p, r.unknown(name))
	default:
		d.add(at, p, "the config is not that of the "+r.noun+" "+name)
	}
}

// elsewhere ends the message of an unknown key: the nearest key here, or the
// place where a key of that name exists, and the keys that are valid here.
func (d *decoder) elsewhere(name string, s *schema, p path, r *registry) string {
	valid := s.names()
	if r != nil {
		valid = append(valid, kindKey)
	}
	hint := ""
	if nearest(name, valid) == "" {
		if r != nil {
			hint = r.otherKinds(name)
		}
		if hint == "" {
			if found := findKey(d.root, name, nil, 0); found != "" && found != p.key(name).String() {
				hint = "; there is " + found
			}
		}
	}
	return hint + choices(name, valid)
}

// otherKinds names the kinds that do have the key.
func (r *registry) otherKinds(name string) string {
	var has []string
	for _, n := range r.names() {
		if _, ok := schemaOf(r.lookup(n).config).byName[name]; ok {
			has = append(has, n)
		}
	}
	if has == nil {
		return ""
	}
	return "; it belongs to the " + r.noun + " " + strings.Join(has, ", ")
}

// findKey looks for a key name in the sections below a struct type.
func findKey(t reflect.Type, name string, p path, depth int) string {
	if t.Kind() != reflect.Struct || isText(t) || isVariant(t) || depth > 4 {
		return ""
	}
	s := schemaOf(t)
	if slices.Contains(s.names(), name) {
		return p.key(name).String()
	}
	for _, f := range s.fields {
		ft := f.typ
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if found := findKey(ft, name, p.key(f.name), depth+1); found != "" {
			return found
		}
	}
	return ""
}
