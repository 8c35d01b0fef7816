package tensor

import (
	"slices"
	"strings"
)

// Einsum is a sum of products in Einstein's notation, parsed once: see NewEinsum.
type Einsum struct {
	spec string
	in   [][]label // of each operand
	out  []label
}

// label is the name of an index. Those of an ellipsis, aligned at their last axis, are negative.
type label int8

// NewEinsum parses a specification such as "bij,bjk->bik": a letter an axis of each operand, and
// those of the result. Letters that the result lacks are summed over; a letter twice in an operand takes
// its diagonal; "..." is any number of leading axes, broadcast against each other. Without
// "->" the result has the letters that appear once, in alphabetical order, behind the ellipsis. Sizes of a
// letter are equal or 1. It panics with a *UsageError on what it cannot read.
func NewEinsum(spec string) *Einsum {
	e := &Einsum{spec: spec}
	compact := strings.ReplaceAll(spec, " ", "")
	left, right, explicit := strings.Cut(compact, "->")
	var count [128]int
	ellipsis := false
	for _, operand := range strings.Split(left, ",") {
		ls, dots := e.labels(operand)
		ellipsis = ellipsis || dots
		for _, l := range ls {
			if l > 0 {
				count[l]++
			}
		}
		e.in = append(e.in, ls)
	}
	if !explicit {
		if ellipsis {
			e.out = append(e.out, dots)
		}
		for l := 'A'; l <= 'z'; l++ {
			if count[l] == 1 {
				e.out = append(e.out, label(l))
			}
		}
		return e
	}
	var has bool
	e.out, has = e.labels(right)
	if has && !ellipsis {
		e.refuse("an ellipsis in the result alone")
	}
	if ellipsis && !has {
		e.refuse("an ellipsis that the result lacks")
	}
	var seen [128]bool
	for _, l := range e.out {
		switch {
		case l < 0:
		case count[l] == 0:
			e.refuse("index " + string(rune(l)) + " of the result is in no operand")
		case seen[l]:
			e.refuse("index " + string(rune(l)) + " twice in the result")
		default:
			seen[l] = true
		}
	}
	return e
}

// dots stands for an ellipsis until the operands' ranks are known.
const dots label = -128

func (e *Einsum) refuse(why string) { usagePanic("Einsum \""+e.spec+"\"", "%s", why) }

// labels reads an operand's letters.
func (e *Einsum) labels(operand string) (ls []label, ellipsis bool) {
	for i := 0; i < len(operand); i++ {
		c := operand[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			ls = append(ls, label(c))
		case strings.HasPrefix(operand[i:], "...") && !ellipsis:
			ls, ellipsis = append(ls, dots), true
			i += 2
		default:
			e.refuse("want letters, an ellipsis, commas and an arrow; found " + operand[i:])
		}
	}
	return ls, ellipsis
}

// EinsumOf is NewEinsum(spec).Apply(ts…), for use outside of loops.
func EinsumOf(spec string, ts ...*Tensor) *Tensor { return NewEinsum(spec).Apply(ts...) }

// term is a tensor with a label an axis.
type term struct {
	t  *Tensor
	ls []label
}

// Apply computes the sum, two operands at a time from the left, each pair by one matrix product (or an
// elementwise one, where nothing is summed).
func (e *Einsum) Apply(ts ...*Tensor) *Tensor {
	if len(ts) != len(e.in) {
		usagePanic("Einsum \""+e.spec+"\"", "%d operands, want %d", len(ts), len(e.in))
	}
	width := 0 // of the ellipsis
	for i, t := range ts {
		for _, l := range e.in[i] {
			if l == dots {
				width = max(width, t.v.Rank-len(e.in[i])+1)
			}
		}
	}
	terms := make([]term, len(ts))
	var known sizes
	for i, t := range ts {
		ls := expandDots(e.in[i], t.v.Rank-len(e.in[i])+1)
		if len(ls) != t.v.Rank {
			shapePanic("Einsum \""+e.spec+"\"", "an axis a letter", t)
		}
		for k, l := range ls {
			if !known.meet(l, t.v.Shape[k]) {
				shapePanic("Einsum \""+e.spec+"\"", "sizes of a letter that are equal or 1", ts...)
			}
		}
		terms[i] = term{t, ls}
	}
	for i := range terms {
		terms[i] = terms[i].diagonals().widened(&known)
	}
	out := expandDots(e.out, width)
	product, rest := terms[0].summed(out, terms[1:]), terms[1:]
	for len(rest) > 0 {
		next := rest[0]
		rest = rest[1:]
		others := append([]term{product}, rest...)
		product = contract(product, next.summed(out, others), out, rest)
	}
	return product.ordered(out).t
}

// sizes are one more than those of the labels that were met.
type sizes [256]int

// meet reports whether size d fits what is known of a label.
func (s *sizes) meet(l label, d int) bool {
	known := &s[uint8(l)]
	if *known == 0 || *known == 1+1 {
		*known = d + 1
	}
	return d == 1 || *known == d+1
}

func (s *sizes) of(l label) int { return s[uint8(l)] - 1 }

// expandDots puts n labels in the ellipsis's place: −n, …, −1.
func expandDots(ls []label, n int) []label {
	out := make([]label, 0, MaxRank)
	for _, l := range ls {
		if l != dots {
			out = append(out, l)
			continue
		}
		for i := n; i > 0; i-- {
			out = append(out, label(-i))
		}
	}
	return out
}

// at is the axis of a label, −1 if there is none.
func (a term) at(l label) int { return slices.Index(a.ls, l) }

// diagonals takes the diagonal of labels that appear twice.
func (a term) diagonals() term {
	for j, l := range a.ls {
		i := a.at(l)
		if i == j {
			continue
		}
		if a.t.v.Shape[i] != a.t.v.Shape[j] {
			shapePanic("Einsum", "equal sizes of a letter that appears twice in an operand", a.t)
		}
		ls := append(slices.Delete(slices.Delete(slices.Clone(a.ls), j, j+1), i, i+1), l)
		return term{a.t.Diagonal(i, j), ls}.diagonals()
	}
	return a
}

// widened repeats axes of size 1 to the size that another operand has.
func (a term) widened(known *sizes) term {
	shape := a.t.v.Shape
	same := true
	for i, l := range a.ls {
		same = same && shape[i] == known.of(l)
		shape[i] = known.of(l)
	}
	if !same {
		a.t = a.t.Expand(shape[:len(a.ls)]...)
	}
	return a
}

// needed reports whether the result or another term has the label.
func needed(l label, out []label, others []term) bool {
	return slices.Contains(out, l) || slices.ContainsFunc(others, func(o term) bool { return o.at(l) >= 0 })
}

// summed adds over the axes that nobody needs.
func (a term) summed(out []label, others []term) term {
	var axes []int
	var ls []label
	for i, l := range a.ls {
		if needed(l, out, others) {
			ls = append(ls, l)
		} else {
			axes = append(axes, i)
		}
	}
	if axes == nil {
		return a
	}
	return term{a.t.Sum(axes...), ls}
}

// ordered permutes the axes to the given order.
func (a term) ordered(ls []label) term {
	if slices.Equal(a.ls, ls) {
		return a
	}
	axes := make([]int, len(ls))
	for i, l := range ls {
		axes[i] = a.at(l)
	}
	return term{a.t.Permute(axes...), ls}
}

// sizes are those of the given labels, and their product.
func (a term) sizes(ls []label) (each []int, product int) {
	product = 1
	for _, l := range ls {
		d := a.t.v.Shape[a.at(l)]
		each, product = append(each, d), product*d
	}
	return each, product
}

// contract multiplies two terms and sums over the labels that both have and nobody else needs.
// The others that both have are batch axes.
func contract(a, b term, out []label, rest []term) term {
	var batch, rows, cols, inner []label
	for _, l := range a.ls {
		switch {
		case b.at(l) < 0:
			rows = append(rows, l)
		case needed(l, out, rest):
			batch = append(batch, l)
		default:
			inner = append(inner, l)
		}
	}
	for _, l := range b.ls {
		if a.at(l) < 0 {
			cols = append(cols, l)
		}
	}
	all := slices.Concat(batch, rows, cols)
	if len(all) > MaxRank {
		usagePanic("Einsum", "%d axes in between, at most %d", len(all), MaxRank)
	}
	a, b = a.ordered(slices.Concat(batch, rows, inner)), b.ordered(slices.Concat(batch, inner, cols))
	db, nb := a.sizes(batch)
	dm, m := a.sizes(rows)
	_, k := a.sizes(inner)
	dn, n := b.sizes(cols)
	if len(inner) == 0 {
		x := a.t.Reshape(slices.Concat(db, dm, slices.Repeat([]int{1}, len(cols)))...)
		y := b.t.Reshape(slices.Concat(db, slices.Repeat([]int{1}, len(rows)), dn)...)
		return term{x.Mul(y), all}
	}
	shape := slices.Concat(db, dm, dn)
	if len(db) > MaxRank-2 {
		db = []int{nb}
	}
	x, y := a.t.Reshape(slices.Concat(db, []int{m, k})...), b.t.Reshape(slices.Concat(db, []int{k, n})...)
	return term{x.MatMul(y).Reshape(shape...), all}
}
