package record

import (
	"math"
	"sort"
)

// histogram has TensorFlow's default buckets: limits ±1e-12·1.1^k up to 1e20,
// zero between the two middle ones (tensorflow/core/lib/histogram/histogram.cc),
// cut to the used range.
type histogram struct {
	min, max, num, sum, sumSquares float64
	limits                         []float64 // upper ends, ascending
	counts                         []float64 // counts[i]: limits[i-1] ≤ x < limits[i]
}

// histogramLimits are the upper ends of all buckets; the last takes the rest.
var histogramLimits = func() []float64 {
	var positive []float64
	for v := 1e-12; v < 1e20; v *= 1.1 {
		positive = append(positive, v)
	}
	positive = append(positive, math.MaxFloat64)
	out := make([]float64, 0, 2*len(positive)+1)
	for i := len(positive) - 1; i >= 0; i-- {
		out = append(out, -positive[i])
	}
	return append(append(out, 0), positive...)
}()

// newHistogram counts the finite values; without any, one bucket holds nothing.
func newHistogram(values []float32) histogram {
	counts := make([]float64, len(histogramLimits))
	h := histogram{min: math.Inf(1), max: math.Inf(-1)}
	for _, v32 := range values {
		v := float64(v32)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		h.min, h.max = min(h.min, v), max(h.max, v)
		h.num++
		h.sum += v
		h.sumSquares += v * v
		counts[sort.Search(len(histogramLimits)-1, func(i int) bool { return histogramLimits[i] > v })]++
	}
	if h.num == 0 {
		return histogram{limits: []float64{0}, counts: []float64{0}}
	}
	first, last := 0, len(counts)-1
	for counts[first] == 0 {
		first++
	}
	for counts[last] == 0 {
		last--
	}
	first = max(first-1, 0) // an empty bucket in front: its limit is the first one's lower end
	h.limits, h.counts = histogramLimits[first:last+1], counts[first:last+1]
	return h
}
