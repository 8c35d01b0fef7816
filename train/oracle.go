package train

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/train/data"
)

// mixtures are the experiments that OpenOracle knows by name.
var mixtures = map[string]string{
	"line": `{name: line, data: {kind: mixture, components: [{mean: [-1.5], std: [0.25]}, {weight: 0.5, mean: [0.3], std: [0.2]}, {mean: [1.6], std: [0.3]}]}, model: mlp}`,
	"pair": `{name: pair, data: {kind: mixture, components: [{mean: [-2, -0.5], std: [0.6]}, {mean: [2, 0.5], std: [0.6]}]}, model: mlp}`,
	"triangle": `{name: triangle, data: {kind: mixture, components: [{mean: [0, 1.8], std: [0.6, 0.25]},
  {weight: 0.7, mean: [-1.7, -0.9], std: [0.3, 0.5]}, {mean: [1.6, -1], std: [0.4]}]}, model: mlp}`,
	"8gaussians": `{name: 8gaussians, data: 8gaussians, model: mlp}`,
}

// Mixtures are the names that OpenOracle knows.
func Mixtures() []string { return slices.Sorted(maps.Keys(mixtures)) }

// OpenOracle opens, in the place of a trained model, the perfect one of an experiment whose data are a mixture of Gaussians: file
// is one of [Mixtures] or the YAML file of the experiment, of which data, objective and sample count; overrides
// are key=value of it. The model's classes are the mixture's components.
func OpenOracle(ctx context.Context, file string, overrides []string) (*Trained, error) {
	var exp *Loaded
	var err error
	if text, ok := mixtures[file]; ok {
		exp, err = ReadExperiment("the mixture "+file, []byte(text), overrides)
	} else if !strings.ContainsAny(file, "./\\") {
		return nil, fmt.Errorf("unknown mixture %q: want one of %s, or the YAML file of an experiment", file, strings.Join(Mixtures(), ", "))
	} else {
		exp, err = LoadExperiment(file, overrides)
	}
	if err != nil {
		return nil, err
	}
	ds, err := exp.openData(ctx)
	if err != nil {
		return nil, err
	}
	m := mixtureOf(ds.Train)
	if m == nil {
		return nil, exp.places.Errorf("data", "is %s: only of mixtures of Gaussians is the perfect model known: mixture and 8gaussians", exp.Data.Kind)
	}
	t := &Trained{Path: file, File: exp.File, Exp: exp}
	t.Shape, t.Null, t.How, t.Precision = ds.Train.Shape(), -1, exp.Sample, Float32
	if exp.Conditional {
		t.Classes = m.NumClasses()
		t.Null = t.Classes
	}
	if t.Device, err = exp.device(); err != nil {
		return nil, err
	}
	job, err := exp.Objective.Build(ObjectiveArg{Shape: t.Shape, Classes: t.Classes, Null: t.Null, Draft: true, Batch: exp.Batch, Device: t.Device})
	if err != nil {
		return nil, exp.at("objective", err)
	}
	switch job.Objective.(type) {
	case *diffusion.Regression, *diffusion.Hybrid, *diffusion.VLB, *diffusion.ScoreMatching, *flow.CFM:
	default:
		return nil, exp.places.Errorf("objective", "is %s: the perfect model is known of flow, ddpm, dsm, sm and edm", exp.Objective.Kind)
	}
	if c, ok := exp.Objective.Config.(flowConfig); ok && c.Coupling.Kind != "independent" {
		return nil, exp.places.Errorf("objective.coupling", "is %s: the perfect model is known of independent pairs", c.Coupling.Kind)
	}
	likeness := job.Model(nil)
	if _, ok := likeness.Path().(flow.Interpolant); ok || job.Source != nil {
		return nil, exp.places.Errorf("objective", "starts from other data or has noise of its own on the way: the perfect model is known of flows from normal noise alone")
	}
	t.Model = &diffusion.Oracle{Of: m, Along: likeness.Path(), Predicts: likeness.Kind()}
	return t, nil
}

// mixtureOf is the mixture that a source draws from; nil: it is none, or its components are not along the axes.
func mixtureOf(src data.Source) *diffusion.Mixture {
	of, ok := data.MixtureOf(src)
	if !ok {
		return nil
	}
	m, total := &diffusion.Mixture{}, 0.0
	for _, c := range of.Components() {
		if c.Std == nil {
			return nil
		}
		m.Weights, m.Means, m.Stds = append(m.Weights, c.Weight), append(m.Means, c.Mean), append(m.Stds, c.Std)
		total += c.Weight
	}
	for i := range m.Weights {
		m.Weights[i] /= total
	}
	return m
}
