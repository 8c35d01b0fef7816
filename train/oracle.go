package train

import (
	"context"
	"fmt"
	"maps"
	"math"
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

// Dataset opens the data that a run was trained on, or those of a perfect model.
func (t *Trained) Dataset(ctx context.Context) (*Dataset, error) {
	if t.Exp == nil {
		return nil, fmt.Errorf("%s was not trained here: no config names its data", t.Path)
	}
	ds, err := t.Exp.openData(ctx)
	if err == nil && !equalShape(ds.Train.Shape(), t.Shape) {
		err = fmt.Errorf("the data have shape %v now, the model was trained on %v", ds.Train.Shape(), t.Shape)
	}
	return ds, err
}

// Known are n samples of the data that a model was trained on (fewer, if there are no more) and a mixture whose
// marginals along the path are the density: the data's own where they are such a mixture, else a narrow Gaussian about
// each of the samples, if they are points.
type Known struct {
	N       int
	X       []float32 // (N,Shape…)
	Labels  []int32   // nil: no classes
	Density *diffusion.Mixture
	Exact   bool // the density is the data's own
}

// Know reads n samples of the data, with class ≥ 0 of that class alone.
func (t *Trained) Know(ctx context.Context, n int, class int) (*Known, error) {
	ds, err := t.Dataset(ctx)
	if err != nil {
		return nil, err
	}
	k := &Known{}
	size := volume(t.Shape)
	row := make([]float32, size)
	for i := 0; k.N < n && (ds.Train.Len() == data.Infinite || i < ds.Train.Len()); i++ {
		label, err := ds.Train.Sample(uint64(i), row)
		if err != nil {
			return nil, err
		}
		if class < 0 || label == class {
			k.N, k.X, k.Labels = k.N+1, append(k.X, row...), append(k.Labels, int32(label))
		}
		if k.N == 0 && i > 1<<20 {
			break
		}
	}
	if k.N == 0 {
		return nil, fmt.Errorf("the data have no sample of class %d", class)
	}
	if ds.Train.Classes() == 0 {
		k.Labels = nil
	}
	if m := mixtureOf(ds.Train); m != nil {
		k.Density, k.Exact = m, true
		if class >= 0 {
			k.Density = m.Class(class)
		}
		return k, nil
	}
	if len(t.Shape) == 1 {
		k.Density = kernels(k.X, size)
	}
	return k, nil
}

// neighbours is how many of the nearest points a kernel reaches.
const neighbours = 10

// kernels is a mixture of a Gaussian about each of the points, all as wide in each coordinate as, in the median, the distance to
// the tenth nearest is: narrow enough for thin sets, and smooth.
func kernels(x []float32, dim int) *diffusion.Mixture {
	n := len(x) / dim
	near, away := make([]float64, n), make([]float64, n)
	for i := range n {
		for j := range n {
			square := 0.0
			for k := range dim {
				d := float64(x[i*dim+k]) - float64(x[j*dim+k])
				square += d * d
			}
			away[j] = square
		}
		slices.Sort(away) // the first is the point itself
		near[i] = math.Sqrt(away[min(neighbours, n-1)] / float64(dim))
	}
	slices.Sort(near)
	std := []float64{max(near[n/2], 1e-3)}
	m := &diffusion.Mixture{}
	for i := range n {
		at := make([]float64, dim)
		for j := range at {
			at[j] = float64(x[i*dim+j])
		}
		m.Weights, m.Means, m.Stds = append(m.Weights, 1/float64(n)), append(m.Means, at), append(m.Stds, std)
	}
	return m
}
