package sampler

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

func TestRegistry(t *testing.T) {
	for _, e := range Samplers {
		if v, ok := e.New().(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				t.Errorf("the defaults of %s: %v", e.Name, err)
			}
		}
	}
	for _, e := range Grids {
		g := e.New()
		if e.Name == "times" {
			g.(*OwnGrid).List = []float64{1000, 500, 1, 0}
		}
		if v, ok := g.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				t.Errorf("the defaults of %s: %v", e.Name, err)
			}
		}
		times, err := g.Times(table(t), 3)
		if err != nil || len(times) != 4 || times[3] != 0 || CheckGrid(table(t), times) != nil {
			t.Errorf("%s: %v, %v", e.Name, times, err)
		}
		if e.Name == "table" || e.Name == "uniform" {
			if times[0] != 1000 {
				t.Errorf("%s starts at %g of 1000", e.Name, times[0])
			}
		}
	}
	if _, err := New(Samplers, "dimm"); err == nil || !strings.Contains(err.Error(), "ddim") {
		t.Errorf("an unknown name: %v", err)
	}
	// By tokens as diffusers' flow matching shifts dynamically: ½ and 1.15 are the ends of its line.
	for tokens, mu := range map[int]float64{256: 0.5, 4096: 1.15, 1024: 0.5 + 0.65*768/3840, 64: 0.5 - 0.65*192/3840} {
		times, err := (&UniformGrid{Shift: 1, Tokens: tokens}).Times(diffusion.CondOT{}, 4)
		want := math.Exp(mu) / (math.Exp(mu) + 1/0.75 - 1)
		if err != nil || math.Abs(times[1]-want) > 1e-14 {
			t.Errorf("%d tokens: %v, want %g first, %v", tokens, times, want, err)
		}
	}
	for name, v := range map[string]interface{ Validate() error }{
		"eta": &DDIM{Eta: -1}, "variance": &DDPM{Variance: "big"}, "variable": &Euler{Integration{Variable: "lambda"}},
		"churn": &Heun{Integration{Variable: "time", Churn: Churn{Amount: 1}}}, "amount": &Churn{Amount: -1},
		"range": &Clip{Range: -1}, "quantile": &Clip{Quantile: 2}, "max": &Clip{Quantile: 0.9, Max: 0.5},
		"shift": &UniformGrid{}, "from": &UniformGrid{Shift: 1, From: 1.5}, "shift_tokens": &UniformGrid{Shift: 2, Tokens: 64}, "sigma_min": &Levels{}, "sigma_max": &Levels{SigmaMin: 1, SigmaMax: 0.5}, "rho": &KarrasGrid{Levels: Levels{1, 2}},
		"algorithm": &DPM{Algorithm: "dpm"}, "type": &DPM{DPMSolver, 2, "ralston"}, "order": &DPM{DPMSolver, 4, Midpoint}, "third": &DPMMultistep{DPM: DPM{DPMSolver, 2, Midpoint}, Third: "half"},
		"b": &UniPC{Order: 2, Algorithm: DPMSolver, B: "bh3"}, "no_corrector": &UniPC{Order: 2, Algorithm: DPMSolver, B: BH1, NoCorrector: []int{-1}},
		"model": &AYSGrid{"sd3"}, "a": &BetaGrid{},
		"spacing": &TableGrid{Spacing: "even"}, "offset": &TableGrid{Spacing: Leading, Offset: -1}, "times": &OwnGrid{List: []float64{0, 1}},
	} {
		err := v.Validate()
		if f, ok := err.(interface{ ConfigField() string }); !ok || f.ConfigField() != name {
			t.Errorf("%T: error %v, want one about %s", v, err, name)
		}
	}
}

func TestGrids(t *testing.T) {
	for _, c := range []struct {
		spacing         string
		size, n, offset int
		want            string
	}{
		{Linspace, 1000, 7, 0, "[999 832.5 666 499.5 333 166.5 0]"},
		{Linspace, 1000, 1, 0, "[0]"},
		{Linspace, 5, 5, 0, "[4 3 2 1 0]"},
		{Leading, 1000, 4, 1, "[751 501 251 1]"},
		{Leading, 1000, 7, 0, "[852 710 568 426 284 142 0]"},
		{Trailing, 1000, 4, 0, "[999 749 499 249]"},
		{Trailing, 1000, 16, 0, "[999 937 874 811 749 687 624 561 499 437 374 311 249 187 124 61]"}, // halves to even
		{Trailing, 1000, 1, 0, "[999]"},
	} {
		got, err := Entries(c.spacing, c.size, c.n, c.offset)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s, %d of %d: %v, %v, want %s", c.spacing, c.n, c.size, got, err, c.want)
		}
	}
	for n := 1; n <= 1000; n++ { // where numpy's arange has one too many, 61 among them
		if e, err := Entries(Trailing, 1000, n, 0); err != nil || len(e) != n || e[n-1] < 0 {
			t.Fatalf("trailing with %d steps: %d entries, %v", n, len(e), err)
		}
	}
	for _, bad := range [][3]int{{10, 0, 0}, {10, 11, 0}, {10, 10, 1}, {10, -1, 0}} {
		if _, err := Entries(Leading, bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("no error for %v", bad)
		}
	}
	g, _ := (&UniformGrid{Shift: 3}).Times(diffusion.CondOT{}, 4)
	if want := []float64{1, 0.9, 0.75, 0.5, 0}; !slices.EqualFunc(g, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-15 }) {
		t.Errorf("shifted once by 3: %v, want %v", g, want)
	}
	// From .9, which is .75 shifted by 3: the steps before the shift are a third of that.
	g, _ = (&UniformGrid{Shift: 3, From: 0.9}).Times(diffusion.CondOT{}, 3)
	if want := []float64{0.9, 0.75, 0.5, 0}; !slices.EqualFunc(g, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-15 }) {
		t.Errorf("shifted by 3 from .9: %v, want %v", g, want)
	}
	// Karras et al. 2022: σ_0=80, σ_{n−1}=.002, then 0; the middle one by hand.
	k, _ := (&KarrasGrid{Levels: Levels{0.002, 80}, Rho: 7}).Times(diffusion.EDM{SigmaMax: 80}, 3)
	mid := math.Pow((math.Pow(80, 1.0/7)+math.Pow(0.002, 1.0/7))/2, 7)
	for i, want := range []float64{80, mid, 0.002, 0} {
		if math.Abs(k[i]-want) > 1e-13*want {
			t.Errorf("Karras level %d is %.15g, want %.15g", i, k[i], want)
		}
	}
	l, _ := (&LogSNRGrid{Levels{0.01, 100}}).Times(diffusion.Trig{}, 5)
	for i := range 5 {
		if got, want := diffusion.Trig.HalfLogSNR(diffusion.Trig{}, l[i]), math.Log(100)*(float64(i)/2-1); math.Abs(got-want) > 1e-12 {
			t.Errorf("half log-SNR %d is %g, want %g", i, got, want)
		}
	}
}

// Quantiles of Beta(.6,.6) against SciPy.
func TestBetaQuantile(t *testing.T) {
	for p, want := range betaQuantiles {
		if got := BetaQuantile(p, 0.6); math.Abs(got-want) > 1e-14 {
			t.Errorf("quantile %g is %.17g, want %.17g", p, got, want)
		}
	}
}

// The grids that others have, at numbers worked out by hand or by their code.
func TestMoreGrids(t *testing.T) {
	edm := diffusion.EDM{SigmaMax: 1000}
	near := func(what string, got, want []float64) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= 1e-13*want[i]) {
				t.Errorf("%s: level %d is %.15g, want %.15g", what, i, got[i], want[i])
			}
		}
	}
	// k-diffusion: exp(ramp^ρ·(ln 16 − ln 1) + ln 1) at ramp 1, ½, 0: 16, 16^(¼) with ρ=2, 1.
	poly, _ := (&PolyexponentialGrid{Levels: Levels{1, 16}, Rho: 2}).Times(edm, 3)
	near("polyexponential", poly, []float64{16, 2, 1, 0})
	log, _ := (&LogSNRGrid{Levels{0.01, 100}}).Times(edm, 9)
	same, _ := (&PolyexponentialGrid{Levels: Levels{0.01, 100}, Rho: 1}).Times(edm, 9)
	near("polyexponential with ρ=1", same, log)
	// Ten steps are the table, five every other of its levels, twenty the geometric means between.
	sd := alignedLevels["sd"]
	ten, _ := (&AYSGrid{"sd"}).Times(edm, 10)
	near("ays in 10", ten, append(slices.Clone(sd[:10]), 0))
	five, _ := (&AYSGrid{"sd"}).Times(edm, 5)
	near("ays in 5", five, []float64{sd[0], sd[2], sd[4], sd[6], sd[8], 0})
	twenty, _ := (&AYSGrid{"sd"}).Times(edm, 20)
	near("ays in 20", twenty[:4], []float64{sd[0], math.Sqrt(sd[0] * sd[1]), sd[1], math.Sqrt(sd[1] * sd[2])})
	short, err := (&AYSGrid{"sd"}).Times(diffusion.EDM{SigmaMax: 14.6}, 10)
	near("ays on a path that ends earlier", short[:2], []float64{14.6, sd[1]})
	if err != nil {
		t.Error(err)
	}
	if _, err := (&AYSGrid{"sd"}).Times(diffusion.EDM{SigmaMax: 5}, 10); err == nil || !strings.Contains(err.Error(), "ends at noise level 5") {
		t.Errorf("ays on a path that ends too early: %v", err)
	}
	// Beta(1,1) is uniform, Beta(½,½) the arcsine law: sin²(πp/2).
	uniform, _ := (&BetaGrid{A: 1}).Times(diffusion.CondOT{}, 4)
	near("beta with a=1", uniform, []float64{1, 0.75, 0.5, 0.25, 0})
	arc, _ := (&BetaGrid{A: 0.5}).Times(diffusion.CondOT{}, 4)
	sin := math.Sin(math.Pi / 8)
	near("beta with a=½", arc, []float64{1, 1 - sin*sin, 0.5, sin * sin, 0})
}

func TestDynamicThreshold(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x := s.Tensor([]float64{0.5, -4, 2, 1, 0.1, 0.2, -0.3, 0.4}, 2, 4)
	c := Clip{Quantile: 0.5, Max: 10}
	// |x| of the first sorted .5 1 2 4: median 1.5. The second stays below 1.
	want := []float64{0.5 / 1.5, -1, 1, 1 / 1.5, 0.1, 0.2, -0.3, 0.4}
	for i, got := range c.apply(x, new(memory)).Float64s() {
		if math.Abs(got-want[i]) > 1e-15 {
			t.Errorf("element %d is %g, want %g", i, got, want[i])
		}
	}
	c = Clip{Quantile: 1, Max: 3}
	if got := c.apply(x, new(memory)).Float64s(); got[1] != -1 || math.Abs(got[2]-2.0/3) > 1e-15 {
		t.Errorf("limited to 3: %v", got[:4])
	}
}
