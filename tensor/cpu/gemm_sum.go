package cpu

import (
	"sync"

	"github.com/langevin-go/langevin/tensor/backend"
)

// GemmSum computes c = a·b and the sums of b's columns; see backend.Device.
// The kernels add up B as they pack it, before it is rounded if it is: in float32 within some 320 rows, the
// even and the odd rows apart, so 160 terms at most in a row (AMX: 16, and then 10 of those), and in float64 from there on.
func (d *Device) GemmSum(c, sums, a, b *backend.View) {
	fast := d.level != Go && c.DType == backend.Float32 && c.Elems() > 0 && b.Elems() > 0 &&
		(c.Stride[1] == 1 || c.Shape[1] == 1)
	switch {
	case fast && !d.bf16:
		t := gemmTasks.Get().(*gemmTask)
		t.set(d, c, a, b, nil, 1, 0)
		t.startSums()
		t.multiply(d)
		t.finishSums(sums)
		t.release()
		gemmTasks.Put(t)
	case fast && d.pairs != nil && b.Stride[1] == 1 && longK(a.Shape[0], b.Shape[1], b.Shape[0]) && a.Stride[1] != 1:
		t := pairTasks.Get().(*pairTask)
		t.set(d, c, a, b, nil, 1, 0)
		t.startSums()
		t.multiply(d)
		t.finishSums(sums)
		t.release()
		pairTasks.Put(t)
	default:
		d.Gemm(c, a, b, nil, 1, 0)
		d.sumColumns(sums, b)
	}
}

func (t *gemmTask) startSums() {
	t.sumsBuf = grow64(t.sumsBuf, t.panels*t.u.cols)
	t.sums = t.sumsBuf
	clear(t.sums)
}

func (t *gemmTask) finishSums(sums *backend.View) {
	to, at := elements[float32](sums), sums.Off
	for _, s := range t.sums[:t.n] {
		to[at] = float32(s)
		at += sums.Stride[0]
	}
	t.sums = nil
}

func grow64(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n+n/8)
	}
	return s[:cap(s)]
}

// addSums adds up the k rows of panel p, just packed. The one chunk that has a
// panel's first rows of C does so.
func (t *gemmTask) addSums(w *gemmWorker, k, p int) {
	cols := t.u.cols
	row := w.edge[:cols]
	t.u.sumRows(&row[0], &w.b[0], k)
	for j, v := range row {
		t.sums[p*cols+j] += float64(v)
	}
}

// columnSums are the operands of a reduction.
type columnSums struct {
	out backend.View
	in  [1]*backend.View
}

var columnSumsPool = sync.Pool{New: func() any { return new(columnSums) }}

// sumColumns is sums[j] = Σ_i b[i][j].
func (d *Device) sumColumns(sums, b *backend.View) {
	if sums.Elems() == 0 {
		return
	}
	t := columnSumsPool.Get().(*columnSums)
	t.out, t.in[0] = *sums, b
	t.out.Rank, t.out.Shape[0], t.out.Shape[1] = 2, 1, sums.Shape[0]
	t.out.Stride[0], t.out.Stride[1] = 0, sums.Stride[0]
	d.Reduce(backend.Sum, nil, &t.out, b, t.in[:], nil)
	*t = columnSums{}
	columnSumsPool.Put(t)
}
