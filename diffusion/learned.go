package diffusion

import "github.com/langevin-go/langevin/tensor"

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

// keep puts each sample's loss (N) where Losses finds it after the step.
func (d *Draw) keep(losses *tensor.Tensor) {
	if d.losses == nil || d.losses.Elems() != d.N {
		if d.losses != nil {
			(*tensor.Kept)(d.losses).Drop()
		}
		s := losses.Scope()
		d.losses = tensor.NewParam(s.Device(), losses.DType(), d.N)
	}
	state := [1]*tensor.Param{d.losses}
	losses.Scope().NoGrad(func() { keepLosses.Apply(losses.Scope(), nil, state[:], losses.Detach()) })
}

// Losses is each sample's loss in the last step, (N), where the objective is an Observer.
func (d *Draw) Losses() []float32 { return d.losses.Float32s() }

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
