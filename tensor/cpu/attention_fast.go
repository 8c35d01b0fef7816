package cpu

import (
	"math"
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Attention by blocks: a block of rows of scores against a block of keys is
// made in cache, turned into probabilities there and used up, as in
// FlashAttention (Dao et al., 2022, algorithms 1 and 2). The blocks of keys
// depend on S alone and are met in sequence.

const (
	keyBlock      = 256 // the most keys of a block
	queryBlock    = 24  // rows of scores at a time, forward
	gradBlock     = 120 // the same, backward: they are summed over there
	attentionRows = 96  // the fewest rows of a chunk, where heads are few
)

// attentionTask is a call. A chunk is a head of a sample, forward a part of its rows.
type attentionTask struct {
	attentionCall
	u           *microKernel
	scale       float32
	heads       int
	t, s, d     int
	keys, parts split
	width       int // floats of a row of scores: whole vectors, at least
	workers     []attentionWorker
}

// attentionWorker is scratch. Operands are packed in panels: kt and vt hold
// keys and values as columns, k, v, q and do channels as columns.
type attentionWorker struct {
	args                tileArgs
	edge                []float32
	kt, vt, k, v, q, do []float32
	p, dp               []float32 // probabilities, and gradients, of a block
	// Forward, a row's greatest score so far, its Σ exp, and the factor that
	// the latest block brought to what was before it.
	top, sum, factor []float32
	lse, mean        []float32 // backward, a row's log-sum-exp and do·o
	next             []fetch   // the columns of lines that the next chunk needs
	none             fetch
}

var attentionTasks = sync.Pool{New: func() any { return new(attentionTask) }}

// attentionFast reports false, having done nothing, where an output's
// innermost axis is not contiguous or a size is zero.
func (d *Device) attentionFast(call *attentionCall, scale float64) bool {
	q, k := call.q, call.k
	if q.Elems() == 0 || k.Elems() == 0 {
		return false
	}
	for _, v := range [...]*backend.View{call.dq, call.dk, call.dv, call.o} {
		if v != nil && v.Stride[3] != 1 && v.Shape[3] > 1 {
			return false
		}
	}
	t := attentionTasks.Get().(*attentionTask)
	t.attentionCall, t.scale, t.u = *call, float32(scale), d.level.micro()
	t.heads, t.t, t.s, t.d = q.Shape[2], q.Shape[1], k.Shape[1], q.Shape[3]
	t.keys = splitEvenly(t.s, keyBlock)
	t.width = (min(t.s, keyBlock) + t.u.cols - 1) / t.u.cols * t.u.cols
	t.parts = split{1, t.t, 0}
	chunks := q.Shape[0] * t.heads
	if few := 4 * d.pool.threads; t.do == nil && chunks < few {
		n := min((t.t+attentionRows-1)/attentionRows, (few+chunks-1)/chunks)
		t.parts = split{n, t.t / n, t.t % n}
	}
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, attentionWorker{edge: make([]float32, (t.u.rows+1)*t.u.cols)})
	}
	if 4*t.t*t.s*t.d*chunks <= soloFlops {
		for i := range chunks * t.parts.parts {
			t.run(0, i)
		}
	} else {
		d.pool.do(t, chunks*t.parts.parts)
	}
	t.attentionCall = attentionCall{}
	for i := range t.workers {
		t.workers[i].args.release()
	}
	attentionTasks.Put(t)
	return true
}

func (t *attentionTask) run(worker, chunk int) {
	w := &t.workers[worker]
	head := chunk / t.parts.parts
	n, h := head/t.heads, head%t.heads
	t.expect(w, chunk, len(t.workers))
	if t.do != nil {
		t.backward(w, n, h)
		return
	}
	start, rows := t.parts.part(chunk % t.parts.parts)
	t.forward(w, n, h, start, rows)
}

// expect lists the operands of the chunk that this worker, if all keep pace,
// will run next.
func (t *attentionTask) expect(w *attentionWorker, chunk, workers int) {
	w.next = w.next[:0]
	head := (chunk + workers) / t.parts.parts
	n, h := head/t.heads, head%t.heads
	if n >= t.q.Shape[0] {
		return
	}
	for _, v := range [...]*backend.View{t.k, t.v, t.q, t.do, t.o} {
		if v == nil || v == t.o && t.do == nil || v.Stride[3] != 1 {
			continue
		}
		x, at := headBlock(v, n, h, 0)
		for c := 0; c < t.d; c += 16 { // product's calls are d deep
			w.next = append(w.next, soon(unsafe.Pointer(&x[at+c]), 4*t.d*v.Stride[1], 4*v.Stride[1], (v.Shape[1]+t.d-1)/t.d))
		}
	}
}

// upcoming is one of those that has runs left, or none.
func (w *attentionWorker) upcoming() *fetch {
	for len(w.next) > 0 {
		if f := &w.next[len(w.next)-1]; f.left > 0 {
			return f
		}
		w.next = w.next[:len(w.next)-1]
	}
	w.none = fetch{}
	return &w.none
}

// forward computes some rows of a head.
func (t *attentionTask) forward(w *attentionWorker, n, h, start, rows int) {
	w.p = grow(w.p, queryBlock*t.width)
	w.top, w.sum, w.factor = grow(w.top, rows), grow(w.sum, rows), grow(w.factor, rows)
	for i := range rows {
		w.top[i], w.sum[i] = float32(math.Inf(-1)), 0
	}
	blocks := splitEvenly(rows, queryBlock)
	for b := range t.keys.parts {
		s0, keys := t.keys.part(b)
		w.kt = t.pack(w.kt, t.k, n, h, s0, keys, true)
		w.v = t.pack(w.v, t.v, n, h, s0, keys, false)
		for c := range blocks.parts {
			i, m := blocks.part(c)
			t.product(w, w.p, t.width, t.q, n, h, start+i, m, w.kt, keys, t.scale)
			vectors := t.finishScores(w.p, n, h, start+i, m, s0, keys)
			t.u.softmaxRows(&w.p[0], 4*t.width, m, vectors, &w.top[i], &w.sum[i], &w.factor[i])
			if t.bf16 {
				roundRows(w.p[:m*t.width])
			}
			o, at := headBlock(t.o, n, h, start+i)
			if b > 0 {
				for j := range m {
					t.scaleRow(o[at+j*t.o.Stride[1]:], w.factor[i+j])
				}
			}
			w.args.rs, w.args.ks = 4*t.width, 4
			t.multiply(w, o[at:], t.o.Stride[1], &w.p[0], w.v, m, t.d, keys, 1, b > 0)
			if b == t.keys.parts-1 {
				t.normalise(w, o[at:], n, h, start+i, i, m)
			}
		}
	}
}

// finishScores adds the mask and fills the rows up to whole vectors.
func (t *attentionTask) finishScores(p []float32, n, h, first, m, s0, keys int) (vectors int) {
	vectors = (keys + t.u.lanes - 1) / t.u.lanes
	for i := range m {
		row := p[i*t.width:][:t.width]
		if mask := t.mask; mask != nil {
			all, at, step := elements[float32](mask), rowOffset(mask, n, h, first+i)+s0*mask.Stride[3], mask.Stride[3]
			for j := range keys {
				row[j] += all[at]
				at += step
			}
		}
		for j := keys; j < vectors*t.u.lanes; j++ {
			row[j] = float32(math.Inf(-1))
		}
	}
	return vectors
}

// scaleRow multiplies a row of a head by f.
func (t *attentionTask) scaleRow(row []float32, f float32) {
	vectors := t.d / t.u.lanes
	if vectors > 0 {
		t.u.rowScale(&row[0], vectors, f)
	}
	for i := vectors * t.u.lanes; i < t.d; i++ {
		row[i] *= f
	}
}

// dot is the product of row i of two views' heads.
func (t *attentionTask) dot(a, b *backend.View, n, h, i int) float32 {
	x, y := headRow[float32](a, n, i, h), headRow[float32](b, n, i, h)
	vectors := t.d / t.u.lanes
	if x.inc != 1 || y.inc != 1 || vectors == 0 {
		return x.dot(y)
	}
	sum := t.u.rowDot(&x.data[x.at], &y.data[y.at], vectors)
	for j := vectors * t.u.lanes; j < t.d; j++ {
		sum += x.data[x.at+j] * y.data[y.at+j]
	}
	return sum
}

// normalise divides m finished rows by their sums, and keeps the log-sum-exp.
func (t *attentionTask) normalise(w *attentionWorker, o []float32, n, h, first, i, m int) {
	for j := range m {
		row, sum, lse := o[j*t.o.Stride[1]:][:t.d], w.sum[i+j], float32(math.Inf(-1))
		if sum == 0 { // masked everywhere
			clear(row)
		} else {
			t.scaleRow(row, 1/sum)
			lse = w.top[i+j] + float32(math.Log(float64(sum)))
		}
		if t.lse != nil {
			elements[float32](t.lse)[rowOffset(t.lse, n, h, first+j)] = lse
		}
	}
}

// backward computes dq, dk and dv of a head.
func (t *attentionTask) backward(w *attentionWorker, n, h int) {
	w.p, w.dp = grow(w.p, gradBlock*t.width), grow(w.dp, gradBlock*t.width)
	w.mean, w.lse = grow(w.mean, t.t), grow(w.lse, t.t)
	for i := range t.t {
		w.mean[i] = t.dot(t.do, t.o, n, h, i)
		w.lse[i] = elements[float32](t.lse)[rowOffset(t.lse, n, h, i)]
	}
	blocks := splitEvenly(t.t, gradBlock)
	for b := range t.keys.parts {
		s0, keys := t.keys.part(b)
		w.kt = t.pack(w.kt, t.k, n, h, s0, keys, true)
		w.vt = t.pack(w.vt, t.v, n, h, s0, keys, true)
		w.k = t.pack(w.k, t.k, n, h, s0, keys, false)
		dk, dkAt := headBlock(t.dk, n, h, s0)
		dv, dvAt := headBlock(t.dv, n, h, s0)
		for c := range blocks.parts {
			i, m := blocks.part(c)
			w.q = t.pack(w.q, t.q, n, h, i, m, false)
			w.do = t.pack(w.do, t.do, n, h, i, m, false)
			t.product(w, w.p, t.width, t.q, n, h, i, m, w.kt, keys, t.scale)
			t.product(w, w.dp, t.width, t.do, n, h, i, m, w.vt, keys, 1)
			t.softmaxGrad(w, n, h, i, m, s0, keys)
			w.args.rs, w.args.ks = 4*t.width, 4
			dq, at := headBlock(t.dq, n, h, i)
			t.multiply(w, dq[at:], t.dq.Stride[1], &w.dp[0], w.k, m, t.d, keys, 1, b > 0)
			w.args.rs, w.args.ks = 4, 4*t.width // transposed
			t.multiply(w, dk[dkAt:], t.dk.Stride[1], &w.dp[0], w.q, keys, t.d, m, 1, c > 0)
			t.multiply(w, dv[dvAt:], t.dv.Stride[1], &w.p[0], w.do, keys, t.d, m, 1, c > 0)
		}
	}
}

// softmaxGrad turns m rows of scores and of gradients of probabilities into
// probabilities and gradients of scores.
func (t *attentionTask) softmaxGrad(w *attentionWorker, n, h, first, m, s0, keys int) {
	vectors := t.finishScores(w.p, n, h, first, m, s0, keys)
	t.u.softmaxGradRows(&w.p[0], &w.dp[0], 4*t.width, m, vectors, &w.lse[first], &w.mean[first], t.scale)
	for i := range m {
		if math.IsInf(float64(w.lse[first+i]), -1) { // masked everywhere
			clear(w.p[i*t.width:][:t.width])
			clear(w.dp[i*t.width:][:t.width])
		}
	}
	if t.bf16 {
		roundRows(w.p[:m*t.width])
		roundRows(w.dp[:m*t.width])
	}
}

// headBlock is where position i of a head begins.
func headBlock(v *backend.View, n, h, i int) ([]float32, int) {
	return elements[float32](v), v.Off + n*v.Stride[0] + i*v.Stride[1] + h*v.Stride[2]
}

// pack packs count positions of a head into panels: positions as columns, or channels.
func (t *attentionTask) pack(to []float32, v *backend.View, n, h, first, count int, positions bool) []float32 {
	x, at := headBlock(v, n, h, first)
	columns, rows, bn, bk := t.d, count, v.Stride[3], v.Stride[1]
	if positions {
		columns, rows, bn, bk = count, t.d, v.Stride[1], v.Stride[3]
	}
	panels := (columns + t.u.cols - 1) / t.u.cols
	to = grow(to, panels*rows*t.u.cols)
	for p := range panels {
		j := p * t.u.cols
		t.u.packColumns(to[p*rows*t.u.cols:], x, at+j*bn, bk, bn, rows, min(t.u.cols, columns-j))
	}
	return to
}

// product computes alpha times m rows of a head, from row first of x on, times packed columns.
func (t *attentionTask) product(w *attentionWorker, c []float32, cs int, x *backend.View, n, h, first, m int, b []float32, columns int, alpha float32) {
	a, at := headBlock(x, n, h, first)
	w.args.rs, w.args.ks = 4*x.Stride[1], 4*x.Stride[3]
	t.multiply(w, c, cs, &a[at], b, m, columns, t.d, alpha, false)
}

// multiply computes c (m rows of n columns, stride cs) = alpha·a·b, or adds to
// it. The strides of a are set already; b is packed k deep.
func (t *attentionTask) multiply(w *attentionWorker, c []float32, cs int, a *float32, b []float32, m, n, k int, alpha float32, add bool) {
	u, g := t.u, &w.args
	g.segs, g.nsegs, g.k = unsafe.Pointer(noSegment), 1, k
	g.bs, g.cs, g.alpha, g.beta, g.bias, g.accumulate = 4*u.cols, 4*cs, alpha, 1, nil, 0
	if add {
		g.accumulate = 1
	}
	tiles := splitEvenly(m, u.rows)
	for i := range tiles.parts {
		row, rows := tiles.part(i)
		g.a = unsafe.Add(unsafe.Pointer(a), row*g.rs)
		g.b, g.c = unsafe.Pointer(&b[0]), unsafe.Pointer(&c[row*cs])
		u.runRow(g, rows, n, 4*k*u.cols, w.edge, w.upcoming())
	}
}
