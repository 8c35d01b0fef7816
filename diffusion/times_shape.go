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
