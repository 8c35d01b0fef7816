package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/train/data"
)

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
