package flow

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Shape says how straight the ways of a flow are, and how far they lead: means over samples.
type Shape struct {
	// Straightness is ∫‖(x₁−x₀) − dx/dτ‖²dτ/D, τ from 0 to 1 along the way (Liu et al. 2023, eq. 7, by
	// element): 0 where every sample goes in a straight line at one speed.
	Straightness float64 `json:"straightness"`
	// Curvature is that relative to ‖x₁−x₀‖²/D.
	Curvature float64 `json:"curvature"`
	// Transport is ‖x₁−x₀‖², x₁ the noise and x₀ the sample: what each round of rectification lowers
	// for every convex cost.
	Transport float64 `json:"transport"`
	Steps     int     `json:"steps"`
}

// MeasureShape follows the probability-flow ODE from x (N,…), states at the path's end, by Euler's
// method with so many steps. cond is made anew at each step; nil: none. s is Reset between steps.
func MeasureShape(ctx context.Context, s *tensor.Scope, m diffusion.Model, cond func(s *tensor.Scope) diffusion.Cond, x *tensor.Tensor, steps int) (Shape, error) {
	path := m.Path()
	end := path.End()
	shape := append([]int(nil), x.Shape()...)
	n := x.Dim(0)
	if n == 0 || steps < 1 {
		return Shape{}, fmt.Errorf("the shape of %d ways in %d steps: want at least one of each", n, steps)
	}
	start := append([]float64(nil), x.Float64s()...)
	at := append([]float64(nil), start...)
	squares := 0.0 // Σ‖v‖² over steps
	for i := range steps {
		if err := ctx.Err(); err != nil {
			return Shape{}, err
		}
		s.Reset()
		var c diffusion.Cond
		if cond != nil {
			c = cond(s)
		}
		t := [1]float64{end * float64(steps-i) / float64(steps)}
		x := s.Tensor(at, shape...)
		v := m.Eval(x, diffusion.Step{T: t[:]}, c).As(diffusion.Velocity, x, path, diffusion.Step{T: t[:]}).Float64s()
		for k, v := range v {
			v *= end // per unit of τ
			squares += v * v
			at[k] -= v / float64(steps)
		}
	}
	// ∫‖d−v‖² = ∫‖v‖² − 2d·∫v + ‖d‖², and ∫v is d.
	var moved float64
	for k := range at {
		d := start[k] - at[k]
		moved += d * d
	}
	r := Shape{Straightness: (squares/float64(steps) - moved) / float64(len(at)), Transport: moved / float64(n), Steps: steps}
	if moved > 0 {
		r.Curvature = r.Straightness / (moved / float64(len(at)))
	}
	return r, nil
}
