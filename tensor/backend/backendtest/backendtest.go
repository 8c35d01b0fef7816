// Package backendtest says whether a device is done: it compares every method
// with plain Go evaluated in float64, on random shapes, layouts (permuted,
// padded, broadcast, offset), sizes at the edges of vectors, special values, and
// with guard words around everything a kernel may write. It reaches memory by
// Upload and Download alone, so it tests any device.
package backendtest

import (
	"encoding/binary"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// check runs one random case and reports the first disagreement.
type check struct {
	name string
	runs int // cases of a full test
	f    func(c *choices, d backend.Device, dt backend.DType) error
}

var checks = []check{
	{"Elementwise", 320, elementwise},
	{"Copy", 80, copies},
	{"InPlace", 40, inPlace},
	{"Reduce", 320, reduce},
	{"ReduceLarge", 24, reduceLarge},
	{"Gather", 60, gather},
	{"ScatterAdd", 60, scatterAdd},
	{"Random", 40, random},
	{"Gemm", 150, gemm},
	{"GemmRows", 30, gemmRows},
	{"ConvForward", 100, convForward},
	{"ConvInputGrad", 100, convInputGrad},
	{"ConvWeightGrad", 100, convWeightGrad},
	{"Attention", 100, attention},
	{"AttentionGrad", 60, attentionGrad},
	{"NormForward", 120, normForward},
	{"NormGrad", 120, normGrad},
	{"SoftmaxForward", 80, softmaxForward},
	{"SoftmaxGrad", 80, softmaxGrad},
	{"Batch", 60, batch},
}

// Run tests d in the given dtypes (none: float32 and float64). Cases are the
// same in every run; testing.Short takes a quarter of them.
func Run(t *testing.T, d backend.Device, dtypes ...backend.DType) { RunEvery(t, d, 1, dtypes...) }

// RunEvery is Run on every n-th case, for a device that is much like another.
func RunEvery(t *testing.T, d backend.Device, n int, dtypes ...backend.DType) {
	if testing.Short() {
		n *= 4
	}
	if len(dtypes) == 0 {
		dtypes = []backend.DType{backend.Float32, backend.Float64}
	}
	for _, dt := range dtypes {
		t.Run(dt.String(), func(t *testing.T) {
			t.Run("Specials", func(t *testing.T) { testSpecials(t, d, dt) })
			for i, k := range checks {
				t.Run(k.name, func(t *testing.T) {
					failures := 0
					for j := 0; j < k.runs; j += n {
						seed := binary.LittleEndian.AppendUint32(nil, uint32(i)<<16|uint32(j))
						if err := k.f(newChoices(nil).reseed(seed), d, dt); err != nil {
							t.Errorf("case %d: %v", j, err)
							if failures++; failures == 3 {
								t.Fatal("giving up on this method")
							}
						}
					}
				})
			}
		})
	}
}

// Fuzz feeds the named check ("Elementwise", "Gemm", ...) with the fuzzer's bytes.
func Fuzz(f *testing.F, d backend.Device, name string) {
	for _, k := range checks {
		if k.name != name {
			continue
		}
		for i := range 8 {
			f.Add([]byte{byte(i), byte(i * 37), byte(i * 91), byte(255 - i)})
		}
		f.Fuzz(func(t *testing.T, data []byte) {
			for _, dt := range []backend.DType{backend.Float32, backend.Float64} {
				if err := k.f(newChoices(data), d, dt); err != nil {
					t.Error(dt, err)
				}
			}
		})
		return
	}
	f.Fatalf("backendtest has no check %q", name)
}
