package flow

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// goldenFile holds torchcfm's matchers, POT's plans and SciPy's costs: see internal/golden/README.md.
const goldenFile = "../internal/golden/testdata/flow/flow.safetensors"

// latent is γ, which may be 0.
func (p Interpolant) latent() Latent {
	if p.Latent == nil {
		return &ConstantLatent{}
	}
	return p.Latent
}

// narrowed is numbers that float32 holds.
func narrowed(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// matcherPaths are torchcfm's matchers as paths.
func matcherPath(name string, sigma float64) diffusion.GaussianPath {
	switch name {
	case "target", "target-0":
		return diffusion.CondOT{SigmaMin: sigma}
	case "sbcfm":
		return Interpolant{diffusion.CondOT{}, &BridgeLatent{sigma}}
	case "vp":
		return Interpolant{diffusion.Trig{}, &ConstantLatent{sigma}}
	}
	return Interpolant{diffusion.CondOT{}, &ConstantLatent{sigma}}
}

// Locations, targets and losses equal torchcfm's on the same ends, times and noise. Our
// time is 1 less theirs, our data their x1.
func TestMatchersAgainstTorchCFM(t *testing.T) {
	g := golden.Open(t, goldenFile)
	var sigmas map[string]float64
	g.JSON("sigma", &sigmas)
	source, data, eps, theirs := g.Floats("matcher/x0"), g.Floats("matcher/x1"), g.Floats("matcher/eps"), g.Floats("matcher/t")
	n := len(theirs)
	dim := len(data) / n
	for name, sigma := range sigmas {
		for _, typ := range []tensor.DType{tensor.Float64, tensor.Float32} {
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, typ)
			d := diffusion.Draw{N: n, Shape: []int{dim}, X: narrowed(data), Noise: narrowed(source)}
			for _, tau := range theirs {
				d.T = append(d.T, 1-tau)
			}
			path := matcherPath(name, sigma)
			z := s.Tensor(narrowed(eps), n, dim)
			p, ok := path.(Interpolant)
			if !ok { // the target's ε is its noise
				d.Noise = narrowed(eps)
				p = Interpolant{GaussianPath: path}
			}
			x, u := between(s, p, p.latent(), diffusion.DataVelocity, &d, z)
			times := s.TensorOf(func(i int) float64 { return theirs[i] }, n, 1)
			loss := x.Mul(times).MSE(u).Item()
			xt, ut := g.Floats("matcher/"+name+"/xt"), g.Floats("matcher/"+name+"/ut")
			// A location is three products and two sums of at most 8: five roundings of 8. A target
			// is as large as its parts, of which γ'·z is up to 16·|z|; torchcfm adds 10⁻⁸ to the
			// bridge's denominator, which is a relative 10⁻⁸/(2t(1−t)) of it, and takes the target's
			// from x_t: three roundings of 8, in float64, over its σ_t.
			unit := 0x1p-24
			if typ == tensor.Float64 {
				unit = 0x1p-53
			}
			gotX, gotU, lossOff := x.Float64s(), u.Float64s(), 0.0
			for i := range xt {
				tau := theirs[i/dim]
				part, their := 0.0, 0.0
				switch name {
				case "sbcfm":
					_, dg := p.Gamma(tau)
					part = math.Abs(dg * eps[i])
					their = part * 1e-8 / (2 * tau * (1 - tau))
				case "target", "target-0":
					their = 3 * 8 * 0x1p-53 / (1 - (1-sigma)*tau)
				}
				within(t, name+" x", gotX[i], xt[i], 5*8*unit)
				tol := 5*(16+part)*unit + their
				within(t, name+" u", gotU[i], ut[i], tol)
				lossOff += 2 * (math.Abs(ut[i]) + math.Abs(xt[i])) * (tol + 40*unit)
			}
			want := g.Floats("matcher/" + name + "/loss")[0]
			within(t, name+" loss", loss, want, lossOff/float64(len(xt))+float64(n*dim)*unit*want)
			s.Close()
		}
	}
}

func within(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s: %.12g, want %.12g to within %.3g", what, got, want, tol)
	}
}

// The loss of the objective is that of its location and target.
func TestLossWithLatent(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	for _, kind := range []diffusion.Kind{diffusion.Velocity, diffusion.DataVelocity} {
		cfm := &CFM{Regression: diffusion.Regression{Path: Interpolant{diffusion.Trig{}, &BridgeLatent{0.7}}}}
		var d diffusion.Draw
		cfm.Draw(rng.Key{Seed: 4}, ringBatch(32), &d)
		scaled := &diffusion.NetModel{
			Net:      func(x, _ *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return x.Scale(3) },
			Along:    cfm.Path,
			Predicts: kind,
		}
		// ∂x_t/∂t by differences of x_t at the same z.
		p := cfm.Path.(Interpolant)
		z := latentNoise(s, &d)
		const h = 1e-5
		at := func(by float64) *tensor.Tensor {
			e := d
			e.T = slices.Clone(d.T)
			for i := range e.T {
				e.T[i] += by
			}
			x, _ := between(s, p, p.Latent, kind, &e, z)
			return x
		}
		u := at(h).Sub(at(-h)).Scale(velocitySign(kind) / (2 * h))
		want := at(0).Scale(3).MSE(u).Item()
		// The third derivative of √(t(1−t)) is below 2·(t(1−t))^−2.5; the smallest of 32 times here is above .01.
		if got := cfm.Loss(s, scaled, &d).Item(); math.Abs(got-want) > 1e-3*want {
			t.Errorf("%v: loss %.9g, want %.9g", kind, got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("predicts ε with noise between the ends")
		}
	}()
	velocitySign(diffusion.Eps)
}

// Exact plans are POT's; entropic plans, too, to the tolerance they are solved to.
func TestPlansAgainstPOT(t *testing.T) {
	g := golden.Open(t, goldenFile)
	var regs []float64
	g.JSON("regularisations", &regs)
	x, y := g.Floats("plan/x0"), g.Floats("plan/x1")
	n := len(x) / 2
	cost := make([]float64, n*n)
	for i := range n {
		for j := range n {
			dx, dy := x[2*i]-y[2*j], x[2*i+1]-y[2*j+1]
			cost[i*n+j] = dx*dx + dy*dy
		}
	}
	var a Assigner
	for i, j := range a.Solve(cost, n) {
		if want := g.Ints("plan/exact")[i]; int64(j) != want {
			t.Errorf("row %d goes to %d, POT's to %d", i, j, want)
		}
	}
	for _, reg := range regs {
		want := g.Floats("plan/sinkhorn-" + fmtFloat(reg))
		var s EntropicSolver
		if err := s.Solve(cost, n, reg, 1e-12, 1000000); err != nil {
			t.Fatal(err)
		}
		// At 10⁻¹² of marginal error the plan is off by that over the spectral gap of its scaling,
		// which POT's count of iterations to 10⁻¹³, below 400, bounds by 20: 30/400 of e a step.
		for i, p := range s.Plan() {
			within(t, "plan "+fmtFloat(reg), p, want[i], 1e-10)
		}
	}
}

func fmtFloat(v float64) string {
	b, _ := json.Marshal(v)
	if v == math.Trunc(v) {
		return string(b) + ".0"
	}
	return string(b)
}

// hashed is splitmix64 of seed·2³²+i, as internal/golden/flow.py has it.
func hashed(seed, i uint64) uint64 {
	z := seed<<32 + i + 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// goldenInstance fills in the costs of an instance of that file.
func goldenInstance(kind string, seed uint64, n int, c []float64) {
	points := func(span uint64) {
		at := func(set, i, k int) float64 { return float64(hashed(seed, uint64(set*2*n+2*i+k)) % span) }
		for i := range n {
			for j := range n {
				dx, dy := at(0, i, 0)-at(1, j, 0), at(0, i, 1)-at(1, j, 1)
				c[i*n+j] = dx*dx + dy*dy
			}
		}
	}
	switch kind {
	case "points":
		points(1 << 16)
		return
	case "copies":
		points(4)
		return
	}
	for i := range c {
		switch h := hashed(seed, uint64(i)); kind {
		case "uniform":
			c[i] = float64(h % (1 << 24))
		case "few":
			c[i] = float64(h % 3)
		case "equal":
			c[i] = 7
		case "negative":
			c[i] = -float64(h % (1 << 20))
		case "products":
			c[i] = float64((i/n + 1) * (i%n + 1))
		case "wide":
			c[i] = math.Ldexp(1, int(h%40))
		}
	}
}

// allInstances makes TestAssignmentsAgainstSciPy solve instances of up to 2,048, which takes a minute.
const allInstances = "LANGEVIN_ALL_ASSIGNMENTS"

// Costs of 1,000 assignments, random and degenerate, equal SciPy's. They are whole numbers, so exactly.
func TestAssignmentsAgainstSciPy(t *testing.T) {
	g := golden.Open(t, goldenFile)
	var kinds []string
	g.JSON("kinds", &kinds)
	kind, size, want := g.Ints("assign/kind"), g.Ints("assign/n"), g.Ints("assign/cost")
	if len(want) != 1000 {
		t.Fatalf("%d instances", len(want))
	}
	var a Assigner
	solved := 0
	for i := range want {
		n := int(size[i])
		if n > 160 && os.Getenv(allInstances) == "" {
			continue
		}
		cost := make([]float64, n*n)
		goldenInstance(kinds[kind[i]], uint64(i), n, cost)
		match := a.Solve(cost, n)
		checkPermutation(t, match)
		if got := total(cost, match); got != float64(want[i]) {
			t.Errorf("instance %d (%s, n=%d) costs %.0f, SciPy's %d", i, kinds[kind[i]], n, got, want[i])
		}
		solved++
	}
	t.Logf("%d instances", solved)
}

// scripts/flow/assignment_times.py runs this beside SciPy and POT, on the same costs.
func BenchmarkGoldenPoints(b *testing.B) {
	for _, n := range []int{256, 512, 1024, 2048} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			costs := make([][]float64, 5)
			for seed := range costs {
				costs[seed] = make([]float64, n*n)
				goldenInstance("points", uint64(seed), n, costs[seed])
			}
			var a Assigner
			i := 0
			for b.Loop() {
				a.Solve(costs[i%5], n)
				i++
			}
		})
	}
}
