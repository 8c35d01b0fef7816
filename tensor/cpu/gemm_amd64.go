package cpu

var (
	micro512 = microKernel{rows: 12, lanes: 16, cols: 32, masked: true, tile: &tiles512,
		copyPanel: copyPanel512, copyTile: copyTile512, transpose: transpose512, sumRows: sumRows512,
		softmaxRows: softmaxRows512, softmaxGradRows: softmaxGradRows512, rowDot: rowDot512, rowScale: rowScale512,
		winograd2: &winograd2x512, winograd4: &winograd4x512, rowAdd: rowAdd512}
	micro2 = microKernel{rows: 6, lanes: 8, cols: 16, tile: &tiles2,
		copyFull: copyFull256, transpose: transpose256, sumRows: sumRows256,
		softmaxRows: softmaxRows256, softmaxGradRows: softmaxGradRows256, rowDot: rowDot256, rowScale: rowScale256,
		winograd2: &winograd2x256, rowAdd: rowAdd256}
)

var (
	winograd2x512 = winogradKernels{2, winogradInput512, winogradOutput512, winogradFilter512, winogradSpread512, winogradFilterGrad512}
	winograd2x256 = winogradKernels{2, winogradInput256, winogradOutput256, winogradFilter256, winogradSpread256, winogradFilterGrad256}
	winograd4x512 = winogradKernels{4, winogradInput4x512, winogradOutput4x512, winogradFilter4x512, winogradSpread4x512, winogradFilterGrad4x512}
)

// micro is the level's family of tile kernels, nil for plain Go.
func (l Level) micro() *microKernel {
	switch l {
	case AVX512, AMX:
		return &micro512
	case AVX2:
		return &micro2
	}
	return nil
}

func copyPanel512(to, from *float32, fromStride, k, n int) {
	copyRows512x2(to, from, 4*32, 4*fromStride, k, 0, 0, 1, 1<<32-1, uint32(1<<n-1))
}

func copyTile512(to, from *float32, toStride, fromStride, k, n, toLine, fromLine, lines int) {
	mask := uint32(1<<n - 1)
	copyRows512x1(to, from, 4*toStride, 4*fromStride, k, 4*toLine, 4*fromLine, lines, mask, mask)
}

func copyFull256(to, from *float32, fromStride, k int) {
	copyRows256x2(to, from, 4*16, 4*fromStride, k, 0, 0, 1)
}
