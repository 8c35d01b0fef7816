package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Mode draws times with heavy tails by t = 1 − u − s·(cos²(πu/2) − 1 + u) (Esser
// et al. 2024, SD3, eq. 20): s above 0 favours the middle, below 0 the ends.
type Mode struct {
	Scale float64 `yaml:"scale" doc:"s: above 0 favours the middle of the path, below 0 its ends; 0 is uniform" range:"[-1,1.7519]"`
}

// modeLimit is 2/(π−2), beyond which the map folds.
const modeLimit = 2 / (math.Pi - 2)

// SetDefaults takes the paper's choice.
func (d *Mode) SetDefaults() { d.Scale = 1.29 }

// Validate checks that the map rises.
func (d *Mode) Validate() error {
	if !(d.Scale >= -1 && d.Scale <= modeLimit) {
		return invalid.Field("scale", "must be in [-1, %.4f], is %g", modeLimit, d.Scale)
	}
	return nil
}

// Time is the quantile at u: the paper's map falls, so it is taken at 1−u.
func (d *Mode) Time(p GaussianPath, u float64) float64 {
	u = 1 - u
	c := math.Cos(math.Pi / 2 * u)
	return onClock(p, min(max(1-u-d.Scale*(c*c-1+u), 0), 1))
}

// CosMap draws times whose log-SNR on CondOT has the density of the cosine
// schedule's (Esser et al. 2024, SD3, eq. 21): t = 1 − 1/(tan(πu/2)+1).
type CosMap struct{}

// Time is the quantile at u.
func (CosMap) Time(p GaussianPath, u float64) float64 {
	return onClock(p, 1-1/(math.Tan(math.Pi/2*u)+1))
}

// UShaped draws times near both ends: density ∝ e^{at} + e^{a(1−t)} (Lee et al.
// 2024, "Improving the training of rectified flows", 2-RF++).
type UShaped struct {
	Rate float64 `yaml:"rate" doc:"a: how much more often the ends are drawn than the middle"`
}

// SetDefaults takes the paper's choice.
func (d *UShaped) SetDefaults() { d.Rate = 4 }

// Validate checks the rate.
func (d *UShaped) Validate() error { return positive("rate", d.Rate) }

// Time inverts F(t) = ½ + sinh(a(t−½))/(2·sinh(a/2)).
func (d *UShaped) Time(p GaussianPath, u float64) float64 {
	t := 0.5 + math.Asinh((2*u-1)*math.Sinh(d.Rate/2))/d.Rate
	return onClock(p, min(max(t, 0), 1))
}

// Levels draws one of so many noise levels σ/α that form a geometric sequence, as those of NCSN
// do (Song and Ermon 2019).
type Levels struct {
	Count    int     `yaml:"count" doc:"number of levels" range:"[1,1000000]"`
	SigmaMin float64 `yaml:"sigma_min" doc:"lowest noise level (sigma/alpha)" range:"(0,inf)"`
	SigmaMax float64 `yaml:"sigma_max" doc:"highest noise level; that of the path's end if it is lower" range:"(0,inf)"`
}

// SetDefaults takes the paper's.
func (d *Levels) SetDefaults() { d.Count, d.SigmaMin, d.SigmaMax = 10, 0.01, 1 }

// Validate checks the bounds.
func (d *Levels) Validate() error {
	switch {
	case d.Count < 1:
		return invalid.Field("count", "must be at least 1, is %d", d.Count)
	case !(d.SigmaMin > 0):
		return invalid.Field("sigma_min", "must be positive, is %g", d.SigmaMin)
	case !(d.SigmaMax >= d.SigmaMin) || math.IsInf(d.SigmaMax, 0):
		return invalid.Field("sigma_max", "must be finite and not below sigma_min=%g, is %g", d.SigmaMin, d.SigmaMax)
	}
	return nil
}

// Time is that of level ⌊u·count⌋, from the lowest; on a Table the nearest entry's.
func (d *Levels) Time(p GaussianPath, u float64) float64 {
	i := min(math.Floor(u*float64(d.Count)), float64(d.Count-1))
	f := i / float64(max(d.Count-1, 1))
	return onEntry(p, p.Time(-(1-f)*math.Log(d.SigmaMin)-f*math.Log(d.SigmaMax)))
}

// onEntry is t, on a Table the nearest entry.
func onEntry(p GaussianPath, t float64) float64 {
	if table, ok := p.(*Table); ok {
		return min(max(math.Round(t), 1), table.End())
	}
	return t
}

// AtEnd is the path's end, at which all is noise.
type AtEnd struct{}

// SetDefaults has nothing to set.
func (*AtEnd) SetDefaults() {}

// Time is the end.
func (*AtEnd) Time(p GaussianPath, _ float64) float64 { return p.End() }
