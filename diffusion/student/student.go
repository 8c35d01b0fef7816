// Package student holds objectives by which few-step students learn from trained
// models, and what such students are as models.
//
// A Teacher is any diffusion.Model along the student's path (see diffusion.Along), asked in inference
// mode: without gradients, without dropout. Each method is a diffusion.Objective over a
// Base, which has the student's path, its conditions and its Teacher; what the network's output
// means to samplers is the Model that it is trained as:
//
//   - Consistency: a network as a consistency Function, by distillation or by training alone;
//   - Progressive: steps of a grid that are learned from two or more of the teacher's each;
//   - Imitation: the teacher's own prediction, under guidance that the student then has in it.
package student

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Base is what objectives of students share.
type Base struct {
	diffusion.Regression // path, weighting, condition dropout

	// Told has the network told how strong guidance is to be, a number in [0,1] that is
	// drawn uniformly for each sample; see Guided.
	Told bool

	teacher Teacher
}

// Bind takes the teacher.
func (b *Base) Bind(with diffusion.Bindings) error {
	if with.Teacher != nil && !diffusion.SamePath(with.Teacher.Path(), b.Path) {
		return fmt.Errorf("the teacher is on another path than the student, %T and %T", with.Teacher.Path(), b.Path)
	}
	b.teacher = Teacher{with.Teacher}
	return nil
}

// streamScale is that of the strengths of guidance; see diffusion.StreamNoise.
const streamScale uint32 = 0xa0

// Draw is the regression's, with strengths of guidance.
func (b *Base) Draw(k rng.Key, batch *diffusion.Batch, d *diffusion.Draw) {
	b.Regression.Draw(k, batch, d)
	if b.Told {
		scale := d.HostScale()
		for i := range scale {
			scale[i] = float32(rng.Float64(k.WithStream(streamScale), uint64(i), 0))
		}
	}
}

// Learned is what the student learns from; its Model is nil where there is nothing.
func (b *Base) Learned() Teacher { return b.teacher }

// Teacher is a trained model that a student learns from.
type Teacher struct{ diffusion.Model }

// Ask runs f, which asks the teacher, in inference mode: without gradients and dropout. Dropout
// then goes on where it was.
func (t Teacher) Ask(s *tensor.Scope, f func()) {
	if t.Model == nil {
		panic("student: an objective that learns from a teacher was not given one: see Bind")
	}
	at := s.Dropout()
	s.NoDropout()
	s.NoGrad(f)
	s.SetDropoutState(at)
}

// Step leads x along the probability-flow ODE from each sample's time to its next by Euler's method in
// σ/α, which is a step of DDIM: α'·x̂0 + σ'·ε̂.
func (t Teacher) Step(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	pred := t.Eval(x, diffusion.Step{T: at.T}, c)
	mix := func(now, next diffusion.Point) diffusion.Mix {
		m, e := diffusion.Convert(pred.Kind, diffusion.X0, now), diffusion.Convert(pred.Kind, diffusion.Eps, now)
		return diffusion.Mix{OnX: next.Alpha*m.OnX + next.Sigma*e.OnX, OnValue: next.Alpha*m.OnValue + next.Sigma*e.OnValue}
	}
	return diffusion.Combine(x, pred.Value, t.Path(), at,
		func(now, next diffusion.Point) float64 { return mix(now, next).OnX },
		func(now, next diffusion.Point) float64 { return mix(now, next).OnValue })
}

// heunStep is a step of Heun's method in σ/α; neither time may be one without noise or without signal.
func (t Teacher) heunStep(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	now, next := diffusion.Step{T: at.T}, diffusion.Step{T: at.Next}
	d := t.Eval(x, now, c).As(diffusion.Eps, x, t.Path(), now)
	end := slide(x, d, t.Path(), at)
	d = d.Axpby(0.5, t.Eval(end, next, c).As(diffusion.Eps, end, t.Path(), next), 0.5)
	return slide(x, d, t.Path(), at)
}

// slide is x/α + d·Δ(σ/α), times the next α.
func slide(x, d *tensor.Tensor, path diffusion.GaussianPath, at diffusion.Step) *tensor.Tensor {
	return diffusion.Combine(x, d, path, at,
		func(now, next diffusion.Point) float64 { return next.Alpha / now.Alpha },
		func(now, next diffusion.Point) float64 { return next.Sigma - next.Alpha*now.NoiseLevel() })
}

// weighted is the weighted mean squared error of a prediction.
func (b *Base) weighted(p diffusion.Pred, target *tensor.Tensor, at diffusion.Step) *tensor.Tensor {
	if b.Weighting == nil {
		return p.Value.MSE(target)
	}
	return p.Value.WeightedMSE(target, diffusion.PerSample(target, b.Path, diffusion.Step{T: at.T}, func(now, _ diffusion.Point) float64 {
		return diffusion.EffectiveWeight(b.Weighting, p.Kind, now)
	}))
}

// each gives numbers of samples (N), or one, the rank of x, to broadcast.
func each(v, x *tensor.Tensor) *tensor.Tensor {
	var shape [tensor.MaxRank]int
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = v.Dim(0)
	return v.Reshape(shape[:x.Rank()]...)
}
