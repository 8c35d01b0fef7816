package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/metrics"
)

// LikelihoodOptions say how the likelihood of a run's data is measured.
type LikelihoodOptions struct {
	N        int // samples of each split, the first ones
	Seed     uint64
	ODE      likelihood.ODE
	Progress func(what string, done, total int)
}

// Likelihood is what MeasureLikelihood found.
type Likelihood struct {
	Model       string           `json:"model"`       // of what: p(x) or p(x|class)
	Method      string           `json:"method"`      // of integration
	Divergence  string           `json:"divergence"`  // and of how many probes
	Dim         int              `json:"dim"`         // numbers of a sample
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
	// Truth is the data's own −ln p where that is known.
	Truth metrics.Figure `json:"nll_truth"`
}

// streams of the noise of dequantisation and the probes.
const (
	streamDequantise = diffusion.StreamFree + 0x1100 + iota
	streamProbes
)

// MeasureLikelihood is how likely a run's model takes its data to be, each sample with its
// class where the model knows classes, without guidance.
func MeasureLikelihood(ctx context.Context, t *Trained, o LikelihoodOptions) (*Likelihood, error) {
	if t.Exp == nil {
		return nil, fmt.Errorf("%s was not trained here: the likelihood needs a run, whose config names the data", t.Path)
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
	l := &Likelihood{Model: "p(x)", Method: o.ODE.Method, Dim: volume(t.Shape), Levels: data.Levels(ds.Train), Seed: o.Seed}
	if t.Classes > 0 {
		l.Model = "p(x|class)"
	}
	if ds.Heldout != nil {
		if l.Heldout, err = t.likelihoodOf(ctx, ds.Heldout, "held-out data", l, o); err != nil {
			return nil, err
		}
	}
	l.Train, err = t.likelihoodOf(ctx, ds.Train, "training data", l, o)
	return l, err
}

// likelihoodOf measures a split.
func (t *Trained) likelihoodOf(ctx context.Context, src data.Source, name string, l *Likelihood, o LikelihoodOptions) (*LikelihoodSplit, error) {
	x, labels, err := takeSamples(src, o.N)
	if err != nil {
		return nil, err
	}
	wide := make([]float64, len(x))
	for i, v := range x {
		wide[i] = float64(v)
	}
	if l.Levels > 0 {
		wide = likelihood.Dequantise(wide, l.Dim, l.Levels, rng.Key{Seed: o.Seed, Stream: streamDequantise}, 0)
	}
	d := likelihood.Data{X: wide, Shape: t.Shape}
	if t.Classes > 0 {
		d.Cond = func(s *tensor.Scope, samples []int) diffusion.Cond {
			own := make([]int32, len(samples))
			for i, k := range samples {
				own[i] = labels[k]
			}
			return diffusion.Cond{Labels: s.Ints(own, len(own))}
		}
	}
	dev, err := t.compute()
	if err != nil {
		return nil, err
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
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
	if density := data.DensityOf(src); density != nil && t.Classes == 0 {
		sum := 0.0
		for i := range d.Len() {
			sum -= density(wide[i*l.Dim : (i+1)*l.Dim])
		}
		split.Truth = metrics.Figure(sum / float64(d.Len()))
	}
	return split, nil
}

// Table is for people: in nats of a sample or, if bits, in bits of each number.
func (l *Likelihood) Table(bits bool) string {
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
