package optim

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// MuonConfig are the settings of Muon.
type MuonConfig struct {
	Momentum    float64 `yaml:"momentum" doc:"decay of the mean of gradients"`
	Nesterov    bool    `yaml:"nesterov" doc:"look ahead along that mean"`
	WeightDecay float64 `yaml:"weight_decay" doc:"part of a weight taken off per step and unit of learning rate"`
	Steps       int     `yaml:"steps" doc:"Newton–Schulz steps"`
	Eps         float64 `yaml:"eps" doc:"least norm that a gradient is divided by"`
	Scale       string  `yaml:"scale" doc:"of a step of a (fan in, fan out) matrix: match_adamw is 0.2·√max(in, out), after which AdamW's learning rates do (Liu et al. 2025); original is √max(1, out/in) (Jordan 2024)" oneof:"match_adamw original"`
}

// SetDefaults sets torch's values, and steps of AdamW's size.
func (c *MuonConfig) SetDefaults() {
	*c = MuonConfig{Momentum: 0.95, Nesterov: true, WeightDecay: 0.1, Steps: 5, Eps: 1e-7, Scale: "match_adamw"}
}

// Validate reports values that no run can use.
func (c *MuonConfig) Validate() error {
	switch {
	case !(c.Momentum >= 0 && c.Momentum < 1):
		return invalid.Field("momentum", "must be in [0, 1), is %g", c.Momentum)
	case !(c.WeightDecay >= 0):
		return invalid.Field("weight_decay", "must not be negative, is %g", c.WeightDecay)
	case c.Steps < 1 || c.Steps > 100:
		return invalid.Field("steps", "must be from 1 to 100, is %d", c.Steps)
	case !(c.Eps > 0):
		return invalid.Field("eps", "must be positive, is %g", c.Eps)
	case c.Scale != "match_adamw" && c.Scale != "original":
		return invalid.Field("scale", "must be match_adamw or original, is %q", c.Scale)
	}
	return nil
}

// Muon is for matrices: it takes the mean of gradients to the nearest matrix with
// equal singular values before it steps along it (Jordan 2024). A convolution's kernel
// counts as the matrix (kernel·channels in, channels out).
type Muon struct {
	base
	cfg MuonConfig
}

// IsMatrix reports whether a shape has two sizes above 1: what Muon is for.
func IsMatrix(shape []int) bool {
	if len(shape) < 2 {
		return false
	}
	out := shape[len(shape)-1]
	in := 1
	for _, d := range shape[:len(shape)-1] {
		in *= d
	}
	return in > 1 && out > 1
}

// NewMuon makes the optimiser. A parameter that is no matrix is an error: biases, norms and
// the like go to another rule, as to [NewAdamW] by [NewGroups].
func NewMuon(matrices []*tensor.Param, c MuonConfig) (*Muon, error) {
	for _, p := range matrices {
		if !IsMatrix(p.Shape()) {
			return nil, fmt.Errorf("optim: muon is for matrices, %s has shape %v", p.Name, p.Shape())
		}
	}
	return &Muon{newBase(matrices, "muon_m"), c}, nil
}

// m ← m + (1−μ)·(g − m), u = g + μ·(m − g) or, without Nesterov, m; p ← shrink·p − rate·orthogonal(u).
var (
	muonMean = tensor.NewUpdate("muon mean", 1, 1, 2, func(state, in, sc []tensor.Expr) []tensor.Expr {
		m, g := state[0], in[0].Mul(sc[1])
		return []tensor.Expr{g.Sub(m).MulAdd(sc[0], m)}
	})
	muonAhead = tensor.NewPointwise("muon direction", 2, 2, func(in, sc []tensor.Expr) tensor.Expr {
		g, m := in[0].Mul(sc[1]), in[1]
		return m.Sub(g).MulAdd(sc[0], g)
	})
	muonStep = tensor.NewUpdate("muon", 1, 1, 2, func(state, in, sc []tensor.Expr) []tensor.Expr {
		return []tensor.Expr{in[0].MulAdd(sc[1], state[0].Mul(sc[0]))}
	})
	muonUnit = tensor.NewPointwise("muon norm", 2, 1, func(in, sc []tensor.Expr) tensor.Expr {
		return in[0].Div(in[1].Sqrt().Max(sc[0]))
	})
)

// Step updates the parameters.
func (o *Muon) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	o.check(grads)
	o.steps++
	c := o.cfg
	for i, g := range grads {
		p, m := o.params[i], o.states[i][1:2]
		if g == nil || p.Frozen {
			continue
		}
		mark := s.Mark()
		mean := [2]float64{1 - c.Momentum, scale}
		muonMean.Apply(s, mean[:], m, g)
		s.NoGrad(func() {
			u := s.Param(m[0])
			if c.Nesterov {
				ahead := [2]float64{c.Momentum, scale}
				u = muonAhead.Apply(ahead[:], g, u)
			}
			rate := [2]float64{1 - lr*c.WeightDecay, -lr * c.stepScale(p.Shape())}
			muonStep.Apply(s, rate[:], o.states[i][:1], c.orthogonal(u))
		})
		s.Release(mark, nil)
	}
}

// stepScale is the factor on the learning rate for a shape.
func (c *MuonConfig) stepScale(shape []int) float64 {
	out := float64(shape[len(shape)-1])
	in := 1.0
	for _, d := range shape[:len(shape)-1] {
		in *= float64(d)
	}
	if c.Scale == "original" {
		return math.Sqrt(max(1, out/in))
	}
	return 0.2 * math.Sqrt(max(in, out))
}

// orthogonal is Newton and Schulz's iteration in the quintic form of Jordan 2024:
// X ← aX + (bA + cA²)X with A = XXᵀ, on the wide one of u and uᵀ, from norm 1. It
// brings singular values near 1, within about 0.7 to 1.2.
func (c *MuonConfig) orthogonal(u *tensor.Tensor) *tensor.Tensor {
	const a, b, d = 3.4445, -4.7750, 2.0315
	out := u.Dim(-1)
	in := u.Elems() / out
	x := u.Reshape(in, out)
	if in > out {
		x = x.T()
	}
	eps := [1]float64{c.Eps}
	x = muonUnit.Apply(eps[:], x, sumSquares(x))
	for range c.Steps {
		gram := x.MatMul(x.T())
		x = gram.Axpby(b, gram.MatMul(gram), d).MatMul(x).Axpby(1, x, a)
	}
	if in > out {
		x = x.T()
	}
	return x.Reshape(u.Shape()...)
}
