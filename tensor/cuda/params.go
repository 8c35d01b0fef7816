package cuda

import "github.com/langevin-go/langevin/tensor/backend"

// The kernels' parameters, word by word as the .cu files have them. One call is
// made at a time, under the device's lock, so one of each is enough, and
// calls allocate nothing.
type params struct {
	elementwise elementwiseParams
	reduce      reduceParams
	combine     combineParams
	random      randomParams
	gather      gatherParams
	gemm        gemmParams
	conv        convParams
	softmax     softmaxParams
	norm        normParams
	attention   attentionParams
	flash       flashParams
}

const (
	maxRank    = backend.MaxRank
	maxInputs  = 16
	maxOutputs = 8
	maxScalars = 16
)

type space struct {
	shape [maxRank]int64
	rank  int32
	_     int32
}

type operand struct {
	base   uint64
	stride [maxRank]int64
}

type program struct {
	code, constants uint64
	scalar          [maxScalars]float64
	instrs, slots   int32
	result          [maxOutputs]uint16
}

type elementwiseParams struct {
	total   int64
	space   space
	in      [maxInputs]operand
	out     [maxOutputs]operand
	program program
	outputs int32
	_       int32
}

type reduceParams struct {
	outputs, count, piece     int64
	partial                   uint64
	space                     space
	in                        [maxInputs]operand
	out                       operand
	program                   program
	kept, kind, lanes, across int32
	plain                     int32
	_                         int32
}

type combineParams struct {
	outputs, pieces int64
	partial         uint64
	space           space
	out             operand
	kind            int32
	_               int32
}

type randomParams struct {
	out     uint64
	first   uint64
	rows, n int64
	k0, k1  uint32
	normal  int32
	_       int32
}

type gatherParams struct {
	rows, table, index                   uint64
	n, entries, channels                 int64
	rowStride, rowChannel                int64
	tableStride, tableChannel, idxStride int64
}

type matrix struct {
	base     uint64
	row, col int64
	batch    [maxRank - 2]int64
}

type gemmParams struct {
	m, n, k, batches int64
	batch            [maxRank - 2]int64
	a, b, c          matrix
	bias             uint64
	biasStride       int64
	alpha, beta      float64
	axes             int32
	_                int32
}

type image struct {
	base    uint64
	sample  int64
	space   [3]int64
	channel int64
}

type convParams struct {
	x, y                 image
	w                    uint64
	tap                  [3]int64
	wIn, wOut            int64
	bias                 uint64
	biasStride           int64
	samples, groups      int64
	in, out              int64
	size, outSize, taps  [3]int32
	stride, dilation, lo [3]int32
}

type softmaxParams struct {
	n                                    int64
	rows                                 space
	x, y, dy, dx                         operand
	xStride, yStride, dyStride, dxStride int64
}

type vectors struct {
	base                      uint64
	sample, position, channel int64
}

type normParams struct {
	positions, channels, sets, elems                       int64
	width                                                  int64
	eps, scaleBase                                         float64
	x, y, mean, rstd, scale, shift, dy, dx, dscale, dshift vectors
	layer, rms, silu                                       int32
	_                                                      int32
}

type rows struct {
	base                          uint64
	sample, head, position, inner int64
}

type attentionParams struct {
	heads, queries, keys, width int64
	scale                       float64
	scores, gradient            uint64
	mask, lse, o, do            rows
}

type flashParams struct {
	heads, queries, keys, width int64
	scale                       float64
	mean                        uint64
	q, k, v, o, do, dq, dk, dv  rows
	mask, lse                   rows
}
