package student

import (
	"math"
	"sort"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Curriculum chooses the two noise levels σ/α at which a consistency objective compares its model,
// from and below it to, for each sample of a step.
type Curriculum interface {
	// Levels fills both for step number step of so many; the levels are within bounds, but that to may be lower.
	Levels(k rng.Key, b Bounds, step, steps int64, from, to []float64)
}

// Bounds are the noise levels between which a consistency function is learned.
type Bounds struct {
	Min float64 `yaml:"sigma_min" doc:"noise level sigma/alpha at which the student's answer is its input: as much noise is left in samples" range:"(0,inf)"`
	Max float64 `yaml:"sigma_max" doc:"highest noise level, where sampling starts; that of the path's end if it is lower" range:"(0,inf)"`
}

// SetDefaults are EDM's.
func (b *Bounds) SetDefaults() { b.Min, b.Max = 0.002, 80 }

// Validate checks the order.
func (b *Bounds) Validate() error {
	if !(b.Max > b.Min) {
		return invalid.Field("sigma_max", "must be above sigma_min=%g, is %g", b.Min, b.Max)
	}
	return nil
}

// uniform is a number in (0,1) of sample i: 52 bits and a half.
func uniform(k rng.Key, i int) float64 {
	return (float64(rng.Bits(k, uint64(i), 0)>>12) + 0.5) / (1 << 52)
}

// levelsOf are n of Karras's noise levels, rising.
func levelsOf(b Bounds, n int, rho float64, levels []float64) []float64 {
	levels = levels[:0]
	for i := range n {
		levels = append(levels, sampler.Karras(b.Max, b.Min, rho, float64(i)/float64(n-1)))
	}
	levels[0], levels[n-1] = b.Min, b.Max // without rounding
	return levels
}

// Fixed are neighbours among a fixed number of Karras's levels, all of them equally often (Song et
// al. 2023, consistency distillation).
type Fixed struct {
	Count int     `yaml:"levels" doc:"noise levels, neighbours among which are compared" range:"[2,100000]"`
	Rho   float64 `yaml:"rho" doc:"how much closer levels near the data are (Karras et al. 2022)" range:"(0,inf)"`

	levels []float64
	of     Bounds
}

// SetDefaults takes the paper's choice for pictures of 64 by 64.
func (c *Fixed) SetDefaults() { *c = Fixed{Count: 40, Rho: 7} }

// Levels draws pairs.
func (c *Fixed) Levels(k rng.Key, b Bounds, _, _ int64, from, to []float64) {
	if len(c.levels) != c.Count || c.of != b {
		c.levels, c.of = levelsOf(b, c.Count, c.Rho, c.levels), b
	}
	for i := range from {
		j := rng.Intn(k, uint64(i), 0, c.Count-1)
		from[i], to[i] = c.levels[j+1], c.levels[j]
	}
}

// Improved are neighbours among Karras's levels whose number doubles as training goes on, drawn from a discretised
// log-normal distribution (iCT: Song and Dhariwal 2024, table 1).
type Improved struct {
	First int     `yaml:"first" doc:"s0: intervals between noise levels at the beginning of training" range:"[1,100000]"`
	Last  int     `yaml:"last" doc:"s1: most intervals, at its end; they double in between" range:"[1,100000]"`
	Mean  float64 `yaml:"mean" doc:"mean of ln(sigma/alpha) of the levels that are drawn"`
	Std   float64 `yaml:"std" doc:"its standard deviation" range:"(0,inf)"`
	Rho   float64 `yaml:"rho" doc:"how much closer levels near the data are (Karras et al. 2022)" range:"(0,inf)"`

	levels, ends []float64 // ends: cumulative probabilities
	of           Bounds
}

// SetDefaults takes the paper's choices.
func (c *Improved) SetDefaults() { *c = Improved{First: 10, Last: 1280, Mean: -1.1, Std: 2, Rho: 7} }

// Validate checks the order.
func (c *Improved) Validate() error {
	if c.Last < c.First {
		return invalid.Field("last", "must not be below first=%d, is %d", c.First, c.Last)
	}
	return nil
}

// Count is N(k) = min(s0·2^⌊k/K'⌋, s1) + 1 with K' = ⌊K/(log2⌊s1/s0⌋+1)⌋.
func (c *Improved) Count(step, steps int64) int {
	doublings := math.Floor(math.Log2(math.Floor(float64(c.Last) / float64(c.First))))
	each := max(1, steps/(int64(doublings)+1))
	n := float64(c.First) * math.Exp2(math.Min(float64(step/each), 60))
	return int(min(n, float64(c.Last))) + 1
}

// Levels draws pairs.
func (c *Improved) Levels(k rng.Key, b Bounds, step, steps int64, from, to []float64) {
	if n := c.Count(step, steps); len(c.levels) != n || c.of != b {
		c.levels, c.of = levelsOf(b, n, c.Rho, c.levels), b
		c.ends = c.ends[:0]
		sum := 0.0
		cdf := func(level float64) float64 { return math.Erf((math.Log(level) - c.Mean) / (math.Sqrt2 * c.Std)) }
		for i := range n - 1 {
			sum += cdf(c.levels[i+1]) - cdf(c.levels[i])
			c.ends = append(c.ends, sum)
		}
	}
	last := len(c.ends) - 1
	for i := range from {
		j := min(sort.SearchFloat64s(c.ends, uniform(k, i)*c.ends[last]), last)
		from[i], to[i] = c.levels[j+1], c.levels[j]
	}
}

// Easy are log-normal levels n and ones below them that come closer in stages,
//
//	n − r = n·min(1, (1 + k·sigmoid(−b·n))/q^(stage+1)),
//
// until the consistency condition is a differential one (ECT: Geng et al. 2024, "Consistency models made
// easy", sec. 3). At first r is 0: the student begins as a diffusion model.
type Easy struct {
	Q      float64 `yaml:"q" doc:"the distance of the two levels is divided by q in each stage" range:"(1,inf)"`
	K      float64 `yaml:"k" doc:"the distance at low levels is 1+k/2 times that at high ones" range:"[0,inf)"`
	B      float64 `yaml:"b" doc:"how soon it falls as the level rises" range:"[0,inf)"`
	Stages int     `yaml:"stages" doc:"equal parts of training" range:"[1,1000]"`
	Mean   float64 `yaml:"mean" doc:"mean of ln(sigma/alpha)"`
	Std    float64 `yaml:"std" doc:"its standard deviation" range:"(0,inf)"`
}

// SetDefaults takes the paper's choices for CIFAR-10.
func (c *Easy) SetDefaults() { *c = Easy{Q: 2, K: 8, B: 1, Stages: 8, Mean: -1.1, Std: 2} }

// Levels draws pairs.
func (c *Easy) Levels(k rng.Key, b Bounds, step, steps int64, from, to []float64) {
	stage := step * int64(c.Stages) / steps
	shrink := math.Pow(c.Q, -float64(stage+1))
	for i := range from {
		n := math.Exp(c.Mean + c.Std*math.Sqrt2*math.Erfinv(2*uniform(k, i)-1))
		n = min(max(n, b.Min*(1+1e-6)), b.Max)
		from[i], to[i] = n, max(0, n*(1-shrink*(1+c.K/(1+math.Exp(c.B*n)))))
	}
}

// Skips are neighbours among equally distant times of a path, from its end to the data: latent
// consistency distillation's (Luo et al. 2023, sec. 4.3; 50 for a thousand timesteps and k = 20).
type Skips struct {
	Path  diffusion.GaussianPath
	Count int
}

// Levels draws pairs; they are the path's, whatever the bounds.
func (c *Skips) Levels(k rng.Key, _ Bounds, _, _ int64, from, to []float64) {
	end, n := c.Path.End(), float64(c.Count)
	for i := range from {
		j := float64(rng.Intn(k, uint64(i), 0, c.Count))
		from[i], to[i] = c.Path.At(end*(j+1)/n).NoiseLevel(), c.Path.At(end*j/n).NoiseLevel()
	}
}
