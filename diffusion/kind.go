package diffusion

import (
	"fmt"
	"math"
	"strings"
)

// Kind is something a model may predict of x_t = α·x0 + σ·ε: a combination
// p·x0 + q·ε whose coefficients depend on time alone. Together with x_t it
// determines x0 and ε, and so every other kind, wherever αq ≠ σp. A nil Kind in
// an option stands for "what the model predicts".
type Kind interface {
	// Of gives p and q at a point of the path.
	Of(p Point) (onX0, onEps float64)
	String() string
}

// Prediction is a Kind without parameters.
type Prediction uint8

const (
	Eps          Prediction = iota // ε (Ho et al. 2020)
	X0                             // the data
	V                              // α·ε − σ·x0 (Salimans and Ho 2022); not the velocity
	Score                          // ∇ ln p_t(x_t) given x0: −ε/σ
	Velocity                       // dx_t/dt = α'·x0 + σ'·ε, time running to the noise
	DataVelocity                   // −dx_t/dt: the velocity of those whose time runs to the data
)

var predictionNames = []string{"eps", "x0", "v", "score", "velocity", "data_velocity"}

func (k Prediction) String() string {
	if int(k) < len(predictionNames) {
		return predictionNames[k]
	}
	return fmt.Sprintf("prediction(%d)", uint8(k))
}

// Of gives the coefficients on x0 and ε.
func (k Prediction) Of(p Point) (onX0, onEps float64) {
	switch k {
	case Eps:
		return 0, 1
	case X0:
		return 1, 0
	case V:
		return -p.Sigma, p.Alpha
	case Score:
		return 0, -1 / p.Sigma
	case Velocity:
		return p.DAlpha, p.DSigma
	case DataVelocity:
		return -p.DAlpha, -p.DSigma
	}
	panic("diffusion: " + k.String() + " is no kind of prediction")
}

// Choices lists the names that UnmarshalText knows.
func (Prediction) Choices() []string { return append([]string(nil), predictionNames...) }

// MarshalText gives the name.
func (k Prediction) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name.
func (k *Prediction) UnmarshalText(b []byte) error {
	for i, n := range predictionNames {
		if n == string(b) {
			*k = Prediction(i)
			return nil
		}
	}
	return fmt.Errorf("unknown prediction %q; valid are %s", b, strings.Join(predictionNames, ", "))
}

// Preconditioned is the raw output F of a network under the preconditioning of
// Karras et al. 2022 (EDM, table 1): x0 = c_skip·x̃ + c_out·F with x̃ = x/α and
// noise level σ/α. With SigmaData 1 and α²+σ²=1 it is −V.
type Preconditioned struct {
	SigmaData float64 // s, the data's standard deviation
	Negative  bool    // −F in place of F, which is V where F is −V
}

func (k Preconditioned) String() string {
	if k.Negative {
		return fmt.Sprintf("-edm(%g)", k.SigmaData)
	}
	return fmt.Sprintf("edm(%g)", k.SigmaData)
}

// Of gives (1−c_skip)/c_out and −(σ/α)·c_skip/c_out, written so that they are
// finite at both ends: F = (σ/s·x0 − α·s·ε)/√(σ²+α²s²).
func (k Preconditioned) Of(p Point) (onX0, onEps float64) {
	s := k.SigmaData
	norm := math.Hypot(p.Sigma, p.Alpha*s)
	if k.Negative {
		norm = -norm
	}
	return p.Sigma / (s * norm), -p.Alpha * s / norm
}

// InputScale is c_in for x (not x̃): 1/√(σ²+α²s²), which gives it unit variance.
func (k Preconditioned) InputScale(p Point) float64 {
	return 1 / math.Hypot(p.Sigma, p.Alpha*k.SigmaData)
}

// Mix are the coefficients of a conversion: result = OnX·x_t + OnValue·value.
type Mix struct{ OnX, OnValue float64 }

// finite reports whether the conversion exists.
func (m Mix) finite() bool {
	return !math.IsNaN(m.OnX) && !math.IsInf(m.OnX, 0) && !math.IsNaN(m.OnValue) && !math.IsInf(m.OnValue, 0)
}

// Convert gives the coefficients with which a prediction of kind from becomes
// one of kind to at p: x = αx0 + σε and value = p·x0 + q·ε are two equations for x0
// and ε. It panics with an *UndeterminedError where they have no one solution, as for
// x0 from ε where α=0, or ε from x0 where σ=0.
func Convert(from, to Kind, p Point) Mix {
	m, ok := TryConvert(from, to, p)
	if !ok {
		panic(&UndeterminedError{From: from, To: to, At: p})
	}
	return m
}

// TryConvert is Convert that says instead whether there is a solution.
func TryConvert(from, to Kind, p Point) (Mix, bool) {
	if from == to {
		return Mix{0, 1}, true
	}
	pa, qa := from.Of(p)
	pb, qb := to.Of(p)
	det := p.Alpha*qa - p.Sigma*pa
	m := Mix{(pb*qa - qb*pa) / det, (p.Alpha*qb - p.Sigma*pb) / det}
	return m, m.finite()
}

// UndeterminedError says that at some point of a path one prediction does not
// determine another.
type UndeterminedError struct {
	From, To Kind
	At       Point
}

func (e *UndeterminedError) Error() string {
	return fmt.Sprintf("a prediction of %v does not determine %v at time %g (α=%g, σ=%g)", e.From, e.To, e.At.T, e.At.Alpha, e.At.Sigma)
}
