package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// The matrices of F(2×2, 3×3), without signs: how magnitudes pass through it.
var (
	absB = [4][4]float64{{1, 0, 1, 0}, {0, 1, 1, 0}, {0, 1, 1, 0}, {0, 1, 0, 1}} // |Bᵀ|
	absG = [4][3]float64{{1, 0, 0}, {.5, .5, .5}, {.5, .5, .5}, {0, 0, 1}}
	absA = [2][4]float64{{1, 1, 1, 0}, {0, 1, 1, 1}} // |Aᵀ|
)

// winogradMagnitudes is |A|ᵀ·[(|G|·|g|·|Gᵀ|) ⊙ (|Bᵀ|·|d|·|B|)]·|A| for each
// output of direction 0 (y) or 1 (dx), by its place in memory: what the roundings of the algorithm are
// proportional to. A result passes through a sum of cin products and, in each
// dimension, two roundings of the patch, three of the filter and two of the output.
func (c *convCase) winogradMagnitudes(direction int) (mag []float64, roundings int) {
	in, out := c.x, c.y
	w := func(r, s, ci, co int) float64 { return math.Abs(at(c.w, r, s, ci, co)) }
	lo := [2]int{-c.p.PadLo[0], -c.p.PadLo[1]}
	if direction == 1 {
		in, out = c.y, c.x
		w = func(r, s, ci, co int) float64 { return math.Abs(at(c.w, 2-r, 2-s, co, ci)) }
		lo = [2]int{c.p.PadLo[0] - 2, c.p.PadLo[1] - 2}
	}
	cin, cout := in.Shape[3], out.Shape[3]
	mag = make([]float64, out.Mem.Size/4)
	u := make([][4][4]float64, cin*cout)
	for i := range u {
		for a := range 4 {
			for b := range 4 {
				for r := range 3 {
					for s := range 3 {
						u[i][a][b] += absG[a][r] * w(r, s, i/cout, i%cout) * absG[b][s]
					}
				}
			}
		}
	}
	v := make([][4][4]float64, cin)
	for n := range out.Shape[0] {
		for y := 0; y < out.Shape[1]; y += 2 {
			for x := 0; x < out.Shape[2]; x += 2 {
				for ci := range v {
					v[ci] = patchMagnitude(in, n, y+lo[0], x+lo[1], ci)
				}
				for co := range cout {
					var m [4][4]float64
					for ci := range cin {
						for a := range 4 {
							for b := range 4 {
								m[a][b] += u[ci*cout+co][a][b] * v[ci][a][b]
							}
						}
					}
					for i := range min(2, out.Shape[1]-y) {
						for j := range min(2, out.Shape[2]-x) {
							for a := range 4 {
								for b := range 4 {
									mag[offsetOf(out, n, y+i, x+j, co)] += absA[i][a] * m[a][b] * absA[j][b]
								}
							}
						}
					}
				}
			}
		}
	}
	return mag, cin + 2*(2+3+2)
}

// patchMagnitude is |Bᵀ|·|d|·|B| of the patch whose corner is (h,w).
func patchMagnitude(in *backend.View, n, h, w, c int) (v [4][4]float64) {
	for r := range 4 {
		for s := range 4 {
			if h+r < 0 || h+r >= in.Shape[1] || w+s < 0 || w+s >= in.Shape[2] {
				continue
			}
			d := math.Abs(at(in, n, h+r, w+s, c))
			for a := range 4 {
				for b := range 4 {
					v[a][b] += absB[a][r] * d * absB[b][s]
				}
			}
		}
	}
	return v
}

// winogradWeightMagnitudes is the same for dw, |Gᵀ|·[Σ (|A|·|dy|·|Aᵀ|) ⊙ (|Bᵀ|·|d|·|B|)]·|G|:
// a sum over tiles, and in each dimension two roundings of the patch, one of
// the gradient and three of the filter.
func (c *convCase) winogradWeightMagnitudes() (mag []float64, roundings int) {
	cin, cout := c.x.Shape[3], c.y.Shape[3]
	mag = make([]float64, c.w.Mem.Size/4)
	sum := make([][4][4]float64, cin*cout)
	v, spread := make([][4][4]float64, cin), make([][4][4]float64, cout)
	for n := range c.y.Shape[0] {
		for y := 0; y < c.y.Shape[1]; y += 2 {
			for x := 0; x < c.y.Shape[2]; x += 2 {
				roundings++
				for ci := range v {
					v[ci] = patchMagnitude(c.x, n, y-c.p.PadLo[0], x-c.p.PadLo[1], ci)
				}
				for co := range spread {
					spread[co] = c.spreadMagnitude(n, y, x, co)
				}
				for i := range sum {
					for a := range 4 {
						for b := range 4 {
							sum[i][a][b] += v[i/cout][a][b] * spread[i%cout][a][b]
						}
					}
				}
			}
		}
	}
	for i := range sum {
		for r := range 3 {
			for s := range 3 {
				for a := range 4 {
					for b := range 4 {
						mag[offsetOf(c.w, r, s, i/cout, i%cout)] += absG[a][r] * sum[i][a][b] * absG[b][s]
					}
				}
			}
		}
	}
	return mag, roundings + 2*(2+1+3)
}

// spreadMagnitude is |A|·|dy|·|Aᵀ| of the tile at (y,x).
func (c *convCase) spreadMagnitude(n, y, x, co int) (w [4][4]float64) {
	for i := range min(2, c.y.Shape[1]-y) {
		for j := range min(2, c.y.Shape[2]-x) {
			d := math.Abs(at(c.y, n, y+i, x+j, co))
			for a := range 4 {
				for b := range 4 {
					w[a][b] += absA[i][a] * d * absA[j][b]
				}
			}
		}
	}
	return w
}

func TestConvWinograd(t *testing.T) {
	for _, l := range Levels() {
		if l == Go {
			continue
		}
		r := rand.New(rand.NewPCG(8, uint64(l)))
		d := testDevice(t, l, 3)
		const each = 36
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
	var mag []float64
	var roundings int
	switch direction {
	case 0:
		d.ConvForward(&c.p, c.y, c.x, c.w, c.bias)
		mag, roundings = c.winogradMagnitudes(direction)
	case 1:
		d.ConvInputGrad(&c.p, c.x, c.y, c.w)
		mag, roundings = c.winogradMagnitudes(direction)
	case 2:
		d.ConvWeightGrad(&c.p, c.w, c.x, c.y)
		mag, roundings = c.winogradWeightMagnitudes()
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
