package train

import (
	"context"
	"errors"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// rehearse draws one sample with a stand-in for the network: a sampler, a time
// grid or guidance that does not go with the path or the prediction then shows
// before training, not with the first picture.
func (t *Trainer) rehearse(ctx context.Context) error {
	if t.exp.Sample.Every == 0 {
		return nil
	}
	d := t.Drawer()
	d.Model = &standIn{Model: d.Model}
	q := Request{N: 1}
	if d.Classes > 0 {
		q.Labels = make([]int32, 1)
	}
	_, err := d.Draw(ctx, q)
	if errors.Is(err, context.Canceled) {
		return err
	}
	return t.exp.at("sample", err)
}

// standIn answers 0 at once, in the form in which the model answered its first question.
type standIn struct {
	diffusion.Model
	asked, logVar bool
}

// Eval is 0.
func (m *standIn) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	if !m.asked {
		m.asked, m.logVar = true, m.Model.Eval(x, at, c).LogVar != nil
	}
	p := diffusion.Pred{Value: x.Scope().Zeros(x.Shape()...), Kind: m.Kind()}
	if m.logVar {
		p.LogVar = p.Value
	}
	return p
}
