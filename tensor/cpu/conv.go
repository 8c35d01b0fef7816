package cpu

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// convShape is a convolution brought to three spatial axes (missing ones in
// front have size 1), with the element strides of its tensors.
type convShape struct {
	n, cin, cout, groups   int
	cinG, coutG            int // channels of a group
	in, out, ker           [3]int
	stride, dilation       [3]int
	lo, hi                 [3]int // padding
	xOff, yOff, wOff       int
	xn, xc, yn, yc, wi, wo int    // strides of sample, channel; of Cin and Cout in w
	xs, ys, ws             [3]int // strides of the spatial axes
}

func (s *convShape) set(p *backend.Conv, y, x, w *backend.View) {
	last := p.Spatial + 1
	*s = convShape{
		n: x.Shape[0], cin: x.Shape[last], cout: y.Shape[last], groups: p.Groups,
		cinG: x.Shape[last] / p.Groups, coutG: y.Shape[last] / p.Groups,
		in: [3]int{1, 1, 1}, out: [3]int{1, 1, 1}, ker: [3]int{1, 1, 1},
		stride: [3]int{1, 1, 1}, dilation: [3]int{1, 1, 1},
		xOff: x.Off, yOff: y.Off, wOff: w.Off,
		xn: x.Stride[0], xc: x.Stride[last], yn: y.Stride[0], yc: y.Stride[last],
		wi: w.Stride[p.Spatial], wo: w.Stride[p.Spatial+1],
	}
	for i := range p.Spatial {
		ax := 3 - p.Spatial + i
		s.in[ax], s.out[ax], s.ker[ax] = x.Shape[i+1], y.Shape[i+1], w.Shape[i]
		s.xs[ax], s.ys[ax], s.ws[ax] = x.Stride[i+1], y.Stride[i+1], w.Stride[i]
		s.stride[ax], s.dilation[ax], s.lo[ax], s.hi[ax] = p.Stride[i], p.Dilation[i], p.PadLo[i], p.PadHi[i]
	}
}

// points is the number of positions in a box.
func points(size [3]int) int { return size[0] * size[1] * size[2] }

// position decodes number i of a box, last axis fastest.
func position(i int, size [3]int) (p [3]int) {
	p[2] = i % size[2]
	i /= size[2]
	return [3]int{i / size[1], i % size[1], p[2]}
}

func dot3(a, b [3]int) int { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

// inputAt is the input position that output position o meets at kernel tap k,
// false where that lies in the padding.
func (s *convShape) inputAt(o, k [3]int) (i [3]int, ok bool) {
	ok = true
	for ax := range 3 {
		i[ax] = o[ax]*s.stride[ax] + k[ax]*s.dilation[ax] - s.lo[ax]
		ok = ok && i[ax] >= 0 && i[ax] < s.in[ax]
	}
	return i, ok
}

// outputAt is the output position that input position i reaches through tap k,
// false where there is none.
func (s *convShape) outputAt(i, k [3]int) (o [3]int, ok bool) {
	ok = true
	for ax := range 3 {
		at := i[ax] + s.lo[ax] - k[ax]*s.dilation[ax]
		o[ax] = at / s.stride[ax]
		ok = ok && at >= 0 && at%s.stride[ax] == 0 && o[ax] < s.out[ax]
	}
	return o, ok
}

// ConvForward computes y = x * w + bias; see backend.Device.
func (d *Device) ConvForward(p *backend.Conv, y, x, w, bias *backend.View) {
	d.conv(convForward, y, p, y, x, w, bias)
}

// ConvInputGrad computes dx, the transposed convolution of dy; see backend.Device.
func (d *Device) ConvInputGrad(p *backend.Conv, dx, dy, w *backend.View) {
	d.conv(convInputGrad, dx, p, dy, dx, w, nil)
}

// ConvWeightGrad computes dw from x and dy; see backend.Device.
func (d *Device) ConvWeightGrad(p *backend.Conv, dw, x, dy *backend.View) {
	d.conv(convWeightGrad, dw, p, dy, x, dw, nil)
}

func (d *Device) conv(kind convKind, result *backend.View, p *backend.Conv, y, x, w, bias *backend.View) {
	switch {
	case result.Elems() == 0:
	case y.DType == backend.Float64:
		convRef[float64](d, &convRefs64, kind, p, y, x, w, bias)
	case d.bf16 && (d.pairs == nil || !d.convPairs(kind, p, y, x, w, bias)):
		d.convRounded(kind, result, p, y, x, w, bias)
	case d.bf16:
	case d.level == Go || !d.convFast(kind, p, y, x, w, bias):
		convRef[float32](d, &convRefs32, kind, p, y, x, w, bias)
	}
}

// convKind is which of the three tensors of a convolution is computed.
type convKind uint8

const (
	convForward convKind = iota
	convInputGrad
	convWeightGrad
)

var (
	convRefs32 = sync.Pool{New: func() any { return new(convRefTask[float32]) }}
	convRefs64 = sync.Pool{New: func() any { return new(convRefTask[float64]) }}
)

// convRefTask is the readable convolution and its gradients. A chunk is one
// position of y or dx, or one tap and input channel of dw; a worker sums all
// its channels in acc.
type convRefTask[T real] struct {
	convShape
	kind    convKind
	y, x, w []T // one of them is written
	bias    []T // nil: none
	biasOff int
	biasInc int
	acc     [][]T
}

func convRef[T real](d *Device, free *sync.Pool, kind convKind, p *backend.Conv, y, x, w, bias *backend.View) {
	t := free.Get().(*convRefTask[T])
	t.set(p, y, x, w)
	t.kind = kind
	t.y, t.x, t.w, t.bias = elements[T](y), elements[T](x), elements[T](w), nil
	if bias != nil {
		t.bias, t.biasOff, t.biasInc = elements[T](bias), bias.Off, bias.Stride[0]
	}
	t.acc = perWorker(t.acc, d.pool.threads, max(t.cin, t.cout))
	switch kind {
	case convForward:
		d.pool.do(t, t.n*points(t.out))
	case convInputGrad:
		d.pool.do(t, t.n*points(t.in))
	case convWeightGrad:
		d.pool.do(t, points(t.ker)*t.cinG)
	}
	t.y, t.x, t.w, t.bias = nil, nil, nil, nil
	free.Put(t)
}

func (t *convRefTask[T]) run(worker, chunk int) {
	acc := t.acc[worker]
	clear(acc)
	switch t.kind {
	case convForward:
		t.forward(acc[:t.cout], chunk/points(t.out), position(chunk%points(t.out), t.out))
	case convInputGrad:
		t.inputGrad(acc[:t.cin], chunk/points(t.in), position(chunk%points(t.in), t.in))
	case convWeightGrad:
		t.weightGrad(acc[:t.cout], position(chunk/t.cinG, t.ker), chunk%t.cinG)
	}
}

// forward: y[n,o,co] = Σ_k Σ_ci x[n,i(o,k),ci]·w[k,ci,co] + bias[co].
func (t *convRefTask[T]) forward(acc []T, n int, o [3]int) {
	for k := range points(t.ker) {
		tap := position(k, t.ker)
		i, ok := t.inputAt(o, tap)
		if !ok {
			continue
		}
		x, w := t.xOff+n*t.xn+dot3(i, t.xs), t.wOff+dot3(tap, t.ws)
		for g := range t.groups {
			rowTimesMatrix(acc[g*t.coutG:][:t.coutG], t.x, x+g*t.cinG*t.xc, t.xc,
				t.w, w+g*t.coutG*t.wo, t.wi, t.wo, t.cinG)
		}
	}
	y := t.yOff + n*t.yn + dot3(o, t.ys)
	for co, v := range acc {
		if t.bias != nil {
			v += t.bias[t.biasOff+co*t.biasInc]
		}
		t.y[y+co*t.yc] = v
	}
}

// inputGrad: dx[n,i,ci] = Σ_k Σ_co dy[n,o(i,k),co]·w[k,ci,co].
func (t *convRefTask[T]) inputGrad(acc []T, n int, i [3]int) {
	for k := range points(t.ker) {
		tap := position(k, t.ker)
		o, ok := t.outputAt(i, tap)
		if !ok {
			continue
		}
		y, w := t.yOff+n*t.yn+dot3(o, t.ys), t.wOff+dot3(tap, t.ws)
		for g := range t.groups {
			rowTimesMatrix(acc[g*t.cinG:][:t.cinG], t.y, y+g*t.coutG*t.yc, t.yc,
				t.w, w+g*t.coutG*t.wo, t.wo, t.wi, t.coutG)
		}
	}
	x := t.xOff + n*t.xn + dot3(i, t.xs)
	for ci, v := range acc {
		t.x[x+ci*t.xc] = v
	}
}

// weightGrad: dw[k,ci,co] = Σ_n Σ_o x[n,i(o,k),ci]·dy[n,o,co], ci counted within co's group.
func (t *convRefTask[T]) weightGrad(acc []T, tap [3]int, ci int) {
	for n := range t.n {
		for p := range points(t.out) {
			o := position(p, t.out)
			i, ok := t.inputAt(o, tap)
			if !ok {
				continue
			}
			x, y := t.xOff+n*t.xn+dot3(i, t.xs)+ci*t.xc, t.yOff+n*t.yn+dot3(o, t.ys)
			for g := range t.groups {
				v := t.x[x+g*t.cinG*t.xc]
				for co := g * t.coutG; co < (g+1)*t.coutG; co++ {
					acc[co] += v * t.y[y+co*t.yc]
				}
			}
		}
	}
	w := t.wOff + dot3(tap, t.ws) + ci*t.wi
	for co, v := range acc {
		t.w[w+co*t.wo] = v
	}
}
