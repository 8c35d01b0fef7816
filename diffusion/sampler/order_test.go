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

// Each solver's error falls with the number of steps as its theory has it. The
// grids end above σ=0: the last step, there, is apart. The reference is Heun's method, extrapolated.
func TestOrders(t *testing.T) {
	m := testMixture()
	shiftedTo := func(path diffusion.GaussianPath, from, to float64) func(n int) []float64 {
		return func(n int) []float64 { // equal steps in time
			g := make([]float64, n+1)
			diffusion.Linspace(g, from, to)
			return g
		}
	}
	levels := func(path diffusion.GaussianPath, hi, lo float64) func(n int) []float64 {
		return func(n int) []float64 { // smooth in the log-SNR
			g := make([]float64, n+1)
			diffusion.Linspace(g, -math.Log(hi), -math.Log(lo))
			for i := range g {
				g[i] = path.Time(g[i])
			}
			return g
		}
	}
	condot, trig, edm := diffusion.CondOT{}, diffusion.Trig{}, diffusion.EDM{SigmaMax: 80}
	vp := diffusion.VP{Beta0: 0.1, Beta1: 20}
	for _, c := range []struct {
		name  string
		path  diffusion.GaussianPath
		how   Sampler
		grid  func(n int) []float64
		order float64
	}{
		{"euler in time, CondOT", condot, euler("time"), shiftedTo(condot, 1, 0.05), 1},
		{"heun in time, CondOT", condot, heun("time"), shiftedTo(condot, 1, 0.05), 2},
		{"euler in time, trigonometric", trig, euler("time"), shiftedTo(trig, 1, 0.05), 1},
		{"heun in time, trigonometric", trig, heun("time"), shiftedTo(trig, 1, 0.05), 2},
		{"heun in time, VP", vp, heun("time"), shiftedTo(vp, 1, 0.1), 2},
		{"euler in sigma, EDM", edm, euler("sigma"), levels(edm, 20, 0.05), 1},
		{"heun in sigma, EDM", edm, heun("sigma"), levels(edm, 20, 0.05), 2},
		{"heun in sigma, VP", vp, heun("sigma"), levels(vp, 20, 0.05), 2},
		{"heun in sigma, CondOT", condot, heun("sigma"), levels(condot, 20, 0.05), 2},
		{"ddim, VP", vp, entry(t, Samplers, "ddim"), levels(vp, 20, 0.05), 1},
		{"ddim, CondOT", condot, entry(t, Samplers, "ddim"), levels(condot, 20, 0.05), 1},
		{"ddim, table", table(t), entry(t, Samplers, "ddim"), levels(table(t), 20, 0.05), 1},
	} {
		o := &diffusion.Oracle{Of: m, Along: c.path, Predicts: diffusion.X0}
		if c.path == condot || c.path == trig {
			o.Predicts = diffusion.Velocity
		}
		const n = 6
		variable := "sigma"
		if c.grid(2)[0] == c.path.End() && c.path != edm {
			variable = "time"
		}
		// Richardson's extrapolation: what is left is of third order.
		exact, coarse := sample(t, o, heun(variable), c.grid(1024), n, Options{}), sample(t, o, heun(variable), c.grid(512), n, Options{})
		for i := range exact {
			exact[i] += (exact[i] - coarse[i]) / 3
		}
		var logs []float64
		for steps := 32; steps <= 512; steps *= 2 { // four doublings
			e := 0.0
			for i, x := range sample(t, o, c.how, c.grid(steps), n, Options{}) {
				e += math.Abs(x - exact[i])
			}
			logs = append(logs, math.Log2(e))
		}
		t.Logf("%s: %.3f", c.name, (logs[0]-logs[4])/4)
		if slope := (logs[0] - logs[4]) / 4; math.Abs(slope-c.order) > 0.15 {
			t.Errorf("%s: order %.3f, want %g (log₂ errors %.2f)", c.name, slope, c.order, logs)
		}
	}
}

// A small error of the model moves samples in proportion, by any solver, and none moves them not at all.
func TestErrorOfTheModelMovesSamples(t *testing.T) {
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	for _, how := range []Sampler{entry(t, Samplers, "heun"), entry(t, Samplers, "unipc"), entry(t, Samplers, "ddpm")} {
		moved := func(size float64) float64 {
			o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.V}
			grid := append(levels(path, 8, 0.05, 12), 0)
			return distance(sample(t, &diffusion.Imperfect{Of: o, Error: size, Key: rng.Key{Seed: 2}}, how, grid, 4, Options{}), sample(t, o, how, grid, 4, Options{}))
		}
		const size = 1e-4
		one, two := moved(size), moved(2*size)
		// What is not in proportion is of second order, some hundred times size² at most.
		if !(one > size/10) || math.Abs(two/one-2) > 100*size/0.1 {
			t.Errorf("%T: samples move by %g, by %g with twice the error", how, one, two)
		}
		if d := moved(0); d != 0 {
			t.Errorf("%T: without an error, samples move by %g", how, d)
		}
	}
}

// Whatever the model predicts, the samples are the same: to 1e-10, but of dopri5, which chooses its steps by estimates of
// its error. Those cancel: a rounding of κ·2⁻⁵³ of the state is κ·2⁻⁵³/(rtol·e) of an estimate of e tolerances, and changes the next step h by
// .17 times that. It is at most 10 times as long, its error then rtol·e·10⁵, and that changes by 6·Δh/h: rtol and e cancel, and what
// is left is 6·.17·10⁵·κ·2⁻⁵³ = 1.1e-11·κ a step. A conversion rounds states up to 2 twice, which makes κ = 4, and there are up to 24
// steps: 1.1e-9. (Other processors fuse products and sums elsewhere; 2.7e-10 was seen on arm64.)
func TestPredictionsAgree(t *testing.T) {
	much(t)
	m := testMixture()
	kinds := []diffusion.Kind{diffusion.X0, diffusion.Eps, diffusion.V, diffusion.Score, diffusion.Velocity, diffusion.DataVelocity, diffusion.Preconditioned{SigmaData: 0.5}}
	samplers := variants(t)
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.Trig{}, diffusion.EDM{SigmaMax: 5}, diffusion.VP{Beta0: 0.1, Beta1: 10}, table(t)} {
		for name, how := range samplers {
			var first []float64
			tol := 1e-10
			if _, adaptive := how.(*Dopri5); adaptive {
				tol = 24 * 4 * 6 * 0.17 * 1e5 * 0x1p-53
			}
			for _, k := range kinds {
				o := &diffusion.Oracle{Of: m, Along: path, Predicts: k}
				grid := make([]float64, 9)
				diffusion.Linspace(grid, 0.9*path.End(), 0)
				got := sample(t, o, how, grid, 3, Options{Clip: Clip{Range: 2}})
				if first == nil {
					first = got
					continue
				}
				for i := range got {
					if !(math.Abs(got[i]-first[i]) <= tol*max(1, math.Abs(first[i]))) {
						t.Errorf("%s on %T: %v gives %.15g, %v %.15g", name, path, k, got[i], kinds[0], first[i])
						break
					}
				}
			}
		}
	}
}

// Euler in σ and DDIM are one method; across variance-preserving and straight
// paths it makes the same samples on grids of the same noise levels.
func TestEulerInSigmaIsDDIM(t *testing.T) {
	m := testMixture()
	var first []float64
	for _, path := range []diffusion.GaussianPath{diffusion.EDM{SigmaMax: 80}, diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.CondOT{}, diffusion.Trig{}} {
		for _, how := range []Sampler{&DDIM{}, euler("sigma")} {
			o := &diffusion.Oracle{Of: m, Along: path, Predicts: diffusion.X0}
			var grid []float64
			for i := range 10 {
				grid = append(grid, path.Time(-math.Log(8*math.Pow(0.6, float64(i)))))
			}
			grid = append(grid, 0)
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
			p := path.At(grid[0])
			x := s.Normal(rng.Key{Seed: 4}, 0, 3, 2).Scale(p.Sigma) // the same noise level, so the same x/α
			out, err := Sample(context.Background(), s, o, how, grid, x, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := out.Float64s()
			s.Close()
			if first == nil {
				first = got
			}
			for i := range got {
				if math.Abs(got[i]-first[i]) > 1e-10 {
					t.Errorf("%T, %T: %g, want %g", path, how, got[i], first[i])
				}
			}
		}
	}
}
