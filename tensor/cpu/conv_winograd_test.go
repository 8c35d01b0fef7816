package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// winogradMatrices are those of a convolution's transforms, without signs: how
// magnitudes pass through it. The last are the most roundings of a number on its
// way through each, in a dimension, its constants' included.
type winogradMatrices struct {
	side                                  int
	b, g, a                               [][]float64 // |Bᵀ|, |G|, |Aᵀ|
	input, filter, output, spread, folded int
}

var (
	winogradAbs2 = &winogradMatrices{2,
		[][]float64{{1, 0, 1, 0}, {0, 1, 1, 0}, {0, 1, 1, 0}, {0, 1, 0, 1}},
		[][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, .5, .5}, {0, 0, 1}},
		[][]float64{{1, 1, 1, 0}, {0, 1, 1, 1}}, 2, 3, 2, 1, 3}
	winogradAbs4 = winogradAt(5./8, 3./2)
)

// winogradAt are the matrices of F(4×4, 3×3) at 0, ±a, ±b and ∞, from the products
// of differences that define them. Of roundings: a patch's number gets one
// as an even or odd part (x4 − q·x2) and one when these are put together (or two where three are added up); a
// filter's two in the sum, one in the factor's rounding and one in its product; an output's one in the sum of a
// pair, one in the product and two more; a gradient's as a patch's; and
// a filter's gradient's one in the pair, two of the factor and two more.
func winogradAt(a, b float64) *winogradMatrices {
	points := []float64{0, a, -a, b, -b}
	m := &winogradMatrices{side: 4, input: 2, filter: 4, output: 4, spread: 2, folded: 5}
	abs := math.Abs
	for i, p := range points {
		poly, f := []float64{1}, 1.0 // Π(x − q), lowest power first
		for j, q := range points {
			if j == i {
				continue
			}
			f *= p - q
			next := make([]float64, len(poly)+1)
			for k, c := range poly {
				next[k+1] += c
				next[k] -= q * c
			}
			poly = next
		}
		row := make([]float64, 6)
		for k, c := range poly {
			row[k] = abs(c)
		}
		m.b = append(m.b, row)
		m.g = append(m.g, []float64{abs(1 / f), abs(p / f), abs(p * p / f)})
	}
	m.b = append(m.b, []float64{0, a * a * b * b, 0, a*a + b*b, 0, 1})
	m.g = append(m.g, []float64{0, 0, 1})
	for i := range 4 {
		row := make([]float64, 6)
		for j, p := range points {
			row[j] = abs(math.Pow(p, float64(i)))
		}
		m.a = append(m.a, row)
	}
	m.a[3][5] = 1
	return m
}

// both applies a matrix to the rows and the columns of a square.
func both(m [][]float64, x [][]float64) [][]float64 {
	y := make([][]float64, len(m))
	for i := range m {
		y[i] = make([]float64, len(m))
		for j := range m {
			for r := range x {
				for s := range x[r] {
					y[i][j] += m[i][r] * x[r][s] * m[j][s]
				}
			}
		}
	}
	return y
}

func transposedMatrix(m [][]float64) [][]float64 {
	t := make([][]float64, len(m[0]))
	for i := range t {
		for j := range m {
			t[i] = append(t[i], m[j][i])
		}
	}
	return t
}

// square is an n×n square of numbers.
func square(n int, f func(i, j int) float64) [][]float64 {
	x := make([][]float64, n)
	for i := range x {
		for j := range n {
			x[i] = append(x[i], f(i, j))
		}
	}
	return x
}

// within is |x| at a position, 0 outside of the tensor.
func within(v *backend.View, n, h, w, c int) float64 {
	if h < 0 || h >= v.Shape[1] || w < 0 || w >= v.Shape[2] {
		return 0
	}
	return math.Abs(at(v, n, h, w, c))
}

// addProduct adds x ⊙ y to sum.
func addProduct(sum, x, y [][]float64) {
	for i := range sum {
		for j := range sum[i] {
			sum[i][j] += x[i][j] * y[i][j]
		}
	}
}

// winogradMagnitudes is |A|ᵀ·[(|G|·|g|·|Gᵀ|) ⊙ (|Bᵀ|·|d|·|B|)]·|A| for each
// output of direction 0 (y) or 1 (dx), by its place in memory: what the roundings of the algorithm are
// proportional to. A result passes through a sum of cin products and, in each
// dimension, two roundings of the patch, three of the filter and two of the output.
func (c *convCase) winogradMagnitudes(m *winogradMatrices, direction int) (mag []float64, roundings int) {
	in, out := c.x, c.y
	w := func(r, s, ci, co int) float64 { return math.Abs(at(c.w, r, s, ci, co)) }
	lo := [2]int{-c.p.PadLo[0], -c.p.PadLo[1]}
	if direction == 1 {
		in, out = c.y, c.x
		w = func(r, s, ci, co int) float64 { return math.Abs(at(c.w, 2-r, 2-s, co, ci)) }
		lo = [2]int{c.p.PadLo[0] - 2, c.p.PadLo[1] - 2}
	}
	cin, cout, side := in.Shape[3], out.Shape[3], m.side
	mag = make([]float64, out.Mem.Size/4)
	u, v := make([][][]float64, cin*cout), make([][][]float64, cin)
	for i := range u {
		u[i] = both(m.g, square(3, func(r, s int) float64 { return w(r, s, i/cout, i%cout) }))
	}
	for n := range out.Shape[0] {
		for y := 0; y < out.Shape[1]; y += side {
			for x := 0; x < out.Shape[2]; x += side {
				for ci := range v {
					v[ci] = both(m.b, square(side+2, func(r, s int) float64 { return within(in, n, y+lo[0]+r, x+lo[1]+s, ci) }))
				}
				for co := range cout {
					sum := square(side+2, func(int, int) float64 { return 0 })
					for ci := range cin {
						addProduct(sum, u[ci*cout+co], v[ci])
					}
					for i, row := range both(m.a, sum) {
						for j, v := range row {
							if y+i < out.Shape[1] && x+j < out.Shape[2] {
								mag[offsetOf(out, n, y+i, x+j, co)] = v
							}
						}
					}
				}
			}
		}
	}
	return mag, cin + 2*(m.input+m.filter+m.output)
}

// winogradWeightMagnitudes is the same for dw, |Gᵀ|·[Σ (|A|·|dy|·|Aᵀ|) ⊙ (|Bᵀ|·|d|·|B|)]·|G|:
// a sum over tiles.
func (c *convCase) winogradWeightMagnitudes(m *winogradMatrices) (mag []float64, roundings int) {
	cin, cout, side := c.x.Shape[3], c.y.Shape[3], m.side
	mag = make([]float64, c.w.Mem.Size/4)
	sum := make([][][]float64, cin*cout)
	for i := range sum {
		sum[i] = square(side+2, func(int, int) float64 { return 0 })
	}
	v, spread := make([][][]float64, cin), make([][][]float64, cout)
	for n := range c.y.Shape[0] {
		for y := 0; y < c.y.Shape[1]; y += side {
			for x := 0; x < c.y.Shape[2]; x += side {
				roundings++
				for ci := range v {
					v[ci] = both(m.b, square(side+2, func(r, s int) float64 {
						return within(c.x, n, y-c.p.PadLo[0]+r, x-c.p.PadLo[1]+s, ci)
					}))
				}
				for co := range spread {
					spread[co] = both(transposedMatrix(m.a), square(side, func(i, j int) float64 { return within(c.y, n, y+i, x+j, co) }))
				}
				for i := range sum {
					addProduct(sum[i], v[i/cout], spread[i%cout])
				}
			}
		}
	}
	fold := transposedMatrix(m.g)
	for i := range sum {
		for r, row := range both(fold, sum[i]) {
			for s, v := range row {
				mag[offsetOf(c.w, r, s, i/cout, i%cout)] = v
			}
		}
	}
	return mag, roundings + 2*(m.input+m.spread+m.folded)
}

// winogradSide is the side of the tiles that a plan is computed by. Levels without
// transforms compute directly, which is no less exact than with the smaller ones.
func (p *convPlan) winogradSide(u *microKernel) int {
	if k := p.winogradBest(u); k != nil {
		return k.side
	}
	return 2
}

func TestConvWinograd(t *testing.T) {
	for _, l := range Levels() {
		if l == Go {
			continue
		}
		r := rand.New(rand.NewPCG(8, uint64(l)))
		d := testDevice(t, l, 3)
		each := 36
		if testing.Short() {
			each = 9 // each of the directions and biases
		}
		for i := range 2 * each {
			if i == each { // again in bfloat16
				d = d.lower
			}
			p := backend.Conv{Spatial: 2, Stride: [3]int{1, 1}, Dilation: [3]int{1, 1}, Groups: 1}
			shape := [4]int{pick(r, 0, 1, 2, 3), pick(r, 6, 7, 9), pick(r, 7, 8, 13), pick(r, 32, 48)}
			out := shape
			out[3] = pick(r, 32, 48, 80)
			for ax := range 2 {
				p.PadLo[ax], p.PadHi[ax] = r.IntN(3), r.IntN(3)
				for shape[1+ax]+p.PadLo[ax]+p.PadHi[ax] < 3 {
					p.PadHi[ax]++
				}
				out[1+ax] = p.Out(ax, shape[1+ax], 3)
			}
			how := func() arrangement { return arrangement(r.IntN(2)) }
			c := &convCase{p: p, x: place(r, backend.Float32, how(), shape[:]...),
				w: place(r, backend.Float32, how(), 3, 3, shape[3], out[3]), y: place(r, backend.Float32, how(), out[:]...)}
			if i%4 == 0 {
				c.bias = fill(r, place(r, backend.Float32, transposed, out[3]))
			}
			testWinograd(t, r, d, i%3, c)
		}
	}
}

func testWinograd(t *testing.T, r *rand.Rand, d *Device, direction int, c *convCase) {
	t.Helper()
	result := [...]*backend.View{c.y, c.x, c.w}[direction]
	for _, v := range []*backend.View{c.x, c.w, c.y} {
		if v != result {
			fill(r, v)
		}
	}
	out := c.y.Shape
	if direction == 1 {
		out = c.x.Shape
	}
	m, u := winogradAbs2, d.level.micro()
	if d.pairs != nil {
		u = &d.pairs.microKernel
	}
	if p := (&convPlan{cin: c.x.Shape[3], cout: c.y.Shape[3], out: grid{size: [3]int{1, out[1], out[2]}}}); p.winogradSide(u) == 4 {
		m = winogradAbs4
	}
	var mag []float64
	var roundings int
	switch direction {
	case 0:
		d.ConvForward(&c.p, c.y, c.x, c.w, c.bias)
		mag, roundings = c.winogradMagnitudes(m, direction)
	case 1:
		d.ConvInputGrad(&c.p, c.x, c.y, c.w)
		mag, roundings = c.winogradMagnitudes(m, direction)
	case 2:
		d.ConvWeightGrad(&c.p, c.w, c.x, c.y)
		mag, roundings = c.winogradWeightMagnitudes(m)
	}
	if d.bf16 { // both factors of each product have bfloat16's roundings, of 2⁻⁸
		roundings += 2<<16 + 1<<8
	}
	all := c.convValues(direction)
	err := compare(result, roundings+1, func(i []int) value {
		v := all[offsetOf(result, i...)]
		v.mag = mag[offsetOf(result, i...)]
		if direction == 0 && c.bias != nil {
			v.add(at(c.bias, i[3]))
		}
		return v
	})
	if err != nil {
		t.Fatalf("direction %d of %+v, x %v, y %v: %v", direction, c.p, c.x.Shape[:4], c.y.Shape[:4], err)
	}
}

// TestConvWinogradLarge convolves signs with signs, in shapes that are cut into
// several blocks of channels, slabs and parts. Direct sums of them are whole numbers, and so
// is all that F(2×2) computes, if halves and quarters are counted: it must be exact, in
// bfloat16 too. F(4×4) is as close as roundings of numbers all of size one allow.
func TestConvWinogradLarge(t *testing.T) {
	for name, d := range sumDevices(t, 3) {
		if d.level == Go {
			continue
		}
		r := rand.New(rand.NewPCG(3, 4))
		for _, s := range []struct{ n, h, w, cin, cout int }{{9, 14, 14, 128, 96}, {5, 28, 27, 64, 160}, {20, 7, 7, 160, 128}, {6, 8, 8, 256, 64}} {
			if testing.Short() && s.cin != 160 {
				continue
			}
			p := backend.Conv{Spatial: 2, Stride: [3]int{1, 1}, Dilation: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, Groups: 1}
			signs := func(v *backend.View) *backend.View {
				each(v, func(i []int) { put(v, float64(2*r.IntN(2)-1), i...) })
				return v
			}
			c := &convCase{p: p, x: signs(place(r, backend.Float32, dense, s.n, s.h, s.w, s.cin)), w: signs(place(r, backend.Float32, dense, 3, 3, s.cin, s.cout)),
				y: signs(place(r, backend.Float32, dense, s.n, s.h, s.w, s.cout))}
			// The same with one channel, of ones.
			ones := func(shape ...int) *backend.View {
				v := place(r, backend.Float32, dense, shape...)
				each(v, func(i []int) { put(v, 1, i...) })
				return v
			}
			one := &convCase{p: p, x: ones(s.n, s.h, s.w, 1), w: ones(3, 3, 1, 1), y: ones(s.n, s.h, s.w, 1)}
			for direction := range 3 {
				out := [...]*backend.View{place(r, backend.Float32, dense, s.n, s.h, s.w, s.cout), place(r, backend.Float32, dense, s.n, s.h, s.w, s.cin),
					place(r, backend.Float32, dense, 3, 3, s.cin, s.cout)}[direction]
				var mag []float64
				var roundings, terms int
				switch direction {
				case 0:
					d.ConvForward(&p, out, c.x, c.w, nil)
					mag, roundings = one.winogradMagnitudes(winogradAbs4, 0)
					terms = s.cin
				case 1:
					d.ConvInputGrad(&p, out, c.y, c.w)
					mag, roundings = one.winogradMagnitudes(winogradAbs4, 1)
					terms = s.cout
				case 2:
					d.ConvWeightGrad(&p, out, c.x, c.y)
					mag, roundings = one.winogradWeightMagnitudes(winogradAbs4)
					terms = 1
				}
				u := d.level.micro()
				if d.pairs != nil {
					u = &d.pairs.microKernel
				}
				plan := &convPlan{cin: s.cin, cout: s.cout, out: grid{size: [3]int{1, s.h, s.w}}}
				exact := plan.winogradSide(u) == 2
				shape := [...]*backend.View{one.y, one.x, one.w}[direction]
				for range 3000 {
					var i [4]int
					for ax := range i {
						i[ax] = r.IntN(out.Shape[ax])
					}
					tol := 0.0
					if !exact {
						k := i
						if direction == 2 {
							k[2] = 0
						}
						k[3] = 0
						tol = 0x1p-24 * float64(roundings+terms) * float64(terms) * mag[offsetOf(shape, k[:]...)]
					}
					want := c.element(direction, i)
					if got := at(out, i[:]...); math.Abs(got-want) > tol {
						t.Fatalf("%s, %+v, direction %d: element %v is %v, want %v ± %v", name, s, direction, i, got, want, tol)
					}
				}
			}
		}
	}
}

// element is one element of a 3×3 convolution with padding 1, by definition.
func (c *convCase) element(direction int, i [4]int) (sum float64) {
	inside := func(h, w int) bool { return h >= 0 && h < c.x.Shape[1] && w >= 0 && w < c.x.Shape[2] }
	if direction == 2 {
		for n := range c.x.Shape[0] {
			for h := range c.x.Shape[1] {
				for w := range c.x.Shape[2] {
					if inside(h+i[0]-1, w+i[1]-1) {
						sum += at(c.y, n, h, w, i[3]) * at(c.x, n, h+i[0]-1, w+i[1]-1, i[2])
					}
				}
			}
		}
		return sum
	}
	for r := range 3 {
		for s := range 3 {
			if direction == 0 && inside(i[1]+r-1, i[2]+s-1) {
				for ci := range c.x.Shape[3] {
					sum += at(c.x, i[0], i[1]+r-1, i[2]+s-1, ci) * at(c.w, r, s, ci, i[3])
				}
			}
			if direction == 1 && inside(i[1]-r+1, i[2]-s+1) {
				for co := range c.y.Shape[3] {
					sum += at(c.y, i[0], i[1]-r+1, i[2]-s+1, co) * at(c.w, r, s, i[3], co)
				}
			}
		}
	}
	return sum
}
