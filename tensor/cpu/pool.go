package cpu

import (
	"sync"
	"sync/atomic"
	"time"
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
//
// On a machine with other things to do, the system takes a helper off its core in
// the middle of a chunk for milliseconds, and the caller has to wait: two threads
// get less done than one. The pool then does without helpers for some time.
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

	// Of the holder of busy. Tasks are not shared before until; a pause is as long
	// as so many times the wait that led to it.
	until time.Duration
	times time.Duration
}

func newPool(threads int) *pool {
	return &pool{threads: threads, wake: make(chan struct{}, threads), times: 1}
}

// spins is how often a helper looks for the next task before it sleeps: some 0.3 ms.
// Waking one takes tens of microseconds, longer than most kernels of small networks.
const spins = 64000

const (
	// A wait is too long from so much on, if the task itself took less than half: a helper that has a processor
	// of its own ends within one chunk of the caller, and a system's time slices are milliseconds.
	tooLong = 300 * time.Microsecond
	// A helper is tried again after as long as it was waited for, and after twice that each
	// time it was no better, up to so many times: of a machine that stays busy the pool loses a few hundredths.
	mostTimes = 32
)

var epoch = time.Now()

// now is the time by a clock that only goes forward.
func now() time.Duration { return time.Since(epoch) }

// do runs chunks 0..n-1 of t and returns when all are done. Worker numbers are
// below p.threads; the caller is worker 0.
func (p *pool) do(t task, n int) {
	if n <= 1 || p.threads == 1 || !p.busy.TryLock() {
		alone(t, n)
		return
	}
	defer p.busy.Unlock()
	begin := now()
	if begin < p.until {
		alone(t, n)
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
	p.epoch.Add(1)
	for range p.sleepers.Load() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.work(0)
	// A helper that has not come in by now is not waited for: it enters first
	// (inside), then looks whether the task is open, and we do it in reverse.
	p.open.Store(false)
	if p.inside.Load() != 0 {
		p.await(begin)
	}
	p.cur = nil
}

func alone(t task, n int) {
	for i := range n {
		t.run(0, i)
	}
}

// await waits for the helpers that are in the task, which began at begin.
func (p *pool) await(begin time.Duration) {
	for range 100 {
		if p.inside.Load() == 0 {
			return
		}
	}
	from := now()
	for p.inside.Load() != 0 {
		yield()
	}
	p.waited(begin, from, now())
}

// waited decides on a pause, after helpers were waited for from from to end in a task that began at begin.
func (p *pool) waited(begin, from, end time.Duration) {
	wait := end - from
	if wait < tooLong || wait < 2*(from-begin) {
		return
	}
	if from-p.until > 8*wait { // it went well for some time
		p.times = 1
	}
	p.until = end + p.times*wait
	p.times = min(2*p.times, mostTimes)
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

// help is a helper's life. It runs as long as the program: devices are few.
func (p *pool) help(worker int) {
	seen := uint32(0)
	for {
		for i := 0; p.epoch.Load() == seen; i++ {
			if i < spins {
				if i%64 == 63 {
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
		p.inside.Add(1)
		if p.open.Load() {
			p.work(worker)
		}
		p.inside.Add(-1)
	}
}
