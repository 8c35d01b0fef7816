package diffusion

import (
	"slices"

	"github.com/langevin-go/langevin/tensor"
)

// Learner is an objective with parameters of its own, which are trained together
// with the network's and saved beside them, but are no part of what is sampled from.
type Learner interface {
	Objective
	// Params are named, and the same ones at every call.
	Params() []*tensor.Param
}

// Paced is a Learner whose own parameters change at a rate of their own. Steps in which they, or the network's, are not to change at all are
// those whose loss does not depend on them.
type Paced interface {
	Learner
	// Rate is the factor on the learning rate.
	Rate() float64
}

// Adaptive is a distribution of times that follows from past losses.
type Adaptive interface {
	TimeSampler
	// Importance is the factor on the loss at a time that keeps its expectation over
	// uniform times.
	Importance(p GaussianPath, t float64) float64
	// Observe takes in losses at times t.
	Observe(p GaussianPath, t []float64, losses []float32)
}

// Observer is an objective that learns from how training goes, on the host: its draws
// depend on what it has observed.
type Observer interface {
	Objective
	// Observes reports whether it does, with the settings that it has.
	Observes() bool
	// Observe hears that a step with d has been made, and what each sample's loss was, as
	// Loss has left it in d and its parts.
	Observe(d *Draw, losses []float32)
	// MarshalState is all that it has learned, as JSON; UnmarshalState brings it back.
	MarshalState() ([]byte, error)
	UnmarshalState(b []byte) error
}

var keepLosses = tensor.NewUpdate("keep losses", 1, 1, 0, func(_, in, _ []tensor.Expr) []tensor.Expr { return in })

// Keep puts each sample's loss (N) where Losses finds it after the step, if the draw wants that or its objective is
// an Observer. Training is the same bits with and without.
func (d *Draw) Keep(losses *tensor.Tensor) {
	if d.losses == nil || d.losses.Elems() != d.N {
		if d.losses != nil {
			(*tensor.Kept)(d.losses).Drop()
		}
		s := losses.Scope()
		d.losses = tensor.NewParam(s.Device(), losses.DType(), d.N)
	}
	d.kept = true
	state := [1]*tensor.Param{d.losses}
	losses.Scope().NoGrad(func() { keepLosses.Apply(losses.Scope(), nil, state[:], losses.Detach()) })
}

// KeepSquares is Keep of each sample's mean squared error, of predictions and targets (N,…), where the draw wants it:
// for losses that are computed in one go.
func (d *Draw) KeepSquares(value, target *tensor.Tensor) {
	if d.Wants {
		value.Scope().NoGrad(func() { d.Keep(perSample(value.Sub(target).Square())) })
	}
}

// Losses is each sample's loss in the last step, (N), where it was kept.
func (d *Draw) Losses() []float32 { return d.AppendLosses(nil) }

// AppendLosses appends each sample's loss in the last step, (N), to dst; nothing, where the objective has kept none. It
// waits for the device.
func (d *Draw) AppendLosses(dst []float32) []float32 {
	if !d.kept {
		return dst
	}
	if d.losses.DType() != tensor.Float32 {
		return append(dst, d.losses.Float32s()...)
	}
	n := len(dst)
	dst = slices.Grow(dst, d.N)[:n+d.N]
	d.losses.CopyTo(dst[n:])
	return dst
}

// Bindings are models that an objective may ask besides the one in training.
type Bindings struct {
	Average Model           // with the moving average of the weights; where there is none, the model in training
	Weights []*tensor.Param // of the model in training, as it begins
	Teacher Model           // that the experiment names for the objective; nil: it names none

	// Target is the model with a moving average of the weights of its own, which keeps so much at
	// each step: it is part of checkpoints, and not what is sampled from.
	Target func(decay float64) (Model, error)
}

// Bound is an objective that asks other models than the one in training.
type Bound interface {
	Objective
	// Bind is called once, before the first Draw.
	Bind(b Bindings) error
}
