package flow

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// orders of the solvers.
var orders = map[string]float64{"euler": 1, "midpoint": 2, "rk4": 4}

// The likelihood of a mixture under its exact velocity is its density, to the solver's order.
func TestCNFLikelihood(t *testing.T) {
	mixture := &diffusion.Mixture{Weights: []float64{0.4, 0.6}, Means: [][]float64{{-1, 0.5}, {1, 0}}, Stds: [][]float64{{0.7}, {0.9}}}
	oracle := &diffusion.Oracle{Of: mixture, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	d := diffusion.Draw{N: 5, Shape: []int{2}, X: []float32{0, 0, 1, -1, -2, 0.5, 0.3, 1.2, 2, 1}}
	want := mixture.LogDensity(d.Data(s), oracle.Along, diffusion.Step{T: []float64{0}}, diffusion.Cond{}).Float64s()
	worst := func(solver string, steps int) (off float64) {
		c := &CNF{Solver: solver, Steps: steps, Divergence: "exact"}
		for i, got := range c.LogLikelihood(s, oracle, &d).Float64s() {
			off = math.Max(off, math.Abs(got-want[i]))
		}
		return off
	}
	for solver, order := range orders {
		coarse, fine := worst(solver, 20), worst(solver, 40)
		// Not yet quite in the limit where it is 2^order.
		if got := math.Log2(coarse / fine); math.Abs(got-order) > 0.4 {
			t.Errorf("%s: errors %.3g and %.3g, order %.2f, want %g", solver, coarse, fine, got, order)
		}
	}
}

// With u = θ·x, x_1 = x·e^θ and div u = Dθ: −ln p a dimension is ½·x²e^{2θ} + ½·ln 2π − θ, and its
// derivative x²e^{2θ} − 1, on average; Hutchinson's directions of ±1 give a diagonal Jacobian exactly.
func TestCNFGradient(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	const theta = 0.3
	p := tensor.NewParam(cpu.Default(), tensor.Float64, 1)
	if err := p.Set([]float32{theta}); err != nil {
		t.Fatal(err)
	}
	at := p.Float64s()[0]
	m := &diffusion.NetModel{Net: func(x, _ *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return x.Mul(x.Scope().Param(p)) }, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	b := &diffusion.Batch{N: 3, Shape: []int{2}, X: []float32{0.5, -1, 2, 0.25, -0.75, 1.5}}
	square := 0.0
	for _, x := range b.X {
		square += float64(x) * float64(x) / float64(len(b.X))
	}
	for _, divergence := range []string{"exact", "hutchinson"} {
		c := &CNF{Solver: "rk4", Steps: 40, Divergence: divergence}
		var d diffusion.Draw
		c.Draw(rng.Key{Seed: 1}, b, &d)
		loss := c.Loss(s, m, &d)
		got := s.Grad(loss, []*tensor.Param{p})[0].Float64s()[0]
		grown := square * math.Exp(2*at)
		// rk4's error is θ⁵/120/40⁴ of a factor
		within(t, divergence+" loss", loss.Item(), grown/2+math.Log(2*math.Pi)/2-at, 1e-10)
		within(t, divergence+" gradient", got, grown-1, 1e-9)
		s.Reset()
	}
}

// Hutchinson's estimate is the divergence on average, whatever the network.
func TestCNFHutchinson(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	var o nn.MLPOptions
	o.SetDefaults()
	o.Dim, o.Width = 3, 8
	net, err := nn.NewMLP(nn.NewInit(cpu.Default(), rng.Key{Seed: 2}), o)
	if err != nil {
		t.Fatal(err)
	}
	m := &diffusion.NetModel{Net: func(x, t *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond{}) }, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	const n = 4000
	d := diffusion.Draw{N: n, Shape: []int{3}, X: make([]float32, 3*n)}
	for i := range d.X {
		d.X[i] = []float32{0.4, -1.2, 0.7}[i%3]
	}
	value := func(divergence string) []float64 {
		return (&CNF{Solver: "midpoint", Steps: 3, Divergence: divergence}).LogLikelihood(s, m, &d).Float64s()
	}
	exact, sum, square := value("exact")[0], 0.0, 0.0
	for _, v := range value("hutchinson") {
		sum += (v - exact) / n
		square += (v - exact) * (v - exact) / n
	}
	if !(math.Abs(sum) < 5*math.Sqrt(square/n)) || square == 0 {
		t.Errorf("off by %g on average, a standard error is %g", sum, math.Sqrt(square/n))
	}
}

// Training raises the likelihood to nearly that of the distribution that the data are from.
func TestCNFLearns(t *testing.T) {
	mixture := &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{-2}, {2}}, Stds: [][]float64{{0.5}, {0.5}}}
	x, _ := mixture.Sample(rng.Key{Seed: 1}, 512)
	b := &diffusion.Batch{N: len(x), Shape: []int{1}, X: narrowed(x)}
	var o nn.MLPOptions
	o.SetDefaults()
	o.Dim, o.Width, o.Depth, o.Activation = 1, 24, 2, "tanh"
	net, err := nn.NewMLP(nn.NewInit(cpu.Default(), rng.Key{Seed: 2}), o)
	if err != nil {
		t.Fatal(err)
	}
	m := &diffusion.NetModel{Net: func(x, t *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond{}) }, Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()
	best := -mixture.LogDensity(s.Tensor(b.X, b.N, 1), m.Along, diffusion.Step{T: []float64{0}}, diffusion.Cond{}).Mean().Item()
	var a optim.AdamConfig
	a.SetDefaults()
	opt := optim.NewAdam(nn.Params(net), a)
	c := &CNF{Solver: "midpoint", Steps: 6, Divergence: "exact"}
	var d diffusion.Draw
	var first, last float64
	for step := range 250 {
		s.Reset()
		c.Draw(rng.Key{Step: uint64(step)}, b, &d)
		loss := c.Loss(s, m, &d)
		grads := s.Grad(loss, nn.Params(net))
		if last = loss.Item(); step == 0 {
			first = last
		}
		opt.Step(s, grads, 1e-2, 1)
	}
	// The samples' own entropy is below any density's but their own; a tenth of a nat is for the network.
	if last > best+0.1 || first < best+0.5 {
		t.Errorf("−ln p fell from %.3f to %.3f; that of the true density is %.3f", first, last, best)
	}
}
