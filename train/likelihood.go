package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow/discrete"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/metrics"
)

// LikelihoodOptions say how the likelihood of a run's data is measured.
type LikelihoodOptions struct {
	N        int // samples of each split, the first ones
	Seed     uint64
	ODE      likelihood.ODE
	Times    int // that the variational bound asks each sample at; 0: all
	Progress func(what string, done, total int)
}

// Likelihood is what MeasureLikelihood found.
type Likelihood struct {
	Model       string           `json:"model"`       // of what: p(x) or p(x|class)
	Method      string           `json:"method"`      // of integration
	Divergence  string           `json:"divergence"`  // and of how many probes
	Dim         int              `json:"dim"`         // of the space that samples live in: their numbers, but on manifolds
	Levels      int              `json:"levels"`      // values that each may have, made continuous by uniform noise; 0: continuous
	Evaluations float64          `json:"evaluations"` // of the network, a sample, besides derivatives
	Seed        uint64           `json:"seed"`
	Heldout     *LikelihoodSplit `json:"heldout,omitempty"`
	Train       *LikelihoodSplit `json:"train"`
}

// LikelihoodSplit is that of one split.
type LikelihoodSplit struct {
	N     int            `json:"n"`
	NLL   metrics.Figure `json:"nll"` // −ln p in nats, of the density
	Error metrics.Figure `json:"nll_error"`
	Probe metrics.Figure `json:"nll_probe_error"` // the part of the error that is the probes'
	Bits  metrics.Figure `json:"bits_per_dim"`    // of the levels where there are some
	// BitsError is the standard error of that.
	BitsError metrics.Figure `json:"bits_per_dim_error"`
	// Bound is the variational bound of discrete diffusion and of tokens, which have nothing else; null of other models, and of continuous data.
	Bound *VariationalBound `json:"bound"`
	// Truth is the data's own −ln p where that is known.
	Truth metrics.Figure `json:"nll_truth"`
}

// VariationalBound is that on the bits of each number, with its terms.
type VariationalBound struct {
	Variance string         `json:"variance"` // of the reverse step; empty of tokens
	Times    int            `json:"times"`    // that each sample was asked at, besides the first
	Bits     metrics.Figure `json:"bits_per_dim"`
	Error    metrics.Figure `json:"bits_per_dim_error"`
	Prior    metrics.Figure `json:"prior"`   // L_T
	Steps    metrics.Figure `json:"steps"`   // the sum of L_{t−1}
	Decoder  metrics.Figure `json:"decoder"` // L_0
	Terms    []BoundTerm    `json:"terms"`   // of the sum, by time
}

// BoundTerm is what times From to To, both included, add to the bound.
type BoundTerm struct {
	From int            `json:"from"`
	To   int            `json:"to"`
	Bits metrics.Figure `json:"bits_per_dim"`
}

// streams of the noise of dequantisation and the probes.
const (
	streamDequantise = diffusion.StreamFree + 0x1100 + iota
	streamProbes
	streamBound // and the next
)

// MeasureLikelihood is how likely a run's model takes its data to be, each sample with its
// class where the model knows classes, without guidance.
func MeasureLikelihood(ctx context.Context, t *Trained, o LikelihoodOptions) (*Likelihood, error) {
	if t.Exp == nil {
		return nil, fmt.Errorf("%s was not trained here: the likelihood needs a run, whose config names the data", t.Path)
	}
	if st := t.student; st != nil && st.Maps {
		return nil, fmt.Errorf("%s is a student by %s, which leads to samples at once: it knows no velocity, and no likelihood follows", t.Path, st.Method)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	ds, err := t.Exp.openData(ctx)
	if err != nil {
		return nil, err
	}
	if !equalShape(ds.Train.Shape(), t.Shape) {
		return nil, fmt.Errorf("the data have shape %v now, the model was trained on %v", ds.Train.Shape(), t.Shape)
	}
	path, tokens := t.Model.Path().(*discrete.Path)
	if t.Source != nil && !tokens {
		if o.ODE.Prior = data.DensityOf(t.Source); o.ODE.Prior == nil {
			return nil, fmt.Errorf("%s: the flow starts from a source whose density is not known, so that the likelihood of the data is not, either", t.Path)
		}
	}
	l := &Likelihood{Model: "p(x)", Method: o.ODE.Method, Dim: t.dimensions(), Levels: data.Levels(ds.Train), Seed: o.Seed}
	if tokens {
		l.Method, l.Divergence, l.Levels = boundMethod, "none", int(path.Alphabet)
	}
	switch {
	case t.Classes > 0 && t.TakesPrompts():
		l.Model = "p(x|class, caption)"
	case t.TakesPrompts():
		l.Model = "p(x|caption)"
	case t.Classes > 0:
		l.Model = "p(x|class)"
	}
	if t.Vector > 0 {
		l.Model = strings.Replace(strings.Replace(l.Model, "p(x)", "p(x|vector)", 1), "p(x|class", "p(x|vector, class", 1)
	}
	if ds.Heldout != nil {
		if l.Heldout, err = t.likelihoodOf(ctx, ds.Heldout, "held-out data", l, o); err != nil {
			return nil, err
		}
	}
	l.Train, err = t.likelihoodOf(ctx, ds.Train, "training data", l, o)
	return l, err
}

// rowsOf are the entries of all samples that some of them have.
func rowsOf(all []int32, samples []int) []int32 {
	own := make([]int32, len(samples))
	for i, k := range samples {
		own[i] = all[k]
	}
	return own
}

// captionsOf encodes the captions of the first n samples; nil where the model takes no prompts.
func (t *Trained) captionsOf(dev backend.Device, src data.Source, n int, seed uint64) (*encoded, error) {
	q := Request{N: n}
	if t.TakesPrompts() {
		captioned, ok := data.CaptionsOf(src)
		if !ok {
			return nil, t.Exp.places.Errorf("data", "has no captions any more, and the model takes prompts")
		}
		for i := range n {
			q.Prompts = append(q.Prompts, data.CaptionOf(captioned, seed, uint64(i), 0))
		}
	}
	return t.encode(dev, q)
}

// likelihoodOf measures a split.
func (t *Trained) likelihoodOf(ctx context.Context, src data.Source, name string, l *Likelihood, o LikelihoodOptions) (*LikelihoodSplit, error) {
	x, labels, err := takeSamples(src, o.N)
	if err != nil {
		return nil, err
	}
	if err := t.checkData(x); err != nil {
		return nil, err
	}
	wide := make([]float64, len(x))
	for i, v := range x {
		wide[i] = float64(v)
	}
	levels := wide
	if l.Levels > 0 && l.Method != boundMethod {
		wide = likelihood.Dequantise(wide, l.Dim, l.Levels, rng.Key{Seed: o.Seed, Stream: streamDequantise}, 0)
	}
	d := likelihood.Data{X: wide, Shape: t.Shape}
	dev, err := t.compute()
	if err != nil {
		return nil, err
	}
	prompts, err := t.captionsOf(dev, src, len(labels), o.Seed)
	if err != nil {
		return nil, err
	}
	defer prompts.close()
	vectors, err := t.firstVectors(src, len(labels))
	if err != nil {
		return nil, t.Exp.at("data", err)
	}
	if t.Classes > 0 || prompts != nil || vectors != nil {
		d.Cond = func(s *tensor.Scope, samples []int) (c diffusion.Cond) {
			if own := rowsOf(labels, samples); t.Classes > 0 {
				c.Labels = s.Ints(own, len(own))
			}
			if vectors != nil {
				own := make([]float32, 0, len(samples)*t.Vector)
				for _, k := range samples {
					own = append(own, vectors[k*t.Vector:(k+1)*t.Vector]...)
				}
				c.Vector = s.Tensor(own, len(samples), t.Vector)
			}
			if prompts != nil {
				prompts.put(s, &c, rowsOf(prompts.of, samples))
			}
			return c
		}
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	if l.Method == boundMethod {
		return t.tokenBound(ctx, s, d, name, l, o)
	}
	o.ODE.Key = rng.Key{Seed: o.Seed, Stream: streamProbes}
	r, err := o.ODE.LogLikelihood(ctx, s, t.Model, d, func(done, total int) { o.Progress("likelihood of the "+name, done, total) })
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", t.Path, err)
	}
	l.Evaluations = float64(r.Evals) / float64(d.Len())
	l.Divergence = "exact"
	if !r.Exact {
		l.Divergence = fmt.Sprintf("%d random probes", o.ODE.Probes)
	}
	nll := r.NLL()
	bits := nll.Bits(l.Dim, l.Levels)
	split := &LikelihoodSplit{N: nll.N, NLL: metrics.Figure(nll.Mean), Error: metrics.Figure(nll.Error), Probe: metrics.Figure(nll.Probe),
		Bits: metrics.Figure(bits.Mean), BitsError: metrics.Figure(bits.Error), Truth: metrics.Figure(math.NaN())}
	if _, discrete := t.Model.Path().(*diffusion.Table); discrete && l.Levels > 0 {
		d.X = levels
		if split.Bound, err = t.boundOf(ctx, s, d, name, l, o); err != nil {
			return nil, err
		}
	}
	if density := data.DensityOf(src); density != nil && t.Classes == 0 && t.Vector == 0 {
		sum := 0.0
		for i := range d.Len() {
			sum -= density(wide[i*d.Dim() : (i+1)*d.Dim()])
		}
		split.Truth = metrics.Figure(sum / float64(d.Len()))
	}
	return split, nil
}

// boundMethod is what measures the likelihood of tokens, which no ODE leads anywhere.
const boundMethod = "bound"

// chainEnd is where the chain from random tokens ends, of which the bound would be infinite if it went to the data.
const chainEnd = 0.01

// tokenBound is the bound on a split of tokens: an integral over time and, where the chain ends before the data, a decoder's term.
func (t *Trained) tokenBound(ctx context.Context, s *tensor.Scope, d likelihood.Data, name string, l *Likelihood, o LikelihoodOptions) (*LikelihoodSplit, error) {
	b := discrete.Bound{Times: o.Times, Key: rng.Key{Seed: o.Seed, Stream: streamBound}}
	if t.Model.Path().(*discrete.Path).Source != discrete.Mask {
		b.Start = chainEnd
	}
	chain, decoder, err := b.Of(ctx, s, t.Model, d, func(done, total int) { o.Progress("bound on the "+name, done, total) })
	if err != nil {
		return nil, err
	}
	if b.Times == 0 {
		b.Times = discrete.DefaultTimes
	}
	l.Evaluations = float64(b.Times)
	total := make([]float64, len(chain))
	for i := range total {
		total[i] = chain[i] + decoder[i]
	}
	e, none := likelihood.Mean(total), metrics.Figure(math.NaN())
	bits, last := e.Bits(l.Dim, 0), likelihood.Mean(decoder).Bits(l.Dim, 0)
	return &LikelihoodSplit{N: e.N, NLL: none, Error: none, Probe: none, Bits: none, BitsError: none, Truth: none,
		Bound: &VariationalBound{Times: b.Times, Bits: metrics.Figure(bits.Mean), Error: metrics.Figure(bits.Error), Steps: metrics.Figure(bits.Mean - last.Mean), Decoder: metrics.Figure(last.Mean)}}, nil
}

// boundOf is the variational bound of a split.
func (t *Trained) boundOf(ctx context.Context, s *tensor.Scope, d likelihood.Data, name string, l *Likelihood, o LikelihoodOptions) (*VariationalBound, error) {
	v := likelihood.VLB{Levels: l.Levels, Variance: likelihood.FixedSmall, Clip: 1, Times: o.Times, Key: rng.Key{Seed: o.Seed, Stream: streamBound}}
	if m, ok := t.Model.(*diffusion.NetModel); ok && (m.Variance == diffusion.VarianceLearned || m.Variance == diffusion.VarianceLearnedRange) {
		v.Variance = likelihood.Learned
	} else if how, ok := t.How.Sampler.Config.(sampler.DDPM); ok && how.Variance != sampler.Learned {
		v.Variance = how.Variance
	}
	b, err := v.Bound(ctx, s, t.Model, d, func(done, total int) { o.Progress("bound on the "+name, done, total) })
	if err != nil {
		return nil, err
	}
	out := &VariationalBound{Variance: v.Variance, Times: len(b.Terms), Bits: metrics.Figure(b.Total.Mean), Error: metrics.Figure(b.Total.Error),
		Prior: metrics.Figure(b.Prior), Steps: metrics.Figure(b.Steps), Decoder: metrics.Figure(b.Decoder)}
	for _, term := range b.Terms {
		out.Terms = append(out.Terms, BoundTerm{From: term.From, To: term.To, Bits: metrics.Figure(term.Bits)})
	}
	return out, nil
}

// Table is for people: in nats of a sample or, if bits, in bits of each number.
func (l *Likelihood) Table(bits bool) string {
	if l.Method == boundMethod {
		return l.boundTable(bits)
	}
	var b strings.Builder
	unit := "nats, −ln " + l.Model
	if bits {
		unit = "bits/dim, −log2 " + l.Model
	}
	fmt.Fprintf(&b, "%-16s%8s  %s\n", "", "samples", unit)
	row := func(name string, s *LikelihoodSplit) {
		if s == nil {
			return
		}
		value, within := s.NLL, s.Error
		if bits {
			value, within = s.Bits, s.BitsError
		}
		fmt.Fprintf(&b, "%-16s%8d  %.4f ± %.4f", name, s.N, float64(value), float64(within))
		if truth := float64(s.Truth); !math.IsNaN(truth) {
			if bits {
				truth = likelihood.BitsPerDim(truth, l.Dim, l.Levels)
			}
			fmt.Fprintf(&b, "  (the data's own: %.4f)", truth)
		}
		b.WriteString("\n")
	}
	row("held-out", l.Heldout)
	row("training", l.Train)
	bound := func(name string, s *LikelihoodSplit) {
		if s != nil && s.Bound != nil {
			v := s.Bound
			fmt.Fprintf(&b, "%-16s%8d  at most %.4f ± %.4f bits/dim: L_T %.4f + steps %.4f + L_0 %.4f\n", name, s.N,
				float64(v.Bits), float64(v.Error), float64(v.Prior), float64(v.Steps), float64(v.Decoder))
		}
	}
	if v := l.Train.Bound; v != nil {
		fmt.Fprintf(&b, "\nVariational bound of ancestral sampling with the variance %s, estimates limited to [−1,1], %d times a sample:\n", v.Variance, v.Times)
		bound("held-out", l.Heldout)
		bound("training", l.Train)
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Probability-flow ODE by %s, divergence %s, %.0f evaluations a sample.", l.Method, l.Divergence, l.Evaluations)
	if l.Levels > 0 {
		fmt.Fprintf(&b, " Of %d levels, made continuous by uniform noise", l.Levels)
		if !bits {
			b.WriteString("; nats are of the density of that")
		}
		b.WriteString(".")
	}
	return b.String() + "\n"
}

// boundTable is Table where there is a bound and nothing else.
func (l *Likelihood) boundTable(bits bool) string {
	var b strings.Builder
	unit, factor := "nats, −ln "+l.Model, float64(l.Dim)*math.Ln2
	if bits {
		unit, factor = "bits/dim, −log2 "+l.Model, 1
	}
	fmt.Fprintf(&b, "%-16s%8s  %s, at most\n", "", "samples", unit)
	row := func(name string, s *LikelihoodSplit) {
		if s != nil {
			fmt.Fprintf(&b, "%-16s%8d  %.4f ± %.4f\n", name, s.N, float64(s.Bound.Bits)*factor, float64(s.Bound.Error)*factor)
		}
	}
	row("held-out", l.Heldout)
	row("training", l.Train)
	fmt.Fprintf(&b, "Variational bound of %d tokens a sample, each one of %d; %d times a sample.\n", l.Dim, l.Levels, l.Train.Bound.Times)
	return b.String()
}
