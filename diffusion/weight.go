package diffusion

import (
	"fmt"
	"iter"
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

// Check is an error if, at a time that training may draw, what a network that predicts own is to
// say or its weight is not a finite number, such as for ε weighed as x0 where α=0, or if
// its prediction does not determine one of others that the loss is about.
func (r *Regression) Check(own Kind, others ...Kind) error {
	for t, name := range r.times() {
		p := r.Path.At(t)
		if a, b := own.Of(p); !finite(a) || !finite(b) {
			return invalid.Field("predict", "%v is not finite at %s, which training may draw (α=%g, σ=%g)", own, name, p.Alpha, p.Sigma)
		}
		for _, k := range others {
			if _, ok := TryConvert(own, k, p); !ok {
				return invalid.Field("times", "reach %s, where %v does not determine the %v (α=%g, σ=%g)", name, own, k, p.Alpha, p.Sigma)
			}
		}
		if r.Weighting == nil {
			continue
		}
		f, of := r.Weighting.Weight(p)
		m := Mix{0, 1}
		if of != nil {
			m, _ = TryConvert(own, of, p)
		}
		if e := f * m.OnValue * m.OnValue; !finite(e) {
			return invalid.Field("weighting", "is %g at %s, for a network that predicts %v", e, name, own)
		}
	}
	return nil
}

// times goes through those that training may draw: all of a table, else the extremes and some between.
func (r *Regression) times() iter.Seq2[float64, string] {
	return func(yield func(float64, string) bool) {
		if table, ok := r.Path.(*Table); ok {
			for t := 1; t <= table.Len(); t++ {
				if !yield(float64(t), fmt.Sprintf("table entry %d", t-1)) {
					return
				}
			}
			return
		}
		const n = 64
		times := r.Times
		if times == nil {
			times = wholePath
		}
		for i := range n + 1 {
			u := min(max(float64(i)/n, 0x1p-53), 1-0x1p-53) // as drawTimes
			t := times.Time(r.Path, u)
			if !yield(t, fmt.Sprintf("time %g", t)) {
				return
			}
		}
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (w Even) String() string {
	if w.In == nil {
		return "even"
	}
	return fmt.Sprintf("even in %v", w.In)
}
