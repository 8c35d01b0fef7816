package student

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Matching trains a generator of one step or few whose samples are to have the teacher's distribution, wherever each of them comes
// from: distribution matching distillation (DMD2: Yin et al. 2024, "Improved distribution matching distillation"; eq. 1 and sec. 4). At
// a random time its samples x are noised, and moved along the difference of two scores, the teacher's and that of a second
// network, the critic, which learns to denoise what the generator makes at present (their fake score):
//
//	½·mean ‖x − (x − g)‖², (x−g) without a gradient, g = (μ_critic − μ_teacher)/mean|x − μ_teacher|,
//
// μ being estimates of the data. The critic makes a step each time, the generator every Every-th time: two time scales, without
// which the critic lags behind. In steps that are not its own the loss does not depend on the generator.
//
// Of several steps each sample's is drawn, and what it begins from is what the generator itself makes in the steps before (backward
// simulation, sec. 4.5): its estimate of the data, noised anew. The regression of the first DMD is not used.
//
// With Adversarial, a judge of noised samples on the critic's features learns to tell them from noised data, at the critic's times,
// and the generator to pass for data (sec. 4.3):
//
//	critic: … + w·mean[softplus(D(made)) + softplus(−D(data))],  generator: … + Adversarial·mean softplus(−D(made)).
//
// It is the only term that data have a part in.
//
// Without a critic, its estimate is x itself, its error the noise at hand: score distillation (SDS: Poole et al. 2023), which leads to the
// modes of the teacher's distribution and not to the distribution.
type Matching struct {
	Base            // times: of the noise on samples
	Steps []float64 // times at which the generator is asked, falling from the path's end
	Every int       // steps of training for one of the generator's
	Pace  float64   // factor on the learning rate of the critic
	// Twin makes the critic: a network like the generator's, and its parameters. nil: there is none.
	Twin func() (diffusion.Model, []*tensor.Param)

	Adversarial float64 // of the generator's loss; 0: no judge
	JudgeWeight float64 // w, of the judge's loss beside the critic's
	// Judge makes the judge on the critic, and the parameters that it has besides.
	Judge func() (Judge, []*tensor.Param)

	judge   Judge // nil: none
	critic  Teacher
	learned []*tensor.Param
	asked   []float64
	drawn   func(s *tensor.Scope, d *diffusion.Draw, which uint32) *tensor.Tensor // normal noise; tests put theirs in its place
}

// Streams of the noise on samples, and of that between steps; see diffusion.StreamNoise.
const (
	streamTurn   uint32 = 0xa2 // which step
	streamOn     uint32 = 0xa3 // on samples, for the generator
	streamCritic uint32 = 0xa4 // on samples, for the critic
	streamTimes  uint32 = 0xa5 // of the critic's times
	streamMade   uint32 = 0xa6 // on samples, for the judge
	streamData   uint32 = 0xa7 // on data, for the judge
	streamFool   uint32 = 0xa8 // on samples, for the generator to be judged
	streamAnew   uint32 = 0xb0 // between steps, one each
)

// Params are the critic's, and the judge's.
func (o *Matching) Params() []*tensor.Param {
	if o.Twin != nil && o.learned == nil {
		o.critic.Model, o.learned = o.Twin()
		if o.Adversarial > 0 {
			j, own := o.Judge()
			o.judge, o.learned = j, append(o.learned, own...)
		}
	}
	return o.learned
}

// Rate is the critic's factor on the learning rate.
func (o *Matching) Rate() float64 { return o.Pace }

// Bind takes the teacher; the critic begins as the generator.
func (o *Matching) Bind(with diffusion.Bindings) error {
	if own := o.Params(); own != nil {
		if err := begin(own, with.Weights); err != nil {
			return err
		}
	}
	return o.Base.Bind(with)
}

// Draw chooses each sample's step of the generator, two times of noise on what it makes, and whether it is the generator's turn.
func (o *Matching) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Base.Draw(k, b, d)
	d.Next = append(d.Next[:0], d.T...)
	o.DrawTimes(d.Next, k.WithStream(streamTimes))
	turn := float32(0)
	if o.Twin == nil || k.Step%uint64(o.Every) == 0 {
		turn = 1
	}
	extra := d.HostExtra(2)
	for i := range d.N {
		extra[2*i], extra[2*i+1] = float32(rng.Intn(k.WithStream(streamTurn), uint64(i), 0, len(o.Steps))), turn
	}
}

// Loss is a scalar: the critic's loss and, when it is its turn, the generator's.
func (o *Matching) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	c := d.Cond(s)
	turn := d.N > 0 && d.Extra[1] != 0
	state := o.begun(s, m, d, c)
	var x *tensor.Tensor
	make := func() {
		x = m.Eval(state, diffusion.Step{T: o.asked}, c).As(diffusion.X0, state, o.Path, diffusion.Step{T: o.asked})
	}
	if turn {
		make()
	} else {
		Teacher{m}.Ask(s, make)
	}
	if o.Twin == nil {
		return o.matched(s, x, d, c)
	}
	loss := o.criticism(s, x.Detach(), d, c)
	if o.judge != nil {
		loss = loss.Add(o.judged(s, x.Detach(), d, c).Scale(o.JudgeWeight))
	}
	if turn {
		loss = loss.Add(o.matched(s, x, d, c))
		if o.judge != nil {
			loss = loss.Add(o.fooled(s, x, d, c).Scale(o.Adversarial))
		}
	}
	return loss
}

// begun is what each sample's step of the generator begins from, whose time it leaves in asked: noise, or what the steps
// before it make.
func (o *Matching) begun(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw, c diffusion.Cond) *tensor.Tensor {
	x := d.Eps(s)
	if std := diffusion.PriorStd(o.Path.At(o.Steps[0])); std != 1 {
		x = x.Scale(std)
	}
	last := 0
	for i := range d.N {
		last = max(last, int(d.Extra[2*i]))
	}
	at := func(k int) []float64 { // of step k, or of a sample's own, if that is before
		o.asked = o.asked[:0]
		for i := range d.N {
			o.asked = append(o.asked, o.Steps[min(k, int(d.Extra[2*i]))])
		}
		return o.asked
	}
	Teacher{m}.Ask(s, func() {
		for k := range last {
			now := diffusion.Step{T: at(k)}
			data := m.Eval(x, now, c).As(diffusion.X0, x, o.Path, now)
			next := diffusion.Noised(data, o.noise(s, d, streamAnew+uint32(k)), o.Path, diffusion.Step{T: at(k + 1)})
			goes := s.TensorOf(func(i int) float64 {
				if int(d.Extra[2*i]) > k {
					return 1
				}
				return 0
			}, d.N)
			x = each(goes, x).Where(next, x)
		}
	})
	at(last)
	return x
}

// noise is normal noise of a stream.
func (o *Matching) noise(s *tensor.Scope, d *diffusion.Draw, which uint32) *tensor.Tensor {
	if o.drawn != nil {
		return o.drawn(s, d, which)
	}
	return s.Normal(d.NoiseKey.WithStream(which), d.First, d.Eps(s).Shape()...)
}

// matched is half the mean square of x less where the scores' difference moves it.
func (o *Matching) matched(s *tensor.Scope, x *tensor.Tensor, d *diffusion.Draw, c diffusion.Cond) *tensor.Tensor {
	at := diffusion.Step{T: d.T}
	var there *tensor.Tensor
	o.teacher.Ask(s, func() {
		from := x.Detach()
		noisy := diffusion.Noised(from, o.noise(s, d, streamOn), o.Path, at)
		estimate := func(m diffusion.Model) *tensor.Tensor {
			return m.Eval(noisy, at, c).As(diffusion.X0, noisy, o.Path, at)
		}
		real, fake := estimate(o.teacher), from
		if o.critic.Model != nil {
			fake = estimate(o.critic)
		}
		size := from.Sub(real).Abs().Reshape(d.N, -1).Mean(1)
		there = from.Sub(fake.Sub(real).Div(each(size.AddScalar(smallest), from)))
	})
	return x.Sub(there).Square().Mean().Scale(0.5)
}

// smallest keeps a quotient finite where the teacher moves nothing.
const smallest = 1e-12

// criticism is the critic's error in what it predicts, of samples as they are.
func (o *Matching) criticism(s *tensor.Scope, x *tensor.Tensor, d *diffusion.Draw, c diffusion.Cond) *tensor.Tensor {
	at := diffusion.Step{T: d.Next}
	eps := o.noise(s, d, streamCritic)
	p := o.critic.Eval(diffusion.Noised(x, eps, o.Path, at), at, c)
	return o.weighted(p, diffusion.Target(p.Kind, x, eps, o.Path, at), at)
}

// judged is the judge's loss, of samples as they are and data, both noised at the critic's times.
func (o *Matching) judged(s *tensor.Scope, x *tensor.Tensor, d *diffusion.Draw, c diffusion.Cond) *tensor.Tensor {
	at := diffusion.Step{T: d.Next}
	made := diffusion.Noised(x, o.noise(s, d, streamMade), o.Path, at)
	data := diffusion.Noised(d.Data(s), o.noise(s, d, streamData), o.Path, at)
	return telling(o.judge, data, made, at, c)
}

// fooled is the generator's loss by the judge, which it does not train, of samples noised at the times of the scores.
func (o *Matching) fooled(s *tensor.Scope, x *tensor.Tensor, d *diffusion.Draw, c diffusion.Cond) *tensor.Tensor {
	at := diffusion.Step{T: d.T}
	value, grad := alone(s, x, func(x *tensor.Tensor) *tensor.Tensor {
		return fooling(o.judge, diffusion.Noised(x, o.noise(s, d, streamFool), o.Path, at), at, c)
	})
	return sloped(value, x, grad)
}
