package train

import (
	"context"
	"errors"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
)

// tryNetwork gives the network one sample: whether it takes the data's shape and
// answers in the objective's shows only then.
func (t *Trainer) tryNetwork() (err error) {
	sample := t.data.Train.Shape()
	shape := append([]int{1}, t.job.inShape(sample)...)
	want := append([]int{1}, sample...)
	want[len(want)-1] = t.job.outChannels(sample)
	s := tensor.NewScope(t.dev, tensor.Inference)
	defer s.Close()
	defer func() {
		if p := recover(); p != nil {
			why, ok := p.(error)
			var wrong *tensor.ShapeError
			var usage *tensor.UsageError
			if !ok || !errors.As(why, &wrong) && !errors.As(why, &usage) {
				panic(p)
			}
			err = t.exp.places.Errorf("model", "does not take samples of shape %v: %v", shape[1:], why)
		}
	}()
	var c nn.Cond
	if null := t.prompts.null(); null != nil {
		c.Tokens, c.TextMask = s.Ints(null.Tokens, 1, len(null.Tokens)), s.Tensor(null.Mask, 1, len(null.Mask))
	}
	if t.classes() > 0 {
		c.Labels = s.Ints([]int32{0}, 1)
	}
	if size := t.about().Vector; size > 0 {
		c.Vector = s.Zeros(1, size)
	}
	if got := t.net.Forward(s.Zeros(shape...), s.Zeros(1), c).Shape(); !slices.Equal(got, want) {
		return t.exp.places.Errorf("model", "makes outputs of shape %v for samples of shape %v: want %v", got[1:], shape[1:], want[1:])
	}
	return nil
}

// rehearse draws one sample with a stand-in for the network: a sampler, a time
// grid or guidance that does not go with the path or the prediction then shows
// before training, not with the first picture.
func (t *Trainer) rehearse(ctx context.Context) error {
	if t.exp.Sample.Every == 0 {
		return nil
	}
	d := t.Drawer()
	if t.exp.Sample.Peek && (d.view() == unseen || confined(d.Model) != nil) {
		return t.exp.places.Errorf("sample.peek", "shows estimates of the data, of which samples of shape %v by this model make no picture: set it to false", d.Shape)
	}
	d.Model = &standIn{Model: d.Model}
	_, err := d.Draw(ctx, d.trialRequest())
	if errors.Is(err, context.Canceled) {
		return err
	}
	return t.exp.at("sample", err)
}

// standIn answers 0 at once, in the form in which the model answered its first question.
type standIn struct {
	diffusion.Model
	shape  []int // of an answer; nil: nothing was asked yet
	logVar bool
}

// Eval is 0.
func (m *standIn) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	if m.shape == nil {
		p := m.Model.Eval(x, at, c)
		m.shape, m.logVar = slices.Clone(p.Value.Shape()), p.LogVar != nil
	}
	m.shape[0] = x.Dim(0)
	p := diffusion.Pred{Value: x.Scope().Zeros(m.shape...), Kind: m.Kind()}
	if m.logVar {
		p.LogVar = p.Value
	}
	return p
}
