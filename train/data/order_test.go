package data

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
)

func TestEveryEpochIsAPermutation(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1437, 4096, 4097} {
		o := NewOrder(n, 54)
		for epoch := range uint64(3) {
			seen := make([]bool, n)
			for k := range uint64(n) {
				i, e := o.At(epoch*uint64(n) + k)
				if e != epoch || seen[i] {
					t.Fatalf("n %d: position %d of epoch %d gives sample %d of epoch %d (again: %v)", n, k, epoch, i, e, seen[i])
				}
				seen[i] = true
			}
		}
	}
	if i, e := NewOrder(Infinite, 9).At(1 << 60); i != 1<<60 || e != 0 {
		t.Errorf("infinite: %d, epoch %d", i, e)
	}
}

// All permutations are equally likely. The bound is the chi-squared value that
// chance exceeds once in 10⁵, by the cube-root approximation of Wilson and
// Hilferty: d·(1 − 2/9d + z·√(2/9d))³ with z = 4.265.
func TestPermutationsAreUniform(t *testing.T) {
	const epochs = 8000
	for _, n := range []int{2, 3, 4, 5} {
		count := map[string]int{}
		o := NewOrder(n, 54)
		for e := range uint64(epochs) {
			p := make([]uint64, n)
			for k := range p {
				p[k], _ = o.At(e*uint64(n) + uint64(k))
			}
			count[fmt.Sprint(p)]++
		}
		cells := 1
		for k := 2; k <= n; k++ {
			cells *= k
		}
		checkUniform(t, fmt.Sprintf("permutations of %d", n), count, cells, epochs)
	}
	// Where each of 37 samples stands, and which one follows sample 0, over many epochs.
	const n = 37
	place, next := map[string]int{}, map[string]int{}
	o := NewOrder(n, 54)
	for e := range uint64(8000) {
		var p [n]uint64
		for k := range p {
			p[k], _ = o.At(e*n + uint64(k))
		}
		at := slices.Index(p[:], 0)
		place[fmt.Sprint(at)]++
		next[fmt.Sprint(p[(at+1)%n])]++
	}
	checkUniform(t, "places", place, n, 8000)
	checkUniform(t, "successors", next, n-1, 8000)
}

func checkUniform(t *testing.T, what string, count map[string]int, cells, total int) {
	t.Helper()
	want := float64(total) / float64(cells)
	chi2 := float64(cells-len(count)) * want // cells never met
	for _, c := range count {
		chi2 += (float64(c) - want) * (float64(c) - want) / want
	}
	d := float64(cells - 1)
	if bound := d * math.Pow(1-2/(9*d)+4.265*math.Sqrt(2/(9*d)), 3); chi2 > bound || len(count) > cells {
		t.Errorf("%s: chi-squared %.1f in %d cells, want below %.1f", what, chi2, cells, bound)
	}
}

// A run resumed by a later version must read on in the same order.
func TestOrderIsKept(t *testing.T) {
	var got []uint64
	o := NewOrder(10, 42)
	for k := range uint64(20) {
		i, _ := o.At(k)
		got = append(got, i)
	}
	want := []uint64{5, 0, 8, 1, 2, 9, 6, 7, 4, 3, 0, 5, 2, 1, 8, 9, 4, 7, 3, 6}
	if !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// numbered is a source whose sample i is an image of 2×3×2 with values 100·i + position.
type numbered struct {
	n    int
	fail error
}

func (s numbered) Len() int   { return s.n }
func (numbered) Shape() []int { return []int{2, 3, 2} }
func (numbered) Classes() int { return 5 }
func (s numbered) Sample(i uint64, x []float32) (int, error) {
	checkCall(s, i, x)
	for k := range x {
		x[k] = float32(100*int(i) + k)
	}
	return int(i % 5), s.fail
}

func TestBatchDependsOnTheCursorAlone(t *testing.T) {
	l, err := NewLoader(numbered{n: 7}, Options{Seed: 1, Flip: true})
	if err != nil {
		t.Fatal(err)
	}
	const total = 40 // over five epochs
	all, allLabels := make([]float32, total*12), make([]int32, total)
	if err := l.Batch(0, all, allLabels); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 3, 8} {
		for cursor := total - size; cursor >= 0; cursor -= size {
			x, labels := make([]float32, size*12), make([]int32, size)
			if err := l.Batch(uint64(cursor), x, labels); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(x, all[cursor*12:(cursor+size)*12]) || !slices.Equal(labels, allLabels[cursor:cursor+size]) {
				t.Fatalf("batch of %d at %d differs", size, cursor)
			}
		}
	}
	for epoch := range total / 7 {
		seen := map[int]bool{}
		for k := epoch * 7; k < epoch*7+7; k++ {
			i := int(all[k*12]) / 100
			seen[i] = true
			if allLabels[k] != int32(i%5) {
				t.Errorf("sample %d has label %d", i, allLabels[k])
			}
		}
		if len(seen) != 7 {
			t.Errorf("epoch %d has %d of 7 samples", epoch, len(seen))
		}
		if e := l.Epoch(uint64(epoch * 7)); e != uint64(epoch) {
			t.Errorf("epoch %d is called %d", epoch, e)
		}
	}
}

// An image of 2×3×2, mirrored: pixels keep their channels' order, rows their place.
func TestFlip(t *testing.T) {
	mirrored := []float32{4, 5, 2, 3, 0, 1, 10, 11, 8, 9, 6, 7}
	plain := []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	l, err := NewLoader(numbered{n: 1}, Options{Seed: 1, Flip: true})
	if err != nil {
		t.Fatal(err)
	}
	const epochs = 4000
	flips := 0
	for e := range uint64(epochs) {
		x, labels := make([]float32, 12), make([]int32, 1)
		if err := l.Batch(e, x, labels); err != nil {
			t.Fatal(err)
		}
		switch {
		case slices.Equal(x, mirrored):
			flips++
		case !slices.Equal(x, plain):
			t.Fatalf("epoch %d: %v is neither the image nor its mirror image", e, x)
		}
	}
	// Binomial(4000, ½): standard deviation √1000 = 31.6; five of them.
	if math.Abs(float64(flips)-epochs/2) > 158 {
		t.Errorf("%d of %d mirrored", flips, epochs)
	}
}

func TestLoaderRefuses(t *testing.T) {
	if _, err := NewLoader(numbered{n: 0}, Options{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("no samples: %v", err)
	}
	if _, err := NewLoader(Draw(TorchCFMMoons(), 1, false), Options{Flip: true}); !errors.Is(err, ErrOption) {
		t.Errorf("flipped points: %v", err)
	}
	mine := errors.New("mine")
	l, err := NewLoader(numbered{n: 3, fail: mine}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Batch(0, make([]float32, 12), make([]int32, 1)); err != mine {
		t.Errorf("got %v, want the source's error", err)
	}
}

func TestBatchDoesNotAllocate(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	train, _ := Digits()
	for name, s := range map[string]Source{"digits": train, "moons": Draw(TorchCFMMoons(), 1, false), "8gaussians": Draw(TorchCFMEightGaussians(), 1, false)} {
		l, err := NewLoader(s, Options{Seed: 1, Flip: name == "digits"})
		if err != nil {
			t.Fatal(err)
		}
		x, labels := make([]float32, 64*volume(s.Shape())), make([]int32, 64)
		cursor := uint64(0)
		if n := testenv.Allocs(t, func() {
			if err := l.Batch(cursor, x, labels); err != nil {
				t.Fatal(err)
			}
			cursor += 64
		}); n >= 1 {
			t.Errorf("%s: %v allocations a batch", name, n)
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	train, _ := Digits()
	for name, s := range map[string]Source{"digits": train, "moons": Draw(TorchCFMMoons(), 1, false), "8gaussians": Draw(TorchCFMEightGaussians(), 1, false)} {
		l, err := NewLoader(s, Options{})
		if err != nil {
			b.Fatal(err)
		}
		x, labels := make([]float32, 256*volume(s.Shape())), make([]int32, 256)
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := l.Batch(uint64(i)*256, x, labels); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// In blocks, too, every epoch is a permutation, each another one; a window of positions is of few blocks; and every sample comes to every place.
func TestOrderInBlocks(t *testing.T) {
	for _, c := range [][3]int{{100, 10, 3}, {97, 10, 3}, {64, 16, 2}, {1000, 7, 20}, {60, 20, 3}} {
		n, block, window := c[0], c[1], c[2]
		o := NewOrder(n, 5).InBlocks(block, window)
		if o.block == 0 {
			t.Fatalf("%v: no blocks", c)
		}
		for epoch := range uint64(5) {
			seen := make([]bool, n)
			for w := 0; w < n; w += block * window {
				touched := map[uint64]bool{} // blocks of the file, which those of the order overlap: two at most each
				for k := w; k < min(n, w+block*window); k++ {
					i, e := o.At(epoch*uint64(n) + uint64(k))
					if i >= uint64(n) || seen[i] || e != epoch {
						t.Fatalf("%v: position %d of epoch %d is sample %d of epoch %d", c, k, epoch, i, e)
					}
					seen[i] = true
					touched[i/uint64(block)] = true
				}
				if len(touched) > 2*window+2 {
					t.Errorf("%v: a window of %d blocks touches %d", c, window, len(touched))
				}
			}
		}
	}
	const n = 60
	o := NewOrder(n, 5).InBlocks(6, 4)
	place, of0 := map[string]int{}, map[string]int{}
	for e := range uint64(3000) {
		i, _ := o.At(e*n + 7)
		place[fmt.Sprint(i)]++
	}
	checkUniform(t, "samples at position 7", place, n, 3000)
	for e := range uint64(600) {
		for k := range uint64(n) {
			if i, _ := o.At(e*n + k); i == 0 {
				of0[fmt.Sprint(k)]++
			}
		}
	}
	checkUniform(t, "positions of sample 0", of0, n, 600)
	if NewOrder(Infinite, 1).InBlocks(3, 2) != NewOrder(Infinite, 1) || NewOrder(10, 1).InBlocks(4, 3) != NewOrder(10, 1) {
		t.Error("an order without blocks has some")
	}
}
