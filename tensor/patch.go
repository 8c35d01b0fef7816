package tensor

// PixelShuffle rearranges channels into pixels (Shi et al. 2016): (N,H,W,C·r²) becomes
// (N,H·r,W·r,C). Channel c·r²+i·r+j goes to row i and column j of channel c, as in PyTorch.
func (t *Tensor) PixelShuffle(r int) *Tensor {
	if t.v.Rank != 4 || r < 1 || t.v.Shape[3]%(r*r) != 0 {
		shapePanic("PixelShuffle", "(N,H,W,C), C divisible by the square of the factor", t)
	}
	n, h, w, c := t.v.Shape[0], t.v.Shape[1], t.v.Shape[2], t.v.Shape[3]/(r*r)
	return t.Reshape(n, h, w, c, r, r).Permute(0, 1, 4, 2, 5, 3).Reshape(n, h*r, w*r, c)
}

// PixelUnshuffle is the inverse of PixelShuffle: (N,H·r,W·r,C) becomes (N,H,W,C·r²).
func (t *Tensor) PixelUnshuffle(r int) *Tensor {
	if t.v.Rank != 4 || r < 1 || t.v.Shape[1]%r != 0 || t.v.Shape[2]%r != 0 {
		shapePanic("PixelUnshuffle", "(N,H,W,C), H and W divisible by the factor", t)
	}
	n, h, w, c := t.v.Shape[0], t.v.Shape[1]/r, t.v.Shape[2]/r, t.v.Shape[3]
	return t.Reshape(n, h, r, w, r, c).Permute(0, 1, 3, 5, 2, 4).Reshape(n, h, w, c*r*r)
}

// Patchify cuts (N, spatial…, C) into patches of the given sizes, which divide the
// spatial axes' (one to three): (N, patches, Πp·C). Patches and what is in them are in row-major
// order, channels fastest (Dosovitskiy et al. 2021).
func (t *Tensor) Patchify(p ...int) *Tensor {
	k := len(p)
	if k < 1 || k > 3 || t.v.Rank != k+2 {
		shapePanic("Patchify", "(N, a size of a patch for each spatial axis, C)", t)
	}
	var shape, order [MaxRank]int
	patches, elems := 1, t.v.Shape[k+1]
	shape[0], shape[2*k+1], order[2*k+1] = t.v.Shape[0], t.v.Shape[k+1], 2*k+1
	for i, size := range p {
		d := t.v.Shape[i+1]
		if size < 1 || d%size != 0 {
			usagePanic("Patchify", "patches of %d along axis %d of shape %v", size, i+1, append([]int(nil), t.Shape()...))
		}
		shape[1+2*i], shape[2+2*i] = d/size, size
		order[1+i], order[1+k+i] = 1+2*i, 2+2*i
		patches *= d / size
		elems *= size
	}
	return t.Reshape(shape[:2*k+2]...).Permute(order[:2*k+2]...).Reshape(shape[0], patches, elems)
}

// Unpatchify is the inverse of Patchify: (N, Πgrid, Πp·C) becomes (N, grid[0]·p[0], …, C).
func (t *Tensor) Unpatchify(grid []int, p ...int) *Tensor {
	k := len(p)
	if k < 1 || k > 3 || len(grid) != k || t.v.Rank != 3 {
		shapePanic("Unpatchify", "(N, patches, elements), and a grid and a patch of one to three axes", t)
	}
	var shape, order, out [MaxRank]int
	patches, elems := 1, 1
	for i, size := range p {
		shape[1+i], shape[1+k+i] = grid[i], size
		order[1+2*i], order[2+2*i] = 1+i, 1+k+i
		out[1+i] = grid[i] * size
		patches *= grid[i]
		elems *= size
	}
	if patches != t.v.Shape[1] || elems < 1 || t.v.Shape[2]%elems != 0 {
		usagePanic("Unpatchify", "shape %v for %d patches of %d positions", append([]int(nil), t.Shape()...), patches, elems)
	}
	n, c := t.v.Shape[0], t.v.Shape[2]/elems
	shape[0], out[0] = n, n
	shape[2*k+1], order[2*k+1], out[k+1] = c, 2*k+1, c
	return t.Reshape(shape[:2*k+2]...).Permute(order[:2*k+2]...).Reshape(out[:k+2]...)
}
