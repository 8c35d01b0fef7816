package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/internal/safetensors"
)

// SciPy's von Mises–Fisher densities, and sums of 121 turns of normal ones. Each is a few roundings of
// logarithms below 10⁴, so 1e-12 of their size is far more than either side is off.
func TestGoldenDensitiesOnManifolds(t *testing.T) {
	f, err := safetensors.Open("../../internal/golden/testdata/flow/manifold.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values := func(name string) []float64 {
		e, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	settings := func(name string) (v []float64) {
		if err := json.Unmarshal([]byte(f.Metadata()[name]), &v); err != nil || len(v) == 0 {
			t.Fatal(name, err)
		}
		return v
	}
	same := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-12*(1+math.Abs(want)) {
			t.Errorf("%s: %.15g, want %.15g", what, got, want)
		}
	}
	x, mean, angles := values("vmf/x"), values("vmf/mean"), values("wrapped/angle")
	for i := range mean {
		mean[i] *= 3 // of any length
	}
	for _, k := range settings("concentrations") {
		name := "vmf/" + python(k)
		m, err := NewVonMisesFisherMixture([]VonMisesFisher{{Weight: 2, Mean: mean, Concentration: k}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range values(name) {
			same(name, m.LogDensity()(x[3*i:3*i+3]), want)
		}
	}
	for _, s := range settings("deviations") {
		name := "wrapped/" + python(s)
		m, err := NewWrappedNormalMixture([]WrappedNormal{{Weight: 1, Mean: []float64{2, -1}, Std: []float64{s}}})
		if err != nil {
			t.Fatal(err)
		}
		want := values(name)
		for i := range angles {
			j := (i + 7) % len(angles)
			same(name, m.LogDensity()([]float64{angles[i] + 2, angles[j] - 1 + 4*math.Pi}), want[i]+want[j])
		}
	}
	// Wide ones are uniform, and so is a concentration of 0.
	wide, _ := NewWrappedNormalMixture([]WrappedNormal{{Weight: 1, Mean: []float64{1}, Std: []float64{11}}})
	same("wide", wide.LogDensity()([]float64{3}), -math.Log(2*math.Pi))
	flat, _ := NewVonMisesFisherMixture([]VonMisesFisher{{Weight: 1, Mean: mean}})
	same("flat", flat.LogDensity()(x[:3]), -math.Log(4*math.Pi))
}

// python is a number as Python writes it.
func python(v float64) string {
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprint(v)
}

// The density integrates to 1, and over every cell to the share of samples that fall there: chi-squared against
// its 10⁻⁵ quantile (Wilson and Hilferty), the cells with fewer than 20 expected being one. Cells are
// squares of two coordinates in which the volume is even: angles on the torus, height and azimuth
// on the sphere. The midpoint rule with 16 points to a side of 2π/24 or 1/12 is off by the square of a step over
// the smallest scale (0.2) over 24 at most: 2e-4.
func TestManifoldDensityIsTheSamples(t *testing.T) {
	const n, side, points = 40000, 24, 16
	vmf, err := NewVonMisesFisherMixture([]VonMisesFisher{
		{Weight: 1, Mean: []float64{1, 1, 1}, Concentration: 12}, {Weight: 2, Mean: []float64{-1, 0, -2}, Concentration: 3}, {Weight: 1, Mean: []float64{0, 1, 0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := NewWrappedNormalMixture([]WrappedNormal{
		{Weight: 1, Mean: []float64{3, -3}, Std: []float64{0.3, 0.5}}, {Weight: 3, Mean: []float64{0.5, 7}, Std: []float64{1.5, 0.25}},
	})
	if err != nil {
		t.Fatal(err)
	}
	torus := func(a, b float64) []float64 { return []float64{2*math.Pi*a - math.Pi, 2*math.Pi*b - math.Pi} }
	sphere := func(a, b float64) []float64 {
		sin, cos := math.Sincos(2*math.Pi*b - math.Pi)
		z := 2*a - 1
		r := math.Sqrt(1 - z*z)
		return []float64{r * cos, r * sin, z}
	}
	for _, c := range []struct {
		name   string
		d      Distribution
		at     func(a, b float64) []float64
		cell   func(x []float32) (a, b float64)
		volume float64
	}{
		{"wrapped normal", wrapped, torus, func(x []float32) (a, b float64) {
			return (float64(x[0]) + math.Pi) / (2 * math.Pi), (float64(x[1]) + math.Pi) / (2 * math.Pi)
		}, 4 * math.Pi * math.Pi},
		{"base of the torus", Base{manifold.Torus{N: 2}}, torus, func(x []float32) (a, b float64) {
			return (float64(x[0]) + math.Pi) / (2 * math.Pi), (float64(x[1]) + math.Pi) / (2 * math.Pi)
		}, 4 * math.Pi * math.Pi},
		{"von Mises–Fisher", vmf, sphere, func(x []float32) (a, b float64) {
			return (float64(x[2]) + 1) / 2, (math.Atan2(float64(x[1]), float64(x[0])) + math.Pi) / (2 * math.Pi)
		}, 4 * math.Pi},
	} {
		src := Draw(c.d, 5, true)
		log := DensityOf(src)
		count := make([]float64, side*side)
		x := make([]float32, c.d.Dim())
		for i := range uint64(n) {
			label, err := src.Sample(i, x)
			if err != nil || label < 0 || label >= max(1, c.d.Classes()) {
				t.Fatal(label, err)
			}
			a, b := c.cell(x)
			index := func(v float64) int { return min(side-1, max(0, int(v*side))) }
			count[index(a)*side+index(b)]++
		}
		total, chi2, cells, restWant, restGot := 0.0, 0.0, 0.0, 0.0, 0.0
		for a := range side {
			for b := range side {
				mass := 0.0
				for k := range points * points {
					u, v := (float64(a)+(float64(k/points)+0.5)/points)/side, (float64(b)+(float64(k%points)+0.5)/points)/side
					mass += math.Exp(log(c.at(u, v))) * c.volume / (side * side * points * points)
				}
				total += mass
				got, want := count[a*side+b], mass*n
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
		if math.Abs(total-1) > 2e-4 {
			t.Errorf("%s: the density integrates to %v", c.name, total)
		}
		if bound := cells * math.Pow(1-2/(9*cells)+4.265*math.Sqrt(2/(9*cells)), 3); chi2 > bound {
			t.Errorf("%s: chi-squared %.1f in %.0f cells, want below %.1f", c.name, chi2, cells, bound)
		}
	}
}

// Concentrated far beyond what the cells above see: heights have the mean coth κ − 1/κ, and are exponential below 1
// with the rate κ, so that the mean of (1−height)·κ is 1 and its standard error n^−½.
func TestConcentrated(t *testing.T) {
	const n, k = 4000, 1e6
	m, err := NewVonMisesFisherMixture([]VonMisesFisher{{Weight: 1, Mean: []float64{0, 0, -2}, Concentration: k}})
	if err != nil {
		t.Fatal(err)
	}
	sum, x := 0.0, make([]float64, 3)
	for i := range uint64(n) {
		m.Draw(&Draws{sample: i}, x)
		sum += (x[0]*x[0] + x[1]*x[1]) / 2 * k / n // 1−height, but for its square
	}
	if math.Abs(sum-1) > 5/math.Sqrt(n) {
		t.Errorf("(1−height)·κ is %g on average, want 1", sum)
	}
}

// The density integrates to 1 over the ball of rotation vectors, in whose shells of radius θ there is the volume
// 4π·(2·sin(θ/2))²·dθ; and the angles of samples have it: chi-squared against its 10⁻⁵ quantile, over 30 cells.
// The midpoint rule with 64 points a cell is off by less than 1e-6, the widest density being as smooth as σ 0.4.
func TestRotationDensityIsTheSamples(t *testing.T) {
	const n, cells, points = 20000, 30, 64
	one := []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	for _, std := range []float64{0.4, 1.5} {
		centred, err := NewRotationMixture([]RotationNormal{{1, []float64{0, 0, 0}, std}})
		if err != nil {
			t.Fatal(err)
		}
		// The same about another mean has the same density at the same distance from that.
		mean := []float64{0.5, -1, 2}
		moved, err := NewRotationMixture([]RotationNormal{{2, mean, std}, {2, mean, std}})
		if err != nil {
			t.Fatal(err)
		}
		x, middle := make([]float64, 9), make([]float64, 9)
		rotatedBy(middle, one, [3]float64(mean))
		count, mass, total := make([]float64, cells), make([]float64, cells), 0.0
		for i := range cells * points {
			theta := math.Pi * (float64(i) + 0.5) / (cells * points)
			rotatedBy(x, one, [3]float64{0, 0.6 * theta, 0.8 * theta})
			log := centred.LogDensity()(x)
			shell := 2 * math.Sin(theta/2)
			mass[i/points] += math.Exp(log) * 4 * math.Pi * shell * shell * math.Pi / (cells * points)
			rotatedBy(x, middle, [3]float64{0, 0.6 * theta, 0.8 * theta})
			if got := moved.LogDensity()(x); math.Abs(got-log) > 1e-9*(1+math.Abs(log)) {
				t.Fatalf("ln p is %g about another mean, %g about none", got, log)
			}
		}
		src := Draw(moved, 5, false)
		row := make([]float32, 9)
		for i := range uint64(n) {
			if _, err := src.Sample(i, row); err != nil {
				t.Fatal(err)
			}
			for k, v := range row {
				x[k] = float64(v)
			}
			manifold.Rotations{}.Nearest(x)
			count[min(cells-1, int(manifold.Distance(manifold.Rotations{}, middle, x)/math.Pi*cells))]++
		}
		chi2, used, restGot, restWant := 0.0, 0.0, 0.0, 0.0
		for i, m := range mass {
			total += m
			if m*n < 20 {
				restGot, restWant = restGot+count[i], restWant+m*n
				continue
			}
			chi2 += (count[i] - m*n) * (count[i] - m*n) / (m * n)
			used++
		}
		if restWant > 20 {
			chi2 += (restGot - restWant) * (restGot - restWant) / restWant
		}
		if math.Abs(total-1) > 1e-5 {
			t.Errorf("σ %g: the density integrates to %v", std, total)
		}
		if bound := used * math.Pow(1-2/(9*used)+4.265*math.Sqrt(2/(9*used)), 3); chi2 > bound {
			t.Errorf("σ %g: chi-squared %.1f in %.0f cells, want below %.1f", std, chi2, used, bound)
		}
	}
}

func TestManifoldMixturesRefuse(t *testing.T) {
	for what, err := range map[string]error{
		"no components":  second(NewVonMisesFisherMixture(nil)),
		"two numbers":    second(NewVonMisesFisherMixture([]VonMisesFisher{{Weight: 1, Mean: []float64{1, 0}}})),
		"no direction":   second(NewVonMisesFisherMixture([]VonMisesFisher{{Weight: 1, Mean: []float64{0, 0, 0}}})),
		"κ":              second(NewVonMisesFisherMixture([]VonMisesFisher{{Weight: 1, Mean: []float64{1, 0, 0}, Concentration: -1}})),
		"weight":         second(NewVonMisesFisherMixture([]VonMisesFisher{{Mean: []float64{1, 0, 0}}})),
		"no wrapped":     second(NewWrappedNormalMixture(nil)),
		"no angles":      second(NewWrappedNormalMixture([]WrappedNormal{{Weight: 1, Std: []float64{1}}})),
		"other angles":   second(NewWrappedNormalMixture([]WrappedNormal{{1, []float64{1}, []float64{1}}, {1, []float64{1, 2}, []float64{1}}})),
		"deviations":     second(NewWrappedNormalMixture([]WrappedNormal{{1, []float64{1, 2, 3}, []float64{1, 2}}})),
		"deviation 0":    second(NewWrappedNormalMixture([]WrappedNormal{{1, []float64{1}, []float64{0}}})),
		"infinite angle": second(NewWrappedNormalMixture([]WrappedNormal{{1, []float64{math.Inf(1)}, []float64{1}}})),
		"no rotations":   second(NewRotationMixture(nil)),
		"vector":         second(NewRotationMixture([]RotationNormal{{1, []float64{1, 2}, 1}})),
		"infinite":       second(NewRotationMixture([]RotationNormal{{1, []float64{1, 2, math.NaN()}, 1}})),
		"wide":           second(NewRotationMixture([]RotationNormal{{1, []float64{1, 2, 3}, 3}})),
		"wrapped weight": second(NewWrappedNormalMixture([]WrappedNormal{{0, []float64{1}, []float64{1}}})),
	} {
		if !errors.Is(err, ErrOption) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
