package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Corrupt tells whether an error of reading a sample is about what the file holds, so that it will be the same whenever it
// is read. Errors of the operating system are not: a disk that is back would make another run of it.
func Corrupt(err error) bool {
	return errors.Is(err, ErrFormat) || errors.Is(err, badfile.ErrFormat) || errors.Is(err, ErrSize)
}

// tooMany is the error of one more corrupt sample than the number allowed of n.
func tooMany(err error, allowed, n int) error {
	if allowed == 0 {
		return err
	}
	return fmt.Errorf("more than %d of %d samples are corrupt, such as %w", allowed, n, err)
}

// Tolerate gives a source of which so many samples may be [Corrupt]: in the place of each stands the
// next one that can be read (after the last the first), with its label, caption and vector. So what a sample is depends on
// the files alone. One more is an error. found, if set, is called for each the first time that it is met, by one goroutine at a time.
//
// The captions and vectors of a sample are the substitute's once the sample has been asked for.
func Tolerate(s Source, allowed int, found func(err error)) Source {
	if allowed <= 0 || s.Len() == Infinite {
		return s
	}
	return &tolerant{Source: s, allowed: allowed, found: found, bad: map[uint64]error{}}
}

// CorruptSamples are the errors of the corrupt samples that have been met so far in a source of [Tolerate], or in a part
// of one; tolerates is false where there may be none.
func CorruptSamples(s Source) (met []error, tolerates bool) {
	for {
		switch l := s.(type) {
		case *tolerant:
			l.mu.RLock()
			defer l.mu.RUnlock()
			return slices.Clone(l.errs), true
		case wrapper:
			s = l.source()
		default:
			return nil, false
		}
	}
}

// tolerant passes over corrupt samples.
type tolerant struct {
	Source
	allowed int
	found   func(error)
	telling sync.Mutex

	mu   sync.RWMutex
	bad  map[uint64]error
	errs []error // in the order in which they were met
}

func (t *tolerant) source() Source { return t.Source }

// at is the sample that stands in the place of i, as far as that is known.
func (t *tolerant) at(i uint64) uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for range t.Len() {
		if t.bad[i] == nil {
			return i
		}
		i = (i + 1) % uint64(t.Len())
	}
	return i
}

func (t *tolerant) Sample(i uint64, x []float32) (int, error) {
	return t.read(i, func(i uint64) (int, error) { return t.Source.Sample(i, x) })
}

// Draw is Sample under a key, if the source's samples vary.
func (t *tolerant) Draw(i uint64, key rng.Key, x []float32) (int, error) {
	return t.read(i, func(i uint64) (int, error) { return drawSample(t.Source, i, key, x) })
}

func (t *tolerant) read(i uint64, sample func(i uint64) (int, error)) (int, error) {
	for {
		j := t.at(i)
		label, err := sample(j)
		if err == nil || !Corrupt(err) {
			return label, err
		}
		if err := t.note(j, err); err != nil {
			return 0, err
		}
	}
}

// note keeps in mind that sample i is corrupt.
func (t *tolerant) note(i uint64, err error) error {
	t.mu.Lock()
	if t.bad[i] != nil { // another goroutine has met it
		t.mu.Unlock()
		return nil
	}
	if len(t.errs) >= t.allowed || len(t.errs)+1 >= t.Len() {
		defer t.mu.Unlock()
		return tooMany(err, t.allowed, t.Len())
	}
	t.bad[i] = err
	t.errs = append(t.errs, err)
	t.mu.Unlock()
	if t.found != nil {
		t.telling.Lock()
		defer t.telling.Unlock()
		t.found(err)
	}
	return nil
}

// Verify reads every sample of a finite source and gives the errors of the corrupt ones, in order. progress, if set, is called now and then.
func Verify(ctx context.Context, s Source, progress func(done, total int)) ([]error, error) {
	for { // what stands in for corrupt samples hides them
		t, ok := s.(*tolerant)
		if !ok {
			break
		}
		s = t.Source
	}
	size := volume(s.Shape())
	errs := make([]error, s.Len())
	var mu sync.Mutex
	done := 0
	err := forEach(ctx, s.Len(), Streams(s), func(i int) error {
		_, err := s.Sample(uint64(i), make([]float32, size))
		if err != nil && !Corrupt(err) {
			return err
		}
		errs[i] = err
		mu.Lock()
		defer mu.Unlock()
		if done++; progress != nil {
			progress(done, s.Len())
		}
		return nil
	})
	return slices.DeleteFunc(errs, func(e error) bool { return e == nil }), err
}
