package flow

import (
	"context"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// interpolants are of every kind.
var interpolants = map[string]Interpolant{
	"straight":        {GaussianPath: diffusion.CondOT{}},
	"constant":        {diffusion.CondOT{}, &ConstantLatent{0.3}},
	"bridge":          {diffusion.CondOT{}, &BridgeLatent{0.8}},
	"trig bridge":     {diffusion.Trig{}, &BridgeLatent{0.8}},
	"trig sine":       {diffusion.Trig{}, &SineLatent{0.5}},
	"encoding":        {EncDec{}, &SineLatent{1}},
	"smooth encoding": {EncDec{}, &BridgeLatent{2}},
}

// Derivatives are those of the coefficients, by central differences.
func TestInterpolantDerivatives(t *testing.T) {
	const h = 1e-6
	for name, p := range interpolants {
		for _, at := range []float64{0.05, 0.2, 0.37, 0.63, 0.8, 0.95} {
			lo, hi, mid := p.At(at-h), p.At(at+h), p.At(at)
			glo, _ := p.Gamma(at - h)
			ghi, _ := p.Gamma(at + h)
			_, dg := p.Gamma(at)
			// h²/6 of third derivatives below 1000, and roundings of 2⁻⁵² over h.
			tol := 1000*h*h + 0x1p-50/h
			within(t, name+" α'", mid.DAlpha, (hi.Alpha-lo.Alpha)/(2*h), tol)
			within(t, name+" σ'", mid.DSigma, (hi.Sigma-lo.Sigma)/(2*h), tol)
			within(t, name+" γ'", dg, (ghi-glo)/(2*h), tol)
		}
		start, end := p.At(0), p.At(1)
		if start.Alpha != 1 || start.Sigma != 0 || math.Abs(end.Sigma-1) > 1e-15 || end.Alpha > 1e-15 {
			t.Errorf("%s: ends at %+v and %+v", name, start, end)
		}
	}
}

// between two normal distributions everything is in closed form: x_t is normal with the mean μ and
// variance V that the coefficients give, and E[x0|x_t] = m0 + α·v0/V·(x−μ), and likewise for x1 and z.
type normals struct {
	p              Interpolant
	m0, v0, m1, v1 float64 // means and variances of data and source
}

func (g *normals) Path() diffusion.GaussianPath { return g.p }
func (g *normals) Kind() diffusion.Kind         { return diffusion.Velocity }
func (g *normals) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	p := g.p.At(at.At(0))
	gamma, dGamma := g.p.Gamma(at.At(0))
	mu := p.Alpha*g.m0 + p.Sigma*g.m1
	v := p.Alpha*p.Alpha*g.v0 + p.Sigma*p.Sigma*g.v1 + gamma*gamma
	dMu := p.DAlpha*g.m0 + p.DSigma*g.m1
	dV := p.DAlpha*p.Alpha*g.v0 + p.DSigma*p.Sigma*g.v1 + dGamma*gamma // half of it
	off := x.AddScalar(-mu)
	return diffusion.Pred{Value: off.Scale(dV / v).AddScalar(dMu), Latent: off.Scale(gamma / v), Kind: diffusion.Velocity}
}

// The flow takes the source to the data, each point to that of its rank; the SDE takes the distribution.
func TestInterpolantsTransport(t *testing.T) {
	for name, p := range interpolants {
		g := &normals{p, 2, 0.25, -1, 1}
		end, _ := p.Gamma(0)
		want := math.Sqrt(g.v0 + end*end)
		from := math.Sqrt(g.v1 + end*end)
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		const n, steps = 2000, 400
		first := s.Normal(rng.Key{Seed: 3}, 0, n, 1).Float64s()
		run := func(how sampler.Sampler, steps int) []float64 {
			s.Reset()
			grid := make([]float64, steps+1)
			for i := range grid { // finer at the ends, where a bridge's noise changes fast
				grid[i] = (1 + math.Cos(math.Pi*float64(i)/float64(steps))) / 2
			}
			grid[steps] = 0
			start := s.TensorOf(func(i int) float64 { return g.m1 + from*first[i] }, n, 1)
			x, err := sampler.Sample(context.Background(), s, g, how, grid, start, sampler.Options{Key: rng.Key{Seed: 9}})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return x.Float64s()
		}
		heun := &sampler.Heun{Integration: sampler.Integration{Variable: "time"}}
		rough, flowed := run(heun, steps/2), run(heun, steps)
		// Twice the steps leave a quarter of the error, or about half where coefficients have a kink; at two
		// thirds, which is none of these, what is left would be twice the difference.
		off, left := 0.0, 0.0
		for i, x := range flowed {
			off = math.Max(off, math.Abs(x-g.m0-want*first[i]))
			left = math.Max(left, math.Abs(x-rough[i]))
		}
		if off > 2*left || left > 0.1 {
			t.Errorf("%s: the flow ends off by %g; half the steps change it by %g", name, off, left)
		}
		mean, square := 0.0, 0.0
		for _, v := range run(&SDE{Scale: 1}, steps) {
			mean += v / n
			square += (v - g.m0) * (v - g.m0) / n
		}
		// Five standard errors, and Euler's error of first order.
		within(t, name+" SDE mean", mean, g.m0, 5*want/math.Sqrt(n)+0.01)
		within(t, name+" SDE variance", square, want*want, want*want*(5*math.Sqrt(2./n)+0.03))
		s.Close()
	}
}

// A flow in one dimension never lets points pass each other: those of the mixture's exact velocity
// come out in the order that they went in, on each path.
func TestFlowKeepsOrderOnALine(t *testing.T) {
	mixture := &diffusion.Mixture{Weights: []float64{0.3, 0.5, 0.2}, Means: [][]float64{{-3}, {0.5}, {4}}, Stds: [][]float64{{0.4}, {0.7}, {0.5}}}
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.Trig{}} {
		oracle := &diffusion.Oracle{Of: mixture, Along: path, Predicts: diffusion.Velocity}
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		const n, steps = 300, 500
		grid := make([]float64, steps+1)
		for i := range grid {
			grid[i] = float64(steps-i) / steps
		}
		start := s.TensorOf(func(i int) float64 { return 3 * (2*float64(i)/(n-1) - 1) }, n, 1)
		out, err := sampler.Sample(context.Background(), s, oracle, &sampler.Heun{Integration: sampler.Integration{Variable: "time"}}, grid, start, sampler.Options{})
		if err != nil {
			t.Fatal(err)
		}
		x := out.Float64s()
		for i := 1; i < n; i++ {
			if x[i] <= x[i-1] {
				t.Fatalf("%T: points %d and %d have changed places: %g, %g", path, i-1, i, x[i-1], x[i])
			}
		}
		s.Close()
	}
}

// The loss of two heads is the sum of theirs.
func TestTwoHeads(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	cfm := &CFM{Regression: diffusion.Regression{Path: interpolants["trig sine"]}}
	var d diffusion.Draw
	cfm.Draw(rng.Key{Seed: 4}, ringBatch(16), &d)
	net := func(heads ...float64) diffusion.Model {
		return &diffusion.NetModel{
			Net: func(x, _ *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor {
				out := x.Scale(heads[0])
				for _, h := range heads[1:] {
					out = tensor.Concat(-1, out, x.Scale(h))
				}
				return out
			},
			Along: cfm.Path, Predicts: diffusion.Velocity,
		}
	}
	one := cfm.Loss(s, net(3), &d).Item()
	both := cfm.Loss(s, TwoHeads{net(3, 0.2)}, &d).Item()
	x, _ := between(s, cfm.Path, interpolants["trig sine"].Latent, diffusion.Velocity, &d, latentNoise(s, &d))
	within(t, "the second head's loss", both-one, x.Scale(0.2).MSE(latentNoise(s, &d)).Item(), 1e-12)
}

// held is normals with the path in an interface, as networks have it.
type held struct {
	*normals
	path diffusion.GaussianPath
}

func (h *held) Path() diffusion.GaussianPath { return h.path }

// In a steady state a plan of the SDE allocates nothing, as plans of package sampler's samplers do.
func TestSDEAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	p := interpolants["bridge"]
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	plan, err := sampler.NewPlan(s, &held{&normals{p, 2, 0.25, -1, 1}, p}, &SDE{Scale: 1}, []float64{1, 0.7, 0.4, 0}, sampler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	draw := func() {
		plan.First++
		if _, err := plan.Draw(context.Background(), 8, 1); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		draw()
	}
	if n := testenv.Allocs(t, draw); n != 0 {
		t.Errorf("%g allocations a run", n)
	}
}
