package backendtest

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// attentionCase is random attention with its truth.
type attentionCase struct {
	*bench
	n, t, s, h, d int
	scale         float64
	q, k, v       *operand
	mask          *operand // nil: none
}

func (b *bench) attention() *attentionCase {
	a := &attentionCase{bench: b, n: b.pick(4), t: b.positive(70), s: b.positive(70), h: 1 + b.pick(4)}
	a.d = []int{1, 3, 8, 16, 24, 32, 40, 64, 72, 80, 128, 160}[b.pick(12)]
	if b.flip() { // self-attention
		a.s = a.t
	}
	return a.draw()
}

// longAttention has about as many queries and keys as devices take at a time, or more.
func (b *bench) longAttention() *attentionCase {
	a := &attentionCase{bench: b, n: 1, t: 90 + b.pick(60), s: 256 + b.pick(40), h: 1, d: 1 + b.pick(20)}
	return a.draw()
}

// draw makes the operands.
func (a *attentionCase) draw() *attentionCase {
	b := a.bench
	a.scale = 1 / math.Sqrt(float64(a.d))
	size := 1 + 2*float64(b.pick(2))
	a.q, a.k, a.v = b.factor(b.normal(size, a.n, a.t, a.h, a.d)), b.factor(b.normal(size, a.n, a.s, a.h, a.d)), b.factor(b.normal(1, a.n, a.s, a.h, a.d))
	if b.flip() {
		full := []int{a.n, a.h, a.t, a.s}
		m := newArray(b.thin(full)...)
		m.v = b.normals(len(m.v), 1)
		for i := range m.v {
			if b.rnd.IntN(3) == 0 {
				m.v[i] = math.Inf(-1)
			}
		}
		if len(m.v) > 0 && b.flip() { // a row that is masked everywhere
			clearRow := m.v[:m.shape[3]]
			for i := range clearRow {
				clearRow[i] = math.Inf(-1)
			}
		}
		a.mask = b.input(m, full...)
	}
	return a
}

func (a *attentionCase) maskView() *backend.View {
	if a.mask == nil {
		return nil
	}
	return a.mask.view
}

func (a *attentionCase) String() string {
	s := fmt.Sprintf("(N %d, T %d, S %d, H %d, D %d), q %s, k %s, v %s", a.n, a.t, a.s, a.h, a.d, describe(a.q.view), describe(a.k.view), describe(a.v.view))
	if a.mask != nil {
		s += ", mask " + describe(a.mask.view)
	}
	return s
}

// row is what one query makes of all keys: probabilities and the bounds of
// their relative errors, the log-sum-exp and its absolute bound.
type row struct {
	p, rel   []float64
	lse, err float64
}

// row computes p = softmax(scale·q·k + mask). A score has the error of its dot
// product and roundings relative to its size; a probability's relative error is
// its score's, the largest score's, the sum's, and those of exp.
func (a *attentionCase) row(n, h, i int, dt backend.DType) *row {
	u := unit(dt)
	r := &row{p: make([]float64, a.s), rel: make([]float64, a.s), lse: math.Inf(-1)}
	score, worst := make([]float64, a.s), 0.0
	top := math.Inf(-1)
	for j := range score {
		mag := 0.0
		for d := range a.d {
			x := a.q.get(n, i, h, d) * a.k.get(n, j, h, d) * a.scale
			score[j] += x
			mag += math.Abs(x)
		}
		r.rel[j] = a.dotBound(a.d, mag)
		if a.mask != nil {
			score[j] += a.mask.get(n, h, i, j)
		}
		top = math.Max(top, score[j])
		if !math.IsInf(score[j], 0) {
			r.rel[j] += 4 * u * math.Abs(score[j])
			worst = math.Max(worst, r.rel[j])
		}
	}
	if math.IsInf(top, -1) {
		return r
	}
	sum := 0.0
	for j := range score {
		r.p[j] = math.Exp(score[j] - top)
		sum += r.p[j]
	}
	r.lse = top + math.Log(sum)
	r.err = worst + float64(a.s+16)*u + 8*u*(math.Abs(r.lse)+math.Abs(top))
	for j := range score {
		r.p[j] /= sum
		r.rel[j] += r.err
	}
	return r
}

// output adds p·v to the truth of row i of o and to its bound.
func (a *attentionCase) output(r *row, n, h, i int, o, bound *array, dt backend.DType) {
	for d := range a.d {
		at := o.at(n, i, h, d)
		for j, p := range r.p {
			x := p * a.v.get(n, j, h, d)
			o.v[at] += x
			bound.v[at] += math.Abs(x) * (r.rel[j] + float64(a.s+6)*unit(dt) + a.within())
		}
		bound.v[at] += a.dotBound(a.s, 0)
	}
}

func (a *attentionCase) rows(dt backend.DType, f func(n, h, i int, r *row)) {
	each([]int{a.n, a.h, a.t}, func(x []int) { f(x[0], x[1], x[2], a.row(x[0], x[1], x[2], dt)) })
}

func attention(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	return b.attentionForward(b.attention())
}

// attentionBlocks is attention and its gradient where both take several blocks.
func attentionBlocks(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	if err := b.attentionForward(b.longAttention()); err != nil {
		return err
	}
	b = &bench{choices: c, d: d, dt: dt}
	return b.attentionBackward(b.longAttention())
}

func (b *bench) attentionForward(a *attentionCase) error {
	d, dt := b.d, b.dt
	o := b.output(a.n, a.t, a.h, a.d)
	var lse *operand
	var lseView *backend.View
	if b.flip() {
		lse = b.output(a.n, a.h, a.t)
		lseView = lse.view
	}
	d.Attention(o.view, lseView, a.q.view, a.k.view, a.v.view, a.maskView(), a.scale)
	truth, bound := newArray(o.shape...), newArray(o.shape...)
	sum, sumBound := newArray(a.n, a.h, a.t), newArray(a.n, a.h, a.t)
	a.rows(dt, func(n, h, i int, r *row) {
		a.output(r, n, h, i, truth, bound, dt)
		sum.v[sum.at(n, h, i)], sumBound.v[sum.at(n, h, i)] = r.lse, r.err
	})
	b.check("attention "+a.String(), o, truth.v, bound.v)
	if lse != nil {
		b.check("log-sum-exp of attention "+a.String(), lse, sum.v, sumBound.v)
	}
	return b.finish()
}

func attentionGrad(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	return b.attentionBackward(b.attention())
}

func (b *bench) attentionBackward(a *attentionCase) error {
	d, dt := b.d, b.dt
	o, lse := b.output(a.n, a.t, a.h, a.d), b.output(a.n, a.h, a.t)
	do := b.factor(b.normal(1, a.n, a.t, a.h, a.d))
	dq, dk, dv := b.output(a.q.shape...), b.output(a.k.shape...), b.output(a.v.shape...)
	d.Attention(o.view, lse.view, a.q.view, a.k.view, a.v.view, a.maskView(), a.scale)
	d.AttentionGrad(dq.view, dk.view, dv.view, do.view, o.view, lse.view, a.q.view, a.k.view, a.v.view, a.maskView(), a.scale)

	u := unit(dt)
	var truth, bound [3]*array // of dq, dk, dv
	for i, g := range []*operand{dq, dk, dv} {
		truth[i], bound[i] = newArray(g.shape...), newArray(g.shape...)
		for j := range bound[i].v {
			bound[i].v[j] = b.dotBound(a.s+a.t, 0)
		}
	}
	add := func(g, at int, x, err float64) { truth[g].v[at] += x; bound[g].v[at] += err }
	a.rows(dt, func(n, h, i int, r *row) {
		out, outBound := newArray(o.shape...), newArray(o.shape...)
		a.output(r, n, h, i, out, outBound, dt)
		// Δ = do·o, and its error
		delta, deltaErr := 0.0, 0.0
		for e := range a.d {
			g, at := do.get(n, i, h, e), out.at(n, i, h, e)
			delta += g * out.v[at]
			deltaErr += math.Abs(g) * (outBound.v[at] + float64(a.d+6)*u*math.Abs(out.v[at]))
		}
		for j, p := range r.p {
			if p == 0 {
				continue
			}
			rel := r.rel[j] + r.err // p is made anew from lse
			dp, dpErr := 0.0, 0.0
			for e := range a.d {
				g := do.get(n, i, h, e)
				x := g * a.v.get(n, j, h, e)
				dp += x
				dpErr += float64(a.d+6) * u * math.Abs(x)
				add(2, truth[2].at(n, j, h, e), p*g, p*math.Abs(g)*(rel+float64(a.t+6)*u+b.within()))
			}
			ds := a.scale * p * (dp - delta)
			dsErr := a.scale * p * (dpErr + deltaErr + (rel+6*u)*math.Abs(dp-delta))
			for e := range a.d {
				k, q := a.k.get(n, j, h, e), a.q.get(n, i, h, e)
				add(0, truth[0].at(n, i, h, e), ds*k, math.Abs(k)*(dsErr+(float64(a.s+6)*u+b.within())*math.Abs(ds)))
				add(1, truth[1].at(n, j, h, e), ds*q, math.Abs(q)*(dsErr+(float64(a.t+6)*u+b.within())*math.Abs(ds)))
			}
		}
	})
	for i, g := range []*operand{dq, dk, dv} {
		b.check([]string{"dq", "dk", "dv"}[i]+" of attention "+a.String(), g, truth[i].v, bound[i].v)
	}
	return b.finish()
}
