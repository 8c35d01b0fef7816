package cpu

var (
	micro512 = microKernel{rows: 12, lanes: 16, cols: 32, masked: true, tile: &tiles512}
	micro2   = microKernel{rows: 6, lanes: 8, cols: 16, tile: &tiles2}
)

// micro is the level's family of tile kernels, nil for plain Go.
func (l Level) micro() *microKernel {
	switch l {
	case AVX512:
		return &micro512
	case AVX2:
		return &micro2
	}
	return nil
}
