package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// convCase is a random convolution.
type convCase struct {
	p       backend.Conv
	x, w, y *backend.View
	bias    *backend.View
}

// taps calls f for every pair of an input and an output position that meet at
// a kernel tap: the definition, from which all three directions follow.
func (c *convCase) taps(f func(in, out, ker []int)) {
	sp := c.p.Spatial
	o := &backend.View{Rank: 2 * sp}
	copy(o.Shape[:], c.y.Shape[1:1+sp])
	copy(o.Shape[sp:], c.w.Shape[:sp])
	in := make([]int, sp)
	each(o, func(idx []int) {
		out, ker := idx[:sp], idx[sp:]
		for ax := range sp {
			in[ax] = out[ax]*c.p.Stride[ax] + ker[ax]*c.p.Dilation[ax] - c.p.PadLo[ax]
			if in[ax] < 0 || in[ax] >= c.x.Shape[1+ax] {
				return
			}
		}
		f(in, out, ker)
	})
}

// convValues evaluates one direction (0 y, 1 dx, 2 dw) for all elements at once,
// by their place in memory.
func (c *convCase) convValues(direction int) []value {
	cinG, coutG := c.x.Shape[c.p.Spatial+1]/c.p.Groups, c.y.Shape[c.p.Spatial+1]/c.p.Groups
	result := [...]*backend.View{c.y, c.x, c.w}[direction]
	all := make([]value, result.Mem.Size/result.DType.Size())
	xi, yi, wi := make([]int, c.x.Rank), make([]int, c.y.Rank), make([]int, c.w.Rank)
	c.taps(func(in, out, ker []int) {
		copy(xi[1:], in)
		copy(yi[1:], out)
		copy(wi, ker)
		for n := range c.x.Shape[0] {
			xi[0], yi[0] = n, n
			for co := range coutG * c.p.Groups {
				for ci := range cinG {
					xi[len(xi)-1], yi[len(yi)-1] = co/coutG*cinG+ci, co
					wi[len(wi)-2], wi[len(wi)-1] = ci, co
					switch direction {
					case 0:
						all[offsetOf(c.y, yi...)].add(at(c.x, xi...) * at(c.w, wi...))
					case 1:
						all[offsetOf(c.x, xi...)].add(at(c.y, yi...) * at(c.w, wi...))
					case 2:
						all[offsetOf(c.w, wi...)].add(at(c.x, xi...) * at(c.y, yi...))
					}
				}
			}
		}
	})
	return all
}

func randomConv(r *rand.Rand, dt backend.DType, fast bool) *convCase {
	for {
		var c convCase
		c.p.Spatial = 1 + r.IntN(3)
		c.p.Groups = pick(r, 1, 1, 1, 2, 3)
		if fast {
			c.p.Spatial, c.p.Groups = 2, 1
		}
		cin, cout := c.p.Groups*pick(r, 1, 2, 3, 5, 16, 17), c.p.Groups*pick(r, 1, 2, 3, 7, 16, 33)
		n := pick(r, 0, 1, 2, 3)
		in, out, ker := []int{n}, []int{n}, []int{}
		ok := true
		for i := range c.p.Spatial {
			c.p.Stride[i], c.p.Dilation[i] = pick(r, 1, 1, 2, 3), pick(r, 1, 1, 2)
			c.p.PadLo[i], c.p.PadHi[i] = r.IntN(3), r.IntN(3)
			k := pick(r, 1, 2, 3, 3, 4)
			size := pick(r, 1, 4, 5, 7, 8, 13)
			if fast {
				c.p.Stride[i], c.p.Dilation[i], k, size = pick(r, 1, 2), 1, pick(r, 1, 3), pick(r, 7, 8, 14, 15)
				c.p.PadLo[i], c.p.PadHi[i] = k/2, k/2
			}
			if c.p.Spatial == 3 {
				size = min(size, 5)
			}
			in, ker = append(in, size), append(ker, k)
			room := size + c.p.PadLo[i] + c.p.PadHi[i] - c.p.Dilation[i]*(k-1) - 1
			ok = ok && room >= 0
			out = append(out, c.p.Out(i, size, k))
		}
		if !ok {
			continue
		}
		how := func() arrangement { return arrangement(r.IntN(3)) }
		c.x = place(r, dt, how(), append(in, cin)...)
		c.y = place(r, dt, how(), append(out, cout)...)
		c.w = place(r, dt, how(), append(ker, cin/c.p.Groups, cout)...)
		if r.IntN(2) == 0 {
			c.bias = fill(r, place(r, dt, how(), cout))
		}
		return &c
	}
}

func TestConv(t *testing.T) {
	for _, dt := range []backend.DType{backend.Float32, backend.Float64} {
		for _, l := range Levels() {
			t.Run(fmt.Sprintf("%v/%v", dt, l), func(t *testing.T) {
				r := rand.New(rand.NewPCG(2, uint64(l)))
				d := testDevice(t, l, 2)
				for i := range 400 {
					testConvOnce(t, r, d, dt, i%3, i%2 == 0)
				}
			})
		}
	}
}

// TestConvBlocks has sums too long for a tile, and more columns than a block.
func TestConvBlocks(t *testing.T) {
	p := backend.Conv{Spatial: 2, Stride: [3]int{1, 1}, Dilation: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, Groups: 1}
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(3, uint64(l)))
		d := testDevice(t, l, 3)
		for direction := range 3 {
			for _, s := range [][2]int{{130, 100}, {2, convBlock + 3}, {convBlock + 3, 2}} {
				p.Stride[0] = 1 + r.IntN(2)
				testConv(t, r, d, direction, &convCase{p: p,
					x: place(r, backend.Float32, padded, 2, 3, 5, s[0]),
					w: place(r, backend.Float32, padded, 3, 3, s[0], s[1]),
					y: place(r, backend.Float32, padded, 2, p.Out(0, 3, 3), 5, s[1])})
			}
		}
	}
}

func testConvOnce(t *testing.T, r *rand.Rand, d *Device, dt backend.DType, direction int, fast bool) {
	t.Helper()
	testConv(t, r, d, direction, randomConv(r, dt, fast))
}

func testConv(t *testing.T, r *rand.Rand, d *Device, direction int, c *convCase) {
	t.Helper()
	out := [...]*backend.View{c.y, c.x, c.w}[direction]
	for _, v := range []*backend.View{c.x, c.w, c.y} {
		if v != out {
			fill(r, v)
		}
	}
	switch direction {
	case 0:
		d.ConvForward(&c.p, c.y, c.x, c.w, c.bias)
	case 1:
		d.ConvInputGrad(&c.p, c.x, c.y, c.w)
	case 2:
		d.ConvWeightGrad(&c.p, c.w, c.x, c.y)
	}
	all := c.convValues(direction)
	// No sum has more terms than this.
	terms := points(c.spatial(c.w.Shape[:])) * max(c.x.Shape[c.p.Spatial+1], c.y.Shape[c.p.Spatial+1])
	if direction == 2 {
		terms = c.y.Elems()
	}
	err := compare(out, terms+4, func(idx []int) value {
		v := all[offsetOf(out, idx...)]
		if direction == 0 && c.bias != nil {
			v.add(at(c.bias, idx[len(idx)-1]))
		}
		return v
	})
	if err != nil {
		t.Fatalf("direction %d of %+v, x %v w %v y %v: %v", direction, c.p,
			c.x.Shape[:c.x.Rank], c.w.Shape[:c.w.Rank], c.y.Shape[:c.y.Rank], err)
	}
}

// spatial is the first Spatial sizes, with ones for the rest.
func (c *convCase) spatial(shape []int) [3]int {
	s := [3]int{1, 1, 1}
	copy(s[:], shape[:c.p.Spatial])
	return s
}

// TestConvFewChannels has few channels on one side or the other.
func TestConvFewChannels(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(7, uint64(l)))
		d := testDevice(t, l, 3)
		for i := range 200 {
			c := randomConv(r, backend.Float32, i%2 == 0)
			for c.p.Groups != 1 {
				c = randomConv(r, backend.Float32, i%2 == 0)
			}
			few, many := 1+r.IntN(fewChannels), 2*fewChannels+r.IntN(30)
			cin, cout := few, many
			if r.IntN(2) == 0 {
				cin, cout = many, few
			}
			if r.IntN(3) > 0 {
				c.p.Stride = [3]int{1, 1, 1}
			}
			sp := c.p.Spatial
			in, ker := append([]int{}, c.x.Shape[:sp+2]...), append([]int{}, c.w.Shape[:sp+2]...)
			out := append([]int{}, c.y.Shape[:sp+2]...)
			for ax := range sp {
				out[1+ax] = c.p.Out(ax, in[1+ax], ker[ax])
			}
			in[sp+1], out[sp+1], ker[sp], ker[sp+1] = cin, cout, cin, cout
			how := func() arrangement { return arrangement(r.IntN(3)) }
			c.x, c.y, c.w = place(r, backend.Float32, how(), in...), place(r, backend.Float32, how(), out...), place(r, backend.Float32, how(), ker...)
			if c.bias != nil {
				c.bias = fill(r, place(r, backend.Float32, how(), cout))
			}
			testConv(t, r, d, i%3, c)
		}
	}
}

// TestConvBits wants a sample's result to have the same bits in any batch, and
// all results the same bits for any number of threads.
func TestConvBits(t *testing.T) {
	p := &backend.Conv{Spatial: 2, Stride: [3]int{1, 1}, Dilation: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, Groups: 1}
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(6, uint64(l)))
		for _, channels := range [][2]int{{20, 36}, {32, 48}} {
			testConvBits(t, r, l, p, channels[0], channels[1])
		}
	}
}

func testConvBits(t *testing.T, r *rand.Rand, l Level, p *backend.Conv, cin, cout int) {
	t.Helper()
	x, w, y := benchView(r, 9, 14, 14, cin), benchView(r, 3, 3, cin, cout), benchView(r, 9, 14, 14, cout)
	var want [3][]float32
	for _, threads := range []int{1, 2, 5} {
		d := testDevice(t, l, threads)
		var got [3]*backend.View
		got[0] = place(r, backend.Float32, dense, y.Shape[:4]...)
		got[1] = place(r, backend.Float32, dense, x.Shape[:4]...)
		got[2] = place(r, backend.Float32, dense, w.Shape[:4]...)
		d.ConvForward(p, got[0], x, w, nil)
		d.ConvInputGrad(p, got[1], y, w)
		d.ConvWeightGrad(p, got[2], x, y)
		for i, g := range got {
			if want[i] == nil {
				want[i] = g.Floats32()[:g.Elems()]
			} else if !slices.Equal(want[i], g.Floats32()[:g.Elems()]) {
				t.Errorf("%v: direction %d differs between 1 and %d threads", l, i, threads)
			}
		}
		one, ones := *x, place(r, backend.Float32, dense, 1, 14, 14, cout)
		one.Shape[0], one.Off = 1, x.Off+4*x.Stride[0]
		d.ConvForward(p, ones, &one, w, nil)
		if !slices.Equal(ones.Floats32()[:ones.Elems()], want[0][4*14*14*cout:][:14*14*cout]) {
			t.Errorf("%v, %d threads: sample 4 alone differs from among 9", l, threads)
		}
	}
}
