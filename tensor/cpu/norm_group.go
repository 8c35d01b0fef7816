package cpu

import (
	"math"
	"slices"
	"unsafe"
)

// Scratch vectors of group normalisation, each a tile: some positions' channels
// side by side, so that one call of a kernel does them all.
const (
	groupGamma = iota // one position wide
	groupBeta
	groupIn
	groupOut
	groupDy
	groupMean
	groupA // factor and summand, or the coefficients of the gradient
	groupB
	groupQ
	groupLanes1
	groupLanes2
	groupVectors
)

const (
	tileElems  = 1024    // of a tile, if more than one position
	pieceWork  = 1 << 15 // elements of a piece: they stay in the second-level cache between passes
	pieceTiles = 16      // tiles of a piece at least
)

// group normalises over the positions and channels of each group. A sample's
// statistics come from pieces of it: sums by channel, in lanes, then by group.
// Where there are samples enough, each is one chunk, and otherwise its pieces
// are: the arithmetic is the same.
func (t *normTask[T]) group(d *Device) {
	t.tile = max(1, min(t.pos, tileElems/t.ch))
	t.scratch(groupVectors, t.tile*t.ch)
	t.piece = max(1, t.tile*max(pieceTiles, pieceWork/(t.tile*t.ch)))
	t.pieces = (t.pos + t.piece - 1) / t.piece
	if t.n >= 2*d.pool.threads || t.pieces == 1 {
		t.stage = wholeSamples
		for i := range t.work {
			atLeast(&t.work[i].sums, t.sampleSums())
		}
		d.pool.do(t, t.n)
		return
	}
	atLeast(&t.part, t.n*t.sampleSums())
	t.stage = partial
	d.pool.do(t, t.n*t.pieces)
	for n := range t.n {
		t.finishGroup(&t.work[0], n, t.part[n*t.sampleSums():])
	}
	for i := range t.work {
		t.work[i].factor = -1 // its tiles hold other things now
	}
	t.stage = finishing
	d.pool.do(t, t.n*t.pieces)
}

// sampleSums is the number of sums kept of a sample: three a channel and piece,
// then four of every group.
func (t *normTask[T]) sampleSums() int { return 3*t.pieces*t.ch + 4*t.p.Groups }

func (t *normTask[T]) runGroup(w *normWorker[T], chunk int) {
	switch t.stage {
	case wholeSamples:
		sums := w.sums
		for piece := range t.pieces {
			t.sumPiece(w, chunk, piece, sums)
		}
		t.finishGroup(w, chunk, sums)
		w.factor = -1
		for piece := range t.pieces {
			t.applyPiece(w, chunk, piece, sums)
		}
	case partial:
		n := chunk / t.pieces
		t.sumPiece(w, n, chunk%t.pieces, t.part[n*t.sampleSums():])
	case finishing:
		n := chunk / t.pieces
		t.applyPiece(w, n, chunk%t.pieces, t.part[n*t.sampleSums():])
	}
}

// groupSums are the parts of a sample's sums: by piece and channel, forward those
// of x−μ and (x−μ)² about the means μ of the piece's first tile, and these; backward those of dz
// and dz·(x−mean). Then of every group mean, rstd and, backward, m1 and m2.
func (t *normTask[T]) groupSums(sums []float64) (first, second, centre, groups []float64) {
	n := t.pieces * t.ch
	return sums[:n], sums[n : 2*n], sums[2*n : 3*n], sums[3*n:][:4*t.p.Groups]
}

// tiles visits the tiles of a piece.
func (t *normTask[T]) tiles(piece int, f func(p, rows int)) {
	for p := piece * t.piece; p < min(t.pos, (piece+1)*t.piece); p += t.tile {
		f(p, min(t.tile, t.pos-p))
	}
}

// repeatTile copies the first ch elements of v over the rest of the tile.
func (t *normTask[T]) repeatTile(v []T) *T {
	for at := t.ch; at < t.tile*t.ch; at += t.ch {
		copy(v[at:at+t.ch], v[:t.ch])
	}
	return &v[0]
}

// foldTile adds the tile's lanes by channel.
func (t *normTask[T]) foldTile(to []float64, lanes []T) {
	clear(to)
	for r := range t.tile {
		for c, v := range lanes[r*t.ch:][:t.ch] {
			to[c] += float64(v)
		}
	}
}

// sumPiece takes a piece's sums by channel.
func (t *normTask[T]) sumPiece(w *normWorker[T], n, piece int, sums []float64) {
	first, second, centre, _ := t.groupSums(sums)
	at := piece * t.ch
	first, second, centre = first[at:at+t.ch], second[at:at+t.ch], centre[at:at+t.ch]
	lanes, lanes2 := w.buf(groupLanes1)[:t.tile*t.ch], w.buf(groupLanes2)[:t.tile*t.ch]
	mean := &w.buf(groupMean)[0]
	switch {
	case t.grad:
		// In a place of the worker's own: others are at other pieces of the sample.
		w.stats = slices.Grow(w.stats[:0], 4*t.p.Groups)[:4*t.p.Groups]
		t.readStatistics(n, w.stats)
		t.gradFactors(w, n, w.stats)
	case t.p.RMS:
		clear(w.buf(groupMean))
		clear(centre)
	default:
		t.centres(w, n, piece, centre)
	}
	clear(lanes)
	clear(lanes2)
	t.tiles(piece, func(p, rows int) {
		size := rows * t.ch
		x := t.x.read(w.buf(groupIn), n, p, rows, t.ch)
		if t.grad {
			t.k.addProducts(&lanes[0], &lanes2[0], t.behindSilu(w, n, p, rows, x), x, mean, size)
		} else {
			t.k.addDeviations(&lanes[0], &lanes2[0], x, mean, size)
		}
	})
	t.foldTile(first, lanes)
	t.foldTile(second, lanes2)
}

// centres puts each channel's mean over a piece's first tile, as T has it, into
// centre and the tile. Sums about it lose few digits however far data is from
// zero: where the tile is a part f of the piece, its mean is at most √(1/f−1)
// standard deviations from the piece's, 6 for the usual 1/32.
func (t *normTask[T]) centres(w *normWorker[T], n, piece int, centre []float64) {
	mean, rows := w.buf(groupMean), min(t.tile, t.pieceRows(piece))
	x := t.x.read(w.buf(groupIn), n, piece*t.piece, rows, t.ch)
	copy(mean, unsafe.Slice(x, rows*t.ch))
	for left := rows; left > 1; { // the last half onto the first
		half := left / 2
		last := &mean[(left-half)*t.ch]
		t.k.add(&mean[0], &mean[0], last, last, half*t.ch)
		left -= half
	}
	for c := range centre {
		mean[c] /= T(rows)
		centre[c] = float64(mean[c])
	}
	t.repeatTile(mean)
}

func (t *normTask[T]) pieceRows(piece int) int { return min(t.pos, (piece+1)*t.piece) - piece*t.piece }

// finishGroup turns a sample's sums into what applyPiece needs, and stores the
// results that are sums themselves.
func (t *normTask[T]) finishGroup(w *normWorker[T], n int, sums []float64) {
	first, second, centre, groups := t.groupSums(sums)
	if t.grad {
		t.finishGroupGrad(w, n, first, second, groups)
		return
	}
	for g := range t.p.Groups {
		mean, variance := t.groupMoments(g, first, second, centre)
		m, r := T(mean), T(1/math.Sqrt(variance+t.p.Eps))
		groups[4*g], groups[4*g+1] = float64(m), float64(r)
		if t.mean.base != nil {
			*t.mean.at(n, g) = m
		}
		*t.rstd.at(n, g) = r
	}
}

// groupMoments merges the pieces' and channels' sums of a group: with r = Σ(x−μ) and
// q = Σ(x−μ)² about any μ, the mean is Σ(n·μ+r)/Σn, and the squares about the mean m
// are Σ(q + (μ−m)·(n·(μ−m) + 2r)) (Chan, Golub, LeVeque 1983). Taking μ from the
// first one on keeps the digits of data far from zero.
func (t *normTask[T]) groupMoments(g int, first, second, centre []float64) (mean, variance float64) {
	width := t.ch / t.p.Groups
	total := float64(t.pos * width)
	from := centre[g*width]
	for piece := range t.pieces {
		rows, at := float64(t.pieceRows(piece)), piece*t.ch+g*width
		for c := at; c < at+width; c++ {
			mean += rows*(centre[c]-from) + first[c]
		}
	}
	mean /= total
	if t.p.RMS {
		mean = 0 // squares are taken about 0
	}
	for piece := range t.pieces {
		rows, at := float64(t.pieceRows(piece)), piece*t.ch+g*width
		for c := at; c < at+width; c++ {
			off := centre[c] - from - mean
			variance += second[c] + off*(rows*off+2*first[c])
		}
	}
	return from + mean, variance / total
}

// readStatistics puts the mean and rstd of each group where finishGroup leaves them.
func (t *normTask[T]) readStatistics(n int, groups []float64) {
	for g := range t.p.Groups {
		groups[4*g] = 0
		if !t.p.RMS {
			groups[4*g] = float64(*t.mean.at(n, g))
		}
		groups[4*g+1] = float64(*t.rstd.at(n, g))
	}
}

// gradFactors puts the forward pass's mean, factor and summand into tiles.
func (t *normTask[T]) gradFactors(w *normWorker[T], n int, groups []float64) {
	g, s := t.factors(w, n, w.buf(groupGamma), w.buf(groupBeta))
	gamma, beta := unsafe.Slice(g, t.ch), unsafe.Slice(s, t.ch)
	mean, a, b := w.buf(groupMean), w.buf(groupA), w.buf(groupB)
	width := t.ch / t.p.Groups
	for c := range t.ch {
		s := groups[4*(c/width):]
		mean[c], a[c], b[c] = T(s[0]), T(s[1])*gamma[c], beta[c]
	}
	t.repeatTile(mean)
	t.repeatTile(a)
	t.repeatTile(b)
}

// behindSilu is dy behind the activation, written to dx; without one it is dy itself.
func (t *normTask[T]) behindSilu(w *normWorker[T], n, p, rows int, x *T) *T {
	dy := t.dy.read(w.buf(groupDy), n, p, rows, t.ch)
	if !t.p.SiLU {
		return dy
	}
	dz := t.dx.target(w.buf(groupOut), n, p, rows, t.ch)
	t.k.channelsSiluGrad(dz, dy, x, &w.buf(groupMean)[0], &w.buf(groupA)[0], &w.buf(groupB)[0], rows*t.ch)
	t.dx.flush(w.buf(groupOut), n, p, rows, t.ch)
	return dz
}

// finishGroupGrad stores dshift = Σdz and dscale = rstd·Σdz·(x−mean), and keeps of
// each group m1 and m2, the means of dz·γ and dz·γ·x̂.
func (t *normTask[T]) finishGroupGrad(w *normWorker[T], n int, first, second, groups []float64) {
	t.readStatistics(n, groups)
	factor, _ := t.factors(w, n, w.buf(groupGamma), w.buf(groupBeta))
	gamma := unsafe.Slice(factor, t.ch)
	width := t.ch / t.p.Groups
	for g := range t.p.Groups {
		groups[4*g+2], groups[4*g+3] = 0, 0
	}
	for c := range t.ch {
		for piece := 1; piece < t.pieces; piece++ {
			first[c] += first[piece*t.ch+c]
			second[c] += second[piece*t.ch+c]
		}
		g := groups[4*(c/width):]
		second[c] *= g[1]
		g[2] += first[c] * float64(gamma[c])
		g[3] += second[c] * float64(gamma[c])
	}
	total := float64(t.pos * width)
	for g := range t.p.Groups {
		groups[4*g+2] /= total
		groups[4*g+3] /= total
		if t.p.RMS {
			groups[4*g+2] = 0
		}
	}
	storeChannels(&t.dshift, n, first[:t.ch])
	storeChannels(&t.dscale, n, second[:t.ch])
}

// applyPiece writes a piece of y, or of dx.
func (t *normTask[T]) applyPiece(w *normWorker[T], n, piece int, sums []float64) {
	_, _, _, groups := t.groupSums(sums)
	t.gradFactors(w, n, groups)
	mean, a, b := &w.buf(groupMean)[0], &w.buf(groupA)[0], &w.buf(groupB)[0]
	if t.grad {
		t.applyGrad(w, n, piece, groups)
		return
	}
	apply := t.k.channels
	if t.p.SiLU {
		apply = t.k.channelsSilu
	}
	t.tiles(piece, func(p, rows int) {
		x := t.x.read(w.buf(groupIn), n, p, rows, t.ch)
		y := t.y.target(w.buf(groupOut), n, p, rows, t.ch)
		apply(y, x, mean, a, b, rows*t.ch)
		t.y.flush(w.buf(groupOut), n, p, rows, t.ch)
	})
}

// applyGrad is dx = rstd·(dz·γ − m1 − x̂·m2), as dz·a + (x−mean)·q + r.
func (t *normTask[T]) applyGrad(w *normWorker[T], n, piece int, groups []float64) {
	q, r := w.buf(groupQ), w.buf(groupB)
	width := t.ch / t.p.Groups
	for c := range t.ch {
		g := groups[4*(c/width):]
		q[c], r[c] = T(-g[1]*g[1]*g[3]), T(-g[1]*g[2])
	}
	t.repeatTile(q)
	t.repeatTile(r)
	dz := &t.dy
	if t.p.SiLU {
		dz = &t.dx
	}
	t.tiles(piece, func(p, rows int) {
		x := t.x.read(w.buf(groupIn), n, p, rows, t.ch)
		d := dz.read(w.buf(groupDy), n, p, rows, t.ch)
		dx := t.dx.target(w.buf(groupOut), n, p, rows, t.ch)
		t.k.gradChannels(dx, d, x, &w.buf(groupA)[0], &q[0], &w.buf(groupMean)[0], &r[0], rows*t.ch)
		t.dx.flush(w.buf(groupOut), n, p, rows, t.ch)
	})
}
