package cpu

import (
	"fmt"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

func BenchmarkReduce(b *testing.B) {
	d := Default()
	for _, s := range []struct{ shape, to []int }{
		{[]int{1 << 20}, []int{1}},
		{[]int{64, 28, 28, 64}, []int{1, 1, 1, 64}},
		{[]int{6272, 384}, []int{1, 384}},
		{[]int{32, 196, 384}, []int{32, 1, 384}},
		{[]int{6272, 384}, []int{6272, 1}},
		{[]int{1 << 17, 10}, []int{1 << 17, 1}},
		{[]int{1 << 19, 2}, []int{1 << 19, 1}},
		{[]int{1 << 19, 2}, []int{1, 2}},
		{[]int{256, 64}, []int{256, 1}},
	} {
		x, out := testVector(d, s.shape...), testVector(d, s.to...)
		b.Run(fmt.Sprintf("%v-%v", s.shape, s.to), func(b *testing.B) {
			b.SetBytes(int64(4 * x.Elems()))
			in := []*backend.View{x}
			for b.Loop() {
				d.Reduce(backend.Sum, nil, out, x, in, nil)
			}
		})
	}
}
