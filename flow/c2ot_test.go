package flow

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Within a class pairs are optimal, between classes nothing moves, and nothing is lost.
func TestC2OTByClass(t *testing.T) {
	b := ringBatch(96)
	for i := range b.Labels {
		b.Labels[i] /= 4 // two halves of the ring
	}
	b.Vector = nil
	plain, c2 := NewCFM(), NewCFM()
	for _, cfm := range []*CFM{plain, c2} {
		cfm.Dropout = diffusion.Dropout{P: 0.3, Classes: 2}
	}
	c2.Coupling = &C2OT{Share: 0.05, Distance: "squared"}
	var a, d diffusion.Draw
	k := rng.Key{Seed: 2}
	plain.Draw(k, b, &a)
	if c2.Draw(k, b, &d); d.Err != nil {
		t.Fatal(d.Err)
	}
	a.HostNoise()
	seen := 0
	for class := range int32(3) { // 2 is the null class
		of := func(d *diffusion.Draw) (noise, data []float32) {
			for i, l := range d.Labels {
				if l == class {
					noise, data = append(noise, d.Noise[2*i:2*i+2]...), append(data, d.X[2*i:2*i+2]...)
				}
			}
			return
		}
		before, data := of(&a)
		after, same := of(&d)
		if !slices.Equal(rows(before), rows(after)) || !slices.Equal(data, same) {
			t.Fatalf("class %d has other noise than was drawn for it", class)
		}
		n := len(data) / 2
		seen += n
		cost := make([]float64, n*n)
		squaredDistances(cost, data, before, n)
		var solver Assigner
		way := 0.0
		for i := range n {
			way += math.Pow(float64(data[2*i])-float64(after[2*i]), 2) + math.Pow(float64(data[2*i+1])-float64(after[2*i+1]), 2)
		}
		within(t, "way", way, total(cost, solver.Solve(cost, n)), 1e-9*way)
	}
	if seen != b.N {
		t.Errorf("%d samples in all classes", seen)
	}
}

// The noise that a class is trained with is standard normal under C²OT, and is not under OT: the paper's point.
func TestC2OTKeepsThePrior(t *testing.T) {
	mean := func(c Coupling) float64 { // of the noise of the data on the right, in the first coordinate
		cfm, sum, n := NewCFM(), 0.0, 0
		cfm.Coupling = c
		var d diffusion.Draw
		for step := range 60 {
			b := &diffusion.Batch{N: 64, Shape: []int{1}, X: make([]float32, 64), Labels: make([]int32, 64)}
			for i := range b.X {
				b.Labels[i] = int32(i % 2)
				b.X[i] = float32(2*(i%2) - 1)
			}
			if cfm.Draw(rng.Key{Seed: 1, Step: uint64(step)}, b, &d); d.Err != nil {
				t.Fatal(d.Err)
			}
			for i, l := range d.Labels {
				if l == 1 {
					sum += float64(d.HostNoise()[i])
					n++
				}
			}
		}
		return sum / float64(n)
	}
	// A standard error is 1/√1920; the mean of a normal's upper half is √(2/π).
	if got := mean(&C2OT{Share: 0.05, Distance: "squared"}); math.Abs(got) > 5/math.Sqrt(1920) {
		t.Errorf("C²OT: the noise of a class has mean %g", got)
	}
	if got := mean(&OT{}); math.Abs(got-math.Sqrt(2/math.Pi)) > 0.1 {
		t.Errorf("OT: the noise of the upper class has mean %g, want %g", got, math.Sqrt(2/math.Pi))
	}
}

// The weight lets the share of pairs that was asked for be no dearer than the drawn ones.
func TestC2OTWeight(t *testing.T) {
	const n = 60
	p := make([]float32, 6*n)
	rng.Normal(p, rng.Key{Seed: 8}, 0)
	for _, cosine := range []bool{false, true} {
		for _, share := range []float64{0.02, 0.05, 0.2, 0.9} {
			c := &C2OT{Share: share, cost: make([]float64, n*n), cond: make([]float64, n*n)}
			squaredDistances(c.cost, p[:2*n], p[2*n:4*n], n)
			conditionDistances(c.cond, p[4*n:], nil, n, cosine)
			count := func(w float64) (k float64) {
				for i := range n {
					for j := range n {
						if c.cost[i*n+j]+w*c.cond[i*n+j] <= c.cost[i*n+i] {
							k++
						}
					}
				}
				return k / (n * n)
			}
			w := c.weight(n)
			free := count(0)
			switch {
			case free <= share && w != 0:
				t.Errorf("share %g: without a weight it is %g, and the weight is %g", share, free, w)
			case free > share && (math.Abs(count(w)-share) > 2./(n*n) || !(w > 0)):
				t.Errorf("share %g: with weight %g it is %g", share, w, count(w))
			}
		}
	}
}

func TestConditionDistances(t *testing.T) {
	v := []float32{1, 0, 0, 2, -3, 0, 1, 1}
	cost := make([]float64, 16)
	conditionDistances(cost, v, nil, 4, true)
	for i, want := range []float64{0, 1, 2, 1 - math.Sqrt(0.5), 1, 0, 1, 1 - math.Sqrt(0.5), 2, 1, 0, 1 + math.Sqrt(0.5)} {
		within(t, "cosine", cost[i], want, 1e-15*8)
	}
	conditionDistances(cost, v, []float32{0, 1, 1, 0}, 4, false)
	for i, want := range []float64{0, 17, 17, 1, 17, 0, 0, 17} {
		within(t, "squared", cost[i], want, 1e-13)
	}
}

func TestC2OTNeedsACondition(t *testing.T) {
	var d diffusion.Draw
	cfm := NewCFM()
	cfm.Coupling = &C2OT{Share: 0.05, Distance: "squared"}
	b := ringBatch(8)
	if cfm.Draw(rng.Key{}, b, &d); d.Err == nil {
		t.Error("takes classes and vectors at once")
	}
	b.Labels = nil
	if cfm.Draw(rng.Key{}, b, &d); d.Err != nil {
		t.Error(d.Err)
	}
	b.Vector = nil
	if cfm.Draw(rng.Key{}, b, &d); d.Err == nil {
		t.Error("does without a condition")
	}
}
