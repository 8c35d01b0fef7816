package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor/rng"
)

// TimeSampler is the distribution of training times, by its quantile function,
// so that any of them can be stratified.
type TimeSampler interface {
	// Time maps u in (0,1), uniform, to a time of the path.
	Time(p GaussianPath, u float64) float64
}

// onClock is the time at a fraction f of the path: on a Table one of its entries 1…T.
func onClock(p GaussianPath, f float64) float64 {
	if table, ok := p.(*Table); ok {
		n := float64(table.Len())
		return 1 + min(math.Floor(f*n), n-1)
	}
	return f * p.End()
}

// Uniform draws times uniformly from a part of the path; on a Table, its entries.
type Uniform struct {
	From float64 `yaml:"from" doc:"smallest time, as a fraction of the path (0 is data)"`
	To   float64 `yaml:"to" doc:"largest time, as a fraction of the path (1 is noise)"`
}

// SetDefaults takes the whole path.
func (d *Uniform) SetDefaults() { d.From, d.To = 0, 1 }

// Validate checks the bounds.
func (d *Uniform) Validate() error {
	if !(d.From >= 0 && d.From < 1) {
		return invalid.Field("from", "must be in [0, 1), is %g", d.From)
	}
	if !(d.To > d.From && d.To <= 1) {
		return invalid.Field("to", "must be above from=%g and at most 1, is %g", d.From, d.To)
	}
	return nil
}

// Time is linear in u.
func (d *Uniform) Time(p GaussianPath, u float64) float64 { return onClock(p, d.From+u*(d.To-d.From)) }

// LogitNormal draws times whose logit is normal (Esser et al. 2024, SD3). A
// positive mean favours the noise; MeanFlow's −.4 has data at 0, too.
type LogitNormal struct {
	Mean float64 `yaml:"mean" doc:"mean of ln(t/(1-t)); above 0 favours noise"`
	Std  float64 `yaml:"std" doc:"standard deviation of ln(t/(1-t))"`
}

// SetDefaults takes SD3's choice.
func (d *LogitNormal) SetDefaults() { d.Mean, d.Std = 0, 1 }

// Validate checks the standard deviation.
func (d *LogitNormal) Validate() error { return positive("std", d.Std) }

// Time is sigmoid(mean + std·Φ⁻¹(u)).
func (d *LogitNormal) Time(p GaussianPath, u float64) float64 {
	return onClock(p, 1/(1+math.Exp(-d.Mean-d.Std*normalQuantile(u))))
}

// LogNormal draws noise levels σ/α whose logarithm is normal (Karras et al. 2022, table 1).
type LogNormal struct {
	Mean float64 `yaml:"mean" doc:"mean of ln(sigma/alpha)"`
	Std  float64 `yaml:"std" doc:"standard deviation of ln(sigma/alpha)"`
}

// SetDefaults takes EDM's choice.
func (d *LogNormal) SetDefaults() { d.Mean, d.Std = -1.2, 1.2 }

// Validate checks the standard deviation.
func (d *LogNormal) Validate() error { return positive("std", d.Std) }

// Time is where ln(σ/α) = mean + std·Φ⁻¹(u), or the path's end if there is none; on a
// Table, the nearest entry.
func (d *LogNormal) Time(p GaussianPath, u float64) float64 {
	return onEntry(p, p.Time(-d.Mean-d.Std*normalQuantile(u)))
}

// Shifted draws from another distribution and moves its times to the noise by
// Esser et al. 2024, eq. 23: t' = kt/(1+(k−1)t), t as a fraction of the path.
type Shifted struct {
	Of     TimeSampler
	Factor float64 // k
}

// Time is the shifted time.
func (d Shifted) Time(p GaussianPath, u float64) float64 {
	if table, ok := p.(*Table); ok { // the shift is of the fraction that the entry is drawn with
		return onClock(table, Shift(d.Factor, (d.Of.Time(p, u)-0.5)/table.End()))
	}
	return p.End() * Shift(d.Factor, d.Of.Time(p, u)/p.End())
}

// Shift is kt/(1+(k−1)t) for t in [0,1]: on CondOT it multiplies the noise level by k.
func Shift(k, t float64) float64 { return k * t / (1 + (k-1)*t) }

// ShiftOf is the shift for pictures of so many tokens: e^μ, μ a straight line from ½ for 256 to 1.15 for 4096 (Esser et al.
// 2024; the line is FLUX's and diffusers'). With more tokens, more noise is needed to hide as much.
func ShiftOf(tokens int) float64 {
	return math.Exp(0.5 + (1.15-0.5)/(4096-256)*float64(tokens-256))
}

func normalQuantile(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) }

func positive(name string, x float64) error {
	if !(x > 0) || math.IsInf(x, 0) {
		return invalid.Field(name, "must be positive, is %g", x)
	}
	return nil
}

// drawTimes fills out with independent times or, stratified, with one from
// each of len(out) equally likely slices of the distribution, sample i from slice i.
func drawTimes(out []float64, d TimeSampler, p GaussianPath, k rng.Key, stratified bool) {
	for i := range out {
		// In (0,1): 52 bits and a half.
		u := (float64(rng.Bits(k, uint64(i), 0)>>12) + 0.5) / (1 << 52)
		if stratified {
			u = (float64(i) + u) / float64(len(out))
		}
		out[i] = d.Time(p, u)
	}
}
