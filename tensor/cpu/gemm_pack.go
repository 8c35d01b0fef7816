package cpu

// Packing: what a tile kernel reads many times is copied so that it lies in
// the order of reading.

// packColumns copies n ≤ cols columns of k rows of b, element (p,j) at
// bo + p·bk + j·bn, into rows of cols floats, filled up with zeros.
func (u *microKernel) packColumns(to, b []float32, bo, bk, bn, k, n int) {
	to = to[:k*u.cols]
	switch {
	case k == 0:
	case n == 1:
		clear(to)
		for p := range k {
			to[p*u.cols] = b[bo+p*bk]
		}
	case bn == 1 && u.copyPanel != nil:
		u.copyPanel(&to[0], &b[bo], bk, k, n)
	case bn == 1 && n == u.cols:
		u.copyFull(&to[0], &b[bo], bk, k)
	case bn == 1:
		for p := range k {
			row := to[p*u.cols:][:u.cols]
			clear(row[copy(row, b[bo+p*bk:][:n]):])
		}
	default:
		u.packTransposed(to, b, bo, bk, bn, k, n)
	}
}

// packTransposed is packColumns of columns that are not neighbours.
func (u *microKernel) packTransposed(to, b []float32, bo, bk, bn, k, n int) {
	j, blocks := 0, k/u.lanes
	if bk == 1 && blocks > 0 {
		for ; j+u.lanes <= n; j += u.lanes {
			u.transpose(&to[j], &b[bo+j*bn], 4*u.cols, 4*bn, blocks)
			u.packScalars(to[j:], b, bo+j*bn, bk, bn, blocks*u.lanes, k, u.lanes)
		}
	}
	u.packScalars(to[j:], b, bo+j*bn, bk, bn, 0, k, n-j)
	for p := range k {
		clear(to[p*u.cols+n : (p+1)*u.cols])
	}
}

// packScalars copies rows p0…p1 of n columns one by one.
func (u *microKernel) packScalars(to, b []float32, bo, bk, bn, p0, p1, n int) {
	for j := range n {
		at := bo + j*bn + p0*bk
		for p := p0; p < p1; p++ {
			to[p*u.cols+j] = b[at]
			at += bk
		}
	}
}

// packRows copies rows of A, element (i,p) at ao + i·rs + p·ks, so that each
// k's scalars lie side by side.
func (u *microKernel) packRows(to, a []float32, ao, rs, ks, rows, k int) {
	if rs == 1 && u.copyTile != nil {
		u.copyTile(&to[0], &a[ao], rows, ks, k, rows, 0, 0, 1)
		return
	}
	for p := range k {
		at := ao + p*ks
		for i := range rows {
			to[p*rows+i] = a[at]
			at += rs
		}
	}
}
