package flow

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Scheduler is κ of a path between data and a source, from 0 at the data to 1: on a [GeodesicPath] the part of
// the way that has been gone, of tokens the probability to be the source's.
type Scheduler interface {
	// Kappa is κ and its derivative at a time in [0,1].
	Kappa(t float64) (kappa, dKappa float64)
}

// LinearKappa is κ = t: constant speed.
type LinearKappa struct{}

// Kappa is t and 1.
func (*LinearKappa) Kappa(t float64) (kappa, dKappa float64) { return t, 1 }

// CosineKappa is κ = sin²(πt/2): from rest to rest.
type CosineKappa struct{}

// Kappa is sin²(πt/2) and (π/2)·sin(πt).
func (*CosineKappa) Kappa(t float64) (kappa, dKappa float64) {
	sin, cos := math.Sincos(math.Pi / 2 * t)
	return sin * sin, math.Pi * sin * cos
}

// SineKappa is κ = sin(πt/2): for tokens the cosine schedule of Shi et al. 2024 and of MaskGIT, in which
// few are revealed at first.
type SineKappa struct{}

// Kappa is sin(πt/2) and (π/2)·cos(πt/2).
func (*SineKappa) Kappa(t float64) (kappa, dKappa float64) {
	sin, cos := math.Sincos(math.Pi / 2 * t)
	return sin, math.Pi / 2 * cos
}

// PolynomialKappa is κ = 1 − (1−t)^n: Gat et al. 2024's, whose time is 1−t.
type PolynomialKappa struct {
	Exponent float64 `yaml:"exponent" doc:"n, of the power of the time from the source" range:"[1,10]"`
}

// SetDefaults is 1−(1−t)².
func (k *PolynomialKappa) SetDefaults() { k.Exponent = 2 }

// Validate checks n.
func (k *PolynomialKappa) Validate() error { return checkExponent(k.Exponent) }

// Kappa is 1 − (1−t)^n and n·(1−t)^{n−1}.
func (k *PolynomialKappa) Kappa(t float64) (kappa, dKappa float64) {
	return 1 - math.Pow(1-t, k.Exponent), k.Exponent * math.Pow(1-t, k.Exponent-1)
}

// PowerKappa is κ = t^p: near the data, more time for less of the way. For tokens it is Shi et al. 2024's polynomial.
type PowerKappa struct {
	Exponent float64 `yaml:"exponent" doc:"p, of the time's power" range:"[1,10]"`
}

// SetDefaults is t².
func (k *PowerKappa) SetDefaults() { k.Exponent = 2 }

// Validate checks p: below 1 the speed at the data is infinite.
func (k *PowerKappa) Validate() error { return checkExponent(k.Exponent) }

// Kappa is t^p and p·t^{p−1}.
func (k *PowerKappa) Kappa(t float64) (kappa, dKappa float64) {
	return math.Pow(t, k.Exponent), k.Exponent * math.Pow(t, k.Exponent-1)
}

func checkExponent(e float64) error {
	if !(e >= 1 && e <= 10) {
		return invalid.Field("exponent", "must be in [1, 10], is %g", e)
	}
	return nil
}
