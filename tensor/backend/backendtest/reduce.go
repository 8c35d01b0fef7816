package backendtest

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// longest is how many terms a device may add up in a row in the operands' own
// precision before it must combine sums pairwise or more precisely.
const longest = 256

// sumBound bounds the error of a sum of n terms of total magnitude mag: each
// partial sum is rounded once, and no term goes through more than longest of
// the long runs plus a tree of at most 64 levels.
func sumBound(n int, mag float64, dt backend.DType) float64 {
	return float64(min(n, longest)+64) * unit(dt) * mag
}

// reduce folds a random program (or none) over random axes.
func reduce(c *choices, d backend.Device, dt backend.DType) error {
	var p *backend.Program
	if c.flip() {
		p = c.program(1)
	}
	shape := c.shape(5, 1<<13)
	to := append([]int(nil), shape...)
	for i := range to {
		if c.flip() {
			to[i] = 1
		}
	}
	return reduceTo(c, d, dt, backend.ReduceKind(c.pick(3)), p, shape, to)
}

// reduceLarge folds enough elements that a device cuts the work in pieces and
// combines partial results.
func reduceLarge(c *choices, d backend.Device, dt backend.DType) error {
	rows, width := 800+c.rnd.IntN(800), 100+c.rnd.IntN(100)
	k := [][2][]int{
		{{rows * width}, {1}},
		{{rows, width}, {1, width}},
		{{2, rows, width / 2}, {2, 1, width / 2}},
		{{rows, 3, width / 3}, {1, 3, 1}},
		{{rows / 8, 3, 2 * width, 2}, {1, 3, 1, 2}},
		{{width, 2 * rows}, {1, 2 * rows}},
		{{2, rows * width / 2}, {2, 1}},
	}[c.rnd.IntN(7)]
	return reduceTo(c, d, dt, backend.ReduceKind(max(0, c.rnd.IntN(6)-3)), nil, k[0], k[1])
}

func reduceTo(c *choices, d backend.Device, dt backend.DType, kind backend.ReduceKind, p *backend.Program, shape, to []int) error {
	b := &bench{choices: c, d: d, dt: dt}
	ins := 1
	if p != nil {
		ins = p.Inputs
	}
	var in []*operand
	for range ins {
		in = append(in, b.input(b.values(b.thin(shape)), shape...))
	}
	out := b.output(to...)
	var scalars []float64
	if p != nil {
		scalars = b.scalars(p)
	}
	space := &backend.View{Rank: len(shape)}
	copy(space.Shape[:], shape)
	b.d.Reduce(kind, p, out.view, space, views(in), scalars)

	truth, bound := b.foldTruth(kind, p, newArray(to...), shape, in, scalars)
	b.check(fmt.Sprintf("reduction %d of %v to %v of %v", kind, shape, to, p), out, truth, bound)
	return b.finish()
}

// twoSum adds x to a sum and what is lost by rounding to low (Knuth), so that
// the truth of float64 sums is better than what it judges.
func twoSum(sum, x, low float64) (float64, float64) {
	s := sum + x
	y := s - sum
	return s, low + ((sum - (s - y)) + (x - y))
}

// foldTruth folds in float64, in order.
func (b *bench) foldTruth(kind backend.ReduceKind, p *backend.Program, out *array, shape []int, in []*operand, scalars []float64) (truth, bound []float64) {
	n := len(out.v)
	mag, count := make([]float64, n), make([]int, n)
	low := make([]float64, n) // what rounding took from the sums
	truth, bound = out.v, make([]float64, n)
	for i := range truth {
		truth[i] = [...]float64{0, math.Inf(-1), math.Inf(1)}[kind]
	}
	point := make([]float64, len(in))
	var vals []value
	if p != nil {
		vals = make([]value, len(p.Code))
	}
	each(shape, func(idx []int) {
		for i, o := range in {
			point[i] = o.get(idx...)
		}
		v := value{v: math.NaN()}
		if p == nil {
			v.v = point[0]
		} else {
			run(p, b.dt, point, scalars, vals)
			v = vals[p.Outputs[0]]
		}
		i := out.at(idx...)
		count[i]++
		switch kind {
		case backend.Sum:
			truth[i], low[i] = twoSum(truth[i], v.v, low[i])
			mag[i] += math.Abs(v.v)
			bound[i] += v.err
		case backend.Max:
			truth[i] = max(truth[i], v.v) // NaN even beside +Inf, unlike math.Max
			bound[i] = math.Max(bound[i], v.err)
		case backend.Min:
			truth[i] = min(truth[i], v.v)
			bound[i] = math.Max(bound[i], v.err)
		}
	})
	for i := range bound {
		if kind == backend.Sum {
			if !math.IsNaN(low[i]) {
				truth[i] += low[i]
			}
			bound[i] += sumBound(count[i], mag[i], b.dt)
			if mag[i] > largest(b.dt)/2 { // partial sums may overflow, depending on the order
				bound[i] = math.NaN()
			}
			if math.IsInf(mag[i], 1) && !math.IsNaN(bound[i]) {
				bound[i] = 0
			}
		}
	}
	return truth, bound
}
