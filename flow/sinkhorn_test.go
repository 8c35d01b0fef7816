package flow

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor/rng"
)

// The marginals are those asked for, and the plan is diag·K·diag, of costs of any size and ε from
// far below their differences to far above.
func TestEntropicPlans(t *testing.T) {
	var s EntropicSolver
	for name, scale := range map[string]float64{"small": 1e-3, "unit": 1, "large": 1e4} {
		for _, ratio := range []float64{0.05, 0.3, 10} {
			const n, tolerance = 37, 1e-9
			cost := make([]float64, n*n)
			instances["uniform"](rng.Key{Seed: 7}, n, cost)
			for i := range cost {
				cost[i] = scale * (cost[i] - 3)
			}
			reg := ratio * scale
			if err := s.Solve(cost, n, reg, tolerance, 1000000); err != nil {
				t.Fatalf("%s, ε=%g: %v", name, reg, err)
			}
			p, off := s.Plan(), 0.0
			for i := range n {
				row, col := 0.0, 0.0
				for j := range n {
					row += p[i*n+j]
					col += p[j*n+i]
				}
				off += math.Abs(row - 1./n)
				within(t, "column", col, 1./n, 1e-13)
			}
			if off > tolerance+1e-13 {
				t.Errorf("%s, ε=%g: the rows are off by %g", name, reg, off)
			}
			// ln P_ij + C_ij/ε is a sum of a term of i and one of j.
			form := func(i, j int) float64 { return math.Log(p[i*n+j]) + cost[i*n+j]/reg }
			for i := range n {
				for j := range n {
					within(t, "exchange", form(i, j)+form(0, 0)-form(i, 0)-form(0, j), 0, 1e-12*4/ratio)
				}
			}
		}
	}
}

// Without the iterations it needs it says so.
func TestEntropicPlansDoNotConverge(t *testing.T) {
	c := &Sinkhorn{Reg: 1e-3, Tolerance: 1e-6, Iterations: 20}
	cfm := NewCFM()
	cfm.Coupling = c
	var d diffusion.Draw
	cfm.Draw(rng.Key{Seed: 1}, ringBatch(64), &d)
	var e *NotConverged
	if !errors.As(d.Err, &e) || e.Iterations != 20 || !(e.Off > e.Wanted) {
		t.Fatalf("%v", d.Err)
	}
	c.Reg = 5
	if cfm.Draw(rng.Key{Seed: 1}, ringBatch(64), &d); d.Err != nil {
		t.Errorf("the error stays: %v", d.Err)
	}
}

// Plans cost at least what the exact one does, at most ε·ln n more (their entropy is between
// ln n and 2·ln n), more with more ε, and in the limit what independent pairs cost.
func TestEntropicCosts(t *testing.T) {
	const n, tolerance = 64, 1e-6
	cost := make([]float64, n*n)
	instances["squared distances"](rng.Key{Seed: 7}, n, cost)
	mean, most := 0.0, 0.0
	for _, c := range cost {
		mean += c / (n * n)
		most = max(most, c)
	}
	var a Assigner
	exact := total(cost, a.Solve(cost, n)) / n
	var s EntropicSolver
	last := exact
	for _, reg := range []float64{0.02, 0.5, 5, 1e6} {
		if err := s.Solve(cost, n, reg, tolerance, 1000000); err != nil {
			t.Fatal(err)
		}
		got := dot(s.Plan(), cost)
		if slack := tolerance * most; got < last-slack || got > exact+reg*math.Log(n)+slack {
			t.Errorf("ε=%g: a plan of %g, exact %g, last %g", reg, got, exact, last)
		}
		last = got
	}
	within(t, "independent", last, mean, 2*most*most/1e6+tolerance*most)
}

// Pairs are drawn as often as the plan says, in both ways of drawing.
func TestSinkhornDrawsFromItsPlan(t *testing.T) {
	for _, replace := range []bool{true, false} {
		c := &Sinkhorn{Reg: 4, Tolerance: 1e-9, Iterations: 100000, Replace: replace}
		const n, draws = 6, 4000
		x := []float32{0, 0, 1, 0, 0, 1, 2, 2, -1, 0, 3, 1}
		source := []float32{0.5, 0, 1, 1, -2, 0, 0, 3, 1, 2, 0.1, 0.2}
		counts := make([]float64, n*n)
		var d diffusion.Draw
		cfm := NewCFM()
		cfm.Coupling = c
		b := &diffusion.Batch{N: n, Shape: []int{2}, X: x, Source: source}
		index := func(of []float32, p []float32) int {
			for i := range n {
				if of[2*i] == p[0] && of[2*i+1] == p[1] {
					return i
				}
			}
			t.Fatalf("%v is not among %v", p, of)
			return 0
		}
		for step := range draws {
			cfm.Draw(rng.Key{Seed: 5, Step: uint64(step)}, b, &d)
			for k := range n {
				i := index(x, d.X[2*k:2*k+2])
				if !replace && i != k {
					t.Fatal("data are not in their order")
				}
				counts[i*n+index(source, d.Noise[2*k:2*k+2])]++
			}
		}
		chi := 0.0
		for ij, p := range c.solver.Plan() {
			want := p * n * draws
			chi += (counts[ij] - want) * (counts[ij] - want) / want
		}
		// 35 degrees of freedom, 30 where each row is drawn as often as the next
		if chi > 35+5*math.Sqrt(2*35) {
			t.Errorf("replace %v: χ² is %g", replace, chi)
		}
		if !slices.Equal(source, b.Source) || &d.Noise[0] == &b.Source[0] {
			t.Error("the batch's own source was rearranged")
		}
	}
}

// In one dimension exact pairs are in order.
func TestCouplingInOneDimension(t *testing.T) {
	const n = 100
	b := &diffusion.Batch{N: n, Shape: []int{1}, X: make([]float32, n), Source: make([]float32, n)}
	rng.Normal(b.X, rng.Key{Seed: 1}, 0)
	rng.Normal(b.Source, rng.Key{Seed: 2}, 0)
	for _, replace := range []bool{false, true} {
		cfm := NewCFM()
		cfm.Coupling = &OT{Replace: replace}
		var d diffusion.Draw
		cfm.Draw(rng.Key{Seed: 3}, b, &d)
		for i := range n {
			for j := range n {
				if d.X[i] < d.X[j] && d.Noise[i] > d.Noise[j] {
					t.Fatalf("pairs %d and %d cross", i, j)
				}
			}
		}
	}
}
