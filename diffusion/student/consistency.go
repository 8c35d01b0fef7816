package student

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Consistency trains a Function to give the same answer at two points of one trajectory of the
// probability-flow ODE (Song et al. 2023):
//
//	w·d(f(x_t, t), f⁻(x_r, r)),
//
// f⁻ without a gradient, with the same dropped units. In distillation x_r is where the teacher's ODE
// leads from x_t in a step; in training alone (of which iCT and ECT are curricula) x_r has the data and
// the noise of x_t. Where r's noise level is SigmaMin or lower f⁻ is x_r/α, which at r=0 is the data.
type Consistency struct {
	Base
	Bounds
	Curriculum Curriculum
	Steps      int64   // of training, on which curricula depend
	SigmaData  float64 // of the Function
	Huber      float64 // c/√D of pseudo-Huber losses √(‖e‖²+c²)−c of whole samples; 0: mean squares
	Each       bool    // pseudo-Huber losses are of numbers, and c is Huber
	Weigh      Weigh
	Distill    bool    // by the teacher
	Heun       bool    // in steps of Heun's method; else Euler's
	Decay      float64 // of the moving average that f⁻ has; 0: f's own weights

	target diffusion.Model // nil: the model in training
	asked  []float64       // times of f⁻
}

// Weigh is how much a comparison counts.
type Weigh string

const (
	WeighEven Weigh = "even" // 1
	WeighStep Weigh = "step" // 1/(n_t − n_r)
	WeighEDM  Weigh = "edm"  // (n_t²+s²)/(n_t·s)²
)

// Bind takes the teacher, and asks for the average.
func (o *Consistency) Bind(with diffusion.Bindings) (err error) {
	if o.Decay > 0 {
		if o.target, err = with.Target(o.Decay); err != nil {
			return err
		}
	}
	return o.Base.Bind(with)
}

// Draw chooses both times of each sample.
func (o *Consistency) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Base.Draw(k, b, d)
	d.Next = append(d.Next[:0], d.T...)
	step := o.Steps - 1 // held-out data, too, are numbered from behind
	if k.Step < uint64(step) {
		step = int64(k.Step)
	}
	o.Curriculum.Levels(k.WithStream(diffusion.StreamTime), o.Bounds, step, o.Steps, d.T, d.Next)
	for i := range d.T {
		d.T[i], d.Next[i] = o.timeOf(d.T[i]), o.timeOf(d.Next[i])
	}
}

// timeOf is the time of a noise level.
func (b *Base) timeOf(level float64) float64 {
	if level <= 0 {
		return 0
	}
	return b.Path.Time(-math.Log(level))
}

// Loss is a scalar.
func (o *Consistency) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if _, ok := m.(interface{ answers() }); !ok {
		panic(fmt.Sprintf("student: a consistency objective trains a %T, want a *Function or *LatentFunction", m))
	}
	at := diffusion.Step{T: d.T}
	data, eps, c := d.Data(s), d.Eps(s), d.Cond(s)
	x := diffusion.Noised(data, eps, o.Path, at)
	below := diffusion.Noised(data, eps, o.Path, diffusion.Step{T: d.Next})
	if o.Distill {
		o.teacher.Ask(s, func() { below = o.led(x, diffusion.Step{T: d.T, Next: d.Next}, c) })
	}
	masks := s.Dropout()
	var target *tensor.Tensor
	s.NoGrad(func() { target = o.answer(m, below, d.Next, c) })
	s.SetDropoutState(masks)
	return o.compare(m.Eval(x, at, c).Value, target, d)
}

// led is where the teacher's ODE leads.
func (o *Consistency) led(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	if o.Heun {
		return o.teacher.heunStep(x, at, c)
	}
	return o.teacher.Step(x, at, c)
}

// answer is f⁻ of x at times, x/α where the noise level is SigmaMin or lower.
func (o *Consistency) answer(m diffusion.Model, x *tensor.Tensor, times []float64, c diffusion.Cond) *tensor.Tensor {
	if o.target != nil {
		m = o.target
	}
	lowest := o.timeOf(o.Min)
	o.asked = o.asked[:0]
	for _, t := range times { // networks need not know lower times
		o.asked = append(o.asked, max(t, lowest))
	}
	answer := m.Eval(x, diffusion.Step{T: o.asked}, c).Value
	own := func(p diffusion.Point) bool { return p.T <= lowest }
	return diffusion.Combine(x, answer, o.Path, diffusion.Step{T: times},
		func(p, _ diffusion.Point) float64 {
			if own(p) {
				return 1 / p.Alpha
			}
			return 0
		}, func(p, _ diffusion.Point) float64 {
			if own(p) {
				return 0
			}
			return 1
		})
}

// pseudoHuber is √(e+c²) − c of a sum of squares.
var pseudoHuber = tensor.NewPointwise("consistency pseudo-huber", 1, 1, func(in, sc []tensor.Expr) tensor.Expr {
	return in[0].Add(sc[0].Square()).Sqrt().Sub(sc[0])
})

// compare is the mean over samples of weighted distances.
func (o *Consistency) compare(f, target *tensor.Tensor, d *diffusion.Draw) *tensor.Tensor {
	n := f.Dim(0)
	size := f.Elems() / max(n, 1)
	e := f.Sub(target).Square().Reshape(n, size)
	if o.Each {
		return pseudoHuber.Apply([]float64{o.Huber}, e).Mean()
	}
	if e = e.Sum(1); o.Huber > 0 {
		e = pseudoHuber.Apply([]float64{o.Huber * math.Sqrt(float64(size))}, e)
	} else {
		e = e.Scale(1 / float64(size))
	}
	if o.Weigh == WeighEven {
		return e.Mean()
	}
	return e.Mul(e.Scope().TensorOf(func(i int) float64 { return o.weight(o.Path.At(d.T[i]), o.Path.At(d.Next[i])) }, n)).Mean()
}

// weight is that of a comparison.
func (o *Consistency) weight(now, next diffusion.Point) float64 {
	n := now.NoiseLevel()
	switch o.Weigh {
	case WeighStep:
		return 1 / (n - next.NoiseLevel())
	case WeighEDM:
		return (n*n + o.SigmaData*o.SigmaData) / (n * n * o.SigmaData * o.SigmaData)
	}
	return 1
}
