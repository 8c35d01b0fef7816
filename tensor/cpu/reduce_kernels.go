package cpu

import "unsafe"

// sumFold adds in eight lanes and then pairwise.
func sumFold[T real](a *T, n int) T {
	x := unsafe.Slice(a, n)
	var s [8]T
	for ; len(x) >= 8; x = x[8:] {
		for i := range s {
			s[i] += x[i]
		}
	}
	for i, v := range x {
		s[i] += v
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// maxFold and minFold give NaN if any element is. n must be positive.
func maxFold[T real](a *T, n int) T {
	m := *a
	for _, v := range unsafe.Slice(a, n) {
		m = max(m, v)
	}
	return m
}

func minFold[T real](a *T, n int) T {
	m := *a
	for _, v := range unsafe.Slice(a, n) {
		m = min(m, v)
	}
	return m
}

var (
	goFolds32 = folds[float32]{sumFold[float32], maxFold[float32], minFold[float32]}
	goFolds64 = folds[float64]{sumFold[float64], maxFold[float64], minFold[float64]}
)

// folds64 are the float64 folds: plain Go at every level.
func folds64(*Device) *folds[float64] { return &goFolds64 }
