package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// task is a kernel's work cut into numbered chunks. run must not depend on
// which worker runs a chunk, or in what order. Scratch memory belongs to the
// task, a piece a worker: two callers may be worker 0 of two tasks at once.
// Kernels keep their tasks in a sync.Pool, so that a call allocates nothing.
type task interface {
	run(worker, chunk int)
}

// pool shares chunks among persistent goroutines. Workers spin briefly for the
// next task before they sleep, because kernels follow each other within
// microseconds. One task is shared at a time; a caller that finds the pool busy
// (another goroutine's kernel) runs its task alone, so nothing waits or nests.
// Who waits yields the processor now and then: on a machine with other things to
// do, the thread that is waited for may be behind this one on the same core.
type pool struct {
	threads int
	busy    sync.Mutex // held by the caller whose task is shared
	start   sync.Once

	cur      task
	chunks   int64
	next     atomic.Int64  // next chunk to take
	open     atomic.Bool   // helpers may enter the current task
	inside   atomic.Int32  // helpers that are in it, or about to look whether they may be
	epoch    atomic.Uint32 // counts tasks; a change wakes spinning helpers
	sleepers atomic.Int32
	wake     chan struct{}
	over     atomic.Bool // helpers are to end
}

func newPool(threads int) *pool {
	return &pool{threads: threads, wake: make(chan struct{}, threads)}
}

const (
	// spins is how often a helper looks for the next task before it sleeps: some 0.2 ms.
	// Waking one takes tens of microseconds, longer than most kernels of small networks.
	spins = 64000
	// A helper lets other goroutines have its thread every few looks, other threads its
	// core more rarely: that takes microseconds.
	spinsToSchedule, spinsToYield = 64, 4096
)

// do runs chunks 0..n-1 of t and returns when all are done. Worker numbers are
// below p.threads; the caller is worker 0.
func (p *pool) do(t task, n int) {
	if n <= 1 || p.threads == 1 || !p.busy.TryLock() {
		for i := range n {
			t.run(0, i)
		}
		return
	}
	p.start.Do(func() {
		for w := 1; w < p.threads; w++ {
			go p.help(w)
		}
	})
	p.cur, p.chunks = t, int64(n)
	p.next.Store(0)
	p.open.Store(true)
	p.rouse()
	p.work(0)
	// A helper that has not come in by now is not waited for: it enters first
	// (inside), then looks whether the task is open, and we do it in reverse.
	p.open.Store(false)
	for i := 0; p.inside.Load() != 0; i++ {
		if i > 100 {
			runtime.Gosched()
			yield()
		}
	}
	p.cur = nil
	p.busy.Unlock()
}

// rouse has every helper look what there is.
func (p *pool) rouse() {
	p.epoch.Add(1)
	for range p.sleepers.Load() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// end ends the helpers. What is run from then on is run by the caller alone.
func (p *pool) end() {
	p.over.Store(true)
	p.rouse()
}

func (p *pool) work(worker int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.chunks {
			return
		}
		p.cur.run(worker, int(i))
	}
}

// help is a helper's life, which is that of the pool's device.
func (p *pool) help(worker int) {
	seen := uint32(0)
	for {
		for i := 0; p.epoch.Load() == seen; i++ {
			if i < spins {
				if i%spinsToSchedule == spinsToSchedule-1 {
					runtime.Gosched()
				}
				if i%spinsToYield == spinsToYield-1 {
					yield()
				}
				continue
			}
			p.sleepers.Add(1)
			if p.epoch.Load() == seen {
				<-p.wake
			}
			p.sleepers.Add(-1)
			i = 0
		}
		seen = p.epoch.Load()
		if p.over.Load() {
			return
		}
		p.inside.Add(1)
		if p.open.Load() {
			p.work(worker)
		}
		p.inside.Add(-1)
	}
}
