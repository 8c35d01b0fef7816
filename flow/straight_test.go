package flow

import (
	"context"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// turning is a velocity of two numbers that turns: (1, cos 2πt), so that a sample moves by (1, 0) and
// the straightness is ½∫cos² = ¼.
type turning struct{}

func (turning) Path() diffusion.GaussianPath { return diffusion.CondOT{} }
func (turning) Kind() diffusion.Kind         { return diffusion.Velocity }
func (turning) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	v := x.Scope().Tensor([]float64{1, math.Cos(2 * math.Pi * at.T[0])}, 1, 2)
	return diffusion.Pred{Value: v.Expand(x.Shape()...), Kind: diffusion.Velocity}
}

func TestShape(t *testing.T) {
	s := steps64(t, tensor.Inference)
	x := func() *tensor.Tensor { return s.Normal(rng.Key{Seed: 2}, 0, 5, 2) }
	got, err := MeasureShape(context.Background(), s, turning{}, nil, x(), 64)
	if err != nil {
		t.Fatal(err)
	}
	for what, d := range map[string]float64{"straightness": got.Straightness - 0.25, "curvature": got.Curvature - 0.5, "transport": got.Transport - 1} {
		if math.Abs(d) > 1e-12 { // sums of equally spaced cosines are exact
			t.Errorf("%s is off by %g", what, d)
		}
	}

	// A point's flow is straight; that of a Gaussian in time steps of 1/n is, up to Euler's error, what its
	// closed form x(t) = φ(t)·z says: E‖v‖² − E‖z−x₀‖² = ∫φ'²dt − (1−φ(0))².
	point := &diffusion.Oracle{Of: &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{0.3, -1}}, Stds: [][]float64{{0}}}, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	if got, err = MeasureShape(context.Background(), s, point, nil, x(), 10); err != nil || got.Straightness > 1e-12 {
		t.Errorf("a point's flow: %v, %v", got, err)
	}
	const n, std = 20000, 0.4
	g := gaussianFlow{std: std}
	if got, err = MeasureShape(context.Background(), s, g, nil, s.Normal(rng.Key{Seed: 3}, 0, n, 2), 200); err != nil {
		t.Fatal(err)
	}
	want, at := 0.0, func(t float64) float64 { return math.Sqrt((1-t)*(1-t)*std*std + t*t) }
	for i := range 10000 {
		t := (float64(i) + 0.5) / 10000
		rate := (t - (1-t)*std*std) / at(t)
		want += rate * rate / 10000
	}
	want -= (1 - std) * (1 - std)
	// Euler's error is O(1/steps), that of the mean √(2/2n) of it.
	if math.Abs(got.Straightness/want-1) > 0.05+4*math.Sqrt(1.0/n) {
		t.Errorf("straightness of a Gaussian's flow is %.4f, want %.4f", got.Straightness, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := MeasureShape(ctx, s, g, nil, x(), 3); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}
