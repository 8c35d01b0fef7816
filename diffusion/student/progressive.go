package student

import (
	"sort"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Progressive trains a student whose every step of DDIM is to lead where several steps of its teacher
// do (Salimans and Ho 2022, algorithm 2; there two). From z_t the teacher leads to z_s; what the
// student would have to take the data for, to come there in a step, is
//
//	x̃ = (z_s − (σ_s/σ_t)·z_t)/(α_s − (σ_s/σ_t)·α_t),
//
// which in the last step, to s=0, is z_s itself. The student regresses on it, or on what it predicts in place of
// it, with a weighting of errors.
type Progressive struct {
	Base
	Grid []float64 // times of the teacher's steps, falling to 0
	Per  int       // of them, for a step of the student

	from, to []float64 // times of a step of the teacher
}

// streamStep is that of the student's steps; see diffusion.StreamNoise.
const streamStep uint32 = 0xa1

// Draw chooses one of the student's steps for each sample.
func (o *Progressive) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Base.Draw(k, b, d)
	d.Next = append(d.Next[:0], d.T...)
	steps := (len(o.Grid) - 1) / o.Per
	for i := range d.T {
		j := o.Per * rng.Intn(k.WithStream(streamStep), uint64(i), 0, steps)
		d.T[i], d.Next[i] = o.Grid[j], o.Grid[j+o.Per]
	}
}

// Loss is a scalar.
func (o *Progressive) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	at := diffusion.Step{T: d.T, Next: d.Next}
	c := d.Cond(s)
	z := diffusion.Noised(d.Data(s), d.Eps(s), o.Path, diffusion.Step{T: d.T})
	var target *tensor.Tensor
	o.teacher.Ask(s, func() { target = o.target(m.Kind(), z, o.led(z, d.T, c), at) })
	return o.weighted(m.Eval(z, diffusion.Step{T: d.T}, c), target, at)
}

// led is where the teacher leads from each sample's time.
func (o *Progressive) led(z *tensor.Tensor, times []float64, c diffusion.Cond) *tensor.Tensor {
	for k := range o.Per {
		o.from, o.to = o.from[:0], o.to[:0]
		for _, t := range times {
			j := k + sort.Search(len(o.Grid), func(j int) bool { return o.Grid[j] <= t })
			o.from, o.to = append(o.from, o.Grid[j]), append(o.to, o.Grid[j+1])
		}
		z = o.teacher.Step(z, diffusion.Step{T: o.from, Next: o.to}, c)
	}
	return z
}

// target is what a student that predicts kind is to say of z, to come to end.
func (o *Progressive) target(kind diffusion.Kind, z, end *tensor.Tensor, at diffusion.Step) *tensor.Tensor {
	return diffusion.Combine(z, end, o.Path, at,
		func(t, s diffusion.Point) float64 { return leading(kind, t, s).OnX },
		func(t, s diffusion.Point) float64 { return leading(kind, t, s).OnValue })
}

// leading are the coefficients on z_t and z_s of p·x̃ + q·ε̃ with ε̃ = (z_t − α_t·x̃)/σ_t.
func leading(kind diffusion.Kind, t, s diffusion.Point) diffusion.Mix {
	p, q := kind.Of(t)
	ratio := s.Sigma / t.Sigma
	onEnd := 1 / (s.Alpha - ratio*t.Alpha) // of x̃
	onX0 := p - q*t.Alpha/t.Sigma
	return diffusion.Mix{OnX: q/t.Sigma - onX0*onEnd*ratio, OnValue: onX0 * onEnd}
}
