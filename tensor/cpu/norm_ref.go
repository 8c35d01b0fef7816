package cpu

import "github.com/langevin-go/langevin/tensor/backend"

func viewAt(v *backend.View, idx []int) int {
	o := v.Off
	for i, j := range idx {
		o += j * v.Stride[i]
	}
	return o
}

func eachPoint(shape []int, f func(idx []int)) {
	var store [backend.MaxRank]int
	idx := store[:len(shape)]
	for _, d := range shape {
		if d == 0 {
			return
		}
	}
	for {
		f(idx)
		i := len(shape) - 1
		for ; i >= 0; i-- {
			idx[i]++
			if idx[i] < shape[i] {
				break
			}
			idx[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

func loadAt(v *backend.View, o int) float64 {
	if v.DType == backend.Float64 {
		return elements[float64](v)[o]
	}
	return float64(elements[float32](v)[o])
}

func storeAt(v *backend.View, o int, x float64) {
	if v.DType == backend.Float64 {
		elements[float64](v)[o] = x
	} else {
		elements[float32](v)[o] = float32(x)
	}
}
