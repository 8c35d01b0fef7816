package train

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
)

// Asked is a model as a request steers it, for programs that ask it themselves.
type Asked struct {
	Device    backend.Device
	Model     diffusion.Model
	Condition func(s *tensor.Scope) diffusion.Cond // of the request's samples, made anew in a scope; nil: none

	prompts *encoded
}

// Close gives back what the prompts took.
func (a *Asked) Close() { a.prompts.close() }

// Ask prepares the model for the q.N samples of a request.
func (d *Drawer) Ask(q Request) (*Asked, error) {
	if q.Labels != nil && len(q.Labels) != q.N {
		return nil, fmt.Errorf("%d labels for %d samples", len(q.Labels), q.N)
	}
	dev, prompts, model, err := d.prepare(q)
	if err != nil {
		return nil, err
	}
	cond, err := d.condition(q, prompts, 0, q.N)
	if err != nil {
		prompts.close()
		return nil, err
	}
	return &Asked{Device: dev, Model: model, Condition: cond, prompts: prompts}, nil
}

// Predict is what the model says at time t of the states x (N,Shape…), which are the request's samples, as a prediction of kind, row-major.
//
// Errors: Draw's; a kind that does not follow from what the model predicts there: the score of a flow
// that starts from other data than noise, or ε where α=0.
func (d *Drawer) Predict(q Request, kind diffusion.Kind, x []float32, t float64) ([]float32, error) {
	if len(x) != q.N*volume(d.Shape) {
		return nil, fmt.Errorf("%d numbers are not %d samples of shape %v", len(x), q.N, d.Shape)
	}
	if kind != diffusion.Velocity && kind != diffusion.DataVelocity && d.noisy() != nil {
		return nil, fmt.Errorf("the %v does not follow from what the model predicts: it starts from other data than noise, or has noise of its own on the way", kind)
	}
	a, err := d.Ask(q)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	path := a.Model.Path()
	if p := path.At(t); !(t >= 0 && t <= path.End()) {
		return nil, fmt.Errorf("time %g is not on the path, which runs from 0 to %g", t, path.End())
	} else if _, ok := diffusion.TryConvert(a.Model.Kind(), kind, p); !ok {
		return nil, &diffusion.UndeterminedError{From: a.Model.Kind(), To: kind, At: p}
	}
	s := tensor.NewScope(a.Device, tensor.Inference)
	defer s.Close()
	var c diffusion.Cond
	if a.Condition != nil {
		c = a.Condition(s)
	}
	states := s.Tensor(x, append([]int{q.N}, d.Shape...)...)
	at := diffusion.Step{T: []float64{t}}
	return a.Model.Eval(states, at, c).As(kind, states, path, at).Float32s(), nil
}

// Noised are the states at time t of the data q.Init, of which there are q.N samples, with the noise or the source's samples that
// Draw starts from: what editing begins with.
func (d *Drawer) Noised(q Request, t float64) ([]float32, error) {
	if size := volume(d.Shape); len(q.Init) != q.N*size || q.N < 1 {
		return nil, fmt.Errorf("%d numbers to add noise to are not %d samples of shape %v", len(q.Init), q.N, d.Shape)
	}
	if err := d.checkStarts(q); err != nil {
		return nil, err
	}
	s := tensor.NewScope(d.Device, tensor.Inference)
	defer s.Close()
	x, err := d.start(s, q, t, 0, append([]int{q.N}, d.Shape...))
	if err != nil {
		return nil, err
	}
	return x.Float32s(), nil
}
