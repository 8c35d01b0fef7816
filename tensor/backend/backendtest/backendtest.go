// Package backendtest says whether a device is done: it compares every method
// with plain Go evaluated in float64, on random shapes, layouts (permuted,
// padded, broadcast, offset), sizes at the edges of vectors, special values, and
// with guard words around everything a kernel may write. It reaches memory by
// Upload and Download alone, so it tests any device.
package backendtest

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// check runs one random case and reports the first disagreement.
type check struct {
	name     string
	runs     int // cases of a full test
	f        func(c *choices, d backend.Device, dt backend.DType) error
	products bool // what it tests multiplies and adds up operands
}

var checks = []check{
	{"Elementwise", 320, elementwise, false},
	{"Copy", 80, copies, false},
	{"InPlace", 40, inPlace, false},
	{"Reduce", 320, reduce, false},
	{"ReduceLarge", 24, reduceLarge, false},
	{"Gather", 60, gather, false},
	{"ScatterAdd", 60, scatterAdd, false},
	{"Random", 40, random, false},
	{"Gemm", 150, gemm, true},
	{"GemmRows", 30, gemmRows, true},
	{"GemmSum", 60, gemmSum, true},
	{"ConvForward", 100, convForward, true},
	{"ConvInputGrad", 100, convInputGrad, true},
	{"ConvWeightGrad", 100, convWeightGrad, true},
	{"Attention", 100, attention, true},
	{"AttentionGrad", 60, attentionGrad, true},
	{"NormForward", 120, normForward, false},
	{"NormGrad", 120, normGrad, false},
	{"SoftmaxForward", 80, softmaxForward, false},
	{"SoftmaxGrad", 80, softmaxGrad, false},
	{"Batch", 60, batch, true},
	{"AttentionBlocks", 2, attentionBlocks, true},
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
			for i := range checks {
				runCheck(t, i, d, dt, n)
			}
		})
	}
}

// RunProducts is RunEvery in float32 of what multiplies and adds up operands,
// for a device that differs from one that has passed in nothing else.
func RunProducts(t *testing.T, d backend.Device, n int) {
	if testing.Short() {
		n *= 4
	}
	for i, k := range checks {
		if k.products {
			runCheck(t, i, d, backend.Float32, n)
		}
	}
}

// RunChecks is RunEvery in float32 of the named checks, for a device with settings that matter to these alone.
func RunChecks(t *testing.T, d backend.Device, n int, names ...string) {
	for _, name := range names {
		runCheck(t, numberOf(t, name), d, backend.Float32, n)
	}
}

// runCheck runs every n-th case of check i.
func runCheck(t *testing.T, i int, d backend.Device, dt backend.DType, n int) {
	k := checks[i]
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

// Fuzz feeds the named checks ("Elementwise", "Gemm", ...), of several the one that the first byte picks, with
// the fuzzer's bytes.
func Fuzz(f *testing.F, d backend.Device, names ...string) {
	var chosen []check
	for _, name := range names {
		chosen = append(chosen, checks[numberOf(f, name)])
	}
	for i := range max(8, 2*len(chosen)) {
		f.Add([]byte{byte(i), byte(i * 37), byte(i * 91), byte(255 - i), byte(i / len(chosen))})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k := chosen[0]
		if n := len(chosen); n > 1 && len(data) > 0 {
			k, data = chosen[int(data[0])%n], data[1:]
		}
		for _, dt := range []backend.DType{backend.Float32, backend.Float64} {
			if err := k.f(newChoices(data), d, dt); err != nil {
				t.Error(k.name, dt, err)
			}
		}
	})
}

// numberOf is the check of that name.
func numberOf(t testing.TB, name string) int {
	i := slices.IndexFunc(checks, func(k check) bool { return k.name == name })
	if i < 0 {
		t.Fatalf("backendtest has no check %q", name)
	}
	return i
}
