package data

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// Read writes samples first, first+1, … of a source to x, one after another, and their labels: len(labels) of them.
// Samples that are decoded are read by a goroutine a CPU. Of several errors it gives the first in order.
func Read(ctx context.Context, s Source, first uint64, x []float32, labels []int32) error {
	size := volume(s.Shape())
	return forEach(ctx, len(labels), Streams(s), func(i int) error {
		label, err := s.Sample(first+uint64(i), x[i*size:(i+1)*size])
		labels[i] = int32(label)
		return err
	})
}

// forEach calls do for 0 to n−1, in turn or from a goroutine a CPU, until one fails, or ctx ends. Of
// several errors it gives the first in order.
func forEach(ctx context.Context, n int, parallel bool, do func(i int) error) error {
	workers := 1
	if parallel {
		workers = min(n, runtime.GOMAXPROCS(0))
	}
	var (
		next  atomic.Int64
		stop  atomic.Bool
		wg    sync.WaitGroup
		mu    sync.Mutex
		at    = n
		first error
	)
	for range workers {
		wg.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					stop.Store(true) // those before i are being done or are done
					mu.Lock()
					if i < at {
						at, first = i, err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	if first == nil && ctx.Err() != nil {
		return errors.Join(ctx.Err(), context.Cause(ctx))
	}
	return first
}
