package cpu

import (
	"math"
	"unsafe"
)

// Scratch vectors of layer normalisation.
const (
	layerGamma = iota
	layerBeta
	layerIn
	layerOut
	layerDy
	layerShift // sums of a piece
	layerScale
	layerVectors
)

// layerRows is how many positions' gradients are added up in T before they go to float64.
const layerRows = 128

// rowWork is the number of elements of a chunk.
const rowWork = 1 << 14

// layer normalises each position over its channels.
func (t *normTask[T]) layer(d *Device) {
	t.scratch(layerVectors, t.ch)
	t.stage = wholeSamples
	if !t.grad {
		t.inChunk = max(1, rowWork/t.ch)
		d.pool.do(t, (t.n*t.pos+t.inChunk-1)/t.inChunk)
		return
	}
	t.piece = max(1, min(t.pos, layerRows))
	t.pieces = max(1, (t.pos+t.piece-1)/t.piece)
	t.inChunk = max(1, rowWork/(t.piece*t.ch))
	wanted := t.dscale.base != nil || t.dshift.base != nil
	if wanted && t.pieces > 1 {
		atLeast(&t.part, t.n*t.pieces*2*t.ch)
	}
	d.pool.do(t, (t.n*t.pieces+t.inChunk-1)/t.inChunk)
	if wanted && t.pieces > 1 {
		t.stage = finishing
		d.pool.do(t, t.n)
	}
}

// runLayer normalises some rows.
func (t *normTask[T]) runLayer(w *normWorker[T], chunk int) {
	for r := chunk * t.inChunk; r < min(t.n*t.pos, (chunk+1)*t.inChunk); r++ {
		n, p := r/t.pos, r%t.pos
		gamma, beta := t.factors(w, n, w.buf(layerGamma), w.buf(layerBeta))
		x := t.x.read(w.buf(layerIn), n, p, 1, t.ch)
		mean, rstd := t.rowStatistics(x)
		if t.mean.base != nil {
			*t.mean.at(n, p) = mean
		}
		*t.rstd.at(n, p) = rstd
		y := t.y.target(w.buf(layerOut), n, p, 1, t.ch)
		t.k.row(y, x, gamma, beta, t.ch, mean, rstd)
		if t.p.SiLU {
			t.k.silu(y, y, y, y, t.ch)
		}
		t.y.flush(w.buf(layerOut), n, p, 1, t.ch)
	}
}

// rowStatistics gives a row's mean (0 for RMS) and 1/√(variance + ε).
func (t *normTask[T]) rowStatistics(x *T) (mean, rstd T) {
	c := float64(t.ch)
	if !t.p.RMS {
		mean = T(t.sumRow(x, t.ch) / c)
	}
	return mean, T(1 / math.Sqrt(t.squaresRow(x, t.ch, mean)/c+t.p.Eps))
}

// runLayerGrad computes dx of some pieces and their parts of dscale and dshift;
// when finishing, it adds up those of a sample.
func (t *normTask[T]) runLayerGrad(w *normWorker[T], chunk int) {
	if t.stage == finishing {
		t.finishLayerGrad(w, chunk)
		return
	}
	for i := chunk * t.inChunk; i < min(t.n*t.pieces, (chunk+1)*t.inChunk); i++ {
		n, piece := i/t.pieces, i%t.pieces
		shift, scale := t.layerSums(&t.dshift, w.buf(layerShift), n), t.layerSums(&t.dscale, w.buf(layerScale), n)
		clear(unsafe.Slice(shift, t.ch))
		clear(unsafe.Slice(scale, t.ch))
		for p := piece * t.piece; p < min(t.pos, (piece+1)*t.piece); p++ {
			t.layerGradRow(w, n, p, shift, scale)
		}
		if t.pieces > 1 && (t.dscale.base != nil || t.dshift.base != nil) {
			widen(t.part[2*i*t.ch:], unsafe.Slice(shift, t.ch))
			widen(t.part[(2*i+1)*t.ch:], unsafe.Slice(scale, t.ch))
		}
	}
}

// layerSums is where a piece's sums grow: in the result, if they are all of it.
func (t *normTask[T]) layerSums(to *channels[T], buf []T, n int) *T {
	if to.base != nil && t.pieces == 1 {
		return to.at(n, 0)
	}
	return &buf[0]
}

func widen[T real](dst []float64, src []T) {
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// layerGradRow is one position's dx = rstd·(dz·γ − m1 − x̂·m2), m1 and m2 the means of
// dz·γ and dz·γ·x̂, and its share of the channels' sums; dz is dy behind the activation.
func (t *normTask[T]) layerGradRow(w *normWorker[T], n, p int, shift, scale *T) {
	gamma, beta := t.factors(w, n, w.buf(layerGamma), w.buf(layerBeta))
	x := t.x.read(w.buf(layerIn), n, p, 1, t.ch)
	dz := t.dy.read(w.buf(layerDy), n, p, 1, t.ch)
	mean, rstd := T(0), *t.rstd.at(n, p)
	if !t.p.RMS {
		mean = *t.mean.at(n, p)
	}
	dx := t.dx.target(w.buf(layerOut), n, p, 1, t.ch)
	if t.p.SiLU {
		z := &w.buf(layerOut)[0]
		t.k.row(z, x, gamma, beta, t.ch, mean, rstd)
		own := &w.buf(layerDy)[0]
		t.k.siluGrad(own, dz, z, z, t.ch)
		dz = own
	}
	s1, s2 := t.k.sums(dz, x, gamma, shift, scale, t.ch, mean, rstd)
	m1, m2 := s1/T(t.ch), s2/T(t.ch)
	if t.p.RMS {
		m1 = 0
	}
	t.k.gradRow(dx, dz, x, gamma, t.ch, mean, rstd, m1, m2)
	t.dx.flush(w.buf(layerOut), n, p, 1, t.ch)
}

// finishLayerGrad adds up the pieces of sample n, in order.
func (t *normTask[T]) finishLayerGrad(w *normWorker[T], n int) {
	for which, to := range [2]*channels[T]{&t.dshift, &t.dscale} {
		sums := atLeast(&w.sums, t.ch)
		clear(sums)
		for piece := range t.pieces {
			part := t.part[(2*(n*t.pieces+piece)+which)*t.ch:]
			for c := range sums {
				sums[c] += part[c]
			}
		}
		storeChannels(to, n, sums)
	}
}
