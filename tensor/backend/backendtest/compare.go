package backendtest

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// unit is the unit roundoff: the largest relative error of one rounding.
func unit(dt backend.DType) float64 {
	if dt == backend.Float64 {
		return 0x1p-53
	}
	return 0x1p-24
}

// tiny is the smallest positive subnormal.
func tiny(dt backend.DType) float64 {
	if dt == backend.Float64 {
		return 0x1p-1074
	}
	return 0x1p-149
}

func largest(dt backend.DType) float64 {
	if dt == backend.Float64 {
		return math.MaxFloat64
	}
	return math.MaxFloat32
}

// ulp is the distance of v's two neighbours in the dtype, halved: that of its binade.
func ulp(v float64, dt backend.DType) float64 {
	v = math.Abs(v)
	if v > largest(dt) {
		v = largest(dt)
	}
	_, e := math.Frexp(v)
	bits := 24
	if dt == backend.Float64 {
		bits = 53
	}
	return math.Max(math.Ldexp(1, e-bits), tiny(dt))
}

// close reports whether got is within bound of want, or as close as the dtype
// allows: NaN only for NaN, an infinity only for one or for what rounds to one.
func close(got, want, bound float64, dt backend.DType) bool {
	switch {
	case math.IsNaN(bound): // the truth itself is undecided here
		return true
	case math.IsNaN(want) || math.IsNaN(got):
		return math.IsNaN(want) && math.IsNaN(got)
	case math.IsInf(want, 0):
		return got == want || !math.IsInf(got, 0) && math.IsInf(bound, 1)
	case math.IsInf(got, 0):
		return got > 0 == (want > 0) && math.Abs(want)+bound > largest(dt)
	}
	return math.Abs(got-want) <= bound
}
