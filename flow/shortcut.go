package flow

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Shortcut trains a model of steps that halve (Frans et al. 2025, "One step diffusion via
// shortcut models"): of a step j = 2⁻ᵏ of the path, one is to lead where two of j/2 do, as the
// moving average of the network makes them. The rest of the batch is flow matching at
// j=0, which also stands for the halves of the smallest step.
//
// Its model must be a StepModel of velocities.
type Shortcut struct {
	diffusion.Regression // path, times of flow matching, condition dropout; the batch's Source, where there is one, holds the starts of pairs
	ShortcutOptions
	Coupling Coupling // of data and noise; nil: independent

	average StepModel
}

// ShortcutOptions are its settings.
type ShortcutOptions struct {
	Steps int     `yaml:"steps" doc:"steps that the smallest of a power of two leads through the path in" range:"[1,65536]"`
	Ratio float64 `yaml:"ratio" doc:"part of the samples that learn steps; the others are flow matching" range:"(0,1]"`
	Limit float64 `yaml:"limit" doc:"largest absolute value of what the two halves are averaged to; 0: none (4 in the paper's code, for latents)" range:"[0,inf)"`
}

// SetDefaults takes the paper's choices.
func (o *ShortcutOptions) SetDefaults() { *o = ShortcutOptions{Steps: 128, Ratio: 0.125} }

// Validate checks the ranges.
func (o *ShortcutOptions) Validate() error {
	switch {
	case o.Steps < 1 || o.Steps&(o.Steps-1) != 0:
		return invalid.Field("steps", "must be a power of two, is %d", o.Steps)
	case !(o.Ratio > 0 && o.Ratio <= 1):
		return invalid.Field("ratio", "must be in (0, 1], is %g", o.Ratio)
	case !(o.Limit >= 0) || math.IsInf(o.Limit, 0):
		return invalid.Field("limit", "must not be negative, is %g", o.Limit)
	}
	return nil
}

// Bind takes the average as the model that makes the halves.
func (o *Shortcut) Bind(b diffusion.Bindings) error {
	o.average = stepModel(b.Average, o.Path)
	return nil
}

// streamSize is that of the sizes of steps; see diffusion.StreamNoise.
const streamSize uint32 = 0x91

// Draw gives the first samples a step of 2⁻ᵏ of the path, k uniform, from a multiple of it.
func (o *Shortcut) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Regression.Draw(k, b, d)
	couple(o.Coupling, k, d)
	d.Next = append(grow(d.Next, d.N)[:0], d.T...)
	sizes, end := 1+int(math.Round(math.Log2(float64(o.Steps)))), o.Path.End()
	for i := range int(math.Round(o.Ratio * float64(d.N))) {
		n := 1 << rng.Intn(k.WithStream(streamSize), uint64(i), 0, sizes) // steps of this size
		at := 1 + rng.Intn(k.WithStream(streamSize), uint64(i), 1, n)
		d.T[i], d.Next[i] = end*float64(at)/float64(n), end*float64(at-1)/float64(n)
	}
}

// Loss is a scalar: the mean squared error over elements.
func (o *Shortcut) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	f, now := stepModel(m, o.Path), momentOf(s, &o.Regression, d)
	target := now.velocity
	if n := jumping(d); n > 0 {
		s.NoGrad(func() { target = withHead(o.halves(s, now.head(n), d), target) })
	}
	field := f.Field(now.x, now.t, now.jump, now.cond)
	d.KeepSquares(field, target)
	return field.MSE(target)
}

// halves is the mean velocity of two half steps.
func (o *Shortcut) halves(s *tensor.Scope, now moment, d *diffusion.Draw) *tensor.Tensor {
	n, smallest := now.t.Dim(0), o.Path.End()/float64(o.Steps)
	half := now.jump.Scale(0.5)
	asked := s.TensorOf(func(i int) float64 { // 0 where the network knows no step so small
		if h := (d.T[i] - d.Next[i]) / 2; h > 0.75*smallest {
			return h
		}
		return 0
	}, n)
	first := o.average.Field(now.x, now.t, asked, now.cond)
	x := now.x.Sub(first.Mul(each(half, first)))
	mean := first.Axpby(0.5, o.average.Field(x, now.t.Sub(half), asked, now.cond), 0.5)
	if o.Limit > 0 {
		mean = mean.Clamp(-o.Limit, o.Limit)
	}
	return mean
}
