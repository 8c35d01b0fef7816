// Package diffusion holds the algebra that diffusion and flow models share:
// Gaussian paths x_t = α(t)·x0 + σ(t)·ε from data to noise, what networks
// predict along them and how each prediction follows from any other, training
// objectives, and models whose every prediction is known in closed form.
//
// Time runs one way: 0 is data and the path's End is noise. Schedule
// coefficients are float64 on the host. Other conventions are converted where
// they come in: at the config, and at the network's time input, which belongs
// to the Model. docs/conventions.md maps the letters of the papers to these.
package diffusion

import "github.com/langevin-go/langevin/tensor"

// Cond is what a network is conditioned on besides time. The zero value is no
// condition. It converts to and from nn.Cond.
type Cond struct {
	Labels *tensor.Tensor // (N) int32, 0…classes−1; the number of classes is the null class; nil: none
	Vector *tensor.Tensor // (N,D); nil: none
	Drop   *tensor.Tensor // (N), 1 where the sample's vector condition is dropped; nil: nowhere
	Jump   *tensor.Tensor // (N) or (1), how far a step made in one leads, in the network's own time; nil: nowhere
	Scale  *tensor.Tensor // (N) or (1), the scale of guidance that an answer is to be under, as a number in [0,1]; nil: 0

	// Prompts: as token ids, which the network encodes, or encoded. No prompt is the empty prompt.
	Tokens   *tensor.Tensor // (N,L) int32
	TextMask *tensor.Tensor // (N,L), 0 where a token is padding; nil: nowhere
	Text     *tensor.Tensor // (N,L,C)
	Pooled   *tensor.Tensor // (N,C), a vector for each whole prompt
}

// Network is what a neural network computes: x (N,…,C), channels last; t (N), or
// (1) where all samples share it, the network's own time input; the result has
// x's shape, or 2C channels with a learned variance.
type Network func(x, t *tensor.Tensor, c Cond) *tensor.Tensor

// Step is where on its path a model is asked, and for samplers where they go next.
type Step struct {
	T     []float64 // path time of each sample, or one for all
	Next  []float64 // where the step leads, likewise; nil: not asked within a step
	Jump  bool      // a prediction for the whole step is wanted, such as its mean velocity: models that know none predict for T
	Index int       // which step of a sampling run, from 0
	Count int       // of how many; 0: not a sampling run
}

// At is the time of sample i.
func (s Step) At(i int) float64 {
	if len(s.T) == 1 {
		return s.T[0]
	}
	return s.T[i]
}

// To is where sample i goes next.
func (s Step) To(i int) float64 {
	if len(s.Next) == 1 {
		return s.Next[0]
	}
	return s.Next[i]
}

// Pred is what a model says of x_t.
type Pred struct {
	Value  *tensor.Tensor // x's shape
	LogVar *tensor.Tensor // log-variance of the reverse step to Step.Next, x's shape; nil: not learned
	Latent *tensor.Tensor // an interpolant's own noise, E[z|x_t], x's shape; nil: not learned
	Kind   Kind           // what Value is
}

// Model predicts along a Gaussian path.
type Model interface {
	// Eval predicts for noisy samples x (N,…) in x's scope.
	Eval(x *tensor.Tensor, at Step, c Cond) Pred
	// Path is the path that the model knows.
	Path() GaussianPath
	// Kind is what Eval's predictions are.
	Kind() Kind
}

// Stateful is a Model that remembers something along a trajectory, such as
// guidance with momentum.
type Stateful interface {
	Model
	// Begin is the model for the trajectories of a batch, one after another: what makes it
	// forget the one before, and what gives its memory back after the last.
	Begin() (m Model, restart, end func())
}

// Begin is m for one trajectory after another: with a memory of its own if it is Stateful, else m itself.
func Begin(m Model) (of Model, restart, end func()) {
	if s, ok := m.(Stateful); ok {
		return s.Begin()
	}
	return m, func() {}, func() {}
}
