package sampler

import (
	"context"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// steady is a model with the same velocity everywhere, whose input must be float32.
type steady struct {
	diffusion.CondOT
	t *testing.T
}

const steadyVelocity = float32(0.1)

func (m steady) Path() diffusion.GaussianPath { return m.CondOT }
func (steady) Kind() diffusion.Kind           { return diffusion.Velocity }
func (m steady) Eval(x *tensor.Tensor, _ diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	if x.DType() != tensor.Float32 {
		m.t.Fatalf("the model is given %v", x.DType())
	}
	return diffusion.Pred{Value: x.Scale(0).AddScalar(float64(steadyVelocity)), Kind: diffusion.Velocity}
}

// Ten thousand steps of a constant velocity add up to the whole: in float32 each
// rounds the state, in float64 the sum is right to what float32 can hold.
func TestFloat64State(t *testing.T) {
	const steps = 10000
	grid := make([]float64, steps+1)
	diffusion.Linspace(grid, 1, 0)
	run := func(wide bool) float64 {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		defer s.Close()
		x, err := Sample(context.Background(), s, steady{t: t}, euler("time"), grid, s.Full(3, 1, 1), Options{Float64: wide})
		if err != nil {
			t.Fatal(err)
		}
		if x.Scope() != s || x.DType() != tensor.Float32 {
			t.Errorf("the result is a %v of another scope", x.DType())
		}
		return math.Abs(x.Item() - (3 - float64(steadyVelocity)))
	}
	// Half a unit in the last place of a number in [2,4) is 2^-23.
	if off := run(true); off > 0x1p-23 {
		t.Errorf("with a float64 state the sum is off by %g", off)
	}
	if off := run(false); off < 0x1p-18 {
		t.Errorf("with a float32 state the sum is off by %g only: the test shows nothing", off)
	}
}

// Everything else works as it does in one type: every sampler, conditions, given noise,
// errors, memory that is given back.
func TestFloat64StateSamplers(t *testing.T) {
	path := diffusion.EDM{SigmaMax: 10}
	o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}
	grid := append(levels(path, 10, 0.05, 8), 0)
	for name, how := range variants(t) {
		run := func(dtype tensor.DType, wide bool) []float64 {
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, dtype)
			defer s.Close()
			x := s.Tensor([]float64{3, -4, 6, 2, -5, 1}, 3, 2)
			out, err := Sample(context.Background(), s, o, how, grid, x, Options{
				Float64: wide, Key: rng.Key{Seed: 3},
				Cond: func(s *tensor.Scope) diffusion.Cond { return diffusion.Cond{Labels: s.Ints([]int32{0, 1, 2}, 3)} },
				Noise: func(s *tensor.Scope, i int) *tensor.Tensor {
					z := make([]float64, 6)
					for j := range z {
						z[j] = float64((i*7+j*5)%11-5) / 4
					}
					return s.Tensor(z, 3, 2)
				},
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return out.Float64s()
		}
		exact := run(tensor.Float64, true)
		// The model rounds, and what it says reaches the result: some hundred roundings of
		// numbers up to 10, which steps of third order multiply by a few.
		if d := distance(run(tensor.Float32, true), exact); !(d <= 5000*0x1p-24) {
			t.Errorf("%s: off by %g", name, d)
		}
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	bad := &diffusion.Oracle{Of: testMixture(), Along: diffusion.CondOT{}, Predicts: diffusion.Eps}
	if _, err := Sample(context.Background(), s, bad, &DDIM{}, []float64{1, 0}, s.Ones(1, 2), Options{Float64: true}); err == nil {
		t.Error("no error where ε says nothing of the data")
	}
}
