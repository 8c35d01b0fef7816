package cpu

import (
	"fmt"
	"testing"

	"github.com/langevin-go/langevin/tensor/rng"
)

func BenchmarkFillNormal(b *testing.B) {
	d := Default()
	for _, s := range [][2]int{{64, 784}, {256, 2}, {32, 3072}, {1, 1 << 20}} {
		v := testVector(d, s[0], s[1])
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			for b.Loop() {
				d.FillNormal(v, rng.Key{Seed: 1}, 0)
			}
			b.ReportMetric(float64(v.Elems())*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mnormals/s")
		})
	}
}
