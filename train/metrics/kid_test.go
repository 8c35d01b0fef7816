package metrics

import (
	"errors"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// kidTolerance bounds the rounding of products in float32: d+1 roundings of each, of 2⁻²⁴ times Σ|x||y| ≤ r², and the kernel's
// slope 3(s+1)²/d at most; four such means make a discrepancy.
func kidTolerance(sets ...Points) float64 {
	r2, d := 0.0, 0
	for _, p := range sets {
		d = p.D
		zero := make([]float32, d)
		for i := range p.Len() {
			r2 = max(r2, squaredDistance(p.row(i), zero))
		}
	}
	s := r2/float64(d) + 1
	return 4 * 3 * s * s / float64(d) * float64(d+1) * 0x1p-24 * r2
}

// torch-fidelity's discrepancy on the same subsets, and mean and deviation as NumPy has them.
func TestKIDAgainstTorchFidelity(t *testing.T) {
	g := readGolden(t)
	x, y := g.x(), g.y()
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	tol := kidTolerance(x, y)
	if d := math.Abs(g.Theirs.KIDAll); tol > d/100 {
		t.Fatalf("the tolerance %g says nothing of %g", tol, d)
	}
	k := kernelSum{s: s, out: make([]float32, 20*20)}
	for i, set := range g.Theirs.KIDSubsets {
		near(t, "subset", k.discrepancy(x.pick(set[0]), y.pick(set[1])), g.Theirs.KID[i], tol)
	}
	mean, deviation := spread(g.Theirs.KID)
	near(t, "mean", mean, g.Theirs.KIDMean, 10*eps*math.Abs(mean))
	near(t, "deviation", deviation, g.Theirs.KIDStd, 10*eps*deviation)

	// Subsets of all points are all the same set.
	all := Points{x.X[:len(y.X)], x.D}
	mean, deviation, err := KID(background, cpu.Default(), all, y, 3, y.Len(), 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "all", mean, g.Theirs.KIDAll, tol)
	near(t, "all, deviation", deviation, 0, tol)
}

// The mean does not depend on the subsets' size, and is 0 for two draws of one distribution: that is what it is for. The Fréchet distance depends on it.
func TestKIDHasNoBias(t *testing.T) {
	a, b := normal(600, 12, 0, 1, 1), normal(600, 12, 0, 1, 2)
	shifted := normal(600, 12, 0.3, 1, 3)
	kid := func(p Points, size int) (mean, deviation float64) {
		mean, deviation, err := KID(background, cpu.Default(), a, p, KIDSubsets, size, 5)
		if err != nil {
			t.Fatal(err)
		}
		return mean, deviation
	}
	for _, size := range []int{20, 200} {
		mean, dev := kid(b, size)
		// 100 subsets, which overlap: the standard error of their mean is that of the whole sets at least.
		if math.Abs(mean) > 4*(dev/10+2e-3) {
			t.Errorf("subsets of %d of one distribution: %g ± %g, want 0", size, mean, dev)
		}
		if off, dev := kid(shifted, size); off < 3*math.Abs(mean) || off > 1 || dev <= 0 {
			t.Errorf("subsets of %d of a shifted one: %g ± %g", size, off, dev)
		}
	}
	small, _ := kid(shifted, 20)
	large, _ := kid(shifted, 200)
	if r := small / large; r < 0.8 || r > 1.25 {
		t.Errorf("subsets of 20 and of 200 give %g and %g", small, large)
	}
	again, _ := kid(shifted, 20)
	if again != small {
		t.Errorf("two calls give %g and %g", small, again)
	}
	for _, c := range []struct{ subsets, size int }{{0, 5}, {5, 1}, {5, 601}} {
		var e *InputError
		if _, _, err := KID(background, cpu.Default(), a, b, c.subsets, c.size, 0); !errors.As(err, &e) {
			t.Errorf("%d subsets of %d: %v", c.subsets, c.size, err)
		}
	}
}
