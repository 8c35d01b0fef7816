package diffusion

import (
	"encoding/json"
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Regression is the objective that diffusion and flow matching share: noise
// the data to a random time and regress on what a perfect model would say,
//
//	E_t E_{x0,ε} w(t)·‖prediction(αx0+σε, t) − target‖²,
//
// as a mean over elements. What is predicted is the Model's affair. On a Table
// with ε and the default settings it is L_simple of DDPM (Ho et al. 2020, eq. 14); on
// CondOT with a velocity it is conditional flow matching (Lipman et al. 2023).
type Regression struct {
	Path       GaussianPath
	Times      TimeSampler // nil: uniform
	Stratified bool        // one time from each of N equal slices of the distribution
	Weighting  Weighting   // nil: even, in what is predicted
	Dropout    Dropout
	Noise      TrainingNoise
	// Uncertainty weighs noise levels by what errors they turn out to have; nil: not.
	Uncertainty *Uncertainty
}

// NewDDPM is L_simple on a table: uniform entries, even weights.
func NewDDPM(table *Table) *Regression { return &Regression{Path: table} }

// Dropout replaces the conditions of a random part of the samples by the null
// condition, for classifier-free guidance (Ho and Salimans 2022).
type Dropout struct {
	P       float64 `yaml:"p" doc:"probability with which a sample's condition is replaced by the null condition" range:"[0,1]"`
	Classes int     `yaml:"-"` // number of classes, which is the null class's label; below 0: labels are kept
	Prompt  *Prompt `yaml:"-"` // what stands for no prompt; nil: prompts are kept
}

// Prompt is a prompt as token ids.
type Prompt struct {
	Tokens []int32   // (L)
	Mask   []float32 // (L), 0 where a token is padding, else 1
}

// Put makes the prompt that of n samples.
func (p *Prompt) Put(s *tensor.Scope, c *Cond, n int) {
	length := len(p.Tokens)
	c.Tokens = s.IntsOf(func(i int) int32 { return p.Tokens[i%length] }, n, length)
	c.TextMask = s.TensorOf(func(i int) float64 { return float64(p.Mask[i%length]) }, n, length)
	c.Text, c.Pooled = nil, nil
}

// Validate checks the probability.
func (d *Dropout) Validate() error {
	if !(d.P >= 0 && d.P <= 1) {
		return invalid.Field("p", "must be in [0, 1], is %g", d.P)
	}
	return nil
}

// draw drops labels, vector and prompt of the same samples.
func (c Dropout) draw(k rng.Key, b *Batch, d *Draw) {
	d.Labels, d.Vector, d.Drop = b.Labels, b.Vector, nil
	d.Tokens, d.TextMask = b.Tokens, b.TextMask
	if c.P == 0 {
		return
	}
	prompts := c.Prompt != nil && b.Tokens != nil
	if prompts {
		c.Prompt.check(b)
		d.tokens, d.mask = append(d.tokens[:0], b.Tokens...), append(d.mask[:0], b.TextMask...)
		d.Tokens, d.TextMask = d.tokens, d.mask
	}
	labels := b.Labels != nil && c.Classes >= 0
	if labels {
		d.labels = append(d.labels[:0], b.Labels...)
		d.Labels = d.labels
	}
	if b.Vector != nil {
		d.drop = resize(d.drop, b.N)
		clear(d.drop)
		d.Drop = d.drop
	}
	for i := range b.N {
		if rng.Float64(k, uint64(i), 0) >= c.P {
			continue
		}
		if labels {
			d.Labels[i] = int32(c.Classes)
		}
		if prompts {
			length := len(c.Prompt.Tokens)
			copy(d.Tokens[i*length:], c.Prompt.Tokens)
			copy(d.TextMask[i*length:], c.Prompt.Mask)
		}
		if d.Drop != nil {
			d.Drop[i] = 1
		}
	}
}

// check panics where the null prompt has another length than a batch's prompts: the caller's bug.
func (p *Prompt) check(b *Batch) {
	if n := len(p.Tokens); n*b.N != len(b.Tokens) || len(p.Mask) != n {
		panic(fmt.Sprintf("diffusion: a null prompt of %d tokens and %d flags for %d tokens of %d prompts", n, len(p.Mask), len(b.Tokens), b.N))
	}
}

// Draw chooses times, noise and dropped conditions.
func (r *Regression) Draw(k rng.Key, b *Batch, d *Draw) {
	b.check()
	d.N, d.Shape, d.X, d.Noise, d.Scale, d.Extra, d.Err = b.N, b.Shape, b.X, b.Source, nil, nil, nil
	d.NoiseKey, d.First = k.WithStream(StreamNoise), 0
	d.T = resize(d.T, b.N)
	r.DrawTimes(d.T, k.WithStream(StreamTime))
	r.Dropout.draw(k.WithStream(StreamCondition), b, d)
}

// wholePath is what times are drawn from unless told otherwise.
var wholePath = &Uniform{To: 1}

// DrawTimes fills t with times.
func (r *Regression) DrawTimes(t []float64, k rng.Key) {
	times := r.Times
	if times == nil {
		times = wholePath
	}
	drawTimes(t, times, r.Path, k, r.Stratified)
}

// Loss is the weighted mean squared error, a scalar.
func (r *Regression) Loss(s *tensor.Scope, m Model, d *Draw) *tensor.Tensor {
	e := r.eval(s, m, d, Step{T: d.T})
	if r.Uncertainty == nil && r.adaptive() == nil {
		if d.Wants {
			s.NoGrad(func() { d.Keep(r.losses(e)) })
		}
		return r.loss(e)
	}
	return r.Reduce(s, d, r.losses(e))
}

// Reduce is the mean of samples' losses (N), with what is learned of them.
func (r *Regression) Reduce(s *tensor.Scope, d *Draw, losses *tensor.Tensor) *tensor.Tensor {
	if r.Uncertainty != nil {
		losses = attenuated.Apply(nil, losses, r.Uncertainty.Log(s, r.Path, Step{T: d.T}))
	}
	times := r.adaptive()
	if times != nil || d.Wants {
		d.Keep(losses)
	}
	if times != nil {
		losses = losses.Mul(s.TensorOf(func(i int) float64 { return times.Importance(r.Path, d.T[i]) }, d.N))
	}
	return losses.Mean()
}

func (r *Regression) adaptive() Adaptive {
	a, _ := r.Times.(Adaptive)
	return a
}

// Observes reports whether times follow from past losses.
func (r *Regression) Observes() bool { return r.adaptive() != nil }

// Observe has the distribution of times take in the losses.
func (r *Regression) Observe(d *Draw, losses []float32) { r.adaptive().Observe(r.Path, d.T, losses) }

// MarshalState is that of the distribution of times.
func (r *Regression) MarshalState() ([]byte, error) { return json.Marshal(r.Times) }

// UnmarshalState brings it back.
func (r *Regression) UnmarshalState(b []byte) error { return json.Unmarshal(b, r.Times) }

// Params are those of the uncertainty.
func (r *Regression) Params() []*tensor.Param {
	if r.Uncertainty == nil {
		return nil
	}
	return []*tensor.Param{r.Uncertainty.Weight}
}

// evaluation is what a model says of a noised draw.
type evaluation struct {
	at               Step
	data, eps, noisy *tensor.Tensor
	pred             Pred
}

func (r *Regression) eval(s *tensor.Scope, m Model, d *Draw, at Step) evaluation {
	if !SamePath(r.Path, m.Path()) {
		panic(fmt.Sprintf("diffusion: an objective on %T trains a model on another path, %T", r.Path, m.Path()))
	}
	e := evaluation{at: at, data: d.Data(s), eps: r.Noise.offset(s, d)}
	e.noisy = Noised(e.data, r.Noise.perturbed(s, d, e.eps), r.Path, at)
	e.pred = m.Eval(e.noisy, at, d.Cond(s))
	return e
}

func (r *Regression) loss(e evaluation) *tensor.Tensor {
	target := Target(e.pred.Kind, e.data, e.eps, r.Path, e.at)
	if r.Weighting == nil {
		return e.pred.Value.MSE(target)
	}
	return e.pred.Value.WeightedMSE(target, r.weights(e))
}

func (r *Regression) weights(e evaluation) *tensor.Tensor {
	return PerSample(e.data, r.Path, e.at, func(p, _ Point) float64 {
		return EffectiveWeight(r.Weighting, e.pred.Kind, p)
	})
}

// losses are those of each sample, (N): means over its elements.
func (r *Regression) losses(e evaluation) *tensor.Tensor {
	squares := e.pred.Value.Sub(Target(e.pred.Kind, e.data, e.eps, r.Path, e.at)).Square()
	if r.Weighting != nil {
		squares = squares.Mul(r.weights(e))
	}
	return perSample(squares)
}

// perSample is the mean over each sample's elements, (N).
func perSample(t *tensor.Tensor) *tensor.Tensor {
	n := t.Dim(0)
	return t.Reshape(n, t.Elems()/max(n, 1)).Mean(1)
}

// SamePath compares paths by their values at a few times.
func SamePath(a, b GaussianPath) bool {
	if a.End() != b.End() {
		return false
	}
	for _, f := range []float64{0.1, 0.5, 1} {
		p, q := a.At(f*a.End()), b.At(f*a.End())
		if p.Alpha != q.Alpha || p.Sigma != q.Sigma {
			return false
		}
	}
	return true
}
