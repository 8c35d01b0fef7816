// Package flow has what flow matching adds to Gaussian paths: interpolants between
// any two distributions, couplings of their samples, and the objectives that use them.
package flow

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Coupling pairs the data of a batch with its noise.
type Coupling interface {
	// Couple rearranges d, which has independent pairs. It is a function of k and d.
	// After an error, as of a plan that was not found, d is of no use.
	Couple(k rng.Key, d *diffusion.Draw) error
}

// couple rearranges an objective's draw; nil: it stays.
func couple(c Coupling, k rng.Key, d *diffusion.Draw) {
	if c != nil {
		d.Err = c.Couple(k.WithStream(diffusion.StreamCoupling), d)
	}
}

// Independent leaves the pairs as they are drawn.
type Independent struct{}

// Couple does nothing.
func (Independent) Couple(rng.Key, *diffusion.Draw) error { return nil }

// OT pairs data and noise by exact optimal transport within the batch, for the
// squared distance (Tong et al. 2024; Pooladian et al. 2023). Within a class-conditional batch it
// takes no heed of labels: the noise that a class is paired with is then no
// longer standard normal, and sampling, which starts from that, is biased
// (Cheng and Schwing 2025). It belongs to one goroutine.
type OT struct {
	// Replace draws as many pairs from the plan with replacement, as torchcfm
	// does; otherwise the batch keeps each of its samples once.
	Replace bool `yaml:"replace" doc:"draw pairs from the plan with replacement, as torchcfm does, instead of all of them once"`

	costs
	solver Assigner
	cost   []float64
	match  []int32
	pairs  pairs
}

// SetDefaults takes every pair once.
func (o *OT) SetDefaults() { o.Replace = false }

// Couple permutes the noise to go with the data.
func (o *OT) Couple(k rng.Key, d *diffusion.Draw) error {
	if d.N == 0 {
		return nil
	}
	noise := d.HostNoise()
	o.cost = grow(o.cost, d.N*d.N)
	o.half(o.cost, d.X, noise, d.N)
	best := o.solver.Solve(o.cost, d.N)
	o.pairs.choose(k, d.N, o.Replace)
	o.match = grow(o.match, d.N)
	for i, from := range o.pairs.pick {
		o.match[i] = best[from]
	}
	o.pairs.apply(d, o.match, o.Replace)
	return nil
}

// pairs puts a plan into a draw. It uses its storage again.
type pairs struct {
	noise []float32
	pick  []int32 // the data of each sample
}

// choose takes all data in turn, or with replace as many at random.
func (p *pairs) choose(k rng.Key, n int, replace bool) {
	p.pick = grow(p.pick, n)
	for i := range p.pick {
		p.pick[i] = int32(i)
		if replace {
			p.pick[i] = int32(rng.Intn(k, uint64(i), 0, n))
		}
	}
}

// apply makes sample i the data that were chosen for it and the noise match[i]. The
// draw's noise is on the host.
func (p *pairs) apply(d *diffusion.Draw, match []int32, replace bool) {
	dim := len(d.X) / d.N
	p.noise = append(p.noise[:0], d.Noise...)
	for i, from := range match {
		copy(d.Noise[i*dim:(i+1)*dim], p.noise[int(from)*dim:])
	}
	if replace {
		d.Select(p.pick)
	}
}
