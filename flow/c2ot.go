package flow

import (
	"fmt"
	"math"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor/rng"
)

// C2OT is optimal transport that heeds conditions (Cheng and Schwing 2025, "The curse of
// conditions"): each noise has the condition of the data that it was drawn with, and the cost is
//
//	‖x_i − ε_j‖² + w·c(y_i, y_j).
//
// With classes, c is infinite between two of them: transport is exact within each, the null class
// of dropped conditions being one more. So whatever the condition, noise is distributed as sampling
// draws it, which plain optimal transport breaks. With vectors w is chosen in each batch
// such that a share r of all pairs is no dearer than the pairs as they were drawn (the paper's adaptive weight,
// found exactly). It belongs to one goroutine.
type C2OT struct {
	Share    float64 `yaml:"share" doc:"for vector conditions: part of all pairs of a batch that may be no dearer than those drawn, which sets the weight of the condition (r_tar in the paper)" range:"(0,1]"`
	Distance string  `yaml:"distance" doc:"of vector conditions: squared, or cosine (1 less the cosine of the angle)" oneof:"squared cosine"`
	Replace  bool    `yaml:"replace" doc:"draw pairs from the plan with replacement instead of all of them once"`

	costs
	solver  Assigner
	cost    []float64
	cond    []float64 // costs between conditions
	limits  []float64
	members []int32 // of a class
	classes []int32
	x, y    []float32
	best    []int32
	match   []int32
	pairs   pairs
}

// SetDefaults takes the paper's.
func (c *C2OT) SetDefaults() { c.Share, c.Distance, c.Replace = 0.05, "squared", false }

// Validate checks the ranges.
func (c *C2OT) Validate() error {
	switch {
	case !(c.Share > 0 && c.Share <= 1):
		return invalid.Field("share", "must be in (0, 1], is %g", c.Share)
	case c.Distance != "squared" && c.Distance != "cosine":
		return invalid.Field("distance", "must be squared or cosine, is %q", c.Distance)
	}
	return nil
}

// Couple permutes the noise to go with the data. Error: the draw has no condition.
func (c *C2OT) Couple(k rng.Key, d *diffusion.Draw) error {
	n := d.N
	if n == 0 {
		return nil
	}
	d.HostNoise()
	c.best = grow(c.best, n)
	switch {
	case d.Vector != nil && d.Labels != nil:
		return fmt.Errorf("the coupling c2ot is for classes or for vectors, and the data have both")
	case d.Labels != nil:
		c.byClass(d)
	case d.Vector != nil:
		c.byVector(d)
	default:
		return fmt.Errorf("the coupling c2ot needs a condition, and the data have none: use ot")
	}
	c.pairs.choose(k, n, c.Replace)
	c.match = grow(c.match, n)
	for i, from := range c.pairs.pick {
		c.match[i] = c.best[from]
	}
	c.pairs.apply(d, c.match, c.Replace)
	return nil
}

// byClass solves each class on its own.
func (c *C2OT) byClass(d *diffusion.Draw) {
	dim := len(d.X) / d.N
	c.classes = append(c.classes[:0], d.Labels...)
	slices.Sort(c.classes)
	for _, class := range slices.Compact(c.classes) {
		c.members, c.x, c.y = c.members[:0], c.x[:0], c.y[:0]
		for i, l := range d.Labels {
			if l == class {
				c.members = append(c.members, int32(i))
				c.x = append(c.x, d.X[i*dim:(i+1)*dim]...)
				c.y = append(c.y, d.Noise[i*dim:(i+1)*dim]...)
			}
		}
		m := len(c.members)
		c.cost = grow(c.cost, m*m)
		c.half(c.cost, c.x, c.y, m)
		for i, j := range c.solver.Solve(c.cost, m) {
			c.best[c.members[i]] = c.members[j]
		}
	}
}

// byVector solves all at once, with the weighted distance of conditions.
func (c *C2OT) byVector(d *diffusion.Draw) {
	n := d.N
	c.cost, c.cond = grow(c.cost, n*n), grow(c.cond, n*n)
	c.squared(c.cost, d.X, d.Noise, n)
	conditionDistances(c.cond, d.Vector, d.Drop, n, c.Distance == "cosine")
	w := c.weight(n)
	for ij := range c.cost {
		c.cost[ij] += w * c.cond[ij]
	}
	copy(c.best, c.solver.Solve(c.cost, n))
}

// mostWeight bounds w where no weight makes the share small enough, as the paper's code does.
const mostWeight = 1e8

// weight is the smallest w for which at most a share of the pairs (i,j) costs no more than data i
// with its own noise does: cost_ij + w·cond_ij ≤ cost_ii, that is w ≤ (cost_ii − cost_ij)/cond_ij.
func (c *C2OT) weight(n int) float64 {
	c.limits = grow(c.limits, n*n)
	for i := range n {
		own := c.cost[i*n+i]
		for j := range n {
			gain, cond := own-c.cost[i*n+j], c.cond[i*n+j]
			switch {
			case cond > 0:
				c.limits[i*n+j] = gain / cond
			case gain >= 0:
				c.limits[i*n+j] = math.Inf(1)
			default:
				c.limits[i*n+j] = math.Inf(-1)
			}
		}
	}
	slices.Sort(c.limits)
	rank := n*n - int(c.Share*float64(n*n)) // limits from here on may stay above w
	if rank == 0 {
		return 0
	}
	return min(max(0, math.Nextafter(c.limits[rank-1], math.Inf(1))), mostWeight)
}

// squaredDistances is ‖x_i − y_j‖², (n,n).
func squaredDistances(cost []float64, x, y []float32, n int) {
	dim := len(x) / n
	for i := range n {
		for j := range n {
			sum := 0.0
			for k, v := range x[i*dim : (i+1)*dim] {
				e := float64(v) - float64(y[j*dim+k])
				sum += e * e
			}
			cost[i*n+j] = sum
		}
	}
}

// conditionDistances are distances between conditions of a batch. A dropped condition is as far from one
// that is not as can be, and at no distance from another.
func conditionDistances(cost []float64, v, drop []float32, n int, cosine bool) {
	squaredDistances(cost, v, v, n)
	if cosine {
		dim := len(v) / n
		norm := func(i int) float64 {
			sum := 0.0
			for _, e := range v[i*dim : (i+1)*dim] {
				sum += float64(e) * float64(e)
			}
			return math.Sqrt(sum)
		}
		for i := range n {
			for j := range n {
				a, b := norm(i), norm(j)
				// 1 − cos = (|x−y|² − (|x|−|y|)²)/(2|x||y|)
				if ab := a * b; ab > 0 {
					cost[i*n+j] = max(0, cost[i*n+j]-(a-b)*(a-b)) / (2 * ab)
				} else {
					cost[i*n+j] = 1
				}
			}
			cost[i*n+i] = 0
		}
	}
	if drop == nil {
		return
	}
	most := slices.Max(cost)
	for i := range n {
		for j := range n {
			switch {
			case drop[i] != drop[j]:
				cost[i*n+j] = max(most, 1)
			case drop[i] != 0:
				cost[i*n+j] = 0
			}
		}
	}
}
