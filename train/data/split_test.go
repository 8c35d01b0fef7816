package data

import (
	"errors"
	"math"
	"testing"
)

// The constants are scikit-learn's: load_digits().images and .target, summed plainly and weighted by position.
func TestDigitsAreScikitLearns(t *testing.T) {
	train, heldout := Digits()
	if train.Len() != 1437 || heldout.Len() != 360 || train.Classes() != 10 {
		t.Fatalf("%d and %d digits in %d classes", train.Len(), heldout.Len(), train.Classes())
	}
	if Levels(train) != 17 || Levels(heldout) != 17 {
		t.Errorf("%d and %d levels", Levels(train), Levels(heldout))
	}
	perClass := []int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}
	count := make([]int, 10)
	sum, weighted := 0.0, 0.0
	x := make([]float32, 64)
	for _, s := range []Source{train, heldout} {
		for i := range uint64(s.Len()) {
			label, err := s.Sample(i, x)
			if err != nil {
				t.Fatal(err)
			}
			count[label]++
			for k, v := range x {
				pixel := float64(v+1) * 8
				if pixel != math.Trunc(pixel) || pixel < 0 || pixel > 16 {
					t.Fatalf("pixel %v", v)
				}
				sum += pixel
				weighted += pixel * float64(k)
			}
		}
	}
	if sum != 561718 || weighted != 17660653 {
		t.Errorf("pixels add up to %v, weighted %v", sum, weighted)
	}
	for c, n := range count {
		if n != perClass[c] {
			t.Errorf("class %d has %d digits, want %d", c, n, perClass[c])
		}
	}
	// The first row of the first digit, a 0, as scikit-learn prints it.
	label, err := train.Sample(0, x)
	for k, v := range []float32{0, 0, 5, 13, 9, 1, 0, 0} {
		if label != 0 || err != nil || x[k] != v/8-1 {
			t.Fatalf("the first digit is a %d beginning %v, %v", label, x[:8], err)
		}
	}
}

func TestHoldoutIsStratifiedAndDisjoint(t *testing.T) {
	const total, n = 103, 31
	train, heldout, err := Holdout(numbered{n: total}, n)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != total-n || heldout.Len() != n {
		t.Fatalf("%d and %d", train.Len(), heldout.Len())
	}
	seen := map[int]bool{}
	held := make([]int, 5)
	for k, s := range []Source{train, heldout} {
		before := -1
		x := make([]float32, 12)
		for i := range uint64(s.Len()) {
			label, err := s.Sample(i, x)
			if err != nil {
				t.Fatal(err)
			}
			index := int(x[0]) / 100
			if seen[index] || index <= before || label != index%5 {
				t.Fatalf("part %d: sample %d with label %d comes again or out of order", k, index, label)
			}
			seen[index], before = true, index
			if k == 1 {
				held[label]++
			}
		}
	}
	for c, h := range held {
		share := n * float64((total-c+4)/5) / total
		if math.Abs(float64(h)-share) >= 1 {
			t.Errorf("class %d: %d held out, its share is %.1f", c, h, share)
		}
	}
	for _, n := range []int{0, total, -1} {
		if _, _, err := Holdout(numbered{n: total}, n); !errors.Is(err, ErrOption) {
			t.Errorf("%d held out: %v", n, err)
		}
	}
	if _, _, err := Holdout(Draw(Checkerboard{}, 1, false), 5); !errors.Is(err, ErrOption) {
		t.Errorf("infinite: %v", err)
	}
}
