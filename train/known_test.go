package train

import (
	"context"
	"math"
	"testing"
)

// What the data are, of a class alone, and how dense.
func TestKnow(t *testing.T) {
	m, err := OpenOracle(context.Background(), "triangle", nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Know(context.Background(), 50, -1)
	if err != nil || all.N != 50 || len(all.X) != 100 || len(all.Labels) != 50 || !all.Exact || len(all.Density.Weights) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	one, err := m.Know(context.Background(), 50, 1)
	if err != nil || one.N != 50 || len(one.Density.Weights) != 1 || one.Density.Means[0][0] != -1.7 {
		t.Fatalf("%+v, %v", one, err)
	}
	for i, l := range one.Labels {
		if l != 1 || math.Abs(float64(one.X[2*i])+1.7) > 5*0.3 {
			t.Errorf("sample %d is of class %d, at %v", i, l, one.X[2*i:2*i+2])
		}
	}
	_, err = m.Know(context.Background(), 5, 9)
	wantError(t, err, "class 9")

	digits := opened(t, trained(t, digitsYAML, "steps=1", "sample.every=0"))
	few, err := digits.Know(context.Background(), 1<<20, 3)
	if err != nil || few.N < 100 || few.N > 200 || few.Density != nil || few.Exact {
		t.Errorf("the threes: %d, %v", few.N, err)
	}
}

// Four points at the corners of a square of side 2 and one in the middle: with fewer than ten others, a kernel reaches the farthest.
func TestKernels(t *testing.T) {
	m := kernels([]float32{0, 0, 2, 0, 0, 2, 2, 2, 1, 1}, 2)
	if want := math.Sqrt(8. / 2); m.Check() != nil || len(m.Weights) != 5 || math.Abs(m.Stds[0][0]-want) > 1e-12 || m.Means[3][1] != 2 {
		t.Errorf("%+v, want a width of %g", m, want)
	}
	var line []float32
	for i := range 101 {
		line = append(line, float32(i))
	}
	if m := kernels(line, 1); m.Stds[0][0] != 5 { // five to either side
		t.Errorf("a width of %g, want 5", m.Stds[0][0])
	}
	if m := kernels(make([]float32, 40), 1); m.Stds[0][0] != 1e-3 {
		t.Errorf("of one point many times, a width of %g", m.Stds[0][0])
	}
}
