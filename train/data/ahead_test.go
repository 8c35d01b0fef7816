package data

import (
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

func readBatch(t testing.TB, batch func(uint64, []float32, []int32) error, cursor uint64, n, size int) []float32 {
	t.Helper()
	x, labels := make([]float32, n*size), make([]int32, n)
	if err := batch(cursor, x, labels); err != nil {
		t.Fatal(err)
	}
	for _, l := range labels {
		x = append(x, float32(l))
	}
	return x
}

// Whatever the number of workers and of batches read ahead, and whether batches come in turn, from the middle or again: they are what
// Loader.Batch gives, which is a function of seed and cursor.
func TestAheadIsTheSameForAnyWorkers(t *testing.T) {
	dir := gallery(t, 23)
	for _, crop := range []string{CropCentre, CropResized} {
		src := openGallery(t, dir, Pictures{Height: 5, Width: 7, Channels: 3, Crop: crop, Memory: -1})
		loader, err := NewLoader(src, Options{Seed: 4, Flip: true})
		if err != nil {
			t.Fatal(err)
		}
		const n = 6
		var want [][]float32
		for k := range 12 { // three epochs
			want = append(want, readBatch(t, loader.Batch, uint64(k*n), n, 105))
		}
		for _, c := range [][2]int{{1, 1}, {1, 3}, {2, 2}, {5, 1}, {8, 4}} {
			a := loader.Ahead(n, c[0], c[1])
			for _, k := range []int{0, 1, 2, 3, 7, 8, 3, 3, 4, 11} {
				if got := readBatch(t, a.Batch, uint64(k*n), n, 105); !slices.Equal(got, want[k]) {
					t.Fatalf("%s, %d workers, %d ahead: batch %d is another one", crop, c[0], c[1], k)
				}
			}
			a.Close()
			a.Close()
		}
	}
}

// counting counts how many samples are being read, and how far reading is ahead.
type counting struct {
	Source
	mu   sync.Mutex
	read int
	stop chan struct{} // nil: reading goes on
}

func (c *counting) Sample(i uint64, x []float32) (int, error) {
	c.mu.Lock()
	c.read++
	c.mu.Unlock()
	if c.stop != nil {
		<-c.stop
	}
	return c.Source.Sample(i, x)
}

// No more batches are read than the queue holds, and Close leaves no goroutine.
func TestAheadIsBounded(t *testing.T) {
	before := runtime.NumGoroutine()
	src := &counting{Source: InMemory([]int{1}, make([]float32, 100), nil, 0)}
	loader, err := NewLoader(src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := loader.Ahead(4, 3, 2)
	for k := range uint64(5) {
		readBatch(t, a.Batch, 4*k, 4, 1)
	}
	// Nothing tells that the readers are idle, other than that the count stands at its bound: five batches taken, two ahead.
	deadline := time.Now().Add(10 * time.Second)
	for {
		src.mu.Lock()
		read := src.read
		src.mu.Unlock()
		if read > 28 {
			t.Fatalf("%d samples read, with a queue of 2 batches of 4 behind 5", read)
		}
		if read == 28 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d samples read", read)
		}
		runtime.Gosched()
	}
	a.Close()
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	if src.read != 28 {
		t.Errorf("%d samples read in the end", src.read)
	}
}

// A bad sample is the error of its own batch, not of the one at hand, and reading goes on behind it if it is asked to.
func TestAheadErrors(t *testing.T) {
	dir := gallery(t, 8)
	write(t, dir, "a/01.png", []byte("no picture"))
	src := openGallery(t, dir, Pictures{Height: 2, Width: 2, Channels: 1, Memory: -1})
	loader, err := NewLoader(src, Options{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	a := loader.Ahead(1, 3, 4)
	defer a.Close()
	failed := 0
	for k := range uint64(16) {
		index, _ := loader.At(k)
		err := a.Batch(k, make([]float32, 4), make([]int32, 1))
		if (err != nil) != (index == 1) {
			t.Fatalf("batch %d of sample %d: %v", k, index, err)
		}
		if err != nil {
			failed++
			checkFileError(t, "bad", err, ErrFormat, filepath.Join(dir, "a/01.png"), "not a PNG")
		}
	}
	if failed != 2 {
		t.Errorf("%d errors in two epochs", failed)
	}
}
