package cuda

import (
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
)

var (
	attentionKernel     = kernel{topic: "attention", f32: "attention_f32", f64: "attention_f64"}
	attentionGradKernel = kernel{topic: "attention", f32: "attention_grad_f32", f64: "attention_grad_f64", low: "attention_grad_low"}
)

// scoresBytes bounds what is kept of the scores at once, unless a device says otherwise: attention goes
// through samples, and where one sample has more, through queries, in pieces of that much.
const scoresBytes = 128 << 20

// Attention of float32 with heads of up to 128 numbers makes no scores in memory (flash.go); of others, in pieces.

// Attention computes o = softmax(scale·q·kᵀ + mask)·v; see backend.Device.
func (d *Device) Attention(o, lse, q, k, v, mask *backend.View, scale float64) {
	if o.Elems() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := attentionTask{d: d, o: o, lse: lse, q: q, k: k, v: v, mask: mask, scale: scale}
	if t.fits() {
		t.flash()
		return
	}
	t.pieces(1, func() {
		t.products(&t.s, t.q, t.k, scale)
		t.rows(&attentionKernel)
		d.gemm(headsFirst(t.o), &t.s, headsFirst(t.v), nil, 1, 0) // o = P·v
	})
}

// AttentionGrad computes dq, dk and dv; see backend.Device.
func (d *Device) AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, mask *backend.View, scale float64) {
	if q.Elems() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := attentionTask{d: d, o: o, lse: lse, q: q, k: k, v: v, mask: mask, scale: scale, dq: dq, dk: dk, dv: dv, do: do}
	if t.fits() {
		t.flashGrad()
		return
	}
	t.pieces(2, func() {
		t.products(&t.s, t.q, t.k, scale)
		t.products(&t.g, t.do, t.v, 1) // dP = do·vᵀ
		t.rows(&attentionGradKernel)
		more := 0.0 // what further queries add to the keys' gradients
		if t.first > 0 {
			more = 1
		}
		d.gemm(headsFirst(t.dq), &t.g, headsFirst(t.k), nil, 1, 0)
		d.gemm(headsFirst(t.dk), transposed(&t.g), headsFirst(t.q), nil, 1, more)
		d.gemm(headsFirst(t.dv), transposed(&t.s), headsFirst(t.do), nil, 1, more)
	})
}

// attentionTask is attention, or where do is set its gradient, on a piece of the whole.
type attentionTask struct {
	d                                     *Device
	o, lse, q, k, v, mask, dq, dk, dv, do *backend.View
	scale                                 float64
	s, g                                  backend.View // scores and their gradients, (samples, heads, queries, keys)
	first                                 int          // the piece's first query
}

// pieces runs f on each piece, with room for so many arrays of scores.
func (t *attentionTask) pieces(arrays int, f func()) {
	whole := *t
	n, queries, heads, keys := t.q.Shape[0], t.q.Shape[1], t.q.Shape[2], t.k.Shape[1]
	row := max(1, heads*keys*t.q.DType.Size()*arrays) // bytes of a query
	samples := max(1, min(n, t.d.scores/row/queries))
	if samples > 1 || row*queries <= t.d.scores {
		t.each(&whole, samples, queries, n, queries, arrays, f)
	} else {
		t.each(&whole, 1, max(1, t.d.scores/row), n, queries, arrays, f)
	}
}

func (t *attentionTask) each(whole *attentionTask, samples, step, n, queries, arrays int, f func()) {
	heads, keys, size := t.q.Shape[2], t.k.Shape[1], t.q.DType.Size()
	bytes := samples * heads * step * keys * size
	var mem [2]driver.Ptr
	for i := range arrays {
		mem[i] = t.d.scratch(max(1, bytes))
	}
	for lo := 0; lo < n; lo += samples {
		hi := min(n, lo+samples)
		for at := 0; at < queries; at += step {
			to := min(queries, at+step)
			t.first = at
			// Axes of sample and query; the mask's and lse's queries are their third.
			t.q, t.o, t.do, t.dq = narrow(whole.q, lo, hi, 1, at, to), narrow(whole.o, lo, hi, 1, at, to), narrow(whole.do, lo, hi, 1, at, to), narrow(whole.dq, lo, hi, 1, at, to)
			t.k, t.v, t.dk, t.dv = narrow(whole.k, lo, hi, 1, 0, keys), narrow(whole.v, lo, hi, 1, 0, keys), narrow(whole.dk, lo, hi, 1, 0, keys), narrow(whole.dv, lo, hi, 1, 0, keys)
			t.mask, t.lse = narrow(whole.mask, lo, hi, 2, at, to), narrow(whole.lse, lo, hi, 2, at, to)
			t.s = scoresOf(t.q.DType, mem[0], bytes, hi-lo, heads, to-at, keys)
			t.g = scoresOf(t.q.DType, mem[1], bytes, hi-lo, heads, to-at, keys)
			f()
		}
	}
	for i := range arrays {
		t.d.release(mem[i])
	}
}

// narrow is v between lo and hi of axis 0, and from and to of another.
func narrow(v *backend.View, lo, hi, axis, from, to int) *backend.View {
	if v == nil {
		return nil
	}
	w := *v
	w.Off += lo*w.Stride[0] + from*w.Stride[axis]
	w.Shape[0], w.Shape[axis] = hi-lo, to-from
	return &w
}

func scoresOf(dt backend.DType, mem driver.Ptr, bytes int, shape ...int) backend.View {
	v := backend.View{Mem: backend.Memory{Dev: uintptr(mem), Size: bytes}, DType: dt, Rank: len(shape)}
	copy(v.Shape[:], shape)
	v.RowMajor()
	return v
}

// headsFirst sees (N,T,H,D) as (N,H,T,D).
func headsFirst(v *backend.View) *backend.View {
	w := *v
	w.Shape[1], w.Shape[2], w.Stride[1], w.Stride[2] = v.Shape[2], v.Shape[1], v.Stride[2], v.Stride[1]
	return &w
}

// transposed swaps the last two axes.
func transposed(v *backend.View) *backend.View {
	w := *v
	w.Shape[2], w.Shape[3], w.Stride[2], w.Stride[3] = v.Shape[3], v.Shape[2], v.Stride[3], v.Stride[2]
	return &w
}

// products computes scale·a·bᵀ for all heads.
func (t *attentionTask) products(to, a, b *backend.View, scale float64) {
	t.d.gemm(to, headsFirst(a), transposed(headsFirst(b)), nil, scale, 0)
}

// rows launches a kernel with a block for each row of scores.
func (t *attentionTask) rows(k *kernel) {
	p := &t.d.params.attention
	*p = attentionParams{heads: int64(t.s.Shape[1]), queries: int64(t.s.Shape[2]), keys: int64(t.s.Shape[3]), width: int64(t.q.Shape[3]),
		scale: t.scale, scores: address(&t.s), gradient: address(&t.g),
		mask: rowsOf(t.mask, 1, 2), lse: rowsOf(t.lse, 1, 2), o: rowsOf(t.o, 2, 1), do: rowsOf(t.do, 2, 1)}
	launch(t.d.core, k.topic, k.of(t.q.DType, t.d.low), driver.Launch{
		Grid: [3]int{t.s.Shape[0] * t.s.Shape[1] * t.s.Shape[2], 1, 1}, Block: rowThreads(t.s.Shape[3])}, p)
}

// rowsOf sees a view by sample, head and position (a query or a key), whose axes are told.
func rowsOf(v *backend.View, head, position int) (r rows) {
	if r.base = address(v); r.base == 0 {
		return r
	}
	r.sample, r.head, r.position = int64(v.Stride[0]), int64(v.Stride[head]), int64(v.Stride[position])
	if v.Rank > 3 {
		r.inner = int64(v.Stride[3])
	}
	return r
}
