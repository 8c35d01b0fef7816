package cpu

import (
	"math"
	"sync"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Reduce folds p over axes; see backend.Device.
func (d *Device) Reduce(kind backend.ReduceKind, p *backend.Program, out, space *backend.View, in []*backend.View, scalars []float64) {
	if out.Elems() == 0 {
		return
	}
	if p == nil {
		p = identity
	}
	if out.Elems() == space.Elems() { // nothing to fold
		d.Elementwise(p, []*backend.View{out}, in, scalars)
		return
	}
	if out.DType == backend.Float64 {
		reduce(d, &reductions64, kernels64(d), folds64(d), kind, p, out, space, in, scalars)
	} else {
		reduce(d, &reductions32, kernels32(d), folds32(d), kind, p, out, space, in, scalars)
	}
}

var (
	reductions32 = sync.Pool{New: func() any { return new(reduceTask[float32]) }}
	reductions64 = sync.Pool{New: func() any { return new(reduceTask[float64]) }}
)

// folds are the reductions of a block to one value, in an order that depends on its length alone.
type folds[T real] [3]func(a *T, n int) T

// Sizes that fix the order of summation. They are the same for every level,
// program and number of threads.
const (
	foldBlock   = 1024    // terms summed by lanes of the operands' type; beyond, sums are float64
	pieceElems  = 1 << 16 // elements of a piece, if it has foldRows rows at least
	foldRows    = 64      // rows added up in the operands' type, lane by lane
	foldColumns = 2048    // columns that one chunk keeps sums of
)

// reduceTask folds a space that is seen as kept × reduced × rest: the leading
// kept axes, the first reduced ones, and all others. The rest is nothing (sums
// of rows), kept columns (sums over rows), or a mixture of both.
//
// A chunk folds a piece of the reduced axes of one kept index. If there are
// several pieces, their partial results are combined afterwards, in order.
type reduceTask[T real] struct {
	engine[T]
	kind  backend.ReduceKind
	fold  func(a *T, n int) T
	add   kernel[T]
	shape reduceShape
	keep  space      // the kept axes, as out has them
	out   operand[T] // seen from keep

	piece   int // rows of a piece
	pieces  int // of a kept index
	columns int // of a chunk
	tiles   int // chunks that share a piece, by columns
	inChunk int // kept indices of a chunk, if there is one piece and one tile
	part    []float64
	combine bool // the chunks now combine partial results

	work []reduceWorker[T]
}

type reduceWorker[T real] struct {
	acc   []float64
	lost  []float64
	lanes []T
	stage []T
}

// reduceShape is the space by runs of kept and reduced axes.
type reduceShape struct {
	kept, reduced int   // sizes of the first two runs; kept is 1 if the space begins with a reduced axis
	rest          []int // the other runs: kept, reduced, kept, …
	total         int   // product of rest
	restKept      int   // product of its kept runs
	store         [backend.MaxRank]int
}

func (s *reduceShape) set(space, out *backend.View) {
	*s = reduceShape{kept: 1, reduced: 1, total: 1, restKept: 1}
	n, was := 0, false // runs so far; whether the last was reduced
	var runs [backend.MaxRank + 1]int
	runs[0] = 1 // a kept run comes first
	for ax, d := range space.Shape[:space.Rank] {
		if d == 1 {
			continue
		}
		if reduced := out.Shape[ax] == 1; reduced != was {
			n++
			runs[n] = 1
			was = reduced
		}
		runs[n] *= d
	}
	s.kept = runs[0]
	if n > 0 {
		s.reduced = runs[1]
	}
	for i := 2; i <= n; i++ {
		s.store[i-2] = runs[i]
		s.total *= runs[i]
		if i%2 == 0 {
			s.restKept *= runs[i]
		}
	}
	s.rest = s.store[:max(0, n-1)]
}

func reduce[T real](d *Device, free *sync.Pool, kern *kernels[T], fold *folds[T], kind backend.ReduceKind,
	p *backend.Program, out, space *backend.View, in []*backend.View, scalars []float64) {
	t := free.Get().(*reduceTask[T])
	t.shape.set(space, out)
	t.kind, t.fold = kind, fold[kind]
	t.add = kern.ops[[...]backend.Opcode{backend.OpAdd, backend.OpMax, backend.OpMin}[kind]]
	t.out.set(out)
	outs := [1]operand[T]{t.out}
	merge(&t.keep, out, false, outs[:])
	t.out = outs[0]
	for len(t.work) < d.pool.threads {
		t.work = append(t.work, reduceWorker[T]{})
	}
	if space.Elems() == 0 {
		t.fillNeutral()
	} else {
		t.setup(d, programPlans.get(p, true), kern, space, false, nil, in, scalars)
		t.block = min(foldBlock, (t.space.total+15)&^15)
		t.cut()
		t.combine = false
		d.pool.do(t, t.chunks())
		if t.pieces > 1 {
			t.combine = true
			d.pool.do(t, (t.keep.total+foldColumns-1)/foldColumns)
		}
		t.engine.release()
	}
	t.out.base = nil
	free.Put(t)
}

// neutral is the fold of nothing.
func (t *reduceTask[T]) neutral() float64 {
	return [...]float64{0, math.Inf(-1), math.Inf(1)}[t.kind]
}

func (t *reduceTask[T]) fillNeutral() {
	acc := atLeast(&t.work[0].acc, 1)
	acc[0] = t.neutral()
	for i := range t.keep.total {
		t.store(&t.work[0], i, acc)
	}
}

// atLeast makes *s have n elements at least and gives that many of them.
func atLeast[T any](s *[]T, n int) []T {
	if len(*s) < n {
		*s = make([]T, n)
	}
	return (*s)[:n]
}

// cut chooses pieces by the sizes of the reduced axes and of what they enclose,
// never by the leading kept axes: those are the batch.
func (t *reduceTask[T]) cut() {
	s := &t.shape
	t.piece = min(s.reduced, max(foldRows, pieceElems/s.total))
	t.pieces = (s.reduced + t.piece - 1) / t.piece
	t.columns, t.tiles, t.inChunk = s.restKept, 1, 1
	if len(s.rest) == 1 && s.restKept > foldColumns {
		t.columns = foldColumns
		t.tiles = (s.restKept + foldColumns - 1) / foldColumns
	}
	if t.pieces*t.tiles == 1 {
		t.inChunk = max(1, pieceElems/4/(s.reduced*s.total))
	}
	if t.pieces > 1 {
		atLeast(&t.part, s.kept*t.pieces*s.restKept)
	}
}

func (t *reduceTask[T]) chunks() int {
	return (t.shape.kept + t.inChunk - 1) / t.inChunk * t.pieces * t.tiles
}

func (t *reduceTask[T]) run(worker, chunk int) {
	w := &t.work[worker]
	if t.combine {
		t.combinePieces(w, chunk)
		return
	}
	tile, rest := chunk%t.tiles, chunk/t.tiles
	piece, group := rest%t.pieces, rest/t.pieces
	from, to := group*t.inChunk, min(t.shape.kept, (group+1)*t.inChunk)
	if len(t.shape.rest) == 0 && t.shape.reduced <= foldBlock {
		t.rows(worker, from, to)
		return
	}
	col := tile * t.columns
	cols := min(t.columns, t.shape.restKept-col)
	lo, hi := piece*t.piece, min(t.shape.reduced, (piece+1)*t.piece)
	for k := from; k < to; k++ {
		acc := t.foldPiece(worker, k, lo, hi, col, cols)
		if t.pieces > 1 {
			copy(t.part[(k*t.pieces+piece)*t.shape.restKept+col:], acc)
		} else {
			t.store(w, k*t.shape.restKept+col, acc)
		}
	}
}

// rows folds short rows, several to a block.
func (t *reduceTask[T]) rows(worker, from, to int) {
	w, n := &t.work[worker], t.shape.reduced
	many := foldBlock / n
	for k := from; k < to; k += many {
		rows := min(many, to-k)
		v := t.values(worker, k*n, rows*n)
		acc := atLeast(&w.acc, rows)
		if n <= shortRow {
			t.foldShort(acc, unsafe.Slice(v, rows*n), n)
		} else {
			for i := range acc {
				acc[i] = float64(t.fold(elemAt(v, i*n), n))
			}
		}
		t.store(w, k, acc)
	}
}

// shortRow is the length up to which a row is folded in a plain loop, in
// float64, rather than by a call.
const shortRow = 8

func (t *reduceTask[T]) foldShort(acc []float64, v []T, n int) {
	for i := range acc {
		row := v[i*n:][:n]
		a := float64(row[0])
		switch t.kind {
		case backend.Sum:
			for _, x := range row[1:] {
				a += float64(x)
			}
		case backend.Max:
			for _, x := range row[1:] {
				a = max(a, float64(x))
			}
		case backend.Min:
			for _, x := range row[1:] {
				a = min(a, float64(x))
			}
		}
		acc[i] = a
	}
}

// values evaluates the program on a range and gives the results.
func (t *reduceTask[T]) values(worker, lo, n int) *T {
	w := &t.workers[worker]
	t.eval(w, lo, n)
	return w.ptr[t.plan.result[0]]
}

// accumulators holds the folds of some kept elements, and for sums of float64
// terms also what rounding took from each (Knuth's two-sum): a piece may have
// any number of terms a column, and float64 has no wider type to add them in.
type accumulators struct {
	v    []float64
	lost []float64 // nil if not kept
}

// settle gives the folds, with what rounding took put back where it is finite:
// beside an infinite sum it is NaN.
func (a accumulators) settle() []float64 {
	for i, l := range a.lost {
		if l-l == 0 {
			a.v[i] += l
		}
	}
	return a.v
}

// foldPiece folds rows lo to hi of kept index k, for the kept columns from col on.
func (t *reduceTask[T]) foldPiece(worker, k, lo, hi, col, cols int) []float64 {
	s := &t.shape
	w := &t.work[worker]
	acc := accumulators{v: atLeast(&w.acc, cols)}
	fillSlice(acc.v, t.neutral())
	if t.kind == backend.Sum && unsafe.Sizeof(T(0)) == 8 {
		acc.lost = atLeast(&w.lost, cols)
		clear(acc.lost)
	}
	base := (k*s.reduced + lo) * s.total
	switch len(s.rest) {
	case 0:
		for n := hi - lo; n > 0; {
			b := min(n, foldBlock)
			t.join(acc, 0, t.fold(t.values(worker, base, b), b))
			base += b
			n -= b
		}
	case 1:
		t.foldColumns(worker, acc, base+col, hi-lo)
	default:
		t.foldMixed(worker, acc, base, (hi-lo)*s.total)
	}
	return acc.settle()
}

// join adds a term to an accumulator.
func (t *reduceTask[T]) join(acc accumulators, i int, v T) {
	x, a := float64(v), &acc.v[i]
	switch t.kind {
	case backend.Sum:
		sum := *a + x
		if acc.lost != nil {
			y := sum - *a
			acc.lost[i] += (*a - (sum - y)) + (x - y)
		}
		*a = sum
	case backend.Max:
		*a = max(*a, x)
	case backend.Min:
		*a = min(*a, x)
	}
}

// combinePieces folds the partial results of some kept elements.
func (t *reduceTask[T]) combinePieces(w *reduceWorker[T], chunk int) {
	lo := chunk * foldColumns
	hi := min(t.keep.total, lo+foldColumns)
	acc := atLeast(&w.acc, hi-lo)
	kept := t.shape.restKept
	for i := range acc {
		k, c := (lo+i)/kept, (lo+i)%kept
		at := k*t.pieces*kept + c
		acc[i] = t.part[at]
		for range t.pieces - 1 {
			at += kept
			switch t.kind {
			case backend.Sum:
				acc[i] += t.part[at]
			case backend.Max:
				acc[i] = max(acc[i], t.part[at])
			case backend.Min:
				acc[i] = min(acc[i], t.part[at])
			}
		}
	}
	t.store(w, lo, acc)
}

// store rounds results and writes them to the kept elements from lo on.
func (t *reduceTask[T]) store(w *reduceWorker[T], lo int, acc []float64) {
	stage := atLeast(&w.stage, len(acc))
	for i, v := range acc {
		stage[i] = T(v)
	}
	var p spacePoint
	t.keep.decode(lo, &p)
	t.out.scatter(&t.keep, p, stage)
}
