package cpu

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/backendtest"
	"github.com/langevin-go/langevin/tensor/rng"
)

// newDevice is a device of a level and a number of threads.
func newDevice(t testing.TB, l Level, threads int) *Device {
	d, err := New(Options{Level: &l, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// devices are the machine's levels with one and two threads. AMX is not among them: it is AVX512 but
// for bfloat16.
func devices(t testing.TB) []*Device {
	var all []*Device
	for _, l := range Levels() {
		if l == AMX {
			continue
		}
		all = append(all, newDevice(t, l, 1), newDevice(t, l, 2))
	}
	return all
}

// TestCompliance holds every level, with two threads and (less often: threads
// change no bit) with one, against the float64 truth.
func TestCompliance(t *testing.T) {
	for _, d := range devices(t) {
		t.Run(fmt.Sprintf("%v-%d", d.Level(), d.Threads()), func(t *testing.T) {
			backendtest.RunEvery(t, d, 7-3*d.Threads(), backend.Float32)
		})
	}
	t.Run("float64", func(t *testing.T) { backendtest.Run(t, newDevice(t, Best(), 2), backend.Float64) })
}

func FuzzElementwise(f *testing.F)    { backendtest.Fuzz(f, Default(), "Elementwise") }
func FuzzReduce(f *testing.F)         { backendtest.Fuzz(f, Default(), "Reduce") }
func FuzzGemm(f *testing.F)           { backendtest.Fuzz(f, Default(), "Gemm") }
func FuzzConvForward(f *testing.F)    { backendtest.Fuzz(f, Default(), "ConvForward") }
func FuzzConvInputGrad(f *testing.F)  { backendtest.Fuzz(f, Default(), "ConvInputGrad") }
func FuzzConvWeightGrad(f *testing.F) { backendtest.Fuzz(f, Default(), "ConvWeightGrad") }
func FuzzAttention(f *testing.F)      { backendtest.Fuzz(f, Default(), "Attention") }
func FuzzAttentionGrad(f *testing.F)  { backendtest.Fuzz(f, Default(), "AttentionGrad") }
func FuzzNormForward(f *testing.F)    { backendtest.Fuzz(f, Default(), "NormForward") }
func FuzzNormGrad(f *testing.F)       { backendtest.Fuzz(f, Default(), "NormGrad") }

// siluProgram is x·σ(x)·s + b for a per-channel b: several operations, a scalar, a broadcast.
var siluProgram = &backend.Program{Name: "silu", Inputs: 2, Scalars: 1, Outputs: []int32{5},
	Code: []backend.Instr{{Op: backend.OpInput}, {Op: backend.OpInput, A: 1}, {Op: backend.OpScalar},
		{Op: backend.OpSigmoid, A: 0}, {Op: backend.OpMul, A: 0, B: 3}, {Op: backend.OpMulAdd, A: 4, B: 2, C: 1}}}

// broadcast sees v, whose axes of size 1 match, in a larger shape.
func broadcast(v *backend.View, shape ...int) *backend.View {
	w := *v
	for i, d := range shape {
		if w.Shape[i] != d {
			w.Shape[i], w.Stride[i] = d, 0
		}
	}
	return &w
}

// calls are one call of every kernel but the matrix ones, at sizes that are
// shared among threads and cut into pieces, with the view each writes. No call
// writes what another reads.
func calls(d *Device) map[string]func() *backend.View {
	x, z, flat := testVector(d, 6, 300, 96), testVector(d, 6, 300, 96), testVector(d, 1800, 96)
	bias := broadcast(testVector(d, 1, 1, 96), 6, 300, 96)
	mean, rstd, means, rstds := testVector(d, 6, 300), testVector(d, 6, 300), testVector(d, 6, 8), testVector(d, 6, 8)
	layer := &backend.NormParams{Eps: 1e-5, ScaleBase: 1}
	group := &backend.NormParams{Groups: 8, Eps: 1e-5, SiLU: true}
	both, one, scalars := []*backend.View{x, bias}, []*backend.View{x}, []float64{0.7}
	table, idx := testVector(d, 10, 96), testVector(d, 1800)
	idx.DType = backend.Int32
	for i := range idx.Ints32() {
		idx.Ints32()[i] = int32(i * 7 % 10)
	}
	key := rng.Key{Seed: 1}

	all := map[string]func() *backend.View{}
	add := func(name string, to *backend.View, call func(to *backend.View)) {
		all[name] = func() *backend.View { call(to); return to }
	}
	full := func() *backend.View { return testVector(d, 6, 300, 96) }
	channels := func() *backend.View { return testVector(d, 6, 1, 96) }
	out := make([]*backend.View, 1)
	add("Elementwise", full(), func(y *backend.View) { out[0] = y; d.Elementwise(siluProgram, out, both, scalars) })
	add("ReduceMap", full(), func(y *backend.View) { d.Reduce(backend.Max, nil, y, x, one, nil) })
	add("ReduceProgram", testVector(d, 1, 1, 96), func(y *backend.View) { d.Reduce(backend.Sum, siluProgram, y, x, both, scalars) })
	for name, to := range map[string]*backend.View{"All": testVector(d, 1, 1, 1), "Columns": testVector(d, 1, 1, 96),
		"Middle": channels(), "Rows": testVector(d, 6, 300, 1), "Outer": testVector(d, 1, 300, 1)} {
		add("Reduce"+name, to, func(y *backend.View) { d.Reduce(backend.Sum, nil, y, x, one, nil) })
	}
	add("Softmax", full(), func(y *backend.View) { d.SoftmaxForward(y, x) })
	add("SoftmaxGrad", full(), func(y *backend.View) { d.SoftmaxGrad(y, x, z) })
	m, r, dscale, dshift := testVector(d, 6, 300), testVector(d, 6, 300), channels(), channels()
	add("LayerNorm", full(), func(y *backend.View) { d.NormForward(layer, y, m, r, x, bias, bias) })
	add("LayerNormGrad", full(), func(y *backend.View) { d.NormGrad(layer, y, dscale, dshift, z, x, mean, rstd, bias, bias) })
	dx := full()
	add("LayerNormScale", channels(), func(y *backend.View) { d.NormGrad(layer, dx, y, dshift, z, x, mean, rstd, bias, bias) })
	ms, rs := testVector(d, 6, 8), testVector(d, 6, 8)
	add("GroupNorm", full(), func(y *backend.View) { d.NormForward(group, y, ms, rs, x, bias, bias) })
	add("GroupNormGrad", full(), func(y *backend.View) { d.NormGrad(group, y, dscale, dshift, z, x, means, rstds, bias, bias) })
	add("GroupNormShift", channels(), func(y *backend.View) { d.NormGrad(group, dx, dscale, y, z, x, means, rstds, bias, bias) })
	add("Gather", testVector(d, 1800, 96), func(y *backend.View) { d.Gather(y, table, idx) })
	add("ScatterAdd", testVector(d, 10, 96), func(y *backend.View) {
		clear(y.Floats32())
		d.ScatterAdd(y, flat, idx)
	})
	add("FillNormal", full(), func(y *backend.View) { d.FillNormal(y, key, 5) })
	add("FillUniform", full(), func(y *backend.View) { d.FillUniform(y, key, 5) })
	return all
}

// TestThreads checks that results have the same bits for any number of threads.
func TestThreads(t *testing.T) {
	for _, l := range Levels() {
		want := map[string][]byte{}
		for threads := 1; threads <= 4; threads++ { // four share pieces of a sample in group norm
			for name, call := range calls(newDevice(t, l, threads)) {
				v := call()
				got := hostBytes(v.Mem, 0, v.Mem.Size)
				if threads == 1 {
					want[name] = got
				} else if !bytes.Equal(got, want[name]) {
					t.Errorf("%v, %s: the bits with %d threads are not those with one", l, name, threads)
				}
			}
		}
	}
}

// TestNoAllocation checks that a kernel's second call allocates nothing.
func TestNoAllocation(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	d := newDevice(t, Best(), 2)
	for name, call := range calls(d) {
		call()
		if n := testing.AllocsPerRun(20, func() { call() }); n > 0 {
			t.Errorf("%s allocates %v times a call", name, n)
		}
	}
}

// TestConcurrentUse runs one device's kernels in several goroutines at once:
// each must get what it gets alone. (Run with -race it also shows sharing.)
func TestConcurrentUse(t *testing.T) {
	d := newDevice(t, Best(), 2)
	done := make(chan error)
	want := map[string][]byte{}
	for name, call := range calls(d) {
		v := call()
		want[name] = hostBytes(v.Mem, 0, v.Mem.Size)
	}
	for range 4 {
		go func() {
			for name, call := range calls(d) {
				v := call()
				if !bytes.Equal(hostBytes(v.Mem, 0, v.Mem.Size), want[name]) {
					done <- fmt.Errorf("%s: other bits beside other goroutines", name)
					return
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
