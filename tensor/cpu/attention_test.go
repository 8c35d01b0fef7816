package cpu

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend"
)

// approx is a number with a bound on the error that a computation with unit
// roundoff u makes in it: running error analysis (Higham, 3.3). The bounds
// hold for sums in any order.
type approx struct{ x, err float64 }

func (a approx) plus(b approx, u float64) approx {
	x := a.x + b.x
	return approx{x, a.err + b.err + u*(math.Abs(x)+a.err+b.err)}
}

func (a approx) minus(b approx, u float64) approx { return a.plus(approx{-b.x, b.err}, u) }

func (a approx) times(b approx, u float64) approx {
	x := a.x * b.x
	e := math.Abs(a.x)*b.err + math.Abs(b.x)*a.err + a.err*b.err
	return approx{x, e + u*(math.Abs(x)+e)}
}

// exp of a, by a routine good to ulps units in the last place.
func (a approx) exp(u float64) approx {
	const ulps = 4
	x := math.Exp(a.x)
	return approx{x, x * (math.Expm1(a.err) + 2*ulps*u)}
}

// sum adds up in any order.
func sum(v []approx, u float64) approx {
	var s approx
	mag := 0.0
	for _, a := range v {
		s.x += a.x
		s.err += a.err
		mag += math.Abs(a.x) + a.err
	}
	s.err += float64(len(v)) * u * mag
	return s
}

// attentionWant holds attention's results by its definition, for one head.
type attentionWant struct {
	o, dq, dk, dv [][]approx
	lse           []approx
}

type attentionCase struct {
	q, k, v, o, do, dq, dk, dv *backend.View
	mask, lse                  *backend.View
	scale                      float64
}

func exactly(v *backend.View, n, t, h int) []approx {
	row := make([]approx, v.Shape[3])
	for d := range row {
		row[d].x = at(v, n, t, h, d)
	}
	return row
}

func dotApprox(a, b []approx, u float64) approx {
	p := make([]approx, len(a))
	for i := range a {
		p[i] = a[i].times(b[i], u)
	}
	return sum(p, u)
}

func matrix(rows, cols int) [][]approx {
	m := make([][]approx, rows)
	for i := range m {
		m[i] = make([]approx, cols)
	}
	return m
}

// define computes head h of sample n with roundoff u, from the formulas:
// p = exp(s−lse), dv = pᵀdo, ds = scale·p·(do·v − do·o), dq = ds·k, dk = dsᵀ·q.
func (c *attentionCase) define(n, h int, u float64) attentionWant {
	t, s, d := c.q.Shape[1], c.k.Shape[1], c.q.Shape[3]
	p, ds := matrix(t, s), matrix(t, s)
	w := attentionWant{matrix(t, d), matrix(t, d), matrix(s, d), matrix(s, d), make([]approx, t)}
	scale := approx{c.scale, u * math.Abs(c.scale)}
	column := func(m [][]approx, j int) []approx {
		col := make([]approx, len(m))
		for i := range m {
			col[i] = m[i][j]
		}
		return col
	}
	var k, v, q, do [][]approx
	for j := range s {
		k, v = append(k, exactly(c.k, n, j, h)), append(v, exactly(c.v, n, j, h))
	}
	for i := range t {
		q, do = append(q, exactly(c.q, n, i, h)), append(do, exactly(c.do, n, i, h))
		top := math.Inf(-1)
		for j := range s {
			p[i][j] = dotApprox(q[i], k[j], u).times(scale, u)
			if c.mask != nil {
				p[i][j] = p[i][j].plus(approx{x: at(c.mask, n, h, i, j)}, u)
			}
			top = math.Max(top, p[i][j].x)
		}
		if math.IsInf(top, -1) {
			w.lse[i].x = top
			clear(p[i])
			continue
		}
		e := make([]approx, s)
		for j := range s {
			if math.IsInf(p[i][j].x, -1) {
				p[i][j].err = 0
				continue
			}
			e[j] = p[i][j].minus(approx{x: top}, u).exp(u)
		}
		l := sum(e, u)
		// log has its argument's relative error; a few roundings on top.
		w.lse[i] = approx{top + math.Log(l.x), l.err/l.x + 4*u*(math.Abs(top)+math.Log(l.x))}
		for j := range s {
			// Either from the sum or from lse; a softmax of blocks rescales, once a block at most.
			p[i][j] = p[i][j].minus(w.lse[i], u).exp(u)
			if p[i][j].x > 0 {
				p[i][j].err += float64(s) * 4 * u * p[i][j].x
			} else {
				p[i][j].err = 0
			}
		}
		for x := range d {
			w.o[i][x] = dotApprox(p[i], column(v, x), u)
		}
		mean := dotApprox(do[i], w.o[i], u)
		for j := range s {
			ds[i][j] = dotApprox(do[i], v[j], u).minus(mean, u).times(p[i][j], u).times(scale, u)
		}
		for x := range d {
			w.dq[i][x] = dotApprox(ds[i], column(k, x), u)
		}
	}
	for j := range s {
		for x := range d {
			w.dv[j][x] = dotApprox(column(p, j), column(do, x), u)
			w.dk[j][x] = dotApprox(column(ds, j), column(q, x), u)
		}
	}
	return w
}

func randomAttention(r *rand.Rand, dt backend.DType, masked bool, n, t, s, h, d int) *attentionCase {
	how := func() arrangement { return arrangement(r.IntN(3)) }
	c := &attentionCase{scale: 1 / math.Sqrt(float64(max(1, d)))}
	for _, v := range []**backend.View{&c.q, &c.o, &c.do, &c.dq} {
		*v = place(r, dt, how(), n, t, h, d)
	}
	for _, v := range []**backend.View{&c.k, &c.v, &c.dk, &c.dv} {
		*v = place(r, dt, how(), n, s, h, d)
	}
	c.lse = place(r, dt, how(), n, h, t)
	fill(r, c.q)
	fill(r, c.k)
	fill(r, c.v)
	fill(r, c.do)
	if masked {
		c.mask = fill(r, place(r, dt, how(), n, h, t, s), math.Inf(-1))
		causal := r.IntN(2) == 0
		each(c.mask, func(i []int) {
			if causal && i[3] > i[2] || i[2]%37 == 2 { // rows 2, 39, … are masked everywhere
				put(c.mask, math.Inf(-1), i...)
			}
		})
		for ax := range 2 {
			if r.IntN(2) == 0 {
				c.mask.Stride[ax] = 0
			}
		}
	}
	return c
}

func TestAttention(t *testing.T) {
	for _, dt := range []backend.DType{backend.Float32, backend.Float64} {
		for _, l := range Levels() {
			t.Run(fmt.Sprintf("%v/%v", dt, l), func(t *testing.T) {
				r := rand.New(rand.NewPCG(3, uint64(l)))
				d := testDevice(t, l, 2)
				for range 40 {
					sizes := []int{0, 1, 3, 7, 16, 31, 33, 65, 70}
					testAttentionOnce(t, d, randomAttention(r, dt, r.IntN(2) == 0, r.IntN(3), pick(r, sizes...), pick(r, sizes...), pick(r, 1, 2, 3), pick(r, 1, 4, 16, 19, 64)))
				}
			})
		}
	}
}

func testAttentionOnce(t *testing.T, d *Device, c *attentionCase) {
	t.Helper()
	d.Attention(c.o, c.lse, c.q, c.k, c.v, c.mask, c.scale)
	d.AttentionGrad(c.dq, c.dk, c.dv, c.do, c.o, c.lse, c.q, c.k, c.v, c.mask, c.scale)
	u := eps(c.q.DType)
	heads := map[[2]int]attentionWant{}
	for n := range c.q.Shape[0] {
		for h := range c.q.Shape[2] {
			heads[[2]int{n, h}] = c.define(n, h, u)
		}
	}
	as := func(a approx) value { return value{a.x, a.err / u} }
	check := func(name string, v *backend.View, rows func(w attentionWant) [][]approx) {
		t.Helper()
		if err := compare(v, 1, func(i []int) value { return as(rows(heads[[2]int{i[0], i[2]}])[i[1]][i[3]]) }); err != nil {
			t.Fatalf("q %v, k %v, mask %v: %s: %v", c.q.Shape[:4], c.k.Shape[:4], c.mask != nil, name, err)
		}
	}
	if err := compare(c.lse, 1, func(i []int) value { return as(heads[[2]int{i[0], i[1]}].lse[i[2]]) }); err != nil {
		t.Fatalf("lse: %v", err)
	}
	check("o", c.o, func(w attentionWant) [][]approx { return w.o })
	check("dq", c.dq, func(w attentionWant) [][]approx { return w.dq })
	check("dk", c.dk, func(w attentionWant) [][]approx { return w.dk })
	check("dv", c.dv, func(w attentionWant) [][]approx { return w.dv })
}

// TestAttentionBlocks has more keys and more rows than a block holds.
func TestAttentionBlocks(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(4, uint64(l)))
		d := testDevice(t, l, 2)
		for _, masked := range []bool{false, true} {
			testAttentionOnce(t, d, randomAttention(r, backend.Float32, masked, 1, 131, 2*keyBlock+3, 1, 17))
			testAttentionOnce(t, d, randomAttention(r, backend.Float32, masked, 1, 2*gradBlock+1, keyBlock, 2, 8))
		}
	}
}

// TestAttentionExtremes puts scores where exp under- and overflows.
func TestAttentionExtremes(t *testing.T) {
	for _, l := range Levels() {
		d := testDevice(t, l, 1)
		r := rand.New(rand.NewPCG(5, uint64(l)))
		c := randomAttention(r, backend.Float32, false, 1, 4, 40, 1, 8)
		c.mask = fill(r, place(r, backend.Float32, dense, 1, 1, 4, 40))
		each(c.mask, func(i []int) {
			put(c.mask, []float64{0, 1e4, -1e4, -80}[i[2]]*float64(i[3]%7), i...)
		})
		testAttentionOnce(t, d, c)
		put(c.q, math.NaN(), 0, 1, 0, 3)
		d.Attention(c.o, c.lse, c.q, c.k, c.v, c.mask, c.scale)
		for i := range 4 {
			if got := math.IsNaN(at(c.o, 0, i, 0, 0)) && math.IsNaN(at(c.lse, 0, 0, i)); got != (i == 1) {
				t.Errorf("%v: NaN in query 1: row %d is NaN: %v", l, i, got)
			}
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	devices := benchDevices(b)
	for _, l := range slices.Sorted(maps.Keys(devices)) {
		d := devices[l]
		for _, s := range [][4]int{{32, 196, 6, 64}, {1, 196, 6, 64}, {64, 49, 1, 128}, {2, 1024, 6, 64}} {
			for _, way := range []string{"forward", "backward"} {
				b.Run(fmt.Sprintf("%v/%v/%s", l, s, way), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 1))
					view := func() *backend.View { return benchView(r, s[0], s[1], s[2], s[3]) }
					q, k, v, o, do, dq, dk, dv := view(), view(), view(), view(), view(), view(), view(), view()
					lse := benchView(r, s[0], s[2], s[1])
					forward := func() { d.Attention(o, lse, q, k, v, nil, 0.125) }
					backward := func() { d.AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, nil, 0.125) }
					forward()
					backward()
					call, products := forward, 4.0
					if way == "backward" {
						call, products = backward, 10
					}
					b.ReportAllocs()
					for b.Loop() {
						call()
					}
					gflops(b, products*float64(s[0]*s[1]*s[1]*s[2]*s[3]))
				})
			}
		}
	}
}
