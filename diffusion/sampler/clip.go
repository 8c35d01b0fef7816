package sampler

import (
	"math"
	"slices"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Clip limits estimates of the data. The zero value does not.
type Clip struct {
	Range    float64 `yaml:"range" doc:"limit of the estimate of the data, either way; 0: none"`
	Quantile float64 `yaml:"quantile" doc:"dynamic thresholding (Saharia et al. 2022): this quantile of each sample's absolute values, at least 1, becomes 1; 0: none"`
	Max      float64 `yaml:"max" doc:"largest value that dynamic thresholding brings to 1"`
}

// SetDefaults does not clip.
func (c *Clip) SetDefaults() { c.Range, c.Quantile, c.Max = 0, 0, 1 }

// Validate checks the bounds.
func (c *Clip) Validate() error {
	switch {
	case !(c.Range >= 0):
		return invalid.Field("range", "must not be negative, is %g", c.Range)
	case !(c.Quantile >= 0 && c.Quantile <= 1):
		return invalid.Field("quantile", "must be in [0, 1], is %g", c.Quantile)
	case c.Quantile > 0 && !(c.Max >= 1):
		return invalid.Field("max", "must be at least 1 with a quantile, is %g", c.Max)
	case c.Quantile > 0 && c.Range > 0:
		return invalid.Field("quantile", "and range exclude each other")
	}
	return nil
}

// On tells whether anything is limited.
func (c *Clip) On() bool { return c.Range > 0 || c.Quantile > 0 }

// apply clips x; mem is for its values.
func (c *Clip) apply(x *tensor.Tensor, mem *memory) *tensor.Tensor {
	switch {
	case c.Quantile > 0:
		return c.dynamic(x, mem)
	case c.Range > 0:
		return x.Clamp(-c.Range, c.Range)
	}
	return x
}

// dynamic is clamp(x,−s,s)/s with each sample's s = clamp(quantile of |x|, 1, Max).
func (c *Clip) dynamic(x *tensor.Tensor, mem *memory) *tensor.Tensor {
	n := x.Dim(0)
	values := mem.values(x)
	size := len(values) / max(n, 1)
	var shape [tensor.MaxRank]int
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = n
	limit := x.Scope().TensorOf(func(i int) float64 {
		v := values[i*size : (i+1)*size]
		for j := range v {
			v[j] = math.Abs(v[j])
		}
		return min(max(quantile(v, c.Quantile), 1), c.Max)
	}, shape[:x.Rank()]...)
	return x.Minimum(limit).Maximum(limit.Neg()).Div(limit)
}

// quantile interpolates linearly between order statistics. It sorts v.
func quantile(v []float64, q float64) float64 {
	slices.Sort(v)
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
