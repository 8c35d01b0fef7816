package data

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"
)

var toySets = map[string]Distribution{
	"moons":        TorchCFMMoons(),
	"8gaussians":   TorchCFMEightGaussians(),
	"swissroll":    FFJORDSwissRoll(),
	"pinwheel":     FFJORDPinwheel(),
	"rings":        FFJORDRings(),
	"checkerboard": Checkerboard{},
}

// testdata/toy.json has the moments of the reference generators up to order 4,
// with their standard errors (testdata/toy.py). Ours are estimates too, so the
// difference of two has the variance of their sum; 90 of them are compared, and
// five standard deviations are exceeded by chance once in 20,000 such tests.
func TestMomentsAreTheReferences(t *testing.T) {
	text, err := os.ReadFile("testdata/toy.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]struct {
		I, J     float64
		Mean, Se float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	const n = 100000
	for name, d := range toySets {
		if len(want[name]) != 15 {
			t.Fatalf("%s has %d reference moments", name, len(want[name]))
		}
		s := Draw(d, 1, false)
		sum, sum2 := make([]float64, 15), make([]float64, 15)
		x := make([]float32, 2)
		for i := range uint64(n) {
			if _, err := s.Sample(i, x); err != nil {
				t.Fatal(err)
			}
			for k, m := range want[name] {
				v := math.Pow(float64(x[0]), m.I) * math.Pow(float64(x[1]), m.J)
				sum[k] += v
				sum2[k] += v * v
			}
		}
		for k, m := range want[name] {
			mean := sum[k] / n
			se := math.Sqrt(max(0, sum2[k]/n-mean*mean)/n + m.Se*m.Se)
			if math.Abs(mean-m.Mean) > 5*se {
				t.Errorf("%s: E[x^%v y^%v] = %.5f, the reference's is %.5f, ± %.5f", name, m.I, m.J, mean, m.Mean, se)
			}
		}
	}
}

// The density integrates to 1, and over every cell of a grid to the share of
// samples that fall there: chi-squared against its 10⁻⁵ quantile, over cells in
// which at least 20 are expected (the rest is one cell).
func TestDensityIsTheSamples(t *testing.T) {
	correlated, err := NewMixture([]Gaussian{
		{Weight: 3, Mean: []float64{-1, 1}, Cov: [][]float64{{1, 0.6}, {0.6, 0.5}}},
		{Weight: 1, Mean: []float64{2, -1}, Std: []float64{0.4, 0.8}},
	})
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]Distribution{"correlated": correlated}
	for name, d := range toySets {
		if d.LogDensity() != nil {
			sets[name] = d
		}
	}
	if len(sets) != 5 {
		t.Errorf("%d sets have a density, want 5", len(sets))
	}
	const (
		n    = 50000
		cell = 0.5
		half = 16 // cells each side of 0: ±8
	)
	for name, d := range sets {
		s := Draw(d, 5, true)
		log := DensityOf(s)
		count := make([]float64, 4*half*half)
		x := make([]float32, 2)
		for i := range uint64(n) {
			if _, err := s.Sample(i, x); err != nil {
				t.Fatal(err)
			}
			a, b := int(math.Floor(float64(x[0])/cell))+half, int(math.Floor(float64(x[1])/cell))+half
			if a < 0 || b < 0 || a >= 2*half || b >= 2*half {
				t.Fatalf("%s: sample at %v", name, x)
			}
			count[a*2*half+b]++
		}
		total, chi2, cells := 0.0, 0.0, 0.0
		restWant, restGot := 0.0, 0.0
		for a := range 2 * half {
			for b := range 2 * half {
				x0, y0 := cell*float64(a-half), cell*float64(b-half)
				mass := integral(log, x0, y0, cell, midpoint(log, x0, y0, cell), 12)
				total += mass
				got, want := count[a*2*half+b], mass*n
				if want < 20 {
					restGot, restWant = restGot+got, restWant+want
					continue
				}
				chi2 += (got - want) * (got - want) / want
				cells++
			}
		}
		if restWant > 20 {
			chi2 += (restGot - restWant) * (restGot - restWant) / restWant
		}
		// Each of the 1024 cells is integrated to 10⁻⁷: the densities are smooth, or even on
		// the cells. Not so that of the moons. At a distance s from where the band's direction
		// touches the arcs it is 1/(πB√s), over a length B√2 for two moons of weight ½: a mass
		// (√2/π)∫ds/√s. The midpoint rule with step h misses ∫ds/√s by |ζ(½,½)|·√h = 0.605·√h;
		// the finest step is 0.5/2¹²/8, a third of that before the scale of 3, which makes
		// 6.1e-4. The 10⁴ squares refined less, also at the band's edges, are off by 10⁻⁷ each.
		tolerance := 1024e-7
		if name == "moons" {
			tolerance = 6.1e-4 + 1e-3
		}
		if math.Abs(total-1) > tolerance {
			t.Errorf("%s: the density integrates to %v", name, total)
		}
		if bound := cells * math.Pow(1-2/(9*cells)+4.265*math.Sqrt(2/(9*cells)), 3); chi2 > bound {
			t.Errorf("%s: chi-squared %.1f in %.0f cells, want below %.1f", name, chi2, cells, bound)
		}
	}
}

// midpoint integrates exp(log) over a square by the midpoint rule with 8×8 points.
func midpoint(log func([]float64) float64, x, y, side float64) float64 {
	const n = 8
	p := make([]float64, 2)
	sum := 0.0
	for k := range n * n {
		p[0], p[1] = x+side*(float64(k/n)+0.5)/n, y+side*(float64(k%n)+0.5)/n
		sum += math.Exp(log(p))
	}
	return sum * side * side / (n * n)
}

// integral refines a square, whose midpoint rule gave whole, until its quarters agree to 10⁻⁷.
func integral(log func([]float64) float64, x, y, side, whole float64, depth int) float64 {
	side /= 2
	var quarter [4]float64
	sum := 0.0
	for k := range quarter {
		quarter[k] = midpoint(log, x+side*float64(k/2), y+side*float64(k%2), side)
		sum += quarter[k]
	}
	if math.Abs(sum-whole) < 1e-7 || depth == 1 {
		return sum
	}
	sum = 0
	for k, q := range quarter {
		sum += integral(log, x+side*float64(k/2), y+side*float64(k%2), side, q, depth-1)
	}
	return sum
}

// ln(I₀(z)·e^−z) by mpmath 1.3.0 at 30 digits.
func TestLogScaledBesselI0(t *testing.T) {
	for z, want := range besselGolden {
		if got := logScaledBesselI0(z); math.Abs(got-want) > 1e-11*max(1, math.Abs(want)) {
			t.Errorf("z = %v: %v, want %v", z, got, want)
		}
	}
}

func TestMixtureDensityByHand(t *testing.T) {
	// N((1,2), [[4,2],[2,2]]) at (3,1): d = (2,−1), det 4, inverse [[2,−2],[−2,4]]/4,
	// d'Σ⁻¹d = (8 + 8 + 4)/4 = 5; log density −ln 2π − ½ ln 4 − 5/2.
	m, err := NewMixture([]Gaussian{{Weight: 7, Mean: []float64{1, 2}, Cov: [][]float64{{4, 2}, {2, 2}}}})
	if err != nil {
		t.Fatal(err)
	}
	want := -math.Log(2*math.Pi) - math.Log(2) - 2.5
	if got := m.LogDensity()([]float64{3, 1}); math.Abs(got-want) > 1e-14 {
		t.Errorf("log density %v, want %v", got, want)
	}
}

func TestClassesAreTheParts(t *testing.T) {
	x := make([]float32, 2)
	for name, d := range toySets {
		s := Draw(d, 2, false)
		seen := map[int]int{}
		const n = 4000
		for i := range uint64(n) {
			label, _ := s.Sample(i, x)
			seen[label]++
			px, py := float64(x[0]), float64(x[1])
			ok := true
			switch name {
			case "8gaussians": // the nearest centre, at 45°·label: they are 3.8 apart, 6.8 deviations
				nearest := int(math.Round(math.Atan2(py, px)/(math.Pi/4))+8) % 8
				ok = label == nearest || math.Hypot(px-5*math.Cos(float64(label)*math.Pi/4), py-5*math.Sin(float64(label)*math.Pi/4)) < 6*0.5624
			case "moons": // the upper moon lies above y = −1, the lower below ½·3+0.2·3−1 = 1.1
				ok = label == 0 && py >= -1 || label == 1 && py <= 1.1+1e-6
			case "rings": // radii 0.75 apart, noise 0.08
				ok = math.Abs(math.Hypot(px, py)-0.75*float64(label+1)) < 6*0.08
			}
			if !ok {
				t.Fatalf("%s: the sample at %v has label %d", name, x, label)
			}
		}
		classes := max(1, s.Classes())
		if len(seen) != classes {
			t.Errorf("%s: labels %v, want %d of them", name, seen, classes)
		}
		for label, k := range seen { // equal shares: five standard deviations
			p := 1 / float64(classes)
			if math.Abs(float64(k)-n*p) > 5*math.Sqrt(n*p*(1-p)) {
				t.Errorf("%s: class %d has %d of %d", name, label, k, n)
			}
		}
	}
}

func TestDrawsDependOnSeedIndexAndPartAlone(t *testing.T) {
	a, b, x := make([]float32, 2), make([]float32, 2), make([]float32, 2)
	s := Draw(TorchCFMMoons(), 1, false)
	s.Sample(7, a)
	s.Sample(3, x)
	s.Sample(7, b)
	if a[0] != b[0] || a[1] != b[1] {
		t.Error("sample 7 changed")
	}
	for what, other := range map[string]Source{"another seed": Draw(TorchCFMMoons(), 2, false), "held out": Draw(TorchCFMMoons(), 1, true)} {
		if other.Sample(7, b); a[0] == b[0] {
			t.Errorf("%s gives the same point", what)
		}
	}
}

func TestMixtureRefuses(t *testing.T) {
	mean := []float64{0, 0}
	for what, c := range map[string][]Gaussian{
		"none":           {},
		"weight 0":       {{Weight: 0, Mean: mean, Std: []float64{1}}},
		"weight NaN":     {{Weight: math.NaN(), Mean: mean, Std: []float64{1}}},
		"no mean":        {{Weight: 1, Std: []float64{1}}},
		"mean NaN":       {{Weight: 1, Mean: []float64{0, math.NaN()}, Std: []float64{1}}},
		"dimensions":     {{Weight: 1, Mean: mean, Std: []float64{1}}, {Weight: 1, Mean: mean[:1], Std: []float64{1}}},
		"std and cov":    {{Weight: 1, Mean: mean, Std: []float64{1}, Cov: [][]float64{{1, 0}, {0, 1}}}},
		"neither":        {{Weight: 1, Mean: mean}},
		"three stds":     {{Weight: 1, Mean: mean, Std: []float64{1, 1, 1}}},
		"std 0":          {{Weight: 1, Mean: mean, Std: []float64{0}}},
		"one row":        {{Weight: 1, Mean: mean, Cov: [][]float64{{1, 0}}}},
		"short row":      {{Weight: 1, Mean: mean, Cov: [][]float64{{1, 0}, {0}}}},
		"not symmetric":  {{Weight: 1, Mean: mean, Cov: [][]float64{{1, 0.1}, {0, 1}}}},
		"not definite":   {{Weight: 1, Mean: mean, Cov: [][]float64{{1, 2}, {2, 1}}}},
		"covariance NaN": {{Weight: 1, Mean: mean, Cov: [][]float64{{math.NaN(), 0}, {0, 1}}}},
	} {
		if _, err := NewMixture(c); !errors.Is(err, ErrOption) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

var besselGolden = map[float64]float64{
	0:        0.0,
	0.1:      -0.09750156076612376,
	1:        -0.7640856414928213,
	5:        -1.6953182241774665,
	15:       -2.2643308905230937,
	29.999:   -2.6152817561007664,
	30:       -2.615298566828064,
	31:       -2.6318325376335863,
	60:       -2.9640098103448573,
	351.5625: -3.8497762228815287,
	1406.25:  -4.543190545663774,
}

// Evenly spaced moons are those that torchdyn's generate_moons gives for a block: halves of
// θ = π·k/(half−1), give or take the band along the diagonal.
func TestEvenMoons(t *testing.T) {
	const block = 7
	s := Draw(Moons{Band: 0.2, Scale: 3, Shift: -1, Even: block}, 5, false)
	x := make([]float32, 2)
	seen := map[float64]bool{}
	for i := range uint64(3 * block) {
		label, err := s.Sample(i, x)
		if err != nil {
			t.Fatal(err)
		}
		k, half, side := int(i%block), 3, 1.0
		want := 0
		if k >= half {
			k, half, side, want = k-half, 4, -1, 1
		}
		theta := math.Pi * float64(k) / float64(half-1)
		cx, cy := math.Cos(theta), math.Sin(theta)
		if side < 0 {
			cx, cy = 1-cx, 0.5-cy
		}
		u, v := (float64(x[0])+1)/3-cx, (float64(x[1])+1)/3-cy
		if label != want || math.Abs(u-v) > 1e-6 || u < -1e-6 || u > 0.2+1e-6 {
			t.Fatalf("sample %d of class %d is off by (%g, %g) from its place on the moon", i, label, u, v)
		}
		seen[u] = true
	}
	if len(seen) < 3*block {
		t.Errorf("%d places in the band, want one for each sample", len(seen))
	}
	if DensityOf(s) != nil {
		t.Error("has the density of independent draws")
	}
}
