package cpu

import (
	"math"
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Attention in bfloat16, by the same blocks as in float32 (see attention_fast.go):
// scores, softmax and sums are float32, and what enters a product becomes words.

// attentionPairTask is a call; see attentionTask.
type attentionPairTask struct {
	attentionTask
	pairs   *pairKernel
	depth   int // words of a head's channels
	workers []attentionPairWorker
}

// attentionPairWorker is scratch. kt and vt, k, v, q and do are B operands; qa
// and doa are rows of queries and of do as A; pw and dpw are probabilities and
// gradients of scores.
type attentionPairWorker struct {
	attentionWorker
	qa, doa, pw, dpw, scratch []float32
}

var attentionPairTasks = sync.Pool{New: func() any { return new(attentionPairTask) }}

// attentionPairs computes attention, or its gradient, in words. It reports
// false, having done nothing, where attentionFast would.
func (d *Device) attentionPairs(call *attentionCall, scale float64) bool {
	q, k := call.q, call.k
	if q.Elems() == 0 || k.Elems() == 0 {
		return false
	}
	for _, v := range [...]*backend.View{call.dq, call.dk, call.dv, call.o} {
		if v != nil && v.Stride[3] != 1 && v.Shape[3] > 1 {
			return false
		}
	}
	t := attentionPairTasks.Get().(*attentionPairTask)
	t.attentionCall, t.scale, t.pairs, t.u = *call, float32(scale), d.pairs, &d.pairs.microKernel
	t.heads, t.t, t.s, t.d = q.Shape[2], q.Shape[1], k.Shape[1], q.Shape[3]
	t.depth = words(t.d)
	t.keys = splitEvenly(t.s, keyBlock)
	t.width = (min(t.s, keyBlock) + t.u.cols - 1) / t.u.cols * t.u.cols
	t.parts = split{1, t.t, 0}
	chunks := q.Shape[0] * t.heads
	if few := 4 * d.pool.threads; t.do == nil && chunks < few {
		n := min((t.t+attentionRows-1)/attentionRows, (few+chunks-1)/chunks)
		t.parts = split{n, t.t / n, t.t % n}
	}
	for len(t.workers) < d.pool.threads {
		t.workers = append(t.workers, attentionPairWorker{})
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
	attentionPairTasks.Put(t)
	return true
}

func (t *attentionPairTask) run(worker, chunk int) {
	w := &t.workers[worker]
	head := chunk / t.parts.parts
	n, h := head/t.heads, head%t.heads
	t.expect(&w.attentionWorker, chunk, len(t.workers))
	if t.do != nil {
		t.backward(w, n, h)
		return
	}
	start, rows := t.parts.part(chunk % t.parts.parts)
	t.forward(w, n, h, start, rows)
}

// whole is so many rows, or a few more: whole tiles.
func (t *attentionPairTask) whole(rows int) int { return roundUp(rows, t.u.rows) }

// forward computes some rows of a head.
func (t *attentionPairTask) forward(w *attentionPairWorker, n, h, start, rows int) {
	block := t.whole(queryBlock)
	w.p, w.pw = grow(w.p, block*t.width), grow(w.pw, block*t.width/2)
	w.top, w.sum, w.factor = grow(w.top, rows), grow(w.sum, rows), grow(w.factor, rows)
	for i := range rows {
		w.top[i], w.sum[i] = float32(math.Inf(-1)), 0
	}
	blocks := splitEvenly(rows, block)
	for b := range t.keys.parts {
		s0, keys := t.keys.part(b)
		w.kt = t.pack(w, w.kt, t.k, n, h, s0, keys, true)
		w.v = t.pack(w, w.v, t.v, n, h, s0, keys, false)
		for c := range blocks.parts {
			i, m := blocks.part(c)
			w.qa = t.packRows(w.qa, t.q, n, h, start+i, m)
			t.product(w, w.p, w.qa, m, w.kt, keys, t.scale)
			vectors := t.finishScores(w.p, n, h, start+i, m, s0, keys)
			t.u.softmaxRows(&w.p[0], 4*t.width, m, vectors, &w.top[i], &w.sum[i], &w.factor[i])
			o, at := headBlock(t.o, n, h, start+i)
			if b > 0 {
				for j := range m {
					t.scaleRow(o[at+j*t.o.Stride[1]:], w.factor[i+j])
				}
			}
			t.multiplyRows(w, o[at:], t.o.Stride[1], w.pw, w.p, w.v, m, keys, b > 0)
			if b == t.keys.parts-1 {
				t.normalise(&w.attentionWorker, o[at:], n, h, start+i, i, m)
			}
		}
	}
}

// backward computes dq, dk and dv of a head.
func (t *attentionPairTask) backward(w *attentionPairWorker, n, h int) {
	block := t.whole(gradBlock)
	w.p, w.dp = grow(w.p, block*t.width), grow(w.dp, block*t.width)
	w.pw, w.dpw = grow(w.pw, block*t.width/2), grow(w.dpw, block*t.width/2)
	w.mean, w.lse = grow(w.mean, t.t), grow(w.lse, t.t)
	for i := range t.t {
		w.mean[i] = t.mean(n, h, i)
		w.lse[i] = elements[float32](t.lse)[rowOffset(t.lse, n, h, i)]
	}
	blocks := splitEvenly(t.t, block)
	for b := range t.keys.parts {
		s0, keys := t.keys.part(b)
		w.kt = t.pack(w, w.kt, t.k, n, h, s0, keys, true)
		w.vt = t.pack(w, w.vt, t.v, n, h, s0, keys, true)
		w.k = t.pack(w, w.k, t.k, n, h, s0, keys, false)
		dk, dkAt := headBlock(t.dk, n, h, s0)
		dv, dvAt := headBlock(t.dv, n, h, s0)
		for c := range blocks.parts {
			i, m := blocks.part(c)
			w.q = t.pack(w, w.q, t.q, n, h, i, m, false)
			w.do = t.pack(w, w.do, t.do, n, h, i, m, false)
			w.qa = t.packRows(w.qa, t.q, n, h, i, m)
			w.doa = t.packRows(w.doa, t.do, n, h, i, m)
			t.product(w, w.p, w.qa, m, w.kt, keys, t.scale)
			t.product(w, w.dp, w.doa, m, w.vt, keys, 1)
			t.softmaxGrad(&w.attentionWorker, n, h, i, m, s0, keys)
			dq, at := headBlock(t.dq, n, h, i)
			t.multiplyRows(w, dq[at:], t.dq.Stride[1], w.dpw, w.dp, w.k, m, keys, b > 0)
			t.multiplyColumns(w, dk[dkAt:], t.dk.Stride[1], w.dpw, w.dp, w.q, m, keys, c > 0)
			t.multiplyColumns(w, dv[dvAt:], t.dv.Stride[1], w.pw, w.p, w.do, m, keys, c > 0)
		}
	}
}

// mean is do·o of row i, do as it enters products.
func (t *attentionPairTask) mean(n, h, i int) (sum float32) {
	x, y := headRow[float32](t.do, n, i, h), headRow[float32](t.o, n, i, h)
	vectors := t.d / t.u.lanes
	if x.inc != 1 || y.inc != 1 {
		vectors = 0
	}
	if vectors > 0 {
		sum = t.pairs.roundedDot(&x.data[x.at], &y.data[y.at], vectors)
	}
	for j := vectors * t.u.lanes; j < t.d; j++ {
		sum += roundBF16(x.data[x.at+j*x.inc]) * y.data[y.at+j*y.inc]
	}
	return sum
}

// pack packs count positions of a head into panels: positions as columns, or channels.
func (t *attentionPairTask) pack(w *attentionPairWorker, to []float32, v *backend.View, n, h, first, count int, positions bool) []float32 {
	x, at := headBlock(v, n, h, first)
	columns, rows, bn, bk := t.d, count, v.Stride[3], v.Stride[1]
	if positions {
		columns, rows, bn, bk = count, t.d, v.Stride[1], v.Stride[3]
	}
	cols := t.u.cols
	panels, panel := (columns+cols-1)/cols, words(rows)*cols
	to = grow(to, panels*panel)
	for p := range panels {
		j := p * cols
		t.pairs.packColumns(to[p*panel:], x, at+j*bn, bk, bn, rows, min(cols, columns-j), &w.scratch)
	}
	return to
}

// packRows makes words of count positions' channels.
func (t *attentionPairTask) packRows(to []float32, v *backend.View, n, h, first, count int) []float32 {
	x, at := headBlock(v, n, h, first)
	to = grow(to, count*t.depth)
	if v.Stride[3] == 1 {
		t.pairs.neighbours(&to[0], &x[at], t.depth, v.Stride[1], count, 0, 0, 1, t.d)
	} else {
		t.pairs.packScalars(to, x, at, t.depth, 1, v.Stride[1], v.Stride[3], count, t.d)
	}
	return to
}

// product computes alpha times m rows of words times packed columns, to rows of scores.
func (t *attentionPairTask) product(w *attentionPairWorker, c, a []float32, m int, b []float32, columns int, alpha float32) {
	w.args.rs, w.args.ks = 4*t.depth, 4
	t.multiply(&w.attentionWorker, c, t.width, &a[0], b, m, columns, t.depth, alpha, false)
}

// multiplyRows computes p·b, or adds it to c, p being m rows of a block, made words in room.
func (t *attentionPairTask) multiplyRows(w *attentionPairWorker, c []float32, cs int, room, p, b []float32, m, keys int, add bool) {
	t.pairs.neighbours(&room[0], &p[0], t.width/2, t.width, m, 0, 0, 1, keys)
	w.args.rs, w.args.ks = 4*t.width/2, 4
	t.multiply(&w.attentionWorker, c, cs, &room[0], b, m, t.d, words(keys), 1, add)
}

// multiplyColumns computes pᵀ·b, or adds it to c, likewise.
func (t *attentionPairTask) multiplyColumns(w *attentionPairWorker, c []float32, cs int, room, p, b []float32, m, keys int, add bool) {
	for j := 0; j < keys; j += t.u.cols {
		t.pairs.packPairs(room[j:], p, j, t.width, t.width, m, min(t.u.cols, keys-j))
	}
	w.args.rs, w.args.ks = 4, 4*t.width
	t.multiply(&w.attentionWorker, c, cs, &room[0], b, keys, t.d, words(m), 1, add)
}
