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
	top, sum            []float32 // a row's greatest score so far and its Σ exp; backward, sum is do·o
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
		t.workers[i].args = tileArgs{}
	}
	attentionTasks.Put(t)
	return true
}

func (t *attentionTask) run(worker, chunk int) {
	w := &t.workers[worker]
	head := chunk / t.parts.parts
	n, h := head/t.heads, head%t.heads
	if t.do != nil {
		t.backward(w, n, h)
		return
	}
	start, rows := t.parts.part(chunk % t.parts.parts)
	t.forward(w, n, h, start, rows)
}

// forward computes some rows of a head.
func (t *attentionTask) forward(w *attentionWorker, n, h, start, rows int) {
	w.p = grow(w.p, queryBlock*t.width)
	w.top, w.sum = grow(w.top, rows), grow(w.sum, rows)
	for b := range t.keys.parts {
		s0, keys := t.keys.part(b)
		w.kt = t.pack(w.kt, t.k, n, h, s0, keys, true)
		w.v = t.pack(w.v, t.v, n, h, s0, keys, false)
		for i := 0; i < rows; i += queryBlock {
			m := min(queryBlock, rows-i)
			t.product(w, w.p, t.width, t.q, n, h, start+i, m, w.kt, keys, t.scale)
			for j := range m {
				t.softmax(w, w.p[j*t.width:][:t.width], n, h, start+i, i, j, b, s0, keys)
			}
			o, at := headBlock(t.o, n, h, start+i)
			w.args.rs, w.args.ks = 4*t.width, 4
			t.multiply(w, o[at:], t.o.Stride[1], &w.p[0], w.v, m, t.d, keys, 1, b > 0)
			if b == t.keys.parts-1 {
				t.normalise(w, o[at:], n, h, start+i, i, m)
			}
		}
	}
}

// softmax turns row j of a block of scores into exp(s−top), and brings what
// earlier blocks of keys left to the new greatest score.
func (t *attentionTask) softmax(w *attentionWorker, p []float32, n, h, first, i, j, b, s0, keys int) {
	vectors := t.finishScores(p, n, h, first+j, s0, keys)
	top := t.u.rowMax(&p[0], vectors)
	old := float32(math.Inf(-1))
	if b > 0 {
		old = w.top[i+j]
		top = max(top, old)
	}
	w.top[i+j] = top
	if math.IsInf(float64(top), -1) {
		top = 0 // all −Inf: every exp gives 0 (and a NaN shows)
	}
	sum := t.u.rowExp(&p[0], vectors, top)
	if b > 0 {
		f := float32(math.Exp(float64(old - top)))
		sum += f * w.sum[i+j]
		o, at := headBlock(t.o, n, h, first+j)
		scaleRow(o[at:][:t.d], f)
	}
	w.sum[i+j] = sum
}

// finishScores adds the mask and fills the row up to whole vectors.
func (t *attentionTask) finishScores(p []float32, n, h, row, s0, keys int) (vectors int) {
	if m := t.mask; m != nil {
		all, at, step := elements[float32](m), rowOffset(m, n, h, row)+s0*m.Stride[3], m.Stride[3]
		for j := range keys {
			p[j] += all[at]
			at += step
		}
	}
	vectors = (keys + t.u.lanes - 1) / t.u.lanes
	for j := keys; j < vectors*t.u.lanes; j++ {
		p[j] = float32(math.Inf(-1))
	}
	return vectors
}

func scaleRow(x []float32, f float32) {
	for i := range x {
		x[i] *= f
	}
}

// normalise divides m finished rows by their sums, and keeps the log-sum-exp.
func (t *attentionTask) normalise(w *attentionWorker, o []float32, n, h, first, i, m int) {
	for j := range m {
		row, sum, lse := o[j*t.o.Stride[1]:][:t.d], w.sum[i+j], float32(math.Inf(-1))
		if sum == 0 {
			clear(row)
		} else {
			scaleRow(row, 1/sum)
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
	w.sum = grow(w.sum, t.t)
	for i := range t.t {
		w.sum[i] = headRow[float32](t.do, n, i, h).dot(headRow[float32](t.o, n, i, h))
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
			for j := range m {
				t.softmaxGrad(w, w.p[j*t.width:][:t.width], w.dp[j*t.width:][:t.width], n, h, i+j, s0, keys)
			}
			w.args.rs, w.args.ks = 4*t.width, 4
			dq, at := headBlock(t.dq, n, h, i)
			t.multiply(w, dq[at:], t.dq.Stride[1], &w.dp[0], w.k, m, t.d, keys, 1, b > 0)
			w.args.rs, w.args.ks = 4, 4*t.width // transposed
			t.multiply(w, dk[dkAt:], t.dk.Stride[1], &w.dp[0], w.q, keys, t.d, m, 1, c > 0)
			t.multiply(w, dv[dvAt:], t.dv.Stride[1], &w.p[0], w.do, keys, t.d, m, 1, c > 0)
		}
	}
}

// softmaxGrad turns a row of scores and of gradients of probabilities into
// probabilities and gradients of scores.
func (t *attentionTask) softmaxGrad(w *attentionWorker, p, dp []float32, n, h, row, s0, keys int) {
	lse := elements[float32](t.lse)[rowOffset(t.lse, n, h, row)]
	if math.IsInf(float64(lse), -1) { // masked everywhere
		clear(p)
		clear(dp)
		return
	}
	vectors := t.finishScores(p, n, h, row, s0, keys)
	t.u.rowGrad(&p[0], &dp[0], vectors, lse, w.sum[row], t.scale)
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
	g.fetchNothing()
	g.segs, g.nsegs, g.k = unsafe.Pointer(noSegment), 1, k
	g.bs, g.cs, g.alpha, g.beta, g.bias, g.accumulate = 4*u.cols, 4*cs, alpha, 1, nil, 0
	if add {
		g.accumulate = 1
	}
	tiles := splitEvenly(m, u.rows)
	for i := range tiles.parts {
		row, rows := tiles.part(i)
		g.a = unsafe.Add(unsafe.Pointer(a), row*g.rs)
		for j := 0; j < n; j += u.cols {
			g.b = unsafe.Pointer(&b[j*k])
			g.c = unsafe.Pointer(&c[row*cs+j])
			u.run(g, rows, min(u.cols, n-j), w.edge)
		}
	}
}
