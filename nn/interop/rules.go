package interop

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
)

// rule maps a layer of ours (or a single parameter) to layers there, in whose names
// # stands for the same index as in ours, and * for every block. Several layers
// there are one of ours, joined along its outputs.
type rule struct {
	ours   string
	theirs []string
	layout layout
}

// layout says how a weight is laid out there.
type layout uint8

const (
	same   layout = iota
	linear        // (out, in); ours is (in, out)
	conv          // (out, in, kh, kw); ours is (kh, kw, in, out)
	patch         // (out, in, p, p); ours is (p·p·in, out)
	point         // (out, in, 1, 1); ours is (in, out)
)

// under puts rules below a prefix.
func under(ours, theirs string, rules []rule) []rule {
	out := make([]rule, len(rules))
	for i, r := range rules {
		out[i] = rule{ours: ours + "." + r.ours, layout: r.layout}
		for _, t := range r.theirs {
			out[i].theirs = append(out[i].theirs, theirs+"."+t)
		}
	}
	return out
}

// match reports whether the rule is about a parameter of ours, and what it is called there.
func (r rule) match(name string) (theirs []string, ok bool) {
	end := ""
	pattern, parts := strings.Split(r.ours, "."), strings.Split(name, ".")
	if len(parts) == len(pattern)+1 {
		end = parts[len(parts)-1]
		if end != "weight" && end != "bias" {
			return nil, false
		}
		end = "." + end
		parts = parts[:len(parts)-1]
	}
	if len(parts) != len(pattern) {
		return nil, false
	}
	var index []string
	for i, p := range pattern {
		if p == "#" {
			if _, err := strconv.Atoi(parts[i]); err != nil {
				return nil, false
			}
			index = append(index, parts[i])
		} else if p != parts[i] {
			return nil, false
		}
	}
	for _, t := range r.theirs {
		for _, n := range index {
			t = strings.Replace(t, "#", n, 1)
		}
		theirs = append(theirs, t+end)
	}
	return theirs, true
}

// slot is a parameter of ours and the tensors there that it is made of.
type slot struct {
	name   string
	param  *tensor.Param
	theirs []string
	layout layout
	side   int // of a patch
	blocks int // copies of a tensor whose name holds a *
}

// slots maps every parameter of a network of a diffusers class.
func slots(model nn.Model) ([]slot, error) {
	var rules []rule
	side, blocks := 0, 0
	switch m := model.(type) {
	case *nn.UNet:
		rules = unetRules(m.Options())
	case *nn.DiT:
		rules = ditRules(m.Options())
		side, blocks = m.Options().Patch, m.Options().Depth
	default:
		return nil, fmt.Errorf("a %T has no counterpart in diffusers", model)
	}
	var out []slot
	for _, n := range nn.NamedParams(model) {
		s := slot{name: n.Name, param: n.Param, side: side, blocks: blocks}
		for _, r := range rules {
			if theirs, ok := r.match(n.Name); ok {
				s.theirs, s.layout = theirs, r.layout
				break
			}
		}
		if s.theirs == nil {
			return nil, fmt.Errorf("parameter %s has no counterpart in diffusers", n.Name)
		}
		if len(n.Param.Shape()) == 1 {
			s.layout = same // biases
		}
		out = append(out, s)
	}
	return out, nil
}

// shape is that of each tensor there.
func (s slot) shape() []int {
	d := s.param.Shape()
	out := d[len(d)-1] / len(s.theirs)
	switch s.layout {
	case linear:
		return []int{out, d[0]}
	case conv:
		return []int{out, d[2], d[0], d[1]}
	case point:
		return []int{out, d[0], 1, 1}
	case patch:
		return []int{out, d[0] / (s.side * s.side), s.side, s.side}
	}
	if len(d) == 1 {
		return []int{out}
	}
	return d
}

// pairs calls f with the index of every element of part k in ours and in the tensor there.
func (s slot) pairs(k int, f func(ours, theirs int)) {
	d, t := s.param.Shape(), s.shape()
	size := 1
	for _, n := range t {
		size *= n
	}
	if s.layout == same && len(d) > 1 {
		for i := range size {
			f(i, i)
		}
		return
	}
	total, out := d[len(d)-1], t[0]
	rows := size / max(1, out) // inputs, with kernel positions
	in, area := rows, 1
	if s.layout == conv || s.layout == patch {
		in, area = t[1], t[2]*t[3]
	}
	for o := range out {
		for a := range area {
			for i := range in {
				f((a*in+i)*total+k*out+o, (o*in+i)*area+a)
			}
		}
	}
}

// Theirs names the tensors of the diffusers model that a parameter of ours is made of.
type Theirs struct {
	Ours  string
	Names []string
	Shape []int // of each
}

// Names lists how every parameter of a U-Net or DiT is called in diffusers.
func Names(model nn.Model) ([]Theirs, error) {
	ss, err := slots(model)
	if err != nil {
		return nil, err
	}
	out := make([]Theirs, len(ss))
	for i, s := range ss {
		out[i] = Theirs{s.name, s.theirs, s.shape()}
	}
	return out, nil
}

// ToTheirs converts row-major values in the layout of one of our parameters (its
// gradient, a moving average) to tensors there, in the order of [Names].
func ToTheirs[T float32 | float64](model nn.Model, name string, values []T) (map[string][]T, error) {
	ss, err := slots(model)
	if err != nil {
		return nil, err
	}
	for _, s := range ss {
		if s.name == name {
			return split(s, values)
		}
	}
	return nil, fmt.Errorf("no parameter %s", name)
}

func split[T float32 | float64](s slot, values []T) (map[string][]T, error) {
	if len(values) != s.param.Elems() {
		return nil, fmt.Errorf("parameter %s: %d values for shape %v", s.name, len(values), s.param.Shape())
	}
	out := make(map[string][]T, len(s.theirs))
	for k, name := range s.theirs {
		part := make([]T, len(values)/len(s.theirs))
		s.pairs(k, func(ours, theirs int) { part[theirs] = values[ours] })
		out[name] = part
	}
	return out, nil
}

// join is the inverse of split.
func join[T float32 | float64](s slot, read func(name string) ([]T, error)) ([]T, error) {
	out := make([]T, s.param.Elems())
	for k, name := range s.theirs {
		part, err := read(name)
		if err != nil {
			return nil, err
		}
		s.pairs(k, func(ours, theirs int) { out[ours] = part[theirs] })
	}
	return out, nil
}
