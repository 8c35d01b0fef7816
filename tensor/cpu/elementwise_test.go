package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// ulpError is how far got is from the exact result, in units of the last place
// of float32; results that round to infinity count as it.
func ulpError(got float32, exact float64) float64 {
	switch {
	case math.IsNaN(exact) || math.IsNaN(float64(got)):
		if math.IsNaN(exact) && math.IsNaN(float64(got)) {
			return 0
		}
		return math.Inf(1)
	case math.IsInf(float64(float32(exact)), 0):
		if got == float32(exact) {
			return 0
		}
		exact = math.Copysign(0x1p128, exact) // the next value after the largest
	case math.IsInf(float64(got), 0):
		got, exact = float32(math.Copysign(0x1p127, float64(got))), exact/2
	}
	_, e := math.Frexp(math.Min(math.Abs(exact), math.MaxFloat32))
	return math.Abs(float64(got)-exact) / math.Max(math.Ldexp(1, e-24), 0x1p-149)
}

// TestKernelAccuracy measures every function of one argument against float64
// on all exponents (a step of some thousand bit patterns, both signs), and holds
// it to its stated error. The largest errors seen with a step of 61 (70 million
// arguments): exp 1.003, log 0.84, tanh 2.44, sigmoid 2.31, erf 1.08, softplus
// 2.94, sin and cos 1.48, rsqrt 1.49 ulp.
func TestKernelAccuracy(t *testing.T) {
	allowed := map[backend.Opcode]float64{
		backend.OpExp: 1.1, backend.OpExpm1: 2, backend.OpLog: 2, backend.OpLog1p: 2, backend.OpTanh: 2.5,
		backend.OpSigmoid: 2.5, backend.OpErf: 2, backend.OpSoftplus: 3, backend.OpSin: 1.5, backend.OpCos: 1.5,
		backend.OpRsqrt: 1.5,
	}
	step := uint32(1777)
	if testing.Short() {
		step *= 16
	}
	const block = 1 << 14
	x, y := make([]float32, 0, block), make([]float32, block)
	for _, d := range devices(t) {
		if d.Threads() > 1 {
			continue
		}
		k := kernels32(d).ops
		for op := backend.OpNeg; op < backend.NumOpcodes; op++ {
			limit, ok := allowed[op]
			if !ok {
				limit = 0.5
			}
			worst, at := 0.0, float32(0)
			flush := func() {
				k[op](&y[0], &x[0], &x[0], &x[0], len(x))
				for i, v := range x {
					if u := ulpError(y[i], op.Eval(float64(v), 0, 0)); u > worst {
						worst, at = u, v
					}
				}
				x = x[:0]
			}
			for bits := uint64(0); bits < 1<<32; bits += uint64(step) {
				if x = append(x, math.Float32frombits(uint32(bits))); len(x) == block {
					flush()
				}
			}
			flush()
			t.Logf("%v %v: %.3f ulp at %v", d.Level(), op, worst, at)
			if worst > limit {
				t.Errorf("%v %v: %.3f ulp at %v, want %v at most", d.Level(), op, worst, at, limit)
			}
		}
	}
}

func BenchmarkElementwise(b *testing.B) {
	const n = 1 << 20
	d := Default()
	for _, op := range []backend.Opcode{backend.OpAdd, backend.OpMulAdd, backend.OpMax, backend.OpDiv, backend.OpRsqrt, backend.OpExp, backend.OpExpm1, backend.OpLog, backend.OpLog1p,
		backend.OpTanh, backend.OpSigmoid, backend.OpErf, backend.OpSoftplus, backend.OpSin, backend.OpPow} {
		p := single(op)
		var in []*backend.View
		for range op.Arity() {
			v := testVector(d, n)
			for i, x := range v.Floats32() {
				if op == backend.OpPow { // of negative numbers it is another story
					v.Floats32()[i] = max(x, 0.1)
				}
			}
			in = append(in, v)
		}
		out := []*backend.View{testVector(d, n)}
		b.Run(fmt.Sprintf("%v", op), func(b *testing.B) {
			b.SetBytes(int64(4 * n * (op.Arity() + 1)))
			for b.Loop() {
				d.Elementwise(p, out, in, nil)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
		})
	}
}

func testVector(d *Device, shape ...int) *backend.View {
	v := &backend.View{Rank: len(shape)}
	copy(v.Shape[:], shape)
	v.RowMajor()
	v.Mem, _ = d.Alloc(4 * v.Elems())
	x := v.Floats32()
	for i := range x {
		x[i] = float32(i%1013)/100 - 5
	}
	return v
}

// permuted sees a dense tensor with its axes in another order.
func permuted(v *backend.View, axes ...int) *backend.View {
	w := *v
	for i, ax := range axes {
		w.Shape[i], w.Stride[i] = v.Shape[ax], v.Stride[ax]
	}
	return &w
}

func BenchmarkPatterns(b *testing.B) {
	d := Default()
	run := func(name string, p *backend.Program, bytes int, scalars []float64, out *backend.View, in ...*backend.View) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(bytes))
			outs := []*backend.View{out}
			for b.Loop() {
				d.Elementwise(p, outs, in, scalars)
			}
		})
	}
	add, copy1 := single(backend.OpAdd), single(backend.OpNeg)
	x, y := testVector(d, 32, 196, 384), testVector(d, 32, 196, 384)
	n := 4 * x.Elems()
	run("add", add, 3*n, nil, y, x, x)
	run("bias", add, 2*n, nil, y, x, broadcast(testVector(d, 1, 1, 384), 32, 196, 384))
	run("sample", add, 2*n, nil, y, x, broadcast(testVector(d, 32, 1, 384), 32, 196, 384))
	run("row", add, 2*n, nil, y, x, broadcast(testVector(d, 32, 196, 1), 32, 196, 384))
	run("silu", siluProgram, 2*n, []float64{1}, y, x, broadcast(testVector(d, 1, 1, 384), 32, 196, 384))
	im, to := testVector(d, 64, 28, 28, 64), testVector(d, 64, 28, 28, 64)
	run("channel-bias", add, 8*im.Elems(), nil, to, im, broadcast(testVector(d, 1, 1, 1, 64), 64, 28, 28, 64))
	run("channel-sample", add, 8*im.Elems(), nil, to, im, broadcast(testVector(d, 64, 1, 1, 64), 64, 28, 28, 64))
	nchw := testVector(d, 64, 64, 28, 28)
	run("nchw-nhwc", copy1, 8*im.Elems(), nil, to, permuted(nchw, 0, 2, 3, 1))
	rgb, rgbTo := testVector(d, 64, 3, 64, 64), testVector(d, 64, 64, 64, 3)
	run("rgb-nchw-nhwc", copy1, 8*rgb.Elems(), nil, rgbTo, permuted(rgb, 0, 2, 3, 1))
	small, smallTo := testVector(d, 256, 2), testVector(d, 256, 2)
	run("tiny-256x2", add, 3*2048, nil, smallTo, small, broadcast(testVector(d, 256, 1), 256, 2))
	tiny, tinyTo := testVector(d, 64), testVector(d, 64)
	run("tiny-64", add, 3*256, nil, tinyTo, tiny, tiny)
	mid, midTo := testVector(d, 64, 256), testVector(d, 64, 256)
	run("16k", add, 3*4*16384, nil, midTo, mid, mid)
}

// single is the program of one operation.
func single(op backend.Opcode) *backend.Program {
	p := &backend.Program{Name: op.String(), Inputs: op.Arity(), Outputs: []int32{int32(op.Arity())}}
	for i := range op.Arity() {
		p.Code = append(p.Code, backend.Instr{Op: backend.OpInput, A: int32(i)})
	}
	p.Code = append(p.Code, backend.Instr{Op: op, A: 0, B: 1, C: 2})
	return p
}

// TestPowAccuracy holds pow to half an ulp and a little (the kernels compute in
// float64) for bases and exponents of all magnitudes, whose powers are spread
// over all of float32 and beyond.
func TestPowAccuracy(t *testing.T) {
	const n = 1 << 16
	a, b, y := make([]float32, n), make([]float32, n), make([]float32, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range a {
		log := 300 * (r.Float64() - 0.5) // of the base, to base 2
		if i%3 == 0 {
			log *= 1e-5 // near 1
		}
		a[i] = float32(math.Exp2(log))
		b[i] = float32(320 * (r.Float64() - 0.5) / log)
	}
	for _, d := range devices(t) {
		kernels32(d).ops[backend.OpPow](&y[0], &a[0], &b[0], &b[0], n)
		for i := range y {
			if u := ulpError(y[i], math.Pow(float64(a[i]), float64(b[i]))); u > 0.501 {
				t.Fatalf("%v: %v to the power %v = %v: %.3f ulp", d.Level(), a[i], b[i], y[i], u)
			}
		}
	}
}
