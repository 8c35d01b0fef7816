package cpu

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// shares counts the chunks that each worker has done. The caller's first goes on until a helper has begun one, which takes time.
type shares struct {
	begun atomic.Bool
	done  [2]atomic.Int32
}

func (s *shares) run(worker, chunk int) {
	if worker > 0 {
		s.begun.Store(true)
		time.Sleep(time.Millisecond)
	}
	for !s.begun.Load() {
		runtime.Gosched()
		yield()
	}
	s.done[worker].Add(1)
}

// A helper takes a part, awake or asleep, and is in no task afterwards.
func TestPoolShares(t *testing.T) {
	p := newPool(2)
	for i := range 20 {
		for i > 10 && p.sleepers.Load() == 0 {
			runtime.Gosched()
		}
		s := new(shares)
		p.do(s, 5)
		a, b := s.done[0].Load(), s.done[1].Load()
		if a+b != 5 || b == 0 {
			t.Errorf("%d chunks by the caller and %d by the helper, want 5 in all and some by the helper", a, b)
		}
		if p.inside.Load() != 0 || p.cur != nil || !p.busy.TryLock() {
			t.Fatal("a helper is still in the task, or the task is kept")
		}
		p.busy.Unlock()
	}
}

// Devices that nothing refers to leave no threads behind.
func TestHelpersEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		d, err := New(Options{Threads: 3})
		if err != nil {
			t.Fatal(err)
		}
		var c counting
		d.pool.do(&c, 64)
		if c.n.Load() != 64 {
			t.Fatalf("%d chunks of 64 run", c.n.Load())
		}
	}
	for began := time.Now(); runtime.NumGoroutine() > before; runtime.GC() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d goroutines, %d before: helpers of 20 devices are still there", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

type counting struct{ n atomic.Int64 }

func (c *counting) run(_, _ int) { c.n.Add(1) }

// A pool whose helpers have ended still does all work.
func TestPoolAfterItsEnd(t *testing.T) {
	p := newPool(3)
	for i := range 100 {
		if i == 50 {
			p.end()
		}
		var c counting
		p.do(&c, 10)
		if c.n.Load() != 10 {
			t.Fatalf("round %d: %d chunks of 10 run", i, c.n.Load())
		}
	}
}
