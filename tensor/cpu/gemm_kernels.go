package cpu

import "unsafe"

// tileArgs are the arguments of a register-tile kernel, laid out as the
// assembly expects. The tile has as many rows as the kernel called; with
// B running on over all segments,
//
//	for s in segs { for p in 0..k { C[i][j] += A[segs[s] + i·rs + p·ks] · B[j]; B += bs } }
//	C = alpha·C + beta·C₀ + bias
//
// Strides and segments are in bytes.
type tileArgs struct {
	a, b, c    unsafe.Pointer
	bias       unsafe.Pointer // of the tile's columns, or nil
	segs       unsafe.Pointer // *int
	nsegs, k   int            // both at least 1
	rs, ks     int
	bs, cs     int
	next       uintptr // fetched into the L2 cache, a line for each p; any address will do
	nextStride int
	alpha      float32
	beta       float32
	accumulate int    // 0: C₀ is not read
	mask       uint32 // columns present, for kernels that can mask; bit 0 is column 0

	// Of kernels that compute a row of panels; the mask is the last one's.
	rows          uint32
	config        unsafe.Pointer
	step, steps   int     // words of a step, steps of k
	panels, panel int     // how many, and the bytes from one to the next
	turned        *turned // scratch, which stays
}

// release drops what the arguments point at, but not the scratch.
func (t *tileArgs) release() { *t = tileArgs{turned: t.turned} }

// turned is room for an operand that has been turned round.
type turned struct {
	words []float32
	segs  []int
}

// fetch is a list of runs of cache lines that will be wanted soon. Calls of tile
// kernels take a run each. Addresses are not pointers: they may run past an end.
type fetch struct {
	at   uintptr
	step uintptr // from run to run
	line int     // from line to line of a run
	left int     // runs
	// The runs once more, if runs is not 0, from so far away from the last one on.
	runs  int
	again uintptr
}

// soon lists runs from p on.
func soon(p unsafe.Pointer, step, line, runs int) fetch {
	return fetch{at: uintptr(p), step: uintptr(step), line: line, left: runs}
}

// twice adds to f the same runs, bytes further on.
func (f fetch) twice(bytes int) fetch {
	f.runs, f.again = f.left, uintptr(bytes)-uintptr(f.left)*f.step
	return f
}

// fetchNext has t fetch a run of the first list that has one left.
func (t *tileArgs) fetchNext(lists ...*fetch) {
	for _, f := range lists {
		if f.left > 0 {
			t.next, t.nextStride = f.at, f.line
			f.at += f.step
			f.left--
			if f.left == 0 && f.runs > 0 {
				f.at += f.again
				f.left, f.runs = f.runs, 0
			}
			return
		}
	}
	t.fetchNothing()
}

// fetchNothing has t fetch what is in the cache anyway.
func (t *tileArgs) fetchNothing() { t.next, t.nextStride = uintptr(unsafe.Pointer(t)), 0 }

// microKernel is a family of register-tile kernels. tile[r][v] computes r rows
// of v vectors.
type microKernel struct {
	rows   int // the most rows of a tile
	cache  int // bytes of the L2 cache to count on; 0: 1 MiB
	lanes  int // floats of a vector
	cols   int // of a tile: two vectors
	masked bool
	tile   *[13][3]func(*tileArgs)
	// matrix, where it is not nil, takes the place of tile: rows by columns, with panels of B so
	// many bytes apart.
	matrix func(t *tileArgs, rows, columns, panel int)
	// copyPanel copies k rows of n ≤ cols floats into rows of cols, filled up
	// with zeros; strides in elements. nil where n must be cols: then copyFull.
	copyPanel func(to, from *float32, fromStride, k, n int)
	// copyTile copies lines of k rows of n ≤ lanes floats; nil: none.
	copyTile  func(to, from *float32, toStride, fromStride, k, n, toLine, fromLine, lines int)
	copyFull  func(to, from *float32, fromStride, k int)
	transpose func(to, from *float32, toStride, fromStride, blocks int)
	sumRows   func(sum, from *float32, rows int) // of cols floats

	// The rows of attention; see internal/asmgen/gemm.
	softmaxRows     func(p *float32, stride, rows, vectors int, top, sum, factor *float32)
	softmaxGradRows func(p, grad *float32, stride, rows, vectors int, lse, mean *float32, scale float32)
	rowDot          func(a, b *float32, vectors int) float32
	rowScale        func(a *float32, vectors int, f float32)
	// The transforms of Winograd's convolution, for tiles of 2×2 and 4×4 outputs; nil: none.
	winograd2, winograd4 *winogradKernels

	rowAdd func(a, b *float32, vectors int)
}

// winogradKernels are the transforms of Winograd's convolution; see internal/asmgen/gemm.
type winogradKernels struct {
	side       int // of a tile of outputs; patches are 2 more
	input      func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)
	output     func(to, from, bias *float32, fromStep, fromTile, line, pixel, tiles, vectors int)
	filter     func(to, from *float32, toStep, line, pixel, vectors int)
	spread     func(to, from *float32, toStep, toTile, line, pixel, tiles, vectors int)
	filterGrad func(to, from *float32, fromStep, line, pixel, vectors int)
}

// blockBytes is what a block of B may take of the L2 cache, beside C and A.
func (u *microKernel) blockBytes() int {
	if u.cache > 0 {
		return u.cache * 5 / 8
	}
	return 512 << 10
}

// outerBytes is what the packed rows of A may take in the product of a transposed A: the next
// block's rows, fetched ahead, take as much again.
func (u *microKernel) outerBytes() int { return u.blockBytes() / 2 }

// matrices is how many products there are, one for each number of a patch.
func (k *winogradKernels) matrices() int { return (k.side + 2) * (k.side + 2) }

// noSegment is the table of segments of a plain matrix product.
var noSegment = new(int)

// run computes a tile of rows×cols, cols at most the micro kernel's. edge is
// room for a tile, for kernels that cannot mask.
func (u *microKernel) run(t *tileArgs, rows, cols int, edge []float32) {
	switch {
	case u.matrix != nil:
		u.matrix(t, rows, cols, 0)
	case u.masked:
		t.mask = uint32(1<<cols - 1)
		u.tile[rows][(cols+u.lanes-1)/u.lanes](t)
	case cols == u.cols:
		u.tile[rows][2](t)
	default:
		u.runEdge(t, rows, cols, edge)
	}
}

// runRow computes rows by any number of columns, with panels of B so many bytes apart, and fetches
// runs of the lists as it goes. It moves t's b, c and bias.
func (u *microKernel) runRow(t *tileArgs, rows, columns, panel int, edge []float32, lists ...*fetch) {
	if u.matrix != nil {
		u.matrix(t, rows, columns, panel)
		return
	}
	for j := 0; ; {
		t.fetchNext(lists...)
		u.run(t, rows, min(u.cols, columns-j), edge)
		if j += u.cols; j >= columns {
			return
		}
		t.b, t.c = unsafe.Add(t.b, panel), unsafe.Add(t.c, 4*u.cols)
		if t.bias != nil {
			t.bias = unsafe.Add(t.bias, 4*u.cols)
		}
	}
}

// together is how many of some panels a tile of rows should meet in one call: all where the kernel
// takes them so, else one, lest it drive another out of the L1 cache.
func (u *microKernel) together(panels int) int {
	if u.matrix != nil {
		return panels
	}
	return 1
}

// runEdge computes a tile with fewer columns than the kernel writes, by way of edge.
func (u *microKernel) runEdge(t *tileArgs, rows, cols int, edge []float32) {
	c, cs, bias := t.c, t.cs, t.bias
	edge = edge[:(u.rows+1)*u.cols]
	row := func(i int) []float32 { return unsafe.Slice((*float32)(unsafe.Add(c, i*cs)), cols) }
	if t.accumulate != 0 {
		for i := range rows {
			copy(edge[i*u.cols:], row(i))
		}
	}
	if bias != nil {
		b := edge[u.rows*u.cols:]
		copy(b, unsafe.Slice((*float32)(bias), cols))
		t.bias = unsafe.Pointer(&b[0])
	}
	t.c, t.cs = unsafe.Pointer(&edge[0]), 4*u.cols
	u.tile[rows][2](t)
	for i := range rows {
		copy(row(i), edge[i*u.cols:])
	}
	t.c, t.cs, t.bias = c, cs, bias
}

// split cuts n into parts of at most limit, as equal as can be: with few rows
// left over, two middling tiles beat a full and a tiny one.
type split struct{ parts, base, extra int }

func splitEvenly(n, limit int) split { return splitInto(n, max(1, (n+limit-1)/limit)) }

// splitInto cuts n into so many parts.
func splitInto(n, parts int) split { return split{parts, n / parts, n % parts} }

// part gives where part i begins and how long it is.
func (s split) part(i int) (start, n int) {
	start, n = i*s.base+min(i, s.extra), s.base
	if i < s.extra {
		n++
	}
	return start, n
}
