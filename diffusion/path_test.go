package diffusion

import (
	"fmt"
	"math"
	"testing"
)

// Derivatives against central differences, and HalfLogSNR against its
// definition and its inverse.
func TestPaths(t *testing.T) {
	for name, path := range paths() {
		end := path.End()
		for i := range 60 {
			f := 0.002 + 0.99*unitFloat(i)
			at := f * end
			p := path.At(at)
			where := fmt.Sprintf("%s at %g: ", name, at)
			if p.T != at {
				t.Errorf("%sT is %g", where, p.T)
			}
			if l := path.HalfLogSNR(at); math.Abs(l-math.Log(p.Alpha/p.Sigma)) > 1e-12*(1+math.Abs(l)) {
				t.Errorf("%shalf log-SNR is %.17g, ln(α/σ) %.17g", where, l, math.Log(p.Alpha/p.Sigma))
			}
			// λ of relative rounding 1e-16·(1+|λ|) moves t by that over |λ'|.
			slope := p.DAlpha/p.Alpha - p.DSigma/p.Sigma
			if got := path.Time(path.HalfLogSNR(at)); math.Abs(got-at) > 1e-13*end+1e-14*(2+math.Abs(path.HalfLogSNR(at)))/math.Abs(slope) {
				t.Errorf("%sthe time of its half log-SNR is %.17g", where, got)
			}
			h := 1e-6 * end * min(f, 1-f)
			if _, table := path.(*Table); table && math.Floor(at-h) != math.Floor(at+h) {
				continue
			}
			a, b := path.At(at-h), path.At(at+h)
			// Truncation h²f‴/6, with f‴ growing towards the ends as (distance)⁻³·f or so: 1e-12·f/distance; rounding 1e-16·f/h.
			tol := 1e-8 * (1 + 1/(end*min(f, 1-f)))
			close(t, where+"α'", (b.Alpha-a.Alpha)/(2*h), p.DAlpha, tol)
			close(t, where+"σ'", (b.Sigma-a.Sigma)/(2*h), p.DSigma, tol*(1+p.Sigma))
		}
		if p := path.At(0); p.Alpha != 1 || p.Sigma != 0 && name != "condot .1" {
			t.Errorf("%s: at 0 α=%.17g σ=%g: want the data", name, p.Alpha, p.Sigma)
		}
		if got := path.Time(math.Inf(1)); got != 0 {
			t.Errorf("%s: all signal is at time %g", name, got)
		}
		if got := path.Time(math.Inf(-1)); math.Abs(got-end) > 1e-12*end {
			t.Errorf("%s: all noise is at time %g", name, got)
		}
		before := math.Inf(1)
		for i := 1; i < 500; i++ {
			l := path.HalfLogSNR(end * float64(i) / 499)
			if !(l < before) {
				t.Fatalf("%s: the SNR does not fall at %d/499", name, i)
			}
			before = l
		}
	}
}

func TestVariancePreserving(t *testing.T) {
	for _, name := range []string{"trig", "vp", "cosine", "linear table", "log table", "zero snr"} {
		path := paths()[name]
		for i := range 101 {
			p := path.At(path.End() * float64(i) / 100)
			if s := p.Alpha*p.Alpha + p.Sigma*p.Sigma; math.Abs(s-1) > 4e-16 {
				t.Errorf("%s at %g: α²+σ² is %.17g", name, p.T, s)
			}
			if PriorStd(p) != 1 {
				t.Errorf("%s: prior std %g", name, PriorStd(p))
			}
		}
	}
	if got := PriorStd(EDM{80}.At(80)); got != 80 {
		t.Errorf("EDM's prior std is %g", got)
	}
	if got := PriorStd(CondOT{}.At(1)); got != 1 {
		t.Errorf("CondOT's prior std is %g", got)
	}
}

// VP is the limit of the discrete table with β/T, and both are the SDE's.
func TestTableTendsToVP(t *testing.T) {
	vp := VP{Beta0: 0.1, Beta1: 20}
	const n = 20000
	betas := make([]float64, n)
	for i := range betas {
		betas[i] = (vp.Beta0 + (vp.Beta1-vp.Beta0)*(float64(i)+0.5)/n) / n
	}
	table, err := NewTable(betas, InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []float64{0.01, 0.2, 0.5, 0.9} {
		// ln(1−β) = −β − β²/2 …: the sum of β²/2 is at most 20²/(6n) = .0033.
		close(t, fmt.Sprint("α at ", f), table.At(f*n).Alpha, vp.At(f).Alpha, 0.0034/2)
	}
}

func TestBetas(t *testing.T) {
	b, _ := Betas(BetaLinear, 1000, 1e-4, 0.02)
	close(t, "β_1", b[0], 1e-4, 0)
	close(t, "β_T", b[999], 0.02, 0)
	bars := AlphaBars(b)
	close(t, "ā_T of DDPM", bars[999], 4.0358e-5, 1e-4) // Ho et al.: "≈ 4e-5", so that the prior's KL is 1e-5 bits/dim
	c, _ := Betas(BetaCosine, 1000, 0, 0)
	if c[999] != 0.999 {
		t.Errorf("the cosine schedule's last β is %g", c[999])
	}
	z := AlphaBars(RescaleZeroSNR(b))
	if z[999] != 0 {
		t.Errorf("rescaled, ā_T is %g", z[999])
	}
	close(t, "rescaled ā_1", z[0], bars[0], 1e-15)
	if _, err := Betas("nosuch", 10, 0.1, 0.2); err == nil {
		t.Error("no error for an unknown schedule")
	}
	for _, bad := range [][]float64{{}, {0}, {0.5, 1, 0.5}, {-1}, {math.NaN()}, {1.5}} {
		if _, err := NewTable(bad, InterpolateLog); err == nil {
			t.Errorf("no error for the betas %v", bad)
		}
	}
}

// The DDPM posterior in the paper's own letters.
func TestPosterior(t *testing.T) {
	b, _ := Betas(BetaLinear, 50, 1e-3, 0.2)
	table, _ := NewTable(b, InterpolateLog)
	for i := 1; i <= 50; i++ {
		q := NewPosterior(table.At(float64(i)), table.At(float64(i-1)))
		beta, bar, before := b[i-1], table.AlphaBar(i), table.AlphaBar(i-1)
		where := fmt.Sprintf("t=%d ", i)
		close(t, where+"β", q.Large, beta, 1e-12)
		close(t, where+"β̃", q.Small, (1-before)/(1-bar)*beta, 1e-12)
		close(t, where+"on x0", q.OnX0, math.Sqrt(before)*beta/(1-bar), 1e-12)
		close(t, where+"on x", q.OnX, math.Sqrt(1-beta)*(1-before)/(1-bar), 1e-12)
	}
	// On any path it must agree with conditioning the joint Gaussian of x_s, x_t given x0:
	// x_t = (α_t/α_s)·x_s + noise.
	for _, path := range []GaussianPath{CondOT{}, EDM{80}, VP{0.1, 20}, SubVP{VP{0.1, 20}}} {
		ti, si := path.At(0.6), path.At(0.35)
		a := ti.Alpha / si.Alpha
		cov := a * si.Sigma * si.Sigma
		q := NewPosterior(ti, si)
		onX := cov / (ti.Sigma * ti.Sigma)
		close(t, "on x", q.OnX, onX, 1e-12)
		close(t, "on x0", q.OnX0, si.Alpha-onX*ti.Alpha, 1e-12)
		close(t, "variance", q.Small, si.Sigma*si.Sigma-cov*onX, 1e-12)
	}
}

// The variational bound's weights on the squared error of ε, β²/(2σ²α(1−ā))
// with σ²=β (Ho et al. 2020, eq. 12), fall with time: L_simple, which is even, moves
// weight to large t.
func TestWeightsOfTheBound(t *testing.T) {
	b, _ := Betas(BetaLinear, 1000, 1e-4, 0.02)
	table, _ := NewTable(b, InterpolateLog)
	for at, want := range map[float64]float64{1: 0.50, 500: 0.0055} {
		p := table.At(at)
		q := NewPosterior(p, table.At(at-1))
		onX0 := EffectiveWeight(Even{X0}, Eps, p) // of x0's error in ε's
		if got := q.OnX0 * q.OnX0 * onX0 / (2 * q.Large); math.Abs(got/want-1) > 0.01 {
			t.Errorf("weight at %g is %.5f, want %g", at, got, want)
		}
	}
}
