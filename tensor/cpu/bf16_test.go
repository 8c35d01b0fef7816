package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/backendtest"
	"github.com/langevin-go/langevin/tensor/rng"
)

// bf16Devices are the devices that compute in bfloat16, those of the machine's
// levels and, last, AVX-512 as on a processor that has no instructions for it.
func bf16Devices(t testing.TB, threads int) []*Device {
	var all []*Device
	for _, l := range Levels() {
		all = append(all, newDevice(t, l, threads).lower)
	}
	if all[len(all)-1].pairs != nil {
		d := newDevice(t, Best(), threads)
		d.addLower(nil)
		all = append(all, d.lower)
	}
	return all
}

func describeBF16(d *Device) string {
	return fmt.Sprintf("%v, kernels %v, %d threads", d.level, d.pairs != nil, d.pool.threads)
}

func TestBF16Compliance(t *testing.T) {
	for _, d := range bf16Devices(t, 2) {
		every := 4
		if d.pairs != nil {
			every = 1
		}
		t.Run(describeBF16(d), func(t *testing.T) { backendtest.RunProducts(t, d, every) })
	}
}

func FuzzBF16Gemm(f *testing.F)           { backendtest.Fuzz(f, Default().BF16(), "Gemm") }
func FuzzBF16ConvForward(f *testing.F)    { backendtest.Fuzz(f, Default().BF16(), "ConvForward") }
func FuzzBF16ConvWeightGrad(f *testing.F) { backendtest.Fuzz(f, Default().BF16(), "ConvWeightGrad") }
func FuzzBF16AttentionGrad(f *testing.F)  { backendtest.Fuzz(f, Default().BF16(), "AttentionGrad") }

// TestRoundBF16 has the values of the rounding's definition: ties to even, the
// largest finite number, signs, subnormal numbers, infinities, NaN.
func TestRoundBF16(t *testing.T) {
	for _, c := range []struct{ in, want uint32 }{
		{0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, // below, at and above half
		{0x3f818000, 0x3f82}, {0xbf818000, 0xbf82}, // ties go to even
		{0x3fffffff, 0x4000},                       // into the next binade
		{0x7f7f7fff, 0x7f7f}, {0x7f7f8000, 0x7f80}, // the largest, and beyond
		{0, 0}, {0x80000000, 0x8000}, {0x00800000, 0x0080}, {0x007fffff, 0}, {0x80000001, 0x8000}, // subnormal
		{0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f800001, 0x7fc0}, {0xffc00000, 0xffc0}, // NaN is quiet
	} {
		if got := math.Float32bits(roundBF16(math.Float32frombits(c.in))); got != c.want<<16 {
			t.Errorf("%08x becomes %08x, want %04x0000", c.in, got, c.want)
		}
	}
}

// TestPacking holds the packing kernels against packing number by number, on
// every special kind of number, all sizes of tails, and with guard words behind.
func TestPacking(t *testing.T) {
	tried := false
	for _, l := range Levels() {
		if u := l.pairs(); u != nil {
			t.Run(l.String(), func(t *testing.T) { testPacking(t, u) })
			tried = true
		}
	}
	if !tried {
		t.Skip("this machine has no instructions for bfloat16")
	}
}

func testPacking(t *testing.T, u *pairKernel) {
	r := rand.New(rand.NewPCG(1, 2))
	from := make([]float32, 1<<14)
	for i := range from {
		from[i] = float32(r.NormFloat64())
		switch r.IntN(8) {
		case 0:
			from[i] = math.Float32frombits(r.Uint32()) // anything
		case 1:
			from[i] = math.Float32frombits(math.Float32bits(from[i])&^0xffff | 0x8000) // a tie
		}
	}
	var scratch []float32
	equal := func(what string, got, want []float32) {
		t.Helper()
		for i := range want {
			if g, w := math.Float32bits(got[i]), math.Float32bits(want[i]); g != w {
				t.Fatalf("%s: word %d is %08x, want %08x", what, i, g, w)
			}
		}
	}
	buffers := func() (got, want []float32) {
		got, want = make([]float32, 1<<14), make([]float32, 1<<14)
		for i := range got {
			got[i] = math.Float32frombits(guard)
			want[i] = got[i]
		}
		return got, want
	}
	for n := 1; n <= u.cols; n++ {
		for _, k := range []int{1, 2, 3, 31, 32, 33, 64, 67, 96} {
			for _, s := range [][2]int{{n + 3, 1}, {1, k + 5}, {2 * n, 2}} { // strides of k and n
				got, want := buffers()
				u.packColumns(got, from, 7, s[0], s[1], k, n, &scratch)
				u.packScalars(want, from, 7, 1, u.cols, s[1], s[0], n, k)
				for p := range words(k) { // columns beyond n are nobody's
					clear(got[p*u.cols+n : (p+1)*u.cols])
					clear(want[p*u.cols+n : (p+1)*u.cols])
				}
				equal(fmt.Sprintf("%d columns of %d, strides %v", n, k, s), got, want)
				if s[1] == 1 {
					before := got
					got, _ = buffers()
					sums := make([]float32, u.cols)
					u.packSums(got, from, sums, 7, s[0], k, n)
					for p := range words(k) {
						clear(got[p*u.cols+n : (p+1)*u.cols])
					}
					equal(fmt.Sprintf("%d columns of %d, summed", n, k), got, before)
					for j, v := range sums[:n] {
						want := alternateSum(from[7+j:], s[0], k)
						if math.Float32bits(v) != math.Float32bits(want) && (v == v || want == want) {
							t.Fatalf("%d columns of %d: sum %d is %v, want %v", n, k, j, v, want)
						}
					}
				}
				if n > u.rows {
					continue
				}
				got, want = buffers()
				u.packRows(got, from, 7, s[1], s[0], n, k, &scratch)
				row, word := u.packedStrides(s[0], n)
				u.packScalars(want, from, 7, row, word, s[1], s[0], n, k)
				if u.turnWords != nil { // which fills up to whole vectors, of words and of rows
					for i := range roundUp(n, u.lanes) {
						from := words(k)
						if i >= n {
							from = 0
						}
						line := got[i*row+from : i*row+roundUp(words(k), u.lanes)]
						for j := range line {
							line[j] = math.Float32frombits(guard)
						}
					}
				}
				equal(fmt.Sprintf("%d rows of %d, strides %v", n, k, s), got, want)
			}
		}
	}
}

// alternateSum adds up k numbers a stride apart: even ones and odd ones apart,
// then both, then the last of an odd number of them.
func alternateSum(from []float32, stride, k int) float32 {
	var sums [2]float32
	for p := range k / 2 * 2 {
		sums[p%2] += from[p*stride]
	}
	sum := sums[0] + sums[1]
	if k%2 != 0 {
		sum += from[(k-1)*stride]
	}
	return sum
}

// TestBF16Shares wants memory, float64 and everything but products to be those
// of the device itself.
func TestBF16Shares(t *testing.T) {
	d := newDevice(t, Best(), 2)
	low := d.BF16()
	if low.(backend.Lowered).BF16() != low || !backend.SameMemory(d, low) || backend.SameMemory(d, newDevice(t, Go, 1)) {
		t.Error("the devices do not know each other")
	}
	r := rand.New(rand.NewPCG(1, 3))
	a, b := fill(r, place(r, backend.Float64, dense, 5, 40)), fill(r, place(r, backend.Float64, dense, 40, 7))
	want, got := place(r, backend.Float64, dense, 5, 7), place(r, backend.Float64, dense, 5, 7)
	d.Gemm(want, a, b, nil, 1, 0)
	low.Gemm(got, a, b, nil, 1, 0)
	each(want, func(i []int) {
		if at(got, i...) != at(want, i...) {
			t.Fatalf("float64 product: %v, want %v", at(got, i...), at(want, i...))
		}
	})
}

// productBits are the bits of one of every product, of shapes that are shared among threads.
func productBits(d *Device) map[string][]byte {
	r := rand.New(rand.NewPCG(5, 6))
	a, b, bt := benchView(r, 150, 700), benchView(r, 700, 90), transposedView(benchView(r, 90, 700))
	c, c2 := benchView(r, 150, 90), benchView(r, 150, 90)
	x, w, y := benchView(r, 5, 9, 14, 20), benchView(r, 3, 3, 20, 40), benchView(r, 5, 9, 14, 40)
	dx, dw := benchView(r, 5, 9, 14, 20), benchView(r, 3, 3, 20, 40)
	p := &backend.Conv{Spatial: 2, Stride: [3]int{1, 1}, Dilation: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, Groups: 1}
	q := benchView(r, 3, 130, 2, 24)
	o, lse := benchView(r, 3, 130, 2, 24), benchView(r, 3, 2, 130)
	dq, dk, dv := benchView(r, 3, 130, 2, 24), benchView(r, 3, 130, 2, 24), benchView(r, 3, 130, 2, 24)
	d.Gemm(c, a, b, nil, 1, 0)
	d.Gemm(c2, a, &bt, nil, 1, 0)
	dy := benchView(r, 5, 9, 14, 40)
	d.ConvForward(p, y, x, w, nil)
	d.ConvInputGrad(p, dx, dy, w)
	d.ConvWeightGrad(p, dw, x, dy)
	d.Attention(o, lse, q, q, q, nil, 0.2)
	d.AttentionGrad(dq, dk, dv, q, o, lse, q, q, q, nil, 0.2)
	bits := map[string][]byte{}
	for name, v := range map[string]*backend.View{"gemm": c, "gemm nt": c2, "conv": y, "conv input": dx, "conv weights": dw,
		"attention": o, "lse": lse, "dq": dq, "dk": dk, "dv": dv} {
		bits[name] = hostBytes(v.Mem, 0, v.Mem.Size)
	}
	return bits
}

// TestBF16Threads wants the same bits for any number of threads.
func TestBF16Threads(t *testing.T) {
	want := map[int]map[string][]byte{}
	for _, threads := range []int{1, 2, 3, 7} {
		for i, d := range bf16Devices(t, threads) {
			got := productBits(d)
			if threads == 1 {
				want[i] = got
				continue
			}
			for name, bits := range got {
				for j := range bits {
					if bits[j] != want[i][name][j] {
						t.Errorf("%s: %s: the bits are not those of one thread", describeBF16(d), name)
						break
					}
				}
			}
		}
	}
}

// TestBF16Specials has infinities, NaN and subnormal numbers go through a product.
func TestBF16Specials(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, d := range bf16Devices(t, 1) {
		for _, c := range []struct{ a, b, want float32 }{
			{inf, 2, inf}, {-inf, 2, -inf}, {nan, 0, nan}, {inf, 0, nan},
			{math.MaxFloat32, 1, inf}, // rounds to an infinity
			{0x1p-127, 0x1p100, 0}, {1 + 0x1p-9, 1, 1}, {1 + 0x1p-8 + 0x1p-20, 1, 1 + 0x1p-7},
		} {
			a, b, y := vectorView(c.a, 3, 0), vectorView(c.b, 5, 0), vectorView(0, 0, 0)
			a.Shape[0], a.Shape[1], b.Shape[0], b.Shape[1] = 1, 3, 3, 1
			a.Stride[0], b.Stride[0], b.Stride[1] = 3, 1, 1
			y.Shape[0], y.Shape[1] = 1, 1
			b.Floats32()[1] = 0
			d.Gemm(y, a, b, nil, 1, 0)
			if got := y.Floats32()[0]; got != c.want && !(got != got && c.want != c.want) {
				t.Errorf("%s: %g·%g = %g, want %g", describeBF16(d), c.a, c.b, got, c.want)
			}
		}
	}
}

// vectorView is a matrix view of three numbers.
func vectorView(v ...float32) *backend.View {
	v = append([]float32(nil), v...)
	return &backend.View{Mem: backend.Memory{Host: unsafe.Pointer(&v[0]), Size: 4 * len(v)}, Rank: 2, Stride: [backend.MaxRank]int{1, 1}}
}

// TestBF16ConvBlocks has convolutions of more terms, panels and slabs than a
// block, and holds the kernels against rounded copies: each of the two sums is
// off by at most its terms' roundings.
func TestBF16ConvBlocks(t *testing.T) {
	tried := false
	for _, l := range Levels() {
		if l.pairs() != nil {
			t.Run(l.String(), func(t *testing.T) { testBF16ConvBlocks(t, newDevice(t, l, 2).lower) })
			tried = true
		}
	}
	if !tried {
		t.Skip("this machine has no instructions for bfloat16")
	}
}

func testBF16ConvBlocks(t *testing.T, d *Device) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct{ n, h, w, cin, cout, stride int }{
		{3, 28, 28, 40, 70, 1}, {2, 5, 6, 2400, 33, 1}, {5, 14, 15, 20, 130, 2}, {9, 7, 7, 64, 40, 1}, {2, 30, 31, 1, 40, 1}, {2, 30, 31, 40, 1, 1},
	} {
		p := &backend.Conv{Spatial: 2, Stride: [3]int{c.stride, c.stride}, Dilation: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, Groups: 1}
		oh, ow := p.Out(0, c.h, 3), p.Out(1, c.w, 3)
		x, w, y := benchView(r, c.n, c.h, c.w, c.cin), benchView(r, 3, 3, c.cin, c.cout), benchView(r, c.n, oh, ow, c.cout)
		for kind, like := range []*backend.View{y, x, w} {
			var got, want, mag *backend.View
			for i, run := range []func(y, x, w *backend.View){
				func(y, x, w *backend.View) { d.conv(convKind(kind), []*backend.View{y, x, w}[kind], p, y, x, w, nil) },
				func(y, x, w *backend.View) {
					d.convRounded(convKind(kind), []*backend.View{y, x, w}[kind], p, y, x, w, nil)
				},
				func(y, x, w *backend.View) {
					d.full.conv(convKind(kind), []*backend.View{y, x, w}[kind], p, y, x, w, nil)
				},
			} {
				operands := [3]*backend.View{y, x, w}
				if i == 2 { // the sum of magnitudes; rounding adds a little
					for j, v := range operands {
						operands[j] = magnitudes(v)
					}
				}
				out := place(r, backend.Float32, dense, like.Shape[:4]...)
				operands[kind] = out
				run(operands[0], operands[1], operands[2])
				switch i {
				case 0:
					got = out
				case 1:
					want = out
				default:
					mag = out
				}
			}
			terms := [3]int{9 * c.cin, 9 * c.cout, c.n * oh * ow}[kind]
			each(got, func(i []int) {
				if diff, bound := math.Abs(at(got, i...)-at(want, i...)), 2.1*float64(terms+6)*0x1p-24*at(mag, i...); !(diff <= bound) {
					t.Fatalf("%+v, direction %d: at %v got %v, want %v ± %.2g", c, kind, i, at(got, i...), at(want, i...), bound)
				}
			})
		}
	}
}

// magnitudes is a copy of a dense view with all signs positive.
func magnitudes(v *backend.View) *backend.View {
	c := *v
	c.Mem.Host = cloneMemory(v)
	all := elements[float32](&c)
	for i, x := range all {
		all[i] = float32(math.Abs(float64(x)))
	}
	return &c
}

// TestBF16Allocates calls every product often and wants no memory for it.
func TestBF16Allocates(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, d := range bf16Devices(t, 2) {
		r := rand.New(rand.NewPCG(4, 4))
		x, w, y := benchView(r, 2, 8, 8, 16), benchView(r, 3, 3, 16, 16), benchView(r, 2, 8, 8, 16)
		x3, w3, y3 := benchView(r, 2, 9, 9, 32), benchView(r, 3, 3, 32, 32), benchView(r, 2, 9, 9, 32)
		a, b, c := benchView(r, 65, 64), benchView(r, 64, 64), benchView(r, 65, 64)
		bt := transposedView(b)
		p := &backend.Conv{Spatial: 2, Stride: [3]int{1, 1}, Dilation: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, Groups: 1}
		q := benchView(r, 2, 20, 2, 16)
		o, dq, dk, dv, lse := benchView(r, 2, 20, 2, 16), benchView(r, 2, 20, 2, 16), benchView(r, 2, 20, 2, 16), benchView(r, 2, 20, 2, 16), benchView(r, 2, 2, 20)
		for name, f := range map[string]func(){
			"Gemm":           func() { d.Gemm(c, a, b, nil, 1, 0) },
			"Gemm, bT":       func() { d.Gemm(c, a, &bt, nil, 1, 0) },
			"ConvForward":    func() { d.ConvForward(p, y, x, w, nil) },
			"ConvInputGrad":  func() { d.ConvInputGrad(p, x, y, w) },
			"ConvWeightGrad": func() { d.ConvWeightGrad(p, w, x, y) },
			"Winograd":       func() { d.ConvForward(p, y3, x3, w3, nil) },
			"Attention":      func() { d.Attention(o, lse, q, q, q, nil, 1) },
			"AttentionGrad":  func() { d.AttentionGrad(dq, dk, dv, o, o, lse, q, q, q, nil, 1) },
		} {
			if n := testing.AllocsPerRun(20, f); n >= 1 {
				t.Errorf("%s: %s allocates %v times a call", describeBF16(d), name, n)
			}
		}
	}
}

// TestWinogradRows wants the words of the transformed patches and gradients of a
// slab to be the float32 ones rounded, two lines of tiles to a line of words, in
// shapes that gradients have only of more tiles than TestConvWinograd could check.
func TestWinogradRows(t *testing.T) {
	pairs := Best().pairs()
	if pairs == nil {
		t.Skip("this machine has no instructions for bfloat16")
	}
	for _, c := range []struct{ channels, cout, lines, tilesW int }{{16, 16, 4, 1}, {48, 80, 1, 2}, {80, 32, 7, 3}, {128, 128, 6, 2}} {
		task := &winogradWeightTask{u: &pairs.microKernel, k: pairs.winograd2, pairs: pairs, tilesW: c.tilesW, panels: (c.cout + pairs.cols - 1) / pairs.cols}
		task.cout = c.cout
		w := new(winogradWeightWorker)
		for i, s := range []*slab{&w.x, &w.dy} {
			channels := []int{c.channels, c.cout}[i]
			s.stride[2] = 4 * channels
			s.stride[1] = s.stride[2] * (2*c.tilesW + 2)
			s.buf = make([]float32, s.stride[1]/4*(2*c.lines+3))
			rng.Normal(s.buf, rng.Key{}, uint64(i))
			s.base = unsafe.Pointer(&s.buf[0])
			for r := range 2 * c.lines {
				s.rows = append(s.rows, (r+r/4)*s.stride[1]) // lines of several images
			}
		}
		make16 := func(transform func(w *winogradWeightWorker, r0, r1, channels, depth, vStep, wStep int), depth int) (v, spread []float32, vStep, wStep int) {
			vStep, wStep = matrixStep(depth*c.channels), matrixStep(depth*task.panels*pairs.cols)
			w.v, w.w = make([]float32, 16*vStep), make([]float32, 16*wStep)
			transform(w, 0, 2*c.lines, c.channels, depth, vStep, wStep)
			return w.v, w.w, vStep, wStep
		}
		tiles, depth := c.lines*c.tilesW, words(c.lines)*c.tilesW
		v, spread, vStep, wStep := make16(task.transform, tiles)
		a, b, aStep, bStep := make16(task.transformPairs, depth)
		// check compares words, width of them a tile; a lone line goes with zeros or, if lone, with itself.
		check := func(what string, got, from []float32, width int, lone bool) {
			for p := range depth {
				low := p/c.tilesW*2*c.tilesW + p%c.tilesW
				for i := range width {
					one, two := from[low*width+i], float32(0)
					if high := low + c.tilesW; high < tiles {
						two = from[high*width+i]
					} else if lone {
						two = one
					}
					if want := wordOf(roundBF16(one), roundBF16(two)); math.Float32bits(got[p*width+i]) != math.Float32bits(want) {
						t.Fatalf("%+v: word %d of %s %d is %x, want %x", c, p, what, i, math.Float32bits(got[p*width+i]), math.Float32bits(want))
					}
				}
			}
		}
		for m := range 16 {
			check("channel", a[m*aStep:], v[m*vStep:], c.channels, true)
			for p := range task.panels {
				check("column", b[m*bStep+p*depth*pairs.cols:], spread[m*wStep+p*tiles*pairs.cols:], pairs.cols, false)
			}
		}
	}
}
