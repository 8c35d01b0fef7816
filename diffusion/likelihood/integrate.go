package likelihood

import (
	"context"
	"fmt"
	"math"
)

// tableau is an explicit Runge–Kutta method: stage i is at c[i], from the slopes before
// it by a[i]; the step is by b. Embedded ones have e, b less the weights of lower order, and
// their last stage is the next step's first.
type tableau struct {
	a    [][]float64
	b, e []float64
	c    []float64
}

// rk4 is Kutta's classical method.
var rk4 = &tableau{
	a: [][]float64{{}, {1. / 2}, {0, 1. / 2}, {0, 0, 1}},
	b: []float64{1. / 6, 1. / 3, 1. / 3, 1. / 6},
	c: []float64{0, 1. / 2, 1. / 2, 1},
}

// dormandPrince is the pair of orders 5 and 4 of Dormand and Prince 1980.
var dormandPrince = &tableau{
	a: [][]float64{
		{},
		{1. / 5},
		{3. / 40, 9. / 40},
		{44. / 45, -56. / 15, 32. / 9},
		{19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
		{9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
		{35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84},
	},
	b: []float64{35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84, 0},
	e: []float64{71. / 57600, 0, -71. / 16695, 71. / 1920, -17253. / 339200, 22. / 525, -1. / 40},
	c: []float64{0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1},
}

// state is a sample under way.
type state struct {
	sample int
	at, h  float64 // angle, or time, and step
	z      []float64
	k      [][]float64 // slopes of the stages
	fresh  bool        // k[0] is the slope at z
	done   bool

	next []float64
}

// integrator takes states from where they are to end. Each has its own step; all
// that are not there yet are asked together.
type integrator struct {
	f          slopes
	tableau    *tableau
	end        float64
	fixed      float64 // step; 0: adaptive
	rtol, atol float64
	settle     func(z []float64) // is done to a state after each step; nil: nothing
}

// slopes is what is integrated: it sets out[i] to the slope of states[i] at z[i], at[i].
type slopes interface {
	slopes(states []*state, at []float64, z, out [][]float64)
}

// smallest is the step, as a part of the way, at which an adaptive method gives up:
// below it, what the model computes is rougher than the tolerance.
const smallest = 1e-7

func (in *integrator) run(ctx context.Context, states []*state) error {
	for _, st := range states {
		st.k = make([][]float64, len(in.tableau.b))
		for i := range st.k {
			st.k[i] = make([]float64, len(st.z))
		}
		st.next = make([]float64, len(st.z))
		st.h = in.fixed
	}
	if in.fixed == 0 {
		in.firstSteps(states)
	}
	for under := states; len(under) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		in.step(under)
		left := under[:0:0]
		for _, st := range under {
			if err := in.advance(st); err != nil {
				return err
			}
			if !st.done {
				left = append(left, st)
			}
		}
		under = left
	}
	return nil
}

// firstSteps chooses a step by the sizes of state and slope (Hairer, Nørsett and Wanner, II.4).
func (in *integrator) firstSteps(states []*state) {
	in.stage(states, 0)
	for _, st := range states {
		d0, d1 := in.norm(st.z, st.z), in.norm(st.k[0], st.z)
		st.h = 1e-6
		if d0 > 1e-5 && d1 > 1e-5 {
			st.h = 0.01 * d0 / d1
		}
		st.h, st.fresh = min(st.h, in.end-st.at), true
	}
}

// step computes all stages of a step and where it leads.
func (in *integrator) step(states []*state) {
	var stale []*state
	for _, st := range states {
		st.h = min(st.h, in.end-st.at)
		if !st.fresh {
			stale = append(stale, st)
		}
	}
	in.stage(stale, 0)
	for i := 1; i < len(in.tableau.b); i++ {
		in.stage(states, i)
	}
	for _, st := range states {
		combine(st.next, st, in.tableau.b)
	}
}

// arrives reports whether the step leads to the end, but for rounding.
func (in *integrator) arrives(st *state) bool { return st.at+st.h >= in.end-1e-9*st.h }

// stage asks for the slopes of stage i.
func (in *integrator) stage(states []*state, i int) {
	if len(states) == 0 {
		return
	}
	at, z, out := make([]float64, len(states)), make([][]float64, len(states)), make([][]float64, len(states))
	for s, st := range states {
		at[s] = st.at + in.tableau.c[i]*st.h
		if in.tableau.c[i] == 1 && in.arrives(st) {
			at[s] = in.end // without rounding
		}
		combine(st.next, st, in.tableau.a[i])
		z[s], out[s] = st.next, st.k[i]
	}
	in.f.slopes(states, at, z, out)
}

// combine is z + h·Σ w_j·k_j.
func combine(out []float64, st *state, w []float64) {
	copy(out, st.z)
	for j, wj := range w {
		if wj == 0 {
			continue
		}
		for d, k := range st.k[j] {
			out[d] += st.h * wj * k
		}
	}
}

// advance takes the step, or, where its error is too large, takes it back, and chooses the next.
func (in *integrator) advance(st *state) error {
	factor, accept := 1.0, true
	if in.fixed == 0 {
		err := in.stepError(st)
		accept = err <= 1
		// Order 4 of the error; the usual safety and limits.
		factor = min(5, max(0.2, 0.9*math.Pow(err, -0.2)))
		if !accept {
			factor = min(factor, 1)
		}
		if math.IsNaN(err) {
			factor, accept = 0.2, false
		}
	}
	if accept {
		st.z, st.next = st.next, st.z
		if in.settle != nil {
			in.settle(st.z)
		}
		st.done = in.arrives(st)
		st.at += st.h
		if in.fixed == 0 {
			last := len(st.k) - 1
			st.k[0], st.k[last] = st.k[last], st.k[0]
		}
	}
	st.fresh = in.fixed == 0 // first same as last, or the same start again
	st.h *= factor
	if in.fixed == 0 && !st.done && st.h < smallest*in.end {
		return fmt.Errorf("likelihood: sample %d: the step at %.4g of %.4g has become %.1e: what the model says is too rough for a tolerance of %g; allow more, or compute in float64", st.sample, st.at, in.end, st.h, in.rtol)
	}
	return nil
}

// stepError is the estimated error in units of the tolerance.
func (in *integrator) stepError(st *state) float64 {
	sum := 0.0
	for d := range st.z {
		e := 0.0
		for j, w := range in.tableau.e {
			e += w * st.k[j][d]
		}
		scale := in.atol + in.rtol*max(math.Abs(st.z[d]), math.Abs(st.next[d]))
		sum += (st.h * e / scale) * (st.h * e / scale)
	}
	return math.Sqrt(sum / float64(len(st.z)))
}

// norm is the root mean square of v in units of the tolerance at z.
func (in *integrator) norm(v, z []float64) float64 {
	sum := 0.0
	for d := range v {
		scale := in.atol + in.rtol*math.Abs(z[d])
		sum += (v[d] / scale) * (v[d] / scale)
	}
	return math.Sqrt(sum / float64(len(v)))
}
