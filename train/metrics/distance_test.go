package metrics

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/rng"
)

var background = context.Background()

// normal is n points of N(mean, std²·I) in d dimensions.
func normal(n, d int, mean, std float32, seed uint64) Points {
	p := Points{make([]float32, n*d), d}
	rng.Normal(p.X, rng.Key{Seed: seed}, uint64(n))
	for i := range p.X {
		p.X[i] = mean + std*p.X[i]
	}
	return p
}

// must unwraps a figure.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Distances of every dimension and number, around the sizes of tiles and of
// early stops, against a plain double loop in the same order of summation.
func TestNeighboursAgainstPlainLoops(t *testing.T) {
	for _, d := range []int{1, 3, 4, 63, 64, 65, 130, 257} {
		for _, n := range []int{5, 16, 17, 150} {
			a, b := normal(n, d, 0, 1, 1), normal(n+3, d, 0.5, 1, 2)
			near := must[[]float64](t)(nearestSquared(background, a, b))
			kth := must[[]float64](t)(kthSquared(background, a, 3))
			for i := range n {
				var toB, toA []float64
				for j := range b.Len() {
					toB = append(toB, nearSquaredDistance(a.row(i), b.row(j), math.Inf(1)))
				}
				for j := range n {
					if j != i {
						toA = append(toA, nearSquaredDistance(a.row(i), a.row(j), math.Inf(1)))
					}
				}
				slices.Sort(toA)
				if near[i] != slices.Min(toB) || kth[i] != toA[2] {
					t.Fatalf("n=%d d=%d point %d: nearest %g, third %g; want %g and %g", n, d, i, near[i], kth[i], slices.Min(toB), toA[2])
				}
			}
			plain := 0.0
			for k, x := range a.row(0) {
				plain += (float64(x) - float64(b.row(0)[k])) * (float64(x) - float64(b.row(0)[k]))
			}
			// Sums of d non-negative terms in two orders.
			if got := squaredDistance(a.row(0), b.row(0)); math.Abs(got-plain) > float64(d)*eps*plain {
				t.Errorf("d=%d: |x−y|² = %g, want %g", d, got, plain)
			}
		}
	}
}

func TestDistancesAgainstGolden(t *testing.T) {
	g := readGolden(t)
	x, y := g.x(), g.y()
	// Sums of at most 60² terms of order 1, divided by their number.
	const tol = 1e4 * eps
	near(t, "median nearest", must[float64](t)(MedianNearest(background, y, x)), g.Manifold["median_nearest"], tol)
	near(t, "W₂ on a line", must[float64](t)(SlicedWasserstein(background, x.columns(1), y.columns(1), 10, 0)), g.Distances.W21D, tol)
	near(t, "sliced W₂ in the plane", must[float64](t)(SlicedWasserstein(background, x.columns(2), y.columns(2), 32, 0)), g.Distances.Sliced2D, tol)
	near(t, "energy on a line", must[float64](t)(Energy(background, x.columns(1), y.columns(1))), g.Distances.Energy1D, tol)
	near(t, "energy", must[float64](t)(Energy(background, x, y)), g.Distances.Energy, tol)
	near(t, "MMD", must[float64](t)(MMD(background, x, y, g.Distances.Bandwidths...)), g.Distances.MMD, tol)
}

// Translation by v moves every projection by θ·v: in the plane sliced W₂ is |v|/√2
// exactly, in d dimensions |v|/√d in the mean over directions.
func TestSlicedWassersteinOfTranslation(t *testing.T) {
	for _, d := range []int{2, 5} {
		p := normal(200, d, 0, 1, 3)
		q := Points{slices.Clone(p.X), d}
		for i := range q.Len() {
			q.row(i)[0] += 3
			q.row(i)[1] -= 4
		}
		got := must[float64](t)(SlicedWasserstein(background, p, q, 2000, 9))
		// Float32 rounds the moved coordinates by 2⁻²², and directions scatter: the
		// variance of (θ·v)²/|v|² is 2(d−1)/(d²(d+2)), so d·that over 2,000, five times.
		tol := 1e-6
		if d > 2 {
			tol += 5 * 5 / math.Sqrt(float64(d)) / 2 * math.Sqrt(2*float64(d-1)/float64(d+2)/2000)
		}
		near(t, "translation", got, 5/math.Sqrt(float64(d)), tol)
	}
}

func TestDistancesVanishForEqualSetsAndGrow(t *testing.T) {
	p := normal(300, 2, 0, 1, 4)
	turned := p.pick(permutation(p.Len(), rng.Key{Seed: 1}))
	twice := Points{slices.Concat(p.X, p.X), 2}
	h := must[float64](t)(MedianBandwidth(p, 0))
	for name, f := range map[string]func(a, b Points) float64{
		"sliced W₂": func(a, b Points) float64 { return must[float64](t)(SlicedWasserstein(background, a, b, 50, 0)) },
		"energy":    func(a, b Points) float64 { return must[float64](t)(Energy(background, a, b)) },
	} {
		near(t, name+" of a reordering", f(p, turned), 0, 1e-12)
		near(t, name+" of the set twice over", f(p, twice), 0, 1e-12)
	}
	last := map[string]float64{}
	for _, shift := range []float32{0, 0.5, 1, 2, 4} {
		q := normal(300, 2, shift, 1, 5)
		for name, v := range map[string]float64{
			"sliced W₂": must[float64](t)(SlicedWasserstein(background, p, q, 50, 0)),
			"energy":    must[float64](t)(Energy(background, p, q)),
			"MMD":       must[float64](t)(MMD(background, p, q, h)),
			"nearest":   must[float64](t)(MedianNearest(background, q, p)),
		} {
			if shift > 0 && v <= last[name] {
				t.Errorf("%s: %g at shift %g, not above %g", name, v, shift, last[name])
			}
			last[name] = v
		}
	}
}

// The U-statistic has mean 0 under one distribution: over many pairs of sets its mean stays
// within 4 of its own standard errors, and half are negative.
func TestMMDIsWithoutBias(t *testing.T) {
	const rounds = 200
	sum, squares, negative := 0.0, 0.0, 0
	for i := range uint64(rounds) {
		v := must[float64](t)(MMD(background, normal(20, 2, 0, 1, 100+2*i), normal(30, 2, 0, 1, 101+2*i), 1))
		sum += v
		squares += v * v
		if v < 0 {
			negative++
		}
	}
	mean := sum / rounds
	if se := math.Sqrt(squares/rounds-mean*mean) / math.Sqrt(rounds); math.Abs(mean) > 4*se {
		t.Errorf("mean %g, %g standard errors from 0", mean, mean/se)
	}
	if negative < rounds/4 {
		t.Errorf("%d of %d below 0", negative, rounds)
	}
}

func TestMedianBandwidth(t *testing.T) {
	// Distances 1, 3 and 4 (of 0, 1, 4 on a line).
	near(t, "bandwidth", must[float64](t)(MedianBandwidth(Points{[]float32{0, 1, 4}, 1}, 0)), 3, 0)
	near(t, "of equal points", must[float64](t)(MedianBandwidth(Points{[]float32{2, 2, 2}, 1}, 0)), 1, 0)
	big := must[float64](t)(MedianBandwidth(normal(1500, 1, 0, 1, 1), 0))
	// |x−y| of N(0,2) has the median 0.9539; of 1,000 points within 10 %.
	near(t, "of many", big, 0.9539, 0.095)
}

func TestDistancesForAnyNumberOfThreads(t *testing.T) {
	p, q := normal(400, 7, 0, 1, 6), normal(333, 7, 0.3, 1, 7)
	run := func(threads int) []float64 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		f := must[float64](t)
		return []float64{f(Energy(background, p, q)), f(MMD(background, p, q, 0.5, 2)), f(SlicedWasserstein(background, p, q, 64, 3)), f(MedianNearest(background, p, q))}
	}
	one := run(1)
	for _, threads := range []int{2, 5} {
		if got := run(threads); !slices.Equal(got, one) {
			t.Errorf("%d threads: %v, one: %v", threads, got, one)
		}
	}
}

func TestDistancesRefuseBadInput(t *testing.T) {
	ok := normal(5, 2, 0, 1, 1)
	nan := Points{[]float32{0, float32(math.NaN())}, 2}
	for name, f := range map[string]func() (float64, error){
		"two dimensions": func() (float64, error) { return Energy(background, ok, normal(5, 3, 0, 1, 1)) },
		"no points":      func() (float64, error) { return MedianNearest(background, ok, Points{D: 2}) },
		"dimension 0":    func() (float64, error) { return MedianNearest(background, Points{}, ok) },
		"ragged":         func() (float64, error) { return Energy(background, Points{[]float32{1, 2, 3}, 2}, ok) },
		"NaN":            func() (float64, error) { return SlicedWasserstein(background, ok, nan, 3, 0) },
		"no direction":   func() (float64, error) { return SlicedWasserstein(background, ok, ok, 0, 0) },
		"no bandwidth":   func() (float64, error) { return MMD(background, ok, ok) },
		"bandwidth 0":    func() (float64, error) { return MMD(background, ok, ok, 0) },
		"one point":      func() (float64, error) { return MMD(background, ok, normal(1, 2, 0, 1, 1), 1) },
		"k too large":    func() (float64, error) { _, err := NewManifold(background, ok, 5); return 0, err },
		"k too small":    func() (float64, error) { _, err := NewManifold(background, ok, 0); return 0, err },
	} {
		var e *InputError
		if v, err := f(); !errors.As(err, &e) || v != 0 {
			t.Errorf("%s: %v, %v; want an *InputError", name, v, err)
		}
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if _, err := Energy(ctx, ok, ok); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
