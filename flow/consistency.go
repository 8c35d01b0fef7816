package flow

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Consistency is consistency flow matching (Yang et al. 2024, "Consistency flow matching: defining straight flows with velocity
// consistency"): from two near places of a straight line, one step of the velocity at each is to lead to the same
// end, and the velocities are to be the same. The time falls into segments, each with an end of its own, e, its start:
//
//	E ‖f(x_t,t) − f⁻(x_r,r)‖² + α·‖u(x_t,t) − u⁻(x_r,r)‖²,   f(x,t) = x + (e−t)·u(x,t),   r = t − δ,
//
// without a gradient through f⁻ and u⁻, which are the moving average's or the network's own. Where r is the data, f⁻ is the data: this is what the
// velocity learns from, and it goes from time to time by consistency. So as many steps as there are segments lead through the whole path, each
// along a line.
//
// Where a segment ends within δ of t, only f counts, as in the authors' code. Its path is straight and without noise at the data.
type Consistency struct {
	diffusion.Regression // times, condition dropout; the path is CondOT{}
	ConsistencyOptions

	average diffusion.Model
}

// ConsistencyOptions are its settings.
type ConsistencyOptions struct {
	Segments int     `yaml:"segments" doc:"parts of equal length that the path is in; euler with that many steps goes along each in one" range:"[1,1024]"`
	Delta    float64 `yaml:"delta" doc:"time from one place to the other, δ" range:"(0,1]"`
	Alpha    float64 `yaml:"alpha" doc:"weight α of the velocities' difference" range:"[0,inf)"`
	Truth    float64 `yaml:"truth" doc:"where r is at most this, the end is the line's own: 0 is the data alone, 1 everywhere, which is flow matching weighted by the squared time to the segment's end" range:"[0,1]"`
	Average  bool    `yaml:"average" doc:"compare with the moving average of the network, as the paper says, instead of the network itself, as its authors' code does"`
}

// SetDefaults takes the choices of the authors' code, two segments of the network itself among them.
func (o *ConsistencyOptions) SetDefaults() {
	*o = ConsistencyOptions{Segments: 2, Delta: 1e-3, Alpha: 1e-5}
}

// Validate checks the ranges.
func (o *ConsistencyOptions) Validate() error {
	switch {
	case o.Segments < 1 || o.Segments > 1024:
		return invalid.Field("segments", "must be from 1 to 1024, is %d", o.Segments)
	case !(o.Delta > 0 && o.Delta <= 1/float64(o.Segments)):
		return invalid.Field("delta", "must be above 0 and at most a segment, %g, is %g", 1/float64(o.Segments), o.Delta)
	case !(o.Alpha >= 0) || math.IsInf(o.Alpha, 0):
		return invalid.Field("alpha", "must not be negative, is %g", o.Alpha)
	case !(o.Truth >= 0 && o.Truth <= 1):
		return invalid.Field("truth", "must be in [0, 1], is %g", o.Truth)
	}
	return nil
}

// Bind takes the average.
func (o *Consistency) Bind(b diffusion.Bindings) error {
	o.average = b.Average
	return nil
}

// Draw chooses each sample's r.
func (o *Consistency) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Regression.Draw(k, b, d)
	d.Next = grow(d.Next, d.N)
	for i, t := range d.T {
		d.Next[i] = max(0, t-o.Delta)
	}
}

// end is that of the segment of a time, and apart whether it is further than δ.
func (o *Consistency) end(t float64) (e float64, apart bool) {
	k := float64(o.Segments)
	e = min(math.Floor(t*k), k-1) / k
	return e, t-e > 1.01*o.Delta
}

// Loss is the mean over elements, a scalar.
func (o *Consistency) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	there := o.average
	if !o.Average || there == nil {
		there = m
	}
	each := func(f func(i int) float64) *tensor.Tensor {
		var dims [tensor.MaxRank]int
		shape := append(append(dims[:0], d.N), dims[:len(d.Shape)]...)
		for i := range d.Shape {
			shape[1+i] = 1
		}
		return s.TensorOf(f, shape...)
	}
	now, next := diffusion.Step{T: d.T}, diffusion.Step{T: d.Next}
	data, eps, cond := d.Data(s), d.Eps(s), d.Cond(s)
	var end, u *tensor.Tensor
	s.NoGrad(func() {
		x := diffusion.Noised(data, eps, o.Path, next)
		u = there.Eval(x, next, cond).As(diffusion.Velocity, x, o.Path, next)
		line := diffusion.Target(diffusion.Velocity, data, eps, o.Path, next)
		along := each(func(i int) float64 { // of the line, or of what the model says
			if d.Next[i] <= o.Truth {
				return 1
			}
			return 0
		}).Where(line, u)
		end = along.MulAdd(each(func(i int) float64 { e, _ := o.end(d.T[i]); return e - d.Next[i] }), x)
	})
	x := diffusion.Noised(data, eps, o.Path, now)
	v := m.Eval(x, now, cond).As(diffusion.Velocity, x, o.Path, now)
	f := v.MulAdd(each(func(i int) float64 { e, _ := o.end(d.T[i]); return e - d.T[i] }), x)
	loss := f.MSE(end)
	if o.Alpha == 0 {
		return loss
	}
	weight := each(func(i int) float64 {
		if _, apart := o.end(d.T[i]); apart && d.T[i] > o.Truth {
			return 1
		}
		return 0
	})
	return loss.Axpby(1, v.WeightedMSE(u, weight), o.Alpha)
}
