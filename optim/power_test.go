package optim

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

func openModern(t *testing.T) goldens {
	f, err := safetensors.Open(modernFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return goldens{t, f}
}

// Exponents of widths are ema-pytorch's, and go back to the widths.
func TestSigmaRel(t *testing.T) {
	var gammas map[string]float64
	openModern(t).metadata("gammas", &gammas)
	if len(gammas) < 4 {
		t.Fatal(gammas)
	}
	for name, want := range gammas {
		s, err := strconv.ParseFloat(name, 64)
		if err != nil {
			t.Fatal(err)
		}
		// numpy finds the root by eigenvalues of a matrix with elements of up to 1/σ² = 400.
		if got := SigmaRelToGamma(s); !(math.Abs(got/want-1) <= 1e-12) {
			t.Errorf("σ %g: γ %.17g, want %.17g", s, got, want)
		}
	}
	for s := 0.001; s < maxSigmaRel; s *= 1.3 {
		if back := GammaToSigmaRel(SigmaRelToGamma(s)); !(math.Abs(back/s-1) <= 1e-13) {
			t.Errorf("σ %g becomes %g", s, back)
		}
	}
	if g := SigmaRelToGamma(maxSigmaRel); !(g < 1e-7) { // df/dσ is finite, and so rounding of σ shows as it is
		t.Errorf("the plain mean has γ %g", g)
	}
}

func TestPowerAverageFollowsReference(t *testing.T) {
	for _, dtype := range dtypes {
		g := openModern(t)
		var widths []float64
		g.metadata("sigma_rels", &widths)
		for _, s := range widths {
			p, a := tensor.NewParam(cpu.Default(), dtype, 6, 4), tensor.NewParam(cpu.Default(), dtype, 6, 4)
			ema, err := NewEMA([]*tensor.Param{p}, []*tensor.Param{a}, PowerEMA{s})
			if err != nil {
				t.Fatal(err)
			}
			sc := tensor.NewScopeOf(cpu.Default(), tensor.Inference, dtype)
			defer sc.Close()
			weights, _ := g.read("grads/w")
			want, _ := g.read(fmt.Sprintf("power-%v/w", s))
			for step := range 10 {
				sc.Reset()
				if err := p.Set64(weights[step*24 : (step+1)*24]); err != nil {
					t.Fatal(err)
				}
				ema.Update(sc)
				g.compare(fmt.Sprintf("σ %g, step %d", s, step), a, want[step*24:(step+1)*24], tolerance(dtype))
			}
		}
	}
}

func TestPostHocFollowsReference(t *testing.T) {
	g := openModern(t)
	var stored, targets [][2]float64
	g.metadata("snapshots", &stored)
	g.metadata("targets", &targets)
	if len(stored) != 8 || len(targets) != 5 {
		t.Fatal(stored, targets)
	}
	for i, to := range targets {
		var snapshots []Snapshot
		for _, s := range stored {
			snapshots = append(snapshots, Snapshot{int(s[0]), s[1]})
		}
		want, _ := g.read(fmt.Sprintf("posthoc/%d", i))
		late := to[0] < 1000 // there, the reference also uses snapshots of after it
		got, err := PostHoc(snapshots, Snapshot{int(to[0]), to[1]})
		if err != nil {
			t.Fatal(err)
		}
		if late {
			continue
		}
		for k := range want {
			// The equations' condition is some 1e4: two solutions in float64 agree to 1e-11.
			if !(math.Abs(got[k]-want[k]) <= 1e-10) {
				t.Errorf("target %v: weights %v, want %v", to, got, want)
				break
			}
		}
	}
}

// Reconstruction comes near the average that was tracked all along: of weights that
// drift and jitter, from two widths stored every tenth of the way. What was stored is found again exactly.
func TestPostHocReconstruction(t *testing.T) {
	const steps = 2000
	track := func(s float64) (at func(step int) float64) {
		p := PowerEMA{s}
		values := make([]float64, steps+1)
		for t := range steps {
			w := math.Cos(3*float64(t)/steps) + 0.2*math.Sin(float64(t*t)) // slow, and as good as random
			values[t+1] = values[t] + (1-p.DecayAt(t))*(w-values[t])
		}
		return func(step int) float64 { return values[step] }
	}
	var stored []Snapshot
	var values []float64
	for _, s := range []float64{0.05, 0.1} {
		at := track(s)
		for step := steps / 10; step <= steps; step += steps / 10 {
			stored, values = append(stored, Snapshot{step, s}), append(values, at(step))
		}
	}
	for _, want := range []Snapshot{{steps, 0.07}, {steps, 0.08}, {steps, 0.12}, {1400, 0.09}, {steps, 0.05}, {1000, 0.1}} {
		x, err := PostHoc(stored, want)
		if err != nil {
			t.Fatal(err)
		}
		got, sum := 0.0, 0.0
		for i := range x {
			got += x[i] * values[i]
			sum += x[i]
		}
		exact := track(want.SigmaRel)(want.Step)
		// The paper's figure 15 has errors of below 1 % of the profile with so many snapshots.
		bound := 5e-3
		for _, s := range stored {
			if s == want {
				bound = 1e-9
			}
		}
		if !(math.Abs(got-exact) <= bound) || math.Abs(sum-1) > 1e-12 {
			t.Errorf("%+v: %.6g from weights that add up to %g, tracked %.6g", want, got, sum, exact)
		}
	}
}

func TestPostHocErrors(t *testing.T) {
	ok := []Snapshot{{10, 0.1}, {20, 0.1}}
	for _, c := range []struct {
		stored []Snapshot
		want   Snapshot
	}{
		{nil, Snapshot{10, 0.1}}, {ok, Snapshot{9, 0.1}}, {ok, Snapshot{0, 0.1}}, {ok, Snapshot{20, 0}}, {ok, Snapshot{20, 0.3}}, {ok, Snapshot{20, math.NaN()}},
		{[]Snapshot{{0, 0.1}}, Snapshot{20, 0.1}}, {[]Snapshot{{10, -1}}, Snapshot{20, 0.1}}, {[]Snapshot{{10, 0.1}, {10, 0.1}}, Snapshot{20, 0.1}},
	} {
		if x, err := PostHoc(c.stored, c.want); err == nil {
			t.Errorf("%v from %v: %v", c.want, c.stored, x)
		}
	}
	for _, s := range []float64{0, -1, 0.3, math.NaN(), math.Inf(1)} {
		if (&PowerEMA{s}).Validate() == nil {
			t.Errorf("a width of %g is accepted", s)
		}
	}
	p := PowerEMA{}
	if p.SetDefaults(); p.Validate() != nil {
		t.Error("the default is refused")
	}
}
