package cpu

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// benchDevices are the levels with kernels, and the best one's in bfloat16.
func benchDevices(b *testing.B) map[string]*Device {
	devices := map[string]*Device{}
	for _, l := range Levels()[1:] {
		devices[l.String()] = testDevice(b, l, 0)
	}
	if d := testDevice(b, Best(), 0); d.HasBF16() {
		devices["bf16"] = d.lower
	}
	return devices
}

func BenchmarkConv(b *testing.B) {
	type size struct{ n, side, cin, cout, ker, stride int }
	devices := benchDevices(b)
	for _, l := range slices.Sorted(maps.Keys(devices)) {
		d := devices[l]
		for _, s := range []size{{64, 28, 64, 64, 3, 1}, {64, 14, 128, 128, 3, 1}, {64, 7, 128, 128, 3, 1}, {64, 28, 128, 64, 3, 1},
			{64, 28, 64, 64, 3, 2}, {64, 28, 1, 64, 3, 1}, {64, 28, 64, 1, 3, 1}, {64, 14, 128, 128, 1, 1}, {128, 8, 64, 64, 3, 1}, {128, 4, 128, 128, 3, 1}, {4, 8, 512, 512, 3, 1}} {
			for kind, name := range []string{"forward", "inputgrad", "weightgrad"} {
				b.Run(fmt.Sprintf("%v/%dx%dx%d/%d-%d/k%ds%d/%s", l, s.n, s.side, s.side, s.cin, s.cout, s.ker, s.stride, name), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 1))
					p := &backend.Conv{Spatial: 2, Stride: [3]int{s.stride, s.stride}, Dilation: [3]int{1, 1},
						PadLo: [3]int{s.ker / 2, s.ker / 2}, PadHi: [3]int{s.ker / 2, s.ker / 2}, Groups: 1}
					out := p.Out(0, s.side, s.ker)
					x, w := benchView(r, s.n, s.side, s.side, s.cin), benchView(r, s.ker, s.ker, s.cin, s.cout)
					y, bias := benchView(r, s.n, out, out, s.cout), benchView(r, s.cout)
					b.ReportAllocs()
					call := func() {
						switch convKind(kind) {
						case convForward:
							d.ConvForward(p, y, x, w, bias)
						case convInputGrad:
							d.ConvInputGrad(p, x, y, w)
						case convWeightGrad:
							d.ConvWeightGrad(p, w, x, y)
						}
					}
					call() // makes the scratch
					for b.Loop() {
						call()
					}
					gflops(b, 2*float64(s.n*out*out*s.cin*s.cout*s.ker*s.ker))
				})
			}
		}
	}
}
