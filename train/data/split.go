package data

import (
	"fmt"
	"slices"
)

// Holdout splits a finite source into n samples held out and the rest. With
// the samples put in order of their class, and of their index within a class,
// every (Len/n)-th is held out: so each class has its share (to the nearest
// sample below or above), spread evenly over the source, and nothing is
// random. Both parts keep the source's order.
func Holdout(s Source, n int) (train, heldout Source, err error) {
	total := s.Len()
	if total == Infinite {
		return nil, nil, option("an infinite source cannot be split: draw held-out samples instead")
	}
	if n < 1 || n >= total {
		return nil, nil, option("%d of %d samples cannot be held out: want 1 to %d", n, total, total-1)
	}
	byClass := make([][]int, max(1, s.Classes()))
	x := make([]float32, volume(s.Shape()))
	for i := range total {
		label, err := Label(s, uint64(i), x)
		if err != nil {
			return nil, nil, err
		}
		byClass[label] = append(byClass[label], i)
	}
	a, b := &subset{Source: s}, &subset{Source: s}
	for p, i := range slices.Concat(byClass...) {
		if (p+1)*n/total > p*n/total {
			b.index = append(b.index, i)
		} else {
			a.index = append(a.index, i)
		}
	}
	slices.Sort(a.index)
	slices.Sort(b.index)
	return a, b, nil
}

// subset is some samples of a source.
type subset struct {
	Source
	index []int
}

func (s *subset) Len() int           { return len(s.index) }
func (s *subset) source() Source     { return s.Source }
func (s *subset) at(i uint64) uint64 { return uint64(s.index[i]) }

func (s *subset) Sample(i uint64, x []float32) (int, error) {
	if i >= uint64(len(s.index)) {
		panic(fmt.Sprintf("data: sample %d of a source of %d", i, len(s.index)))
	}
	return s.Source.Sample(uint64(s.index[i]), x)
}
