package flow

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func atEveryLevel(t *testing.T, f func(t *testing.T, k *scans)) {
	for l := cpu.Go; l <= cpu.Best(); l++ {
		t.Run(l.String(), func(t *testing.T) { f(t, scansOf(l)) })
	}
}

// fenced copies x between numbers that show when they are overwritten.
func fenced[T float32 | float64 | int64](t *testing.T, x []T) []T {
	const fence, word = 8, 77
	all := make([]T, len(x)+2*fence)
	for i := range all {
		all[i] = word
	}
	in := all[fence : fence+len(x)]
	copy(in, x)
	t.Cleanup(func() {
		for i, v := range all {
			if (i < fence || i >= fence+len(x)) && v != word {
				t.Errorf("element %d of %d was written", i-fence, len(x))
				return
			}
		}
	})
	return in
}

// draw is numbers of [−1, 1), a few values over and over if ties is set.
func draw(n int, stream uint32, ties bool) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 2*rng.Float64(rng.Key{Stream: stream}, uint64(n), i) - 1
		if ties {
			x[i] = math.Floor(4 * x[i])
		}
	}
	return x
}

func floats(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// checkBestTwo compares with sorting.
func checkBestTwo[T float32 | float64](t *testing.T, c, v []T, j int, first, second T) {
	t.Helper()
	var r []T
	for i, x := range c {
		r = append(r, x-v[i])
	}
	if j < 0 || j >= len(c) || r[j] != first {
		t.Fatalf("n=%d: column %d is not where %g is", len(c), j, first)
	}
	slices.Sort(r)
	if want := append(r, T(math.Inf(1))); first != want[0] || second != want[1] {
		t.Fatalf("n=%d: %g and %g, want %g and %g", len(c), first, second, want[0], want[1])
	}
}

func TestBestTwo(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, k *scans) {
		for n := 1; n <= 200; n++ {
			for _, ties := range []bool{false, true} {
				c, v := fenced(t, draw(n, 0, ties)), fenced(t, draw(n, 1, ties))
				j, first, second := k.bestTwo(c, v)
				checkBestTwo(t, c, v, j, first, second)
				if n%scanUnit == 0 {
					c, v := fenced(t, floats(c)), fenced(t, floats(v))
					j, first, second := k.bestTwo32(&c[0], &v[0], n)
					checkBestTwo(t, c, v, j, first, second)
				}
			}
		}
		// The best in every lane in turn.
		for at := range 64 {
			c, v := make([]float32, 64), make([]float32, 64)
			c[at] = -1
			if j, first, second := k.bestTwo32(&c[0], &v[0], 64); j != at || first != -1 || second != 0 {
				t.Fatalf("%d: %g, then %g; want %d: -1, then 0", j, first, second, at)
			}
		}
	})
}

func TestRelax(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, k *scans) {
		for n := 1; n <= 150; n++ {
			c, v, dist := fenced(t, draw(n, 0, false)), fenced(t, draw(n, 1, false)), fenced(t, draw(n, 2, false))
			pred := fenced(t, make([]int64, n))
			for i := 0; i < n; i += 3 {
				dist[i] = math.NaN()
			}
			wantDist, wantPred, want := slices.Clone(dist), slices.Clone(pred), -1
			const h, row = 0.25, 7
			for j := range wantDist {
				if r := c[j] - v[j] - h; r < wantDist[j] {
					wantDist[j], wantPred[j] = r, row
				}
				if !math.IsNaN(wantDist[j]) && (want < 0 || wantDist[j] < wantDist[want]) {
					want = j
				}
			}
			got := k.relaxRow(dist, c, v, pred, h, row)
			for j := range dist {
				if dist[j] != wantDist[j] && !math.IsNaN(wantDist[j]) || math.IsNaN(dist[j]) != math.IsNaN(wantDist[j]) || pred[j] != wantPred[j] {
					t.Fatalf("n=%d: column %d is at %g from row %d, want %g from %d", n, j, dist[j], pred[j], wantDist[j], wantPred[j])
				}
			}
			if n > 1 && got != want || n == 1 && want < 0 && got >= 0 && !math.IsNaN(dist[got]) {
				t.Fatalf("n=%d: column %d is the nearest, want %d", n, got, want)
			}
		}
	})
}

func TestExtremesAndNarrow(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, k *scans) {
		for n := 1; n <= 130; n++ {
			c := fenced(t, draw(n, 3, false))
			if lo, hi := k.extremesOf(c); lo != slices.Min(c) || hi != slices.Max(c) {
				t.Fatalf("n=%d: %g to %g, want %g to %g", n, lo, hi, slices.Min(c), slices.Max(c))
			}
			to := fenced(t, make([]float32, n))
			k.narrowRow(to, c, -1, 0.5)
			for i, x := range c {
				if want := float32((x + 1) * 0.5); to[i] != want {
					t.Fatalf("n=%d: element %d is %g, want %g", n, i, to[i], want)
				}
			}
		}
	})
}

// Each dot product is off by a rounding a term at most.
func TestProducts(t *testing.T) {
	atEveryLevel(t, func(t *testing.T, k *scans) {
		var p products
		for _, n := range []int{1, 3, 4, 5, 16, 17, 33, 70} {
			for _, dim := range []int{1, 2, 3, 64, 700, 5000} {
				x, y := floats(draw(n*dim, 4, false)), floats(draw(n*dim, 5, false))
				cost := fenced(t, make([]float64, n*n))
				p.negative(k, cost, x, y, n, dim)
				for i := range n {
					for j := range n {
						want, size := 0.0, 0.0
						for d := range dim {
							term := float64(x[i*dim+d]) * float64(y[j*dim+d])
							want -= term
							size += math.Abs(term)
						}
						if got := cost[i*n+j]; math.Abs(got-want) > float64(dim)*0x1p-52*size {
							t.Fatalf("n=%d, dim=%d: (%d,%d) is %g, want %g", n, dim, i, j, got, want)
						}
					}
				}
			}
		}
	})
}

func TestCouplingAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	var p products
	var a Assigner
	for _, n := range []int{16, 50, 256} {
		x, y, cost := floats(draw(2*n, 6, false)), floats(draw(2*n, 7, false)), make([]float64, n*n)
		solve := func() {
			p.negative(bestScans(), cost, x, y, n, 2)
			a.Solve(cost, n)
		}
		solve()
		if got := testenv.Allocs(t, solve); got != 0 {
			t.Errorf("n=%d: %g allocations", n, got)
		}
	}
}

func BenchmarkBestTwo(b *testing.B) {
	for _, n := range []int{256, 1024} {
		c, v := floats(draw(n, 0, false)), floats(draw(n, 1, false))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				bestScans().bestTwo32(&c[0], &v[0], n)
			}
		})
	}
}

func BenchmarkProducts(b *testing.B) {
	for _, dim := range []int{2, 784, 3072} {
		const n = 256
		x, y, cost := floats(draw(n*dim, 0, false)), floats(draw(n*dim, 1, false)), make([]float64, n*n)
		var p products
		b.Run(fmt.Sprint(dim), func(b *testing.B) {
			for b.Loop() {
				p.negative(bestScans(), cost, x, y, n, dim)
			}
		})
	}
}
