package data

import (
	"context"
	"math"
)

// Stats are figures of a source.
type Stats struct {
	Samples  int
	Classes  []int     // samples of each class; nil: no classes
	Channels []Moments // of each channel of pictures, or number of points
	All      Moments   // of all numbers together
}

// Moments are figures of numbers.
type Moments struct {
	Mean, Std float64 // Std with the number of numbers in the denominator
	Min, Max  float64

	n, sum, square float64 // less a pivot
}

func (m *Moments) add(o Moments) {
	if m.n == 0 {
		m.Min, m.Max = o.Min, o.Max
	}
	m.n, m.sum, m.square = m.n+o.n, m.sum+o.sum, m.square+o.square
	m.Min, m.Max = min(m.Min, o.Min), max(m.Max, o.Max)
}

func (m *Moments) finish(pivot float64) {
	mean := m.sum / m.n
	m.Mean, m.Std = pivot+mean, math.Sqrt(max(0, m.square/m.n-mean*mean))
}

// Measure reads the first n samples of a source (0: all) and gives their figures; progress, if set, is called now and then.
func Measure(ctx context.Context, s Source, n int, progress func(done, total int)) (*Stats, error) {
	if total := s.Len(); total != Infinite && (n <= 0 || n > total) {
		n = total
	}
	if n <= 0 {
		return nil, option("an endless source: say how many samples to read")
	}
	shape := s.Shape()
	channels := shape[len(shape)-1]
	st := &Stats{Samples: n, Channels: make([]Moments, channels)}
	if s.Classes() > 0 {
		st.Classes = make([]int, s.Classes())
	}
	w := &writer{ctx: ctx, s: s, n: n}
	if progress != nil {
		w.o.Progress = func(done, _ int) { progress(done, n) }
	}
	var pivot []float64 // a number of each channel, so that little is lost where the mean is far from 0
	size := volume(shape)
	err := w.chunks(func(_ int, x []float32, labels []int32) error {
		if pivot == nil {
			for c := range channels {
				pivot = append(pivot, float64(x[c]))
			}
		}
		for ; len(x) > 0; x = x[size:] {
			for c := range channels {
				p := pivot[c]
				m := Moments{Min: math.Inf(1), Max: math.Inf(-1), n: float64(size / channels)}
				for k := c; k < size; k += channels {
					v := float64(x[k])
					m.Min, m.Max = min(m.Min, v), max(m.Max, v)
					m.sum += v - p
					m.square += (v - p) * (v - p)
				}
				st.Channels[c].add(m)
			}
		}
		for _, l := range labels {
			if st.Classes != nil {
				st.Classes[l]++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for c := range st.Channels {
		m := st.Channels[c]
		// About the first channel's pivot: Σ(v−q)² = Σ(v−p)² + 2(p−q)Σ(v−p) + n(p−q)².
		d := pivot[c] - pivot[0]
		st.All.add(Moments{Min: m.Min, Max: m.Max, n: m.n, sum: m.sum + m.n*d, square: m.square + 2*d*m.sum + m.n*d*d})
		st.Channels[c].finish(pivot[c])
	}
	st.All.finish(pivot[0])
	return st, nil
}
