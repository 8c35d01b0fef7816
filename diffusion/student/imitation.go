package student

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Imitation has the student predict what the teacher does, at all times of the path: the first
// stage of guided distillation (Meng et al. 2023, eq. 5) where the teacher is Guided.
type Imitation struct{ Base }

// Loss is the weighted mean squared error of the student's prediction.
func (o *Imitation) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	at := diffusion.Step{T: d.T}
	c := d.Cond(s)
	x := diffusion.Noised(d.Data(s), d.Eps(s), o.Path, at)
	var target *tensor.Tensor
	o.teacher.Ask(s, func() { target = o.teacher.Eval(x, at, c).As(m.Kind(), x, o.Path, at) })
	return o.weighted(m.Eval(x, at, c), target, at)
}
