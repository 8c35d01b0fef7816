package diffusion

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Weighting says how much an error counts at each time. Errors of one kind of
// prediction are those of another times a number that time determines, so a
// weighting names the kind that it weighs, and holds for a network that predicts any other.
type Weighting interface {
	// Weight is the factor on the squared error of a kind; nil: of what the
	// network predicts.
	Weight(p Point) (w float64, of Kind)
}

// EffectiveWeight is the factor on the squared error of own that w amounts to.
// It panics where there is none that is finite.
func EffectiveWeight(w Weighting, own Kind, p Point) float64 {
	f, of := w.Weight(p)
	if of == nil {
		return f
	}
	b := Convert(own, of, p).OnValue
	return f * b * b
}

// Even weighs every time alike, in the errors of what the network predicts
// (L_simple of Ho et al. 2020 for ε) or of another kind.
type Even struct {
	In Kind // nil: what the network predicts
}

// Weight is 1.
func (w Even) Weight(Point) (float64, Kind) { return 1, w.In }

// SNR weighs the error of the data by α²/σ²: the error of ε alike.
type SNR struct{}

// Weight is 1 on ε, which is α²/σ² on the data.
func (SNR) Weight(Point) (float64, Kind) { return 1, Eps }

// MinSNR weighs the error of the data by min(α²/σ², γ) (Hang et al. 2023): in ε it
// is min(S,γ)/S, in v min(S,γ)/(S+1), in a CondOT velocity min(S,γ)·σ².
type MinSNR struct {
	Gamma float64 `yaml:"gamma" doc:"largest weight of the squared error of the data"`
}

// SetDefaults takes the paper's choice.
func (w *MinSNR) SetDefaults() { w.Gamma = 5 }

// Validate checks γ.
func (w *MinSNR) Validate() error { return positive("gamma", w.Gamma) }

// Weight is said of ε where the SNR is below γ, so that it holds where α=0.
func (w *MinSNR) Weight(p Point) (float64, Kind) {
	if p.SNR() < w.Gamma {
		return 1, Eps
	}
	return w.Gamma, X0
}

// CheckWeights is an error if the weighting of a network that predicts own is
// not finite somewhere on a discrete path, such as for ε weighed as x0 where α=0.
func CheckWeights(w Weighting, own Kind, table *Table) error {
	for t := 1; t <= table.Len(); t++ {
		p := table.At(float64(t))
		f, of := w.Weight(p)
		m := Mix{0, 1}
		if of != nil {
			m, _ = TryConvert(own, of, p)
		}
		if e := f * m.OnValue * m.OnValue; math.IsNaN(e) || math.IsInf(e, 0) {
			return invalid.Field("weighting", "is %g at table entry %d, for a network that predicts %v", e, t-1, own)
		}
	}
	return nil
}

func (w Even) String() string {
	if w.In == nil {
		return "even"
	}
	return fmt.Sprintf("even in %v", w.In)
}
