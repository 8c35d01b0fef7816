package backendtest

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

// convCase is a random convolution with the shapes of its tensors.
type convCase struct {
	p       backend.Conv
	x, w, y []int
}

func (c *choices) conv() *convCase {
	k := &convCase{p: backend.Conv{Spatial: 1 + c.pick(3), Groups: 1}}
	cinG, coutG := c.positive(20), c.positive(40)
	switch c.pick(4) {
	case 0:
		k.p.Groups = 2 + c.pick(3)
	case 1: // depthwise
		k.p.Groups, cinG, coutG = c.positive(40), 1, 1+c.pick(2)
	}
	limit := []int{60, 14, 7}[k.p.Spatial-1]
	same := c.pick(3) == 0 // the commonest one: 3×3, padding 1
	k.x = []int{c.pick(4)}
	k.y = []int{k.x[0]}
	for i := range k.p.Spatial {
		taps := 1 + c.pick(4)
		k.p.Stride[i], k.p.Dilation[i] = 1+c.pick(3), 1+c.pick(2)
		k.p.PadLo[i], k.p.PadHi[i] = c.pick(3), c.pick(3)
		if same {
			taps, k.p.Stride[i], k.p.Dilation[i], k.p.PadLo[i], k.p.PadHi[i] = 3, 1, 1, 1, 1
		}
		in := c.positive(limit)
		for k.p.Dilation[i]*(taps-1)+1 > in+k.p.PadLo[i]+k.p.PadHi[i] {
			in++
		}
		k.x, k.w, k.y = append(k.x, in), append(k.w, taps), append(k.y, k.p.Out(i, in, taps))
	}
	k.x, k.y = append(k.x, cinG*k.p.Groups), append(k.y, coutG*k.p.Groups)
	k.w = append(k.w, cinG, coutG*k.p.Groups)
	return k
}

// terms visits every product of a convolution, y += x·w, by the positions of
// its three elements in row-major arrays.
func (k *convCase) terms(f func(y, x, w int)) {
	s := k.p.Spatial
	cinG, cout := k.w[s], k.w[s+1]
	coutG := cout / k.p.Groups
	xi, wi := make([]int, s+2), make([]int, s+2)
	x, w, y := &array{shape: k.x}, &array{shape: k.w}, &array{shape: k.y}
	each(k.y, func(o []int) {
		g := o[s+1] / max(1, coutG)
		each(k.w[:s], func(tap []int) {
			xi[0] = o[0]
			for i := range s {
				xi[i+1] = o[i+1]*k.p.Stride[i] + tap[i]*k.p.Dilation[i] - k.p.PadLo[i]
				if xi[i+1] < 0 || xi[i+1] >= k.x[i+1] {
					return
				}
			}
			copy(wi, tap)
			for ci := range cinG {
				xi[s+1], wi[s], wi[s+1] = g*cinG+ci, ci, o[s+1]
				f(y.at(o...), x.at(xi...), w.at(wi...))
			}
		})
	})
}

// sums accumulates products and their number and magnitude.
type sums struct {
	v, mag []float64
	n      []int
}

func newSums(n int) *sums { return &sums{make([]float64, n), make([]float64, n), make([]int, n)} }

func (s *sums) add(i int, x float64) {
	s.v[i] += x
	s.mag[i] += math.Abs(x)
	s.n[i]++
}

// bounds are the bounds of the sums' errors.
func (b *bench) bounds(s *sums) []float64 {
	bound := make([]float64, len(s.v))
	for i := range bound {
		bound[i] = b.dotBound(s.n[i], s.mag[i])
	}
	return bound
}

func (k *convCase) String() string {
	return fmt.Sprintf("%+v, x %v, w %v, y %v", k.p, k.x, k.w, k.y)
}

func convForward(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	k := c.conv()
	x, w, y := b.factor(b.normal(1, k.x...)), b.factor(b.normal(1, k.w...)), b.output(k.y...)
	cout := k.y[len(k.y)-1]
	var bias *operand
	var biasView *backend.View
	if c.flip() {
		bias = b.normal(1, cout)
		biasView = bias.view
	}
	d.ConvForward(&k.p, y.view, x.view, w.view, biasView)
	s := newSums(len(y.v))
	k.terms(func(yi, xi, wi int) { s.add(yi, x.v[xi]*w.v[wi]) })
	if bias != nil {
		for i := range s.v {
			s.add(i, bias.v[i%cout])
		}
	}
	b.check("convolution "+k.String(), y, s.v, b.bounds(s))
	return b.finish()
}

func convInputGrad(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	k := c.conv()
	dx, w, dy := b.output(k.x...), b.factor(b.normal(1, k.w...)), b.factor(b.normal(1, k.y...))
	d.ConvInputGrad(&k.p, dx.view, dy.view, w.view)
	s := newSums(len(dx.v))
	k.terms(func(yi, xi, wi int) { s.add(xi, dy.v[yi]*w.v[wi]) })
	b.check("input gradient of "+k.String(), dx, s.v, b.bounds(s))
	return b.finish()
}

func convWeightGrad(c *choices, d backend.Device, dt backend.DType) error {
	b := &bench{choices: c, d: d, dt: dt}
	k := c.conv()
	x, dw, dy := b.factor(b.normal(1, k.x...)), b.output(k.w...), b.factor(b.normal(1, k.y...))
	d.ConvWeightGrad(&k.p, dw.view, x.view, dy.view)
	s := newSums(len(dw.v))
	k.terms(func(yi, xi, wi int) { s.add(wi, x.v[xi]*dy.v[yi]) })
	b.check("weight gradient of "+k.String(), dw, s.v, b.bounds(s))
	return b.finish()
}
