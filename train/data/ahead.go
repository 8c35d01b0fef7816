package data

import (
	"runtime"
	"sync"
)

// Ahead reads a loader's batches in the background: some goroutines read samples, a few batches before
// they are asked for. What a batch holds does not depend on either number. It is for one goroutine.
type Ahead struct {
	loader         *Loader
	size           int
	workers, depth int
	run            *aheadRun // nil: none is under way
	next           uint64    // the position that run is at
}

// Ahead makes batches of size samples be read by workers goroutines (0: one a CPU), depth batches at most before they are
// asked for (0: 2). Close ends it.
func (l *Loader) Ahead(size, workers, depth int) *Ahead {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if depth <= 0 {
		depth = 2
	}
	return &Ahead{loader: l, size: size, workers: workers, depth: depth}
}

// Batch is [Loader.Batch]. Positions that follow each other, a batch apart, find their batch read already.
func (a *Ahead) Batch(cursor uint64, x []float32, labels []int32) error {
	if len(labels) != a.size || len(x) != a.size*a.loader.size {
		panic("data: space for another batch than is read ahead")
	}
	if a.run != nil && a.next != cursor {
		a.Close()
	}
	if a.run == nil {
		a.run = a.start(cursor)
	}
	s := <-a.run.ready
	s.done.Wait()
	for _, err := range s.errs {
		if err != nil {
			a.Close()
			return err
		}
	}
	copy(x, s.x)
	copy(labels, s.labels)
	a.run.free <- s
	a.next = cursor + uint64(a.size)
	return nil
}

// Close ends the goroutines and waits for them. Batch starts them again.
func (a *Ahead) Close() {
	if a.run != nil {
		close(a.run.quit)
		a.run.wg.Wait()
		a.run = nil
	}
}

// aheadRun is batches one after another, from a position on.
type aheadRun struct {
	quit  chan struct{}
	free  chan *aheadSlot // to be read into
	ready chan *aheadSlot // being read, in the order of their batches
	tasks chan aheadTask
	wg    sync.WaitGroup
}

// aheadSlot is the space of a batch.
type aheadSlot struct {
	cursor uint64
	x      []float32
	labels []int32
	errs   []error // of the tasks
	done   sync.WaitGroup
}

// aheadTask is samples from…to of a batch.
type aheadTask struct {
	slot           *aheadSlot
	from, to, task int
}

func (a *Ahead) start(cursor uint64) *aheadRun {
	r := &aheadRun{quit: make(chan struct{}), free: make(chan *aheadSlot, a.depth), ready: make(chan *aheadSlot, a.depth), tasks: make(chan aheadTask)}
	part := max(1, min(8, a.size/(4*a.workers))) // small enough that no worker is waited for long
	tasks := (a.size + part - 1) / part
	for range a.depth {
		r.free <- &aheadSlot{x: make([]float32, a.size*a.loader.size), labels: make([]int32, a.size), errs: make([]error, tasks)}
	}
	r.wg.Go(func() {
		for ; ; cursor += uint64(a.size) {
			var s *aheadSlot
			select {
			case s = <-r.free:
			case <-r.quit:
				return
			}
			s.cursor = cursor
			s.done.Add(tasks)
			r.ready <- s // has room for every slot
			for k := range tasks {
				select {
				case r.tasks <- aheadTask{s, k * part, min(a.size, (k+1)*part), k}:
				case <-r.quit:
					return
				}
			}
		}
	})
	for range a.workers {
		r.wg.Go(func() {
			for {
				select {
				case t := <-r.tasks:
					t.slot.errs[t.task] = a.loader.readSome(t.slot, t.from, t.to)
					t.slot.done.Done()
				case <-r.quit:
					return
				}
			}
		})
	}
	return r
}

// readSome reads samples from…to of a slot's batch.
func (l *Loader) readSome(s *aheadSlot, from, to int) error {
	for k := from; k < to; k++ {
		if err := l.read(s.cursor+uint64(k), s.x[k*l.size:(k+1)*l.size], &s.labels[k]); err != nil {
			return err
		}
	}
	return nil
}
