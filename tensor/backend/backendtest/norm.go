package backendtest

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// normCase is a random normalisation of x (N,P,C).
type normCase struct {
	p            backend.NormParams
	n, pos, ch   int
	x            *operand
	scale, shift *operand // nil: none
}

func (b *bench) norm() *normCase {
	k := &normCase{n: b.pick(4), pos: b.positive(200), ch: b.positive(130)}
	k.p = backend.NormParams{Eps: 1e-5, RMS: b.pick(3) == 0, SiLU: b.flip()}
	if b.flip() {
		k.p.Groups = []int{1, 2, 8, 32}[b.pick(4)]
		k.ch = k.p.Groups * b.positive(8)
	} else if b.pick(4) == 0 {
		k.ch = 1100
	}
	if b.rnd.IntN(8) == 0 { // so many that a sample is cut in pieces
		k.n, k.pos, k.ch = 1+k.n%2, 500+b.rnd.IntN(500), 96
	}
	x := newArray(k.n, k.pos, k.ch)
	x.v = b.normals(len(x.v), 1)
	if b.pick(4) == 0 { // a mean far from zero
		for i := range x.v {
			x.v[i] += 100
		}
	}
	k.x = b.input(x, x.shape...)
	if b.flip() {
		k.p.ScaleBase = float64(b.pick(2))
		k.scale = b.input(b.modulation(k), k.n, 1, k.ch)
	}
	if b.flip() {
		k.shift = b.input(b.modulation(k), k.n, 1, k.ch)
	}
	return k
}

// modulation is a scale or shift: one for all samples, or one for each.
func (b *bench) modulation(k *normCase) *array {
	n := k.n
	if b.flip() && n > 0 {
		n = 1
	}
	a := newArray(n, 1, k.ch)
	a.v = b.normals(len(a.v), 0.5)
	return a
}

func optional(o *operand) *backend.View {
	if o == nil {
		return nil
	}
	return o.view
}

func (k *normCase) String() string {
	return fmt.Sprintf("norm %+v of %s, scale %v, shift %v", k.p, describe(k.x.view), k.scale != nil, k.shift != nil)
}

// statistics is the number of sets with statistics of their own in a sample,
// and the elements of each.
func (k *normCase) statistics() (sets, elems int) {
	if k.p.Groups == 0 {
		return k.pos, k.ch
	}
	return k.p.Groups, k.pos * k.ch / k.p.Groups
}

// set visits the elements that share statistics g.
func (k *normCase) set(g int, f func(p, c int)) {
	if k.p.Groups == 0 {
		for c := range k.ch {
			f(g, c)
		}
		return
	}
	w := k.ch / k.p.Groups
	for p := range k.pos {
		for c := g * w; c < (g+1)*w; c++ {
			f(p, c)
		}
	}
}

// affine gives the factor and the summand of a channel.
func (k *normCase) affine(n, c int) (g, b float64) {
	g = 1
	if k.scale != nil {
		g = k.p.ScaleBase + k.scale.get(n, 0, c)
	}
	if k.shift != nil {
		b = k.shift.get(n, 0, c)
	}
	return g, b
}

// silu is z·σ(z) and its derivative.
func silu(z float64) (y, dy float64) {
	s := 1 / (1 + math.Exp(-z))
	return z * s, s * (1 + z*(1-s))
}

func normForward(c *choices, d backend.Device, dt backend.DType) error {
	norm, ok := d.(backend.Norm)
	if !ok {
		return nil
	}
	b := &bench{choices: c, d: d, dt: dt}
	k := b.norm()
	sets, elems := k.statistics()
	y, rstd := b.output(k.x.shape...), b.output(k.n, sets)
	var mean *operand
	if !k.p.RMS {
		mean = b.output(k.n, sets)
	}
	norm.NormForward(&k.p, y.view, optional(mean), rstd.view, k.x.view, optional(k.scale), optional(k.shift))

	u := unit(dt)
	ty, by := newArray(y.shape...), newArray(y.shape...)
	var tm, bm, tr, br []float64
	each([]int{k.n, sets}, func(i []int) {
		n, g := i[0], i[1]
		var m, mag, sq float64
		k.set(g, func(p, c int) { m += k.x.get(n, p, c); mag += math.Abs(k.x.get(n, p, c)) })
		m, mag = m/float64(elems), mag/float64(elems)
		mErr := sumBound(elems, mag, dt) + 2*u*math.Abs(m)
		if k.p.RMS {
			m, mErr = 0, 0
		}
		k.set(g, func(p, c int) { v := k.x.get(n, p, c) - m; sq += v * v })
		variance := sq / float64(elems)
		// The variance about a mean that is off by mErr is too large by mErr²; its sum has the usual error.
		relative := 0.5*(mErr*mErr+sumBound(elems, variance, dt)+6*u*variance)/(variance+k.p.Eps) + 4*u
		r := 1 / math.Sqrt(variance+k.p.Eps)
		tm, bm, tr, br = append(tm, m), append(bm, mErr), append(tr, r), append(br, relative*r)
		k.set(g, func(p, c int) {
			gamma, beta := k.affine(n, c)
			hat := (k.x.get(n, p, c) - m) * r
			z := hat*gamma + beta
			err := math.Abs(gamma)*(r*mErr+math.Abs(hat)*(relative+6*u)) + 2*u*(math.Abs(z)+math.Abs(beta)) + 2*tiny(dt)
			if k.p.SiLU { // its slope is below 1.1
				z, _ = silu(z)
				err = 1.1*err + 10*u*math.Abs(z)
			}
			ty.v[ty.at(n, p, c)], by.v[ty.at(n, p, c)] = z, err
		})
	})
	if mean != nil {
		b.check("mean of "+k.String(), mean, tm, bm)
	}
	b.check("rstd of "+k.String(), rstd, tr, br)
	b.check(k.String(), y, ty.v, by.v)
	return b.finish()
}

func normGrad(c *choices, d backend.Device, dt backend.DType) error {
	norm, ok := d.(backend.Norm)
	if !ok {
		return nil
	}
	b := &bench{choices: c, d: d, dt: dt}
	k := b.norm()
	sets, elems := k.statistics()
	// The statistics are inputs here: they need not be quite x's own.
	stat := func(g int) (m, r float64) {
		m = k.x.get(0, 0, 0) / 2
		return m, 0.5 + float64(g%3)
	}
	mean, rstd := newArray(k.n, sets), newArray(k.n, sets)
	for i := range rstd.v {
		mean.v[i], rstd.v[i] = stat(i)
	}
	mo, ro := b.input(mean, mean.shape...), b.input(rstd, rstd.shape...)
	if k.p.RMS {
		mo = nil
	}
	dy, dx := b.normal(1, k.x.shape...), b.output(k.x.shape...)
	var dscale, dshift *operand
	if c.flip() {
		dscale = b.outputIn(layout(c.pick(2)), k.n, 1, k.ch)
	}
	if c.flip() {
		dshift = b.outputIn(layout(c.pick(2)), k.n, 1, k.ch)
	}
	norm.NormGrad(&k.p, dx.view, optional(dscale), optional(dshift), dy.view, k.x.view, optional(mo), ro.view, optional(k.scale), optional(k.shift))

	u := unit(dt)
	truth, bound := newArray(dx.shape...), newArray(dx.shape...)
	ds, db := newSums(k.n*k.ch), newSums(k.n*k.ch)
	dsErr, dbErr := make([]float64, k.n*k.ch), make([]float64, k.n*k.ch)
	each([]int{k.n, sets}, func(i []int) {
		n, g := i[0], i[1]
		r, m := rstd.get(n, g), 0.0
		if mo != nil {
			m = mo.get(n, g)
		}
		// point is x̂, dy behind the activation, its error, and the channel's factor.
		point := func(p, c int) (hat, dz, err, gamma float64) {
			gamma, beta := k.affine(n, c)
			hat = (k.x.get(n, p, c) - m) * r
			dz = dy.get(n, p, c)
			if k.p.SiLU { // |silu″| ≤ ½
				z := hat*gamma + beta
				_, slope := silu(z)
				err = math.Abs(dz) * u * (2*(5*math.Abs(hat*gamma)+2*math.Abs(beta)) + 10*(1+math.Abs(z)*slope))
				dz *= slope
			}
			return hat, dz, err, gamma
		}
		var m1, mag1, err1, m2, mag2, err2 float64
		k.set(g, func(p, c int) {
			hat, dz, err, gamma := point(p, c)
			m1 += dz * gamma
			mag1 += math.Abs(dz * gamma)
			err1 += err * math.Abs(gamma)
			m2 += dz * gamma * hat
			mag2 += math.Abs(dz * gamma * hat)
			err2 += err * math.Abs(gamma*hat)
			at := n*k.ch + c
			ds.add(at, dz*hat)
			db.add(at, dz)
			dsErr[at] += err*math.Abs(hat) + 6*u*math.Abs(dz*hat)
			dbErr[at] += err
		})
		w := 1 / float64(elems)
		// The sums may be folded channel by channel first, then by group: two sums in a row.
		err1 = w * (2*sumBound(elems, mag1, dt) + err1 + 4*u*mag1)
		err2 = w * (2*sumBound(elems, mag2, dt) + err2 + 8*u*mag2)
		m1, m2 = w*m1, w*m2
		if k.p.RMS {
			m1, err1 = 0, 0
		}
		k.set(g, func(p, c int) {
			hat, dz, err, gamma := point(p, c)
			at := truth.at(n, p, c)
			truth.v[at] = r * (dz*gamma - m1 - hat*m2)
			bound.v[at] = r*(err*math.Abs(gamma)+err1+math.Abs(hat)*err2+
				8*u*(math.Abs(dz*gamma)+math.Abs(m1)+math.Abs(hat*m2))) + 4*tiny(dt)
		})
	})
	b.check("dx of "+k.String(), dx, truth.v, bound.v)
	for i, g := range []*operand{dscale, dshift} {
		if g == nil {
			continue
		}
		s, err := []*sums{ds, db}[i], [][]float64{dsErr, dbErr}[i]
		for j := range err {
			err[j] += sumBound(s.n[j], s.mag[j], dt)
		}
		b.check([]string{"dscale of ", "dshift of "}[i]+k.String(), g, s.v, err)
	}
	return b.finish()
}
