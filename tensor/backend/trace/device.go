package trace

import (
	"time"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// device passes calls on to another and records them. Devices that answer before
// they are done are waited for, so that a call's time is its own.
type device struct {
	backend.Device
	t    *Tracer
	bf16 bool // products, which come first among Ops, round to bfloat16
}

// now is when a call begins that is to be recorded; ok is false where none is.
func (d *device) now() (start time.Time, ok bool) {
	if !d.t.on.Load() {
		return time.Time{}, false
	}
	return time.Now(), true
}

// done records a call. An error of Sync comes again when the caller asks.
func (d *device) done(k key, c cost, start time.Time) {
	_ = d.Device.Sync()
	k.bf16 = d.bf16 && k.op <= AttentionGrad && k.dtype == backend.Float32
	d.t.record(&k, c, start)
}

func (d *device) Alloc(bytes int) (backend.Memory, error) {
	start, ok := d.now()
	m, err := d.Device.Alloc(bytes)
	if err == nil {
		d.t.took(int64(m.Size))
	}
	if ok {
		d.done(key{op: Alloc}, cost{written: int64(bytes)}, start)
	}
	return m, err
}

func (d *device) Free(m backend.Memory) {
	d.Device.Free(m)
	d.t.took(-int64(m.Size))
}

func (d *device) Upload(dst backend.Memory, off int, src []byte) {
	start, ok := d.now()
	d.Device.Upload(dst, off, src)
	if ok {
		n := int64(len(src))
		d.done(key{op: Upload}, cost{read: n, written: n}, start)
	}
}

func (d *device) Download(dst []byte, src backend.Memory, off int) {
	start, ok := d.now()
	d.Device.Download(dst, src, off)
	if ok {
		n := int64(len(dst))
		d.done(key{op: Download}, cost{read: n, written: n}, start)
	}
}

func (d *device) Elementwise(p *backend.Program, out, in []*backend.View, scalars []float64) {
	start, ok := d.now()
	d.Device.Elementwise(p, out, in, scalars)
	if ok {
		k := key{op: Elementwise, prog: p}
		k.shape(out[0])
		d.done(k, cost{points: int64(out[0].Elems()), read: bytesOf(in...), written: bytesOf(out...)}, start)
	}
}

func (d *device) Reduce(kind backend.ReduceKind, p *backend.Program, out, space *backend.View, in []*backend.View, scalars []float64) {
	start, ok := d.now()
	d.Device.Reduce(kind, p, out, space, in, scalars)
	if ok {
		k := key{op: Reduce, prog: p, form: uint8(kind)}
		k.shape(space)
		k.fold(out, space)
		n := int64(space.Elems())
		d.done(k, cost{flops: n, points: n, read: bytesOf(in...), written: bytesOf(out)}, start)
	}
}

func (d *device) Gemm(c, a, b, bias *backend.View, alpha, beta float64) {
	start, ok := d.now()
	d.Device.Gemm(c, a, b, bias, alpha, beta)
	if ok {
		k, w := gemm(c, a, b, bias, beta)
		d.done(k, w, start)
	}
}

func (d *device) GemmSum(c, sums, a, b *backend.View) {
	start, ok := d.now()
	d.Device.GemmSum(c, sums, a, b)
	if ok {
		k, w := gemm(c, a, b, nil, 0)
		k.form |= formSums
		w.written += bytesOf(sums)
		d.done(k, w, start)
	}
}

func (d *device) ConvForward(p *backend.Conv, y, x, w, bias *backend.View) {
	start, ok := d.now()
	d.Device.ConvForward(p, y, x, w, bias)
	if ok {
		d.done(convKey(ConvForward, p, x, w), cost{flops: convFLOPs(p, y, w), read: bytesOf(x, w, bias), written: bytesOf(y)}, start)
	}
}

func (d *device) ConvInputGrad(p *backend.Conv, dx, dy, w *backend.View) {
	start, ok := d.now()
	d.Device.ConvInputGrad(p, dx, dy, w)
	if ok {
		d.done(convKey(ConvInputGrad, p, dx, w), cost{flops: convFLOPs(p, dy, w), read: bytesOf(dy, w), written: bytesOf(dx)}, start)
	}
}

func (d *device) ConvWeightGrad(p *backend.Conv, dw, x, dy *backend.View) {
	start, ok := d.now()
	d.Device.ConvWeightGrad(p, dw, x, dy)
	if ok {
		d.done(convKey(ConvWeightGrad, p, x, dw), cost{flops: convFLOPs(p, dy, dw), read: bytesOf(x, dy), written: bytesOf(dw)}, start)
	}
}

func (d *device) Attention(o, lse, q, k, v, mask *backend.View, scale float64) {
	start, ok := d.now()
	d.Device.Attention(o, lse, q, k, v, mask, scale)
	if ok {
		const products = 2 // q·kᵀ, p·v
		d.done(attentionKey(Attention, q, k, mask), cost{flops: products * attentionProduct(q, k),
			read: bytesOf(q, k, v, mask), written: bytesOf(o, lse)}, start)
	}
}

func (d *device) AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, mask *backend.View, scale float64) {
	start, ok := d.now()
	d.Device.AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, mask, scale)
	if ok {
		const products = 5 // q·kᵀ again, do·vᵀ, pᵀ·do, ds·k, dsᵀ·q
		d.done(attentionKey(AttentionGrad, q, k, mask), cost{flops: products * attentionProduct(q, k),
			read: bytesOf(do, o, lse, q, k, v, mask), written: bytesOf(dq, dk, dv)}, start)
	}
}

func (d *device) Gather(out, table, idx *backend.View) {
	start, ok := d.now()
	d.Device.Gather(out, table, idx)
	if ok {
		k := key{op: Gather}
		k.shape(out)
		n := bytesOf(out)
		d.done(k, cost{read: n + bytesOf(idx), written: n}, start)
	}
}

func (d *device) ScatterAdd(table, rows, idx *backend.View) {
	start, ok := d.now()
	d.Device.ScatterAdd(table, rows, idx)
	if ok {
		k := key{op: ScatterAdd}
		k.shape(rows)
		n := bytesOf(rows)
		d.done(k, cost{flops: int64(rows.Elems()), read: 2*n + bytesOf(idx), written: n}, start)
	}
}

func (d *device) FillNormal(out *backend.View, key rng.Key, first uint64) {
	start, ok := d.now()
	d.Device.FillNormal(out, key, first)
	if ok {
		d.random(out, formNormal, start)
	}
}

func (d *device) FillUniform(out *backend.View, key rng.Key, first uint64) {
	start, ok := d.now()
	d.Device.FillUniform(out, key, first)
	if ok {
		d.random(out, formUniform, start)
	}
}

func (d *device) random(out *backend.View, form uint8, start time.Time) {
	k := key{op: Random, form: form}
	k.shape(out)
	d.done(k, cost{written: bytesOf(out)}, start)
}
