package cpu

import "github.com/langevin-go/langevin/tensor/backend"

// convGemm computes a convolution of one tap, without padding and groups, as
// the matrix product that it is. It reports false where it is not one.
func (t *convTask) convGemm(d *Device, kind convKind, y, x, w, bias *backend.View) bool {
	s := &t.shape
	if s.ker != [3]int{1, 1, 1} || s.groups != 1 || s.lo != [3]int{} || s.hi != [3]int{} || s.cin == 0 ||
		kind == convInputGrad && s.stride != [3]int{1, 1, 1} {
		return false
	}
	// The positions as few axes, the innermost being the rows of the matrices.
	rows := 0
	gx, gy, gw := &t.x, &t.y, &t.weights
	gx.DType, gy.DType, gw.DType = x.DType, y.DType, w.DType
	gx.Mem, gy.Mem, gw.Mem = x.Mem, y.Mem, w.Mem
	gx.Off, gy.Off, gw.Off = x.Off, y.Off, w.Off
	for _, axis := range [4]struct{ n, x, y int }{
		{s.n, s.xn, s.yn}, {s.out[0], s.xs[0] * s.stride[0], s.ys[0]},
		{s.out[1], s.xs[1] * s.stride[1], s.ys[1]}, {s.out[2], s.xs[2] * s.stride[2], s.ys[2]}} {
		switch last := max(0, rows-1); {
		case rows > 0 && axis.n == 1:
			continue
		case rows > 0 && (gx.Shape[last] == 1 || gx.Stride[last] == axis.n*axis.x && gy.Stride[last] == axis.n*axis.y):
			gx.Shape[last] *= axis.n
			gx.Stride[last], gy.Stride[last] = axis.x, axis.y
		default:
			gx.Shape[rows], gx.Stride[rows], gy.Stride[rows] = axis.n, axis.x, axis.y
			rows++
		}
	}
	rank := rows + 1
	copy(gy.Shape[:rows], gx.Shape[:rows])
	gx.Rank, gy.Rank, gw.Rank = rank, rank, rank
	gx.Shape[rows], gx.Stride[rows] = s.cin, s.xc
	gy.Shape[rows], gy.Stride[rows] = s.cout, s.yc
	copy(gw.Shape[:], gx.Shape[:rows-1])
	clear(gw.Stride[:])
	gw.Shape[rows-1], gw.Stride[rows-1] = s.cin, s.wi
	gw.Shape[rows], gw.Stride[rows] = s.cout, s.wo
	switch kind {
	case convForward:
		d.gemmFast(gy, gx, gw, bias, 1, 0)
	case convInputGrad:
		t.transposed = transposedView(gw)
		d.gemmFast(gx, gy, &t.transposed, nil, 1, 0)
	case convWeightGrad:
		if rank > 2 || gx.Shape[0] == 0 {
			return false
		}
		t.transposed = transposedView(gx)
		d.gemmFast(gw, &t.transposed, gy, nil, 1, 0)
	}
	return true
}
