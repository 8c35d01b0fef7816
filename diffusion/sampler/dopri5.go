package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Dopri5 is the method of Dormand and Prince 1980 of order 5, whose steps an
// error estimate of order 4 chooses (Hairer, Nørsett and Wanner 1993, II.4–5), on the
// probability-flow ODE. Each sample has steps of its own, so that it does not
// depend on the batch; those that are done wait for the others. Of the grid only the
// ends count.
type Dopri5 struct {
	Coordinate `yaml:",inline"`
	RTol       float64 `yaml:"rtol" doc:"error of a step allowed relative to the state"`
	ATol       float64 `yaml:"atol" doc:"error of a step allowed besides"`
	First      float64 `yaml:"first" doc:"noise level (sigma/alpha) that one step leads to from where it is infinite, in the variables sigma and lambda"`
	Final      float64 `yaml:"final" doc:"noise level (sigma/alpha) from which one step of Euler's leads to the data, where the grid ends there"`
	Attempts   int     `yaml:"attempts" doc:"most steps, rejected ones included, before the sampler gives up" range:"[1,inf)"`
}

// SetDefaults takes SciPy's tolerances for RK45 and EDM's last noise level. The first one's inverse is of that size: of a variance of the data
// of 1, the two steps are off by some 1/First² and Final².
func (d *Dopri5) SetDefaults() {
	d.Coordinate.SetDefaults()
	d.RTol, d.ATol, d.First, d.Final, d.Attempts = 1e-3, 1e-6, 500, 0.002, 10000
}

// Validate checks the ranges.
func (d *Dopri5) Validate() error {
	switch {
	case !(d.RTol >= 0) || math.IsInf(d.RTol, 0):
		return invalid.Field("rtol", "must not be negative, is %g", d.RTol)
	case !(d.ATol >= 0) || math.IsInf(d.ATol, 0):
		return invalid.Field("atol", "must not be negative, is %g", d.ATol)
	case d.RTol == 0 && d.ATol == 0:
		return invalid.Field("rtol", "and atol must not both be 0")
	case !(d.Final > 0) || math.IsInf(d.Final, 0):
		return invalid.Field("final", "must be positive, is %g", d.Final)
	case !(d.First > d.Final) || math.IsInf(d.First, 0):
		return invalid.Field("first", "must be finite and above final=%g, is %g", d.Final, d.First)
	case d.Attempts < 1:
		return invalid.Field("attempts", "must be at least 1, is %d", d.Attempts)
	}
	return d.Coordinate.Validate()
}

// dopri are the coefficients; the last row of a is the solution's weights, at which
// the next step's first slope is. e is the difference to the embedded solution.
var dopri = struct {
	a [7][]float64
	c [7]float64
	e []float64
}{
	a: [7][]float64{
		{},
		{1. / 5},
		{3. / 40, 9. / 40},
		{44. / 45, -56. / 15, 32. / 9},
		{19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
		{9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
		{35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84},
	},
	c: [7]float64{0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1},
	e: []float64{71. / 57600, 0, -71. / 16695, 71. / 1920, -17253. / 339200, 22. / 525, -1. / 40},
}

// Sample integrates each sample to the grid's end, or to Final and from there in one step.
func (d *Dopri5) Sample(r *Run) {
	ax := d.axis(r)
	start := r.Path.At(r.grid[0])
	if !ax.finite(start) {
		start = r.atLevel(d.First)
	}
	end := r.Path.At(r.grid[len(r.grid)-1])
	near := end
	if end.Sigma == 0 {
		near = r.Path.At(r.Path.Time(-math.Log(d.Final)))
	}
	b := newAdaptive(d, r, ax, start, near)
	slope := r.History(1) // at the current state
	attempts := 0
	for st := range r.Attempts() {
		if st.From.T > start.T {
			r.X = r.ddim(st.From, start)
			st.From = start
			continue
		}
		if st.From.T <= near.T {
			r.X = ax.last(r, st.From, end)
			st.From = end
			continue
		}
		if attempts++; attempts > d.Attempts {
			r.Fail("sampler dopri5: not at the end after %d steps: raise attempts, or the tolerances rtol=%g, atol=%g", d.Attempts, d.RTol, d.ATol)
			return
		}
		if slope.Len() == 0 {
			f := b.slope(r.X, b.u)
			slope.Push(st.From, f)
			b.firstSteps(f)
		}
		if i := b.stuck(); i >= 0 {
			r.Fail("sampler dopri5: the steps of sample %d become too small at time %g: the ODE is too stiff there for rtol=%g, atol=%g", i, ax.point(b.u[i]).T, d.RTol, d.ATol)
			return
		}
		x, f, gained := b.try(slope.Value(0))
		if gained {
			r.X = x
			slope.Push(st.From, f)
			st.From = b.behind(st.From)
		}
	}
}

// adaptive is where the samples of a batch are.
type adaptive struct {
	*Dopri5
	r      *Run
	ax     axis
	target float64   // u at the end
	u, h   []float64 // of each sample: where it is, and its next step
	before []float64 // error of the last step that was accepted
	times  []float64
	good   []float64 // 1 where the newest step was accepted
	failed []float64 // 1 where the step before was rejected
	ahead  []float64 // u of a slope within the step
	errors []float64 // of the newest step
	end    diffusion.Point
}

func newAdaptive(d *Dopri5, r *Run, ax axis, start, end diffusion.Point) adaptive {
	n := r.X.Dim(0)
	a := adaptive{
		Dopri5: d, r: r, ax: ax, target: ax.of(end), end: end,
		u: r.Floats(n), h: r.Floats(n), before: r.Floats(n), times: r.Floats(n),
		good: r.Floats(n), failed: r.Floats(n), ahead: r.Floats(n), errors: r.Floats(n),
	}
	for i := range n {
		a.u[i], a.before[i], a.failed[i] = ax.of(start), 1, 0
	}
	return a
}

// at is the point of u; the end has no rounding.
func (a *adaptive) at(u float64) diffusion.Point {
	if u == a.target {
		return a.end
	}
	return a.ax.point(u)
}

// slope is d(x/scale)/du of each sample at its u.
func (a *adaptive) slope(x *tensor.Tensor, u []float64) *tensor.Tensor {
	for i := range u {
		a.times[i] = a.at(u[i]).T
	}
	switch a.ax.name {
	case "time":
		return a.r.velocityEach(x, a.times)
	case "sigma":
		return a.r.epsEach(x, a.times)
	}
	return a.r.epsEach(x, a.times).Mul(a.r.perSample(func(i int) float64 { return a.ax.rate(a.at(u[i])) }))
}

// moved is the state after slopes weighted with w, c of the step on:
// scale'·(x/scale + h·Σ w_j·f_j).
func (a *adaptive) moved(c float64, w []float64, f []*tensor.Tensor) *tensor.Tensor {
	for j, v := range w {
		a.r.terms.add(v, f[j])
	}
	to := a.r.perSample(func(i int) float64 { return a.ax.scale(a.at(a.after(i, c))) })
	ratio := a.r.perSample(func(i int) float64 { return a.ax.scale(a.at(a.after(i, c))) / a.ax.scale(a.at(a.u[i])) })
	h := a.r.perSample(func(i int) float64 { return a.h[i] })
	return advance.Apply(nil, a.r.X, ratio, to, h, a.r.terms.total())
}

var (
	// advance is ratio·x + to·h·f.
	advance = tensor.NewPointwise("advance", 5, 0, func(in, _ []tensor.Expr) tensor.Expr {
		x, ratio, to, h, f := in[0], in[1], in[2], in[3], in[4]
		return ratio.Mul(x).Add(to.Mul(h).Mul(f))
	})

	// relativeError is h·f/(atol + rtol·max(|x|,|y|)) with states divided by their scales.
	relativeError = tensor.NewPointwise("relative error", 6, 2, func(in, sc []tensor.Expr) tensor.Expr {
		h, f, x, y, perX, perY := in[0], in[1], in[2], in[3], in[4], in[5]
		size := x.Mul(perX).Abs().Max(y.Mul(perY).Abs())
		return h.Mul(f).Div(sc[0].Add(sc[1].Mul(size)))
	})
)

// after is u when the share c of sample i's step is done.
func (a *adaptive) after(i int, c float64) float64 {
	if c == 1 && a.lastOf(i) {
		return a.target
	}
	return a.u[i] + c*a.h[i]
}

// lastOf reports whether sample i's step ends at the target.
func (a *adaptive) lastOf(i int) bool { return a.h[i] == a.target-a.u[i] }

// size sets dst to each sample's norm of h·f against the tolerances, from the current state to y.
func (a *adaptive) size(dst []float64, f, y *tensor.Tensor, h func(i int) float64) {
	perX := a.r.perSample(func(i int) float64 { return 1 / a.ax.scale(a.at(a.u[i])) })
	perY := a.r.perSample(func(i int) float64 { return 1 / a.ax.scale(a.at(a.after(i, 1))) })
	rms(dst, relativeError.Apply([]float64{a.ATol, a.RTol}, a.r.perSample(h), f, a.r.X, y, perX, perY))
}

// firstSteps chooses the steps to begin with (Hairer, Nørsett and Wanner 1993, p. 169).
func (a *adaptive) firstSteps(f *tensor.Tensor) {
	one := func(int) float64 { return 1 }
	way := a.target - a.u[0]
	perX := a.r.perSample(func(int) float64 { return 1 / a.ax.scale(a.at(a.u[0])) })
	n := len(a.u)
	d0, d1, d2 := a.r.Floats(n), a.r.Floats(n), a.r.Floats(n)
	a.size(d0, a.r.X.Mul(perX), a.r.X, one)
	a.size(d1, f, a.r.X, one)
	for i := range a.h {
		h := 0.01 * d0[i] / d1[i]
		if !(d0[i] >= 1e-5 && d1[i] >= 1e-5) {
			h = 1e-6
		}
		a.h[i] = math.Copysign(min(h, math.Abs(way)), way)
	}
	for i := range a.ahead {
		a.ahead[i] = a.after(i, 1)
	}
	change := a.slope(a.moved(1, []float64{1}, []*tensor.Tensor{f}), a.ahead).Sub(f)
	a.size(d2, change, a.r.X, func(i int) float64 { return 1 / math.Abs(a.h[i]) })
	for i := range a.h {
		h := max(1e-6, math.Abs(a.h[i])*1e-3)
		if d := max(d1[i], d2[i]); d > 1e-15 {
			h = math.Pow(0.01/d, 1./5)
		}
		a.h[i] = math.Copysign(min(100*math.Abs(a.h[i]), h, math.Abs(way)), way)
	}
}

// stuck is a sample whose step is lost in rounding, or −1.
func (a *adaptive) stuck() int {
	for i, h := range a.h {
		if a.u[i] != a.target && !(math.Abs(h) > 16*0x1p-52*max(math.Abs(a.u[i]), math.Abs(a.target))) {
			return i
		}
	}
	return -1
}

// try makes a step of each sample, and gives the states and slopes of those that are
// accepted after it, of the others before. gained is false if there is none.
func (a *adaptive) try(first *tensor.Tensor) (x, slope *tensor.Tensor, gained bool) {
	var f [7]*tensor.Tensor
	f[0] = first
	var y *tensor.Tensor
	for k := 1; k < len(f); k++ {
		for i := range a.ahead {
			a.ahead[i] = a.after(i, dopri.c[k])
		}
		y = a.moved(dopri.c[k], dopri.a[k], f[:k])
		f[k] = a.slope(y, a.ahead)
	}
	for j, e := range dopri.e {
		a.r.terms.add(e, f[j])
	}
	a.size(a.errors, a.r.terms.total(), y, func(i int) float64 { return a.h[i] })
	for i, e := range a.errors {
		a.good[i] = 0
		if a.u[i] != a.target && a.judge(i, e) {
			a.good[i], gained = 1, true
		}
	}
	if !gained {
		a.r.count.Rejected++
		return nil, nil, false
	}
	good := a.r.perSample(func(i int) float64 { return a.good[i] })
	return good.Where(y, a.r.X), good.Where(f[6], first), true
}

// judge says whether sample i's step with that error is accepted, moves it on if
// so, and chooses its next step: a PI controller (Gustafsson 1991) with β=.04, as
// in Hairer and Wanner's code DOPRI5.
func (a *adaptive) judge(i int, e float64) bool {
	const safety, least, most, beta = 0.9, 0.2, 10, 0.04
	way := a.target - a.u[i]
	accepted := e <= 1 // not if e is NaN
	factor := least
	if accepted {
		e = max(e, 1e-10)
		factor = min(most, max(least, safety*math.Pow(e, -(1./5-0.75*beta))*math.Pow(a.before[i], beta)))
		if a.failed[i] == 1 {
			factor = min(factor, 1)
		}
		a.before[i] = max(e, 1e-4)
		next := a.after(i, 1)
		a.u[i], way = next, a.target-next
	} else if e > 1 {
		factor = max(least, safety*math.Pow(e, -1./5))
	}
	a.failed[i] = 1
	if accepted {
		a.failed[i] = 0
	}
	h := math.Abs(a.h[i]) * factor
	if h > 0.99*math.Abs(way) { // no crumb is left
		a.h[i] = way
	} else {
		a.h[i] = math.Copysign(h, way)
	}
	return accepted
}

// behind is where the sample is that has furthest to go.
func (a *adaptive) behind(from diffusion.Point) diffusion.Point {
	far := a.end
	for _, u := range a.u {
		if p := a.at(u); p.T > far.T {
			far = p
		}
	}
	if far.T > from.T {
		return from
	}
	return far
}
