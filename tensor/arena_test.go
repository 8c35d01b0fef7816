package tensor

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// ledgerDevice hands out numbered memory and notes what it is given back.
type ledgerDevice struct {
	backend.Device
	given, back []uintptr
	limit       int // bytes it has; 0: no end
	used        int
}

func (d *ledgerDevice) Alloc(n int) (backend.Memory, error) {
	if d.limit > 0 && d.used+n > d.limit {
		return backend.Memory{}, &backend.AllocError{Device: "ledger", Bytes: n}
	}
	d.used += n
	d.given = append(d.given, uintptr(len(d.given)+1))
	return backend.Memory{Dev: d.given[len(d.given)-1], Size: n}, nil
}

func (d *ledgerDevice) Free(m backend.Memory) { d.back = append(d.back, m.Dev) }

// checkArena walks every chunk and compares what it finds with the arena's books.
func checkArena(t *testing.T, a *arena, live []*block) {
	t.Helper()
	inUse, total := 0, 0
	free := map[*block]bool{}
	used := map[*block]bool{}
	for _, first := range a.chunks {
		if first.prev != nil || first.off != 0 {
			t.Fatalf("a chunk begins with a block at %d that has a neighbour before it", first.off)
		}
		total += first.mem.Size
		at := 0
		for b := first; b != nil; b = b.next {
			switch {
			case b.off != at:
				t.Fatalf("a block at %d, the one before it ends at %d", b.off, at)
			case b.size < granule || b.size%granule != 0:
				t.Fatalf("a block of %d bytes", b.size)
			case b.mem != first.mem:
				t.Fatal("a block of another chunk's memory")
			case b.next != nil && b.next.prev != b:
				t.Fatal("the list does not lead back")
			case b.refs == 0 && b.next != nil && b.next.refs == 0:
				t.Fatalf("free blocks at %d and %d are not joined", b.off, b.next.off)
			}
			if b.refs == 0 {
				free[b] = true
			} else {
				used[b] = true
				inUse += b.size
			}
			at += b.size
		}
		if at != first.mem.Size {
			t.Fatalf("the blocks of a chunk of %d bytes end at %d", first.mem.Size, at)
		}
	}
	if inUse != a.inUse || total != a.total || a.peak < a.inUse {
		t.Fatalf("%d bytes in use and %d held, the books say %d and %d, and a peak of %d", inUse, total, a.inUse, a.total, a.peak)
	}
	if len(a.free) != len(free) {
		t.Fatalf("%d free blocks are listed, there are %d", len(a.free), len(free))
	}
	for _, b := range a.free {
		if !free[b] {
			t.Fatal("a block is listed as free that is not, or twice")
		}
		delete(free, b)
	}
	for _, b := range live {
		if !used[b] {
			t.Fatal("a live block is not among those in use")
		}
		delete(used, b)
	}
	if len(used) != 0 {
		t.Fatalf("%d blocks are in use that nobody holds", len(used))
	}
	for _, b := range a.spare {
		if free[b] || used[b] || slices.Contains(a.chunks, b) {
			t.Fatal("a header in use is listed as spare")
		}
	}
}

// runArena interprets code as operations: allocate, hold once more, let go, reset.
func runArena(t *testing.T, code []byte) {
	dev := &ledgerDevice{}
	a := &arena{dev: dev}
	var live []*block // as often as held
	unique := func() []*block {
		var u []*block
		for _, b := range live {
			if !slices.Contains(u, b) {
				u = append(u, b)
			}
		}
		return u
	}
	for len(code) >= 2 {
		op, arg := code[0], int(code[1])
		code = code[2:]
		switch {
		case op < 120:
			// From nothing to several chunks, at all alignments.
			size := arg << (op % 16)
			b := a.alloc(size)
			if b.size < size || b.refs != 1 {
				t.Fatalf("%d bytes with %d holds for %d", b.size, b.refs, size)
			}
			live = append(live, b)
		case op < 140 && len(live) > 0:
			b := live[arg%len(live)]
			b.refs++
			live = append(live, b)
		case op < 250 && len(live) > 0:
			i := arg % len(live)
			a.unref(live[i])
			live = slices.Delete(live, i, i+1)
		case op >= 250:
			a.reset()
			live = nil
			if len(a.free) != len(a.chunks) {
				t.Fatalf("%d free blocks in %d chunks after a reset", len(a.free), len(a.chunks))
			}
		}
		checkArena(t, a, unique())
	}
	for _, b := range live {
		a.unref(b)
	}
	checkArena(t, a, nil)
	if a.inUse != 0 || len(a.free) != len(a.chunks) {
		t.Fatalf("%d bytes in use and %d free blocks in %d chunks after everything was let go", a.inUse, len(a.free), len(a.chunks))
	}
	a.close()
	if !slices.Equal(slices.Sorted(slices.Values(dev.back)), dev.given) || a.total != 0 {
		t.Fatalf("took %v, gave back %v", dev.given, dev.back)
	}
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestArenaInvariants(t *testing.T) {
	for seed := range uint64(60) {
		runArena(t, randomBytes(rand.New(rand.NewPCG(seed, 1)), 600))
	}
}

func FuzzArena(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 140, 0, 140, 0})
	f.Add([]byte{15, 255, 15, 255, 1, 9, 255, 0, 14, 255})
	f.Add(randomBytes(rand.New(rand.NewPCG(7, 7)), 200))
	f.Fuzz(func(t *testing.T, code []byte) { runArena(t, code[:min(len(code), 400)]) })
}

// A sequence of a step's kind, repeated, takes memory in its first rounds only:
// once a round has needed nothing new, every later one runs exactly alike.
// (The second may need more than the first, whose chunks were cut to its measure.)
func TestArenaIsFlatOverRepeatedSteps(t *testing.T) {
	for seed := range uint64(100) {
		a := &arena{dev: &ledgerDevice{}}
		held := []int{}
		for range 8 {
			r := rand.New(rand.NewPCG(seed, 2))
			var live []*block
			for range 300 {
				if len(live) > 0 && r.IntN(5) < 2 {
					i := r.IntN(len(live))
					a.unref(live[i])
					live = slices.Delete(live, i, i+1)
					continue
				}
				live = append(live, a.alloc(r.IntN(1<<r.IntN(22))))
			}
			a.reset()
			held = append(held, a.total)
		}
		steady := 1
		for steady < len(held) && held[steady] != held[steady-1] {
			steady++
		}
		if steady > 3 || held[len(held)-1] != held[min(steady, len(held)-1)] {
			t.Errorf("sequence %d: %v bytes held after each round", seed, held)
		}
	}
}

func TestArenaTakesSmallChunksFromAFullDevice(t *testing.T) {
	a := &arena{dev: &ledgerDevice{limit: minChunk + 5000}}
	first := a.alloc(minChunk) // all of the first chunk
	second := a.alloc(4000)    // a whole chunk more does not fit, this does
	checkArena(t, a, []*block{first, second})
	func() {
		defer func() {
			err, _ := recover().(error)
			var e *backend.AllocError
			if !errors.As(err, &e) || e.Bytes != 6400 {
				t.Fatalf("got %v", err)
			}
		}()
		a.alloc(6400)
	}()
	checkArena(t, a, []*block{first, second}) // and goes on
	a.unref(first)
	checkArena(t, a, []*block{second, a.alloc(100)})
}
