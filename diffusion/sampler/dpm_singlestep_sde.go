package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// DPMSinglestepSDE is DPM-Solver++ in blocks of steps with noise: diffusers' DPMSolverSinglestepScheduler with algorithm_type
// sde-dpmsolver++ (third diffusers). It solves the equation of [DPMMultistepSDE] exactly but for x̂0, of which each step of a block takes what
// was said in the block so far, from the block's start anew and with a noise of its own. Noises that do not belong together leave
// the variance at order one; those of [DPMppSDE], which is the same of order 2, are nested.
type DPMSinglestepSDE struct {
	Order           int     `yaml:"order" doc:"steps a block, 1 to 3"`
	Solver          string  `yaml:"solver" doc:"second-order steps: by the value in the middle, or by the slope; third-order ones: without or with the second difference" oneof:"midpoint heun"`
	Third           string  `yaml:"third" doc:"coefficient of the second difference: the integral's, or diffusers', which has a wrong sign" oneof:"exact diffusers"`
	Eta             float64 `yaml:"eta" doc:"noise: 0 is the ODE, 1 the reverse SDE"`
	Noise           float64 `yaml:"noise" doc:"s_noise: standard deviation of what is added"`
	LowerOrderFinal bool    `yaml:"lower_order_final" doc:"end with steps of lower order; always so where the number of steps is no multiple of the order, or the grid ends at the data"`
}

// SetDefaults is of order 2 with all of the reverse SDE's noise.
func (d *DPMSinglestepSDE) SetDefaults() {
	*d = DPMSinglestepSDE{Order: 2, Solver: Midpoint, Third: ThirdExact, Eta: 1, Noise: 1}
}

// Validate checks names and ranges.
func (d *DPMSinglestepSDE) Validate() error {
	switch {
	case d.Order < 1 || d.Order > 3:
		return invalid.Field("order", "must be 1, 2 or 3, is %d", d.Order)
	case d.Solver != Midpoint && d.Solver != HeunType:
		return invalid.Field("solver", "must be one of midpoint, heun, is %q", d.Solver)
	case d.Third != ThirdExact && d.Third != ThirdDiffusers:
		return invalid.Field("third", "must be one of %s, %s, is %q", ThirdExact, ThirdDiffusers, d.Third)
	}
	return (&Ancestral{d.Eta, d.Noise}).Validate()
}

// Sample goes from the block's start anew with each of the block's estimates.
func (d *DPMSinglestepSDE) Sample(r *Run) {
	n, toData := len(r.grid)-1, r.Path.At(r.grid[len(r.grid)-1]).Sigma == 0
	start, values := r.History(1), r.History(d.Order)
	for st := range r.Steps() {
		order := blockOrder(d.Order, st.Index-r.done, n, toData, d.LowerOrderFinal)
		if order == 1 || !bounded(start.Point(0)) || !bounded(st.To) { // a block begins; none goes through λ=±∞
			start.Push(st.From, r.X)
			values.Clear()
		}
		m := r.Data(r.X, st.From)
		if st.From.T == st.To.T { // nowhere to go
			continue
		}
		values.Push(st.From, m)
		x, noise := d.step(r, start.Point(0), st.To, start.Value(0), values, min(order, values.Len()))
		if noise > 0 {
			x = x.Axpby(1, r.Noise(), noise*d.Noise)
		}
		r.X = x
	}
}

// step goes from x at s to t with the block's values, of which the oldest is at s; noise is the deviation of what is to be added.
func (d *DPMSinglestepSDE) step(r *Run, s, t diffusion.Point, x *tensor.Tensor, values *History, order int) (_ *tensor.Tensor, noise float64) {
	l := noisyLeap(s, t, d.Eta)
	r.terms.add(l.keep, x)
	m := values.Value(order - 1)
	onFirst := l.first // of m, and of the newest and the one before
	var onNew, onMid float64
	at := func(age int) float64 { return (lambda(values.Point(age)) - lambda(s)) / l.h }
	switch {
	case order == 2:
		second := l.slope
		if d.Solver == Midpoint {
			second = l.first / 2
		}
		onNew = second / at(0)
	case order == 3 && d.Solver == Midpoint:
		onNew = l.slope / at(0)
	case order == 3:
		// slope·m' + curve·m''/2 of the parabola through the three
		a, b, curve := at(1), at(0), l.curve
		if d.Third == ThirdDiffusers {
			curve -= 2 * t.Alpha
		}
		onMid = (l.slope*b - curve) / (a * (b - a))
		onNew = (curve - l.slope*a) / (b * (b - a))
	}
	r.terms.add(onFirst-onNew-onMid, m)
	if onMid != 0 {
		r.terms.add(onMid, values.Value(1))
	}
	if onNew != 0 {
		r.terms.add(onNew, values.Value(0))
	}
	return r.terms.total(), l.noise
}
