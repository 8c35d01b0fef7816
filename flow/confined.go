package flow

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Confined is a path whose states are not all of space: points of a manifold ([GeodesicPath]), tokens (package discrete).
// It is no Gaussian path. What it says of α and σ, 1−t and t with derivatives 0, orders times, and no prediction along
// it converts to another.
type Confined interface {
	diffusion.GaussianPath
	fmt.Stringer // where the states are
	// Check says which of the samples x, one after another, cannot be data, and why.
	Check(x []float32) error
	// CheckStarts is the same of samples of the source.
	CheckStarts(x []float32) error
	// Between is x_t of data and samples of the source, both (N,…). Where chance decides, sample i has the
	// random numbers of row first+i under key.
	Between(key rng.Key, first uint64, data, source *tensor.Tensor, t float64) *tensor.Tensor
	// Samplers names those whose steps stay among the states, the usual one first.
	Samplers() []string
}

// OrdersTimes are the times of a [Confined] path.
type OrdersTimes struct{ diffusion.CondOT }

// At orders times; its derivatives are 0, so that no prediction converts to another.
func (OrdersTimes) At(t float64) diffusion.Point {
	return diffusion.Point{T: t, Alpha: 1 - t, Sigma: t}
}
