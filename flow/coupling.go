// Package flow has what flow matching adds to Gaussian paths: couplings of data
// and noise, and the objectives that use them.
package flow

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Coupling pairs the data of a batch with its noise.
type Coupling interface {
	// Couple rearranges d, which has independent pairs. It is a function of k and d.
	Couple(k rng.Key, d *diffusion.Draw)
}

// Independent leaves the pairs as they are drawn.
type Independent struct{}

// Couple does nothing.
func (Independent) Couple(rng.Key, *diffusion.Draw) {}

// OT pairs data and noise by exact optimal transport within the batch, for the
// squared distance (Tong et al. 2024; Pooladian et al. 2023). Within a class-conditional batch it
// takes no heed of labels: the noise that a class is paired with is then no
// longer standard normal, and sampling, which starts from that, is biased
// (Cheng and Schwing 2025). It belongs to one goroutine.
type OT struct {
	// Replace draws as many pairs from the plan with replacement, as torchcfm
	// does; otherwise the batch keeps each of its samples once.
	Replace bool `yaml:"replace" doc:"draw pairs from the plan with replacement, as torchcfm does, instead of all of them once"`

	solver   Assigner
	products products
	cost     []float64
	noise    []float32
	pick     []int32
}

// SetDefaults takes every pair once.
func (o *OT) SetDefaults() { o.Replace = false }

// Couple permutes the noise to go with the data.
func (o *OT) Couple(k rng.Key, d *diffusion.Draw) {
	n := d.N
	if n == 0 {
		return
	}
	dim := len(d.X) / n
	noise := d.HostNoise()
	o.cost = grow(o.cost, n*n)
	o.products.negative(bestScans(), o.cost, d.X, noise, n, dim)
	match := o.solver.Solve(o.cost, n)
	o.pick = grow(o.pick, n)
	for i := range o.pick {
		o.pick[i] = int32(i)
		if o.Replace {
			o.pick[i] = int32(rng.Intn(k, uint64(i), 0, n))
		}
	}
	o.noise = append(o.noise[:0], noise...)
	for i, from := range o.pick {
		copy(noise[i*dim:(i+1)*dim], o.noise[int(match[from])*dim:])
	}
	if o.Replace {
		d.Select(o.pick)
	}
}

// CFM is conditional flow matching (Lipman et al. 2023; Tong et al. 2024): the
// regression on a path, by default of the velocity on CondOT, with data and
// noise coupled.
type CFM struct {
	diffusion.Regression
	Coupling Coupling // nil: independent
}

// NewCFM is rectified flow's regression: straight paths, independent pairs, uniform times.
func NewCFM() *CFM { return &CFM{Regression: diffusion.Regression{Path: diffusion.CondOT{}}} }

// Draw chooses times, noise and dropped conditions, and couples.
func (c *CFM) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	c.Regression.Draw(k, b, d)
	if c.Coupling != nil {
		c.Coupling.Couple(k.WithStream(diffusion.StreamCoupling), d)
	}
}

// Loss is the regression's.
func (c *CFM) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	return c.Regression.Loss(s, m, d)
}
