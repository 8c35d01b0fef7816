package flow

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// MeanFlow trains a model of whole steps, from scratch or from a teacher (Geng et al. 2025, "Mean flows for one-step
// generative modeling"). The mean velocity u over the time from t to r=t−j satisfies
// u = v − (t−r)·du/dt (their eq. 6), v being the velocity of the sample at hand, or the teacher's there, the derivative taken along the way, which one JVP of the network along
// (v,1,1) in (x,t,j) gives. The right side is the target, of which no gradient is taken; the
// loss is ‖u−target‖²/(‖u−target‖²+c)^p, the denominator without a gradient, too.
//
// Its model must be a StepModel of velocities. Networks with dropout have it drawn anew for
// the derivative.
type MeanFlow struct {
	student.Base // path, times (of both ends), condition dropout, a teacher or none; the weighting is the loss's own
	MeanFlowOptions
	Coupling Coupling // of data and noise; nil: independent
	Null     int      // the label of no class, for guidance without a teacher, which has its own
}

// MeanFlowOptions are its settings.
type MeanFlowOptions struct {
	MeanFlowLoss     `yaml:",inline"`
	MeanFlowGuidance `yaml:",inline"`
}

// MeanFlowLoss are the settings of the loss.
type MeanFlowLoss struct {
	Ratio    float64 `yaml:"ratio" doc:"part of the samples that have a step to make; the others are flow matching" range:"(0,1]"`
	Power    float64 `yaml:"power" doc:"p of the loss e/(e+c)^p of a squared error e: 0 is e itself, 1 gives all samples gradients of one size" range:"[0,2]"`
	Offset   float64 `yaml:"offset" doc:"c of the loss e/(e+c)^p" range:"(0,inf)"`
	Improved bool    `yaml:"improved" doc:"take the derivative along the network's own velocity instead of that of the sample at hand, which varies more (Geng et al. 2025b)"`
}

// MeanFlowGuidance is the guidance that the network learns to have without a teacher.
type MeanFlowGuidance struct {
	Guidance float64 `yaml:"guidance" doc:"w of the velocity that the network learns to have, w·v + k·u(c) + (1−w−k)·u(null): guidance of scale w/(1−k) in one evaluation; 1: none" range:"[0,inf)"`
	Mix      float64 `yaml:"guidance_mix" doc:"k of that: the part of the network's own conditional velocity" range:"[0,1)"`
	From     float64 `yaml:"guidance_from" doc:"smallest time with guidance, as a fraction of the path (0 is data)" range:"[0,1)"`
	To       float64 `yaml:"guidance_to" doc:"largest time with guidance, as a fraction of the path (1 is noise)" range:"(0,1]"`
}

// SetDefaults takes the paper's choices, without guidance.
func (o *MeanFlowOptions) SetDefaults() {
	o.MeanFlowLoss.SetDefaults()
	o.MeanFlowGuidance.SetDefaults()
}

// Validate checks the ranges.
func (o *MeanFlowOptions) Validate() error {
	if err := o.MeanFlowLoss.Validate(); err != nil {
		return err
	}
	return o.MeanFlowGuidance.Validate()
}

// SetDefaults takes the paper's choices.
func (o *MeanFlowLoss) SetDefaults() { *o = MeanFlowLoss{Ratio: 0.25, Power: 1, Offset: 0.01} }

// Validate checks the ranges.
func (o *MeanFlowLoss) Validate() error {
	switch {
	case !(o.Ratio > 0 && o.Ratio <= 1):
		return invalid.Field("ratio", "must be in (0, 1], is %g", o.Ratio)
	case !(o.Power >= 0 && o.Power <= 2):
		return invalid.Field("power", "must be in [0, 2], is %g", o.Power)
	case !(o.Offset > 0):
		return invalid.Field("offset", "must be positive, is %g", o.Offset)
	}
	return nil
}

// SetDefaults is none.
func (o *MeanFlowGuidance) SetDefaults() { *o = MeanFlowGuidance{Guidance: 1, To: 1} }

// Validate checks the ranges.
func (o *MeanFlowGuidance) Validate() error {
	switch {
	case !(o.Guidance >= 0) || math.IsInf(o.Guidance, 0):
		return invalid.Field("guidance", "must not be negative, is %g", o.Guidance)
	case !(o.Mix >= 0 && o.Mix < 1):
		return invalid.Field("guidance_mix", "must be in [0, 1), is %g", o.Mix)
	case o.Guidance == 1 && o.Mix != 0:
		return invalid.Field("guidance_mix", "means nothing without guidance, which is 1")
	case !(o.To > o.From):
		return invalid.Field("guidance_to", "must be above guidance_from=%g, is %g", o.From, o.To)
	}
	return nil
}

// Draw chooses both ends of each sample's step: the larger of two times and the smaller, or,
// where there is none to make, the larger twice.
func (o *MeanFlow) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Base.Draw(k, b, d)
	couple(o.Coupling, k, d)
	drawEnds(&o.Regression, k, d)
	stay(d, o.Ratio)
}

// Loss is a scalar.
func (o *MeanFlow) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	f, now := stepModel(m, o.Path), o.moment(s, d)
	var target *tensor.Tensor
	s.NoGrad(func() { target = o.target(s, f, now, d) })
	u := f.Field(now.x, now.t, now.jump, now.cond)
	errs := perSample(u.Sub(target).Square())
	if d.Wants {
		d.Keep(errs)
	}
	return o.loss(errs)
}

// moment is a draw with the velocity that the network is to have where it makes no step: the teacher's, or the sample's.
func (o *MeanFlow) moment(s *tensor.Scope, d *diffusion.Draw) moment {
	now := momentOf(s, &o.Regression, d)
	if of := o.Learned(); of.Model != nil {
		at := diffusion.Step{T: d.T}
		of.Ask(s, func() { now.velocity = of.Eval(now.x, at, now.cond).As(diffusion.Velocity, now.x, o.Path, at) })
	}
	return now
}

// target is v − j·du/dt.
func (o *MeanFlow) target(s *tensor.Scope, f StepModel, now moment, d *diffusion.Draw) *tensor.Tensor {
	v := o.guided(s, f, now, d)
	n := jumping(d)
	if n == 0 {
		return v
	}
	now.velocity = v
	h := now.head(n)
	along := h.velocity
	if o.Improved {
		along = f.Field(h.x, h.t, s.Zeros(n), h.cond)
	}
	one := s.Ones(n)
	_, du := s.JVP(func(in []*tensor.Tensor) *tensor.Tensor {
		return f.Field(in[0], in[1], in[2], h.cond)
	}, []*tensor.Tensor{h.x, h.t, h.jump}, []*tensor.Tensor{along, one, one})
	return withHead(h.velocity.Sub(du.Mul(each(h.jump, du))), v)
}

// guided is the velocity that the network is to have: that of the sample, moved away from
// what the network says without a condition. Samples whose condition was dropped have their own.
func (o *MeanFlow) guided(s *tensor.Scope, f StepModel, now moment, d *diffusion.Draw) *tensor.Tensor {
	if o.Guidance == 1 {
		return now.velocity
	}
	still := s.Zeros(d.N)
	null := guidance.Null(s, now.cond, o.Null, d.N)
	other := f.Field(now.x, now.t, still, null).Scale(1 - o.Guidance - o.Mix)
	if o.Mix != 0 {
		other = other.Add(f.Field(now.x, now.t, still, now.cond).Scale(o.Mix))
	}
	here := s.TensorOf(func(i int) float64 {
		t := d.T[i] / o.Path.End()
		dropped := d.Labels != nil && int(d.Labels[i]) == o.Null || d.Drop != nil && d.Drop[i] != 0
		if dropped || t < o.From || t > o.To {
			return 0
		}
		return 1
	}, d.N)
	return each(here, now.x).Where(now.velocity.Scale(o.Guidance).Add(other), now.velocity)
}

var adaptive = tensor.NewPointwise("adaptive loss", 2, 2, func(in, sc []tensor.Expr) tensor.Expr {
	e, given, p, c := in[0], in[1], sc[0], sc[1]
	return e.Mul(given.Add(c).Log().Mul(p).Neg().Exp())
})

// loss is the mean of e/(e+c)^p.
func (o *MeanFlow) loss(e *tensor.Tensor) *tensor.Tensor {
	if o.Power == 0 {
		return e.Mean()
	}
	return adaptive.Apply([]float64{o.Power, o.Offset}, e, e.Detach()).Mean()
}
