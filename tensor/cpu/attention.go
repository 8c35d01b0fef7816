package cpu

import (
	"math"
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Attention computes o = softmax(scale·q·kᵀ + mask)·v; see backend.Device.
func (d *Device) Attention(o, lse, q, k, v, mask *backend.View, scale float64) {
	d.attention(&attentionCall{o: o, lse: lse, q: q, k: k, v: v, mask: mask}, scale)
}

// AttentionGrad computes dq, dk and dv; see backend.Device.
func (d *Device) AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, mask *backend.View, scale float64) {
	d.attention(&attentionCall{o: o, lse: lse, q: q, k: k, v: v, mask: mask, dq: dq, dk: dk, dv: dv, do: do}, scale)
}

func (d *Device) attention(call *attentionCall, scale float64) {
	switch {
	case call.q.DType == backend.Float64:
		attentionRef[float64](d, &attentionRefs64, call, scale)
	case d.bf16 && (d.pairs == nil || !d.attentionPairs(call, scale)):
		d.attentionRounded(call, scale)
	case d.bf16:
	case d.level == Go || !d.attentionFast(call, scale):
		attentionRef[float32](d, &attentionRefs32, call, scale)
	}
}

// attentionCall holds the operands of attention or, where do is set, of its gradient.
type attentionCall struct {
	o, lse, q, k, v, mask *backend.View
	dq, dk, dv, do        *backend.View
	bf16                  bool // probabilities and gradients of scores are rounded as they enter products
}

var (
	attentionRefs32 = sync.Pool{New: func() any { return new(attentionRefTask[float32]) }}
	attentionRefs64 = sync.Pool{New: func() any { return new(attentionRefTask[float64]) }}
)

// attentionRefTask is the readable attention. A chunk is a sample's head.
type attentionRefTask[T real] struct {
	attentionCall
	scale       T
	heads, t, s int
	p           [][]T // a row of probabilities a worker
}

func attentionRef[T real](d *Device, free *sync.Pool, call *attentionCall, scale float64) {
	t := free.Get().(*attentionRefTask[T])
	t.attentionCall, t.scale = *call, T(scale)
	t.heads, t.t, t.s = t.q.Shape[2], t.q.Shape[1], t.k.Shape[1]
	t.p = perWorker(t.p, d.pool.threads, t.s)
	d.pool.do(t, t.q.Shape[0]*t.heads)
	t.attentionCall = attentionCall{}
	free.Put(t)
}

func (t *attentionRefTask[T]) run(worker, chunk int) {
	n, h := chunk/t.heads, chunk%t.heads
	p := t.p[worker][:t.s]
	if t.do == nil {
		for i := range t.t {
			t.forward(n, h, i, p)
		}
		return
	}
	for j := range t.s {
		headRow[T](t.dk, n, j, h).zero()
		headRow[T](t.dv, n, j, h).zero()
	}
	for i := range t.t {
		t.backward(n, h, i, p)
	}
}

// forward computes row i of head h: scores, softmax, weighted sum of values.
func (t *attentionRefTask[T]) forward(n, h, i int, p []T) {
	t.scores(n, h, i, p)
	top := T(math.Inf(-1))
	for _, s := range p {
		top = max(top, s)
	}
	sum := T(0)
	if math.IsInf(float64(top), -1) { // masked everywhere
		clear(p)
	} else {
		for j, s := range p {
			p[j] = T(math.Exp(float64(s - top)))
			sum += p[j]
		}
	}
	if t.lse != nil {
		elements[T](t.lse)[rowOffset(t.lse, n, h, i)] = top + T(math.Log(float64(max(sum, 1))))
	}
	o := headRow[T](t.o, n, i, h)
	o.zero()
	for j, w := range p {
		if sum > 0 || sum != sum {
			o.add(t.round(w)/sum, headRow[T](t.v, n, j, h))
		}
	}
}

// scores are scale·q_i·k_j + mask_ij for all j.
func (t *attentionRefTask[T]) scores(n, h, i int, s []T) {
	q := headRow[T](t.q, n, i, h)
	for j := range s {
		s[j] = t.scale * q.dot(headRow[T](t.k, n, j, h))
		if t.mask != nil {
			m := t.mask
			s[j] += elements[T](m)[rowOffset(m, n, h, i)+j*m.Stride[3]]
		}
	}
}

// backward adds row i's part of the gradients: with p the probabilities,
// dv_j += p_j·do, ds_j = scale·p_j·(do·v_j − do·o), dq = Σ ds_j·k_j, dk_j += ds_j·q.
func (t *attentionRefTask[T]) backward(n, h, i int, p []T) {
	t.scores(n, h, i, p)
	lse := elements[T](t.lse)[rowOffset(t.lse, n, h, i)]
	q, dq := headRow[T](t.q, n, i, h), headRow[T](t.dq, n, i, h)
	do := headRow[T](t.do, n, i, h)
	mean := do.dot(headRow[T](t.o, n, i, h))
	dq.zero()
	if math.IsInf(float64(lse), -1) { // masked everywhere
		return
	}
	for j := range p {
		p[j] = T(math.Exp(float64(p[j] - lse)))
		ds := t.scale * p[j] * (do.dot(headRow[T](t.v, n, j, h)) - mean)
		ds = t.round(ds)
		headRow[T](t.dv, n, j, h).add(t.round(p[j]), do)
		dq.add(ds, headRow[T](t.k, n, j, h))
		headRow[T](t.dk, n, j, h).add(ds, q)
	}
}

// round is x as it enters a product.
func (t *attentionRefTask[T]) round(x T) T {
	if t.bf16 {
		return T(roundBF16(float32(x)))
	}
	return x
}

// rowOffset is where row (n,h,i) of an (N,H,T…) view begins.
func rowOffset(v *backend.View, n, h, i int) int {
	return v.Off + n*v.Stride[0] + h*v.Stride[1] + i*v.Stride[2]
}

// strided is a vector within a tensor.
type strided[T real] struct {
	data    []T
	at, inc int
	n       int
}

// headRow is the vector of position i and head h of an (N,T,H,D) view.
func headRow[T real](v *backend.View, n, i, h int) strided[T] {
	return strided[T]{elements[T](v), v.Off + n*v.Stride[0] + i*v.Stride[1] + h*v.Stride[2], v.Stride[3], v.Shape[3]}
}

func (x strided[T]) zero() {
	for i := range x.n {
		x.data[x.at+i*x.inc] = 0
	}
}

func (x strided[T]) dot(y strided[T]) (sum T) {
	if x.inc == 1 && y.inc == 1 {
		b := y.data[y.at:][:x.n]
		for i, v := range x.data[x.at:][:x.n] {
			sum += v * b[i]
		}
		return sum
	}
	for i := range x.n {
		sum += x.data[x.at+i*x.inc] * y.data[y.at+i*y.inc]
	}
	return sum
}

// add is x += a·y.
func (x strided[T]) add(a T, y strided[T]) {
	if x.inc == 1 && y.inc == 1 {
		b := y.data[y.at:][:x.n]
		for i := range b {
			x.data[x.at+i] += a * b[i]
		}
		return
	}
	for i := range x.n {
		x.data[x.at+i*x.inc] += a * y.data[y.at+i*y.inc]
	}
}
