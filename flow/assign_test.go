package flow

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/rng"
)

func total(cost []float64, match []int32) float64 {
	sum := 0.0
	for i, j := range match {
		sum += cost[i*len(match)+int(j)]
	}
	return sum
}

func checkPermutation(t *testing.T, match []int32) {
	t.Helper()
	seen := make([]bool, len(match))
	for _, j := range match {
		if j < 0 || int(j) >= len(match) || seen[j] {
			t.Fatalf("not a permutation: %v", match)
		}
		seen[j] = true
	}
}

// bruteForce is the smallest total over all permutations.
func bruteForce(cost []float64, n int) float64 {
	best := math.Inf(1)
	perm := make([]int32, n)
	var place func(i int, used uint, sum float64)
	place = func(i int, used uint, sum float64) {
		if i == n {
			best = min(best, sum)
			return
		}
		for j := range n {
			if used>>j&1 == 0 {
				perm[i] = int32(j)
				place(i+1, used|1<<j, sum+cost[i*n+j])
			}
		}
	}
	place(0, 0, 0)
	return best
}

// instances are cost matrices of several kinds, many of them full of ties.
var instances = map[string]func(k rng.Key, n int, cost []float64){
	"uniform": func(k rng.Key, n int, c []float64) {
		for i := range c {
			c[i] = rng.Float64(k, 0, i)
		}
	},
	"few values": func(k rng.Key, n int, c []float64) {
		for i := range c {
			c[i] = float64(rng.Intn(k, 0, i, 3))
		}
	},
	"equal": func(_ rng.Key, _ int, c []float64) {
		for i := range c {
			c[i] = 0.1
		}
	},
	"negative": func(k rng.Key, n int, c []float64) {
		for i := range c {
			c[i] = -1e3 * rng.Float64(k, 0, i)
		}
	},
	"squared distances": func(k rng.Key, n int, c []float64) {
		p := make([]float32, 4*n)
		rng.Normal(p, k, 0)
		for i := range n {
			for j := range n {
				dx, dy := p[2*i]-p[2*n+2*j], p[2*i+1]-p[2*n+2*j+1]
				c[i*n+j] = float64(dx*dx + dy*dy)
			}
		}
	},
	"duplicate points": func(k rng.Key, n int, c []float64) {
		for i := range n {
			for j := range n {
				d := float64(i/3) - float64(rng.Intn(k, 1, j, max(1, n/3)))
				c[i*n+j] = d * d
			}
		}
	},
	"products": func(_ rng.Key, n int, c []float64) { // Machol and Wien's hard case
		for i := range n {
			for j := range n {
				c[i*n+j] = float64((i + 1) * (j + 1))
			}
		}
	},
	"wide range": func(k rng.Key, n int, c []float64) {
		for i := range c {
			c[i] = math.Exp(40 * (rng.Float64(k, 0, i) - 0.5))
		}
	},
}

func TestAssignmentAgainstEveryPermutation(t *testing.T) { atEveryLevel(t, testEveryPermutation) }

func testEveryPermutation(t *testing.T, k *scans) {
	a := Assigner{scans: k}
	for name, fill := range instances {
		for n := 1; n <= 7; n++ {
			for trial := range 20 {
				cost := make([]float64, n*n)
				fill(rng.Key{Seed: uint64(trial), Step: uint64(n)}, n, cost)
				match := a.Solve(cost, n)
				checkPermutation(t, match)
				// n sums of a few roundings each
				if got, want := total(cost, match), bruteForce(cost, n); got > want+1e-14*float64(n)*math.Abs(want) {
					t.Fatalf("%s, n=%d, trial %d: cost %g, smallest is %g", name, n, trial, got, want)
				}
			}
		}
	}
}

// TestAssignmentIsOptimal proves it by duality: with column prices v and row
// prices u_i = min_j c_ij − v_j, Σu+Σv is a lower bound of every assignment's cost.
func TestAssignmentIsOptimal(t *testing.T) { atEveryLevel(t, testOptimal) }

func testOptimal(t *testing.T, k *scans) {
	a := Assigner{scans: k}
	for name, fill := range instances {
		for _, n := range []int{31, 33, 128, 301} {
			cost := make([]float64, n*n)
			fill(rng.Key{Seed: 9, Step: uint64(n)}, n, cost)
			match := slices.Clone(a.Solve(cost, n))
			checkPermutation(t, match)
			bound, scale := 0.0, 0.0
			for i := range n {
				u := math.Inf(1)
				for j := range n {
					u = min(u, cost[i*n+j]-a.v[j])
					scale = max(scale, math.Abs(cost[i*n+j]))
				}
				bound += u + a.v[i]
			}
			// Each price is off by the roundings of at most n relaxations.
			if got, slack := total(cost, match), 1e-16*float64(n*n)*scale; got > bound+slack {
				t.Errorf("%s, n=%d: cost %.17g above the dual bound %.17g by %.2g, rounding explains %.2g", name, n, got, bound, got-bound, slack)
			}
		}
	}
}

// In one dimension the optimal plan for squared distances keeps the order.
func TestAssignmentInOneDimensionSorts(t *testing.T) { atEveryLevel(t, testSorts) }

func testSorts(t *testing.T, k *scans) {
	a := Assigner{scans: k}
	for _, n := range []int{2, 17, 200} {
		p := make([]float32, 2*n)
		rng.Normal(p, rng.Key{Seed: 3}, uint64(n))
		x, y := p[:n], p[n:]
		cost := make([]float64, n*n)
		new(products).negative(k, cost, x, y, n, 1)
		match := a.Solve(cost, n)
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return int(math.Copysign(1, float64(x[i]-x[j]))) })
		for k := 1; k < n; k++ {
			if y[match[order[k-1]]] > y[match[order[k]]] {
				t.Fatalf("n=%d: ranks %d and %d are exchanged", n, k-1, k)
			}
		}
	}
}

func BenchmarkAssignment(b *testing.B) {
	for _, n := range []int{128, 256, 512, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var a Assigner
			cost := make([]float64, n*n)
			instances["squared distances"](rng.Key{Seed: 1}, n, cost)
			for b.Loop() {
				a.Solve(cost, n)
			}
		})
	}
}
