package student

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Transition is a network as a consistency trajectory model (CTM: Kim et al. 2024): with n = σ/α and x̃ = x/α,
//
//	G(x,t,s) = (n_s/n_t)·x̃ + (1 − n_s/n_t)·g(x,t,s)
//
// is where the probability-flow ODE leads from t to s (their eq. 3), g being the data that the network's prediction for the whole
// jump stands for. At s=t, without a jump, g is the estimate of the data: so a student begins as its teacher, and any sampler can
// follow its trajectories; jumps are made by sampler.Gamma.
type Transition struct {
	Of    *diffusion.NetModel // told how far jumps lead
	Least float64             // noise level: the network is told of none below, and a jump to the data is one to it that arrives at g

	ends []float64 // storage
}

// Path is the network's.
func (m *Transition) Path() diffusion.GaussianPath { return m.Of.Path() }

// Kind is the network's.
func (m *Transition) Kind() diffusion.Kind { return m.Of.Kind() }

// Begin gives a trajectory storage of its own.
func (m *Transition) Begin() (of diffusion.Model, restart, end func()) {
	return &Transition{Of: m.Of, Least: m.Least}, func() {}, func() {}
}

// Eval is the prediction that g is made of.
func (m *Transition) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	if at.Jump {
		lowest := m.Path().Time(-math.Log(m.Least))
		m.ends = m.ends[:0]
		for _, s := range at.Next {
			m.ends = append(m.ends, max(s, lowest))
		}
		at.Next = m.ends
	}
	return m.Of.Eval(x, at, c)
}

// Trajectory trains a Transition (CTM: Kim et al. 2024, eq. 6 to 9). From noise level t the teacher's ODE leads to u, and from there
// the student on to s < u; straight from t to s is to lead to the same place, both being compared where the moving average
// G⁻ leads from s to the least level,
//
//	d(G⁻(G(x_t,t,s), s, min), G⁻(G⁻(Heun(x_t→u), u, s), s, min)),
//
// through the first of which gradients go. To it comes denoising score matching, λ·w·‖g(x_t,t,t) − x0‖² with EDM's weights w,
// without which g would say nothing where s is t.
//
// With Adversarial, a judge learns to tell the first of these estimates from data, both without noise, and the student to pass for
// data (their eq. 10): Adversarial·mean softplus(−D(G⁻(G(x_t,t,s), s, min))), the judge's loss being mean[softplus(D(made)) + softplus(−D(data))]. Where
// they have a network of frozen features of other pictures, the judge is one like the student, and begins as that.
type Trajectory struct {
	Base
	Bounds
	Count     int     // noise levels, of Karras's, that t, u and s are among
	Rho       float64 // how much closer those near the data are
	Reach     int     // most steps of Heun's method between levels from t to u
	SigmaData float64 // of EDM's weights
	Huber     float64 // c/√D of pseudo-Huber losses √(‖e‖²+c²)−c of whole samples; 0: mean squares
	Denoise   float64 // λ
	// Balance multiplies λ by the ratio of the norms of both terms' gradients, as that paper does after Esser et al. 2021: here by
	// the network's outputs, in place of its last layer. It depends on the part of the batch that is computed at a time.
	// The adversarial term is multiplied likewise.
	Balance bool
	Decay   float64 // of the moving average, above 0

	Adversarial float64 // of the student's loss; 0: no judge
	Late        uint64  // steps of training before the student's loss has the term; the judge learns from the first one
	Pace        float64 // factor on the learning rate of the judge
	Judge       Judging

	judge                Judge // nil: none
	learned              []*tensor.Param
	target               diffusion.Model
	levels               []float64
	from, to, ends, mids []float64
}

// Params are the judge's.
func (o *Trajectory) Params() []*tensor.Param {
	if o.Adversarial > 0 && o.learned == nil {
		o.judge, o.learned = o.Judge()
	}
	return o.learned
}

// Rate is the judge's factor on the learning rate.
func (o *Trajectory) Rate() float64 {
	if o.Adversarial > 0 {
		return o.Pace
	}
	return 1
}

// Bind takes the teacher, and asks for the average; the judge begins as the student.
func (o *Trajectory) Bind(with diffusion.Bindings) (err error) {
	if own := o.Params(); own != nil {
		if err := begin(own, with.Weights); err != nil {
			return err
		}
	}
	if o.target, err = with.Target(o.Decay); err != nil {
		return err
	}
	return o.Base.Bind(with)
}

// Draw chooses the levels of t, s and u for each sample: t among all, s among those below it, and u so many of the teacher's steps below t.
func (o *Trajectory) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Base.Draw(k, b, d)
	if len(o.levels) != o.Count {
		o.levels = levelsOf(o.Bounds, o.Count, o.Rho, o.levels)
	}
	d.Next = append(d.Next[:0], d.T...)
	chosen := d.HostExtra(3)
	late := float32(0)
	if k.Step >= o.Late {
		late = 1
	}
	k = k.WithStream(diffusion.StreamTime)
	for i := range d.T {
		t := 1 + rng.Intn(k, uint64(i), 0, o.Count-1)
		s := rng.Intn(k, uint64(i), 1, t)
		u := t - 1 - rng.Intn(k, uint64(i), 2, min(t-s, o.Reach))
		d.T[i], d.Next[i] = o.timeOf(o.levels[t]), o.timeOf(o.levels[s])
		chosen[3*i], chosen[3*i+1], chosen[3*i+2] = float32(t), float32(u), late
	}
}

// Loss is a scalar.
func (o *Trajectory) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	if _, ok := m.(*Transition); !ok {
		panic(fmt.Sprintf("student: a trajectory objective trains a %T, want a *Transition", m))
	}
	at, leap := diffusion.Step{T: d.T}, diffusion.Step{T: d.T, Next: d.Next, Jump: true}
	data, eps, c := d.Data(s), d.Eps(s), d.Cond(s)
	x := diffusion.Noised(data, eps, o.Path, at)
	var led *tensor.Tensor
	o.teacher.Ask(s, func() { led = o.led(x, d, c) })
	masks := s.Dropout()
	o.mids = o.mids[:0]
	for i := range d.N {
		o.mids = append(o.mids, o.timeOf(o.levels[int(d.Extra[3*i+1])]))
	}
	var target *tensor.Tensor
	s.NoGrad(func() {
		on := diffusion.Step{T: o.mids, Next: d.Next, Jump: true}
		led = o.arrive(led, o.target.Eval(led, on, c), on)
		s.SetDropoutState(masks)
		target = o.finish(s, led, d, c, masks)
	})
	s.SetDropoutState(masks)
	jump := m.Eval(x, leap, c)
	still := m.Eval(x, at, c)
	end := s.Dropout()
	estimate := func(v *tensor.Tensor) *tensor.Tensor {
		there := o.arrive(x, diffusion.Pred{Value: v, Kind: jump.Kind}, leap)
		e := o.finish(s, there, d, c, masks)
		s.SetDropoutState(end)
		return e
	}
	denoised := func(v *tensor.Tensor) *tensor.Tensor {
		e := diffusion.Pred{Value: v, Kind: still.Kind}.As(diffusion.X0, x, o.Path, at).Sub(data).Square()
		return e.Mul(diffusion.PerSample(x, o.Path, at, o.edm)).Mean()
	}
	v, w := jump.Value, still.Value
	apart := s.Recording() && (o.Balance || o.judge != nil)
	if apart { // each term is differentiated on its own
		v, w = s.Leaf(v), s.Leaf(w)
	}
	made := estimate(v)
	terms := [3]term{{jump.Value, v, o.distance(made.Sub(target)), 1}, {still.Value, w, denoised(w), o.Denoise}}
	all := terms[:2]
	if o.judge == nil {
		return o.sum(s, all, apart)
	}
	clean := diffusion.Step{T: o.ends} // of the least noise level, which is that of estimates
	if d.N > 0 && d.Extra[2] != 0 {
		terms[2] = term{jump.Value, v, fooling(o.judge, made, clean, c), o.Adversarial}
		all = terms[:]
	}
	return o.sum(s, all, apart).Add(telling(o.judge, data, made.Detach(), clean, c))
}

// mostBalance limits the ratio of gradients, where one vanishes.
const mostBalance = 1e4

// term is a part of a loss: a scalar of a leaf that has the values of x, and how much it counts.
type term struct {
	x, leaf, value *tensor.Tensor
	weight         float64
}

// sum is the sum of terms, in balance each but the first times the ratio of the norms of the first one's gradient by its x and its own, which
// counts as given. Apart, what the tape before each x gets is its gradient, and nothing else gets any.
func (o *Trajectory) sum(s *tensor.Scope, terms []term, apart bool) *tensor.Tensor {
	if !apart {
		total := terms[0].value
		for _, t := range terms[1:] {
			total = total.Add(t.value.Scale(t.weight))
		}
		return total
	}
	norm := func(t *tensor.Tensor) *tensor.Tensor { return t.Square().Sum().Sqrt() }
	var total, inner, first *tensor.Tensor
	for i, t := range terms {
		grad := s.GradOf(t.value, tensor.GradOptions{Retain: true}, t.leaf)[0].Detach()
		value, along := t.value.Detach(), t.x.Mul(grad).Sum()
		if i == 0 {
			total, inner, first = value, along, norm(grad)
			continue
		}
		if o.Balance {
			ratio := first.Div(norm(grad).AddScalar(1e-30)).Clamp(0, mostBalance)
			value, along = value.Mul(ratio), along.Mul(ratio)
		}
		total, inner = total.Add(value.Scale(t.weight)), inner.Add(along.Scale(t.weight))
	}
	return inner.Sub(inner.Detach()).Add(total)
}

// led is where the teacher leads from each sample's t to its u, level by level.
func (o *Trajectory) led(x *tensor.Tensor, d *diffusion.Draw, c diffusion.Cond) *tensor.Tensor {
	steps := 0
	for i := range d.N {
		steps = max(steps, int(d.Extra[3*i])-int(d.Extra[3*i+1]))
	}
	for k := range steps {
		o.from, o.to = o.from[:0], o.to[:0]
		for i := range d.N { // those that have arrived make steps of no length
			t, u := int(d.Extra[3*i]), int(d.Extra[3*i+1])
			o.from, o.to = append(o.from, o.timeOf(o.levels[max(t-k, u)])), append(o.to, o.timeOf(o.levels[max(t-k-1, u)]))
		}
		x = o.teacher.heunStep(x, diffusion.Step{T: o.from, Next: o.to}, c)
	}
	return x
}

// arrive is α_s·G of a prediction for a jump: (σ_s/σ_t)·x + (α_s − α_t·σ_s/σ_t)·g.
func (o *Trajectory) arrive(x *tensor.Tensor, p diffusion.Pred, at diffusion.Step) *tensor.Tensor {
	mix := func(now, next diffusion.Point) diffusion.Mix {
		g, stay := diffusion.Convert(p.Kind, diffusion.X0, now), next.Sigma/now.Sigma
		rest := next.Alpha - now.Alpha*stay
		return diffusion.Mix{OnX: stay + rest*g.OnX, OnValue: rest * g.OnValue}
	}
	return diffusion.Combine(x, p.Value, o.Path, at,
		func(now, next diffusion.Point) float64 { return mix(now, next).OnX },
		func(now, next diffusion.Point) float64 { return mix(now, next).OnValue })
}

// finish is G⁻ from each sample's s to the least level, over α there, with the units that masks drop.
func (o *Trajectory) finish(s *tensor.Scope, x *tensor.Tensor, d *diffusion.Draw, c diffusion.Cond, masks tensor.DropoutState) *tensor.Tensor {
	lowest := o.timeOf(o.Min)
	o.ends = o.ends[:0]
	for range d.N {
		o.ends = append(o.ends, lowest)
	}
	on := diffusion.Step{T: d.Next, Next: o.ends, Jump: true}
	s.SetDropoutState(masks)
	return o.arrive(x, o.target.Eval(x, on, c), on).Scale(1 / o.Path.At(lowest).Alpha)
}

// distance is the mean over samples.
func (o *Trajectory) distance(e *tensor.Tensor) *tensor.Tensor {
	if o.Huber == 0 {
		return e.Square().Mean()
	}
	n := e.Dim(0)
	size := e.Elems() / max(n, 1)
	return pseudoHuber.Apply([]float64{o.Huber * math.Sqrt(float64(size))}, e.Square().Reshape(n, size).Sum(1)).Mean()
}

// edm are EDM's weights of errors of the data.
func (o *Trajectory) edm(p, _ diffusion.Point) float64 {
	n := p.NoiseLevel()
	return 1/(n*n) + 1/(o.SigmaData*o.SigmaData)
}
