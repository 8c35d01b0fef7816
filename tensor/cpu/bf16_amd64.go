package cpu

import "golang.org/x/sys/cpu"

var pairKernels = pairKernel{
	microKernel: microKernel{rows: 12, lanes: 16, cols: 32, masked: true, tile: &tilesBF16, transpose: transpose512,
		softmaxRows: softmaxRows512, softmaxGradRows: softmaxGradRows512, rowDot: rowDot512, rowScale: rowScale512,
		winograd2: &winograd2x512, rowAdd: rowAdd512},
	pairRows: pairWords, pairSums: pairWordsSums, neighbours: neighbourWords, roundedDot: roundedDot512, winogradInput: winogradInputPairs512,
	winogradInputRows: winogradInputRows512, winogradSpreadRows: winogradSpreadRows512,
}

// pairKernelsAMX are the same with products by AMX.
var pairKernelsAMX = func() *pairKernel {
	u := pairKernels
	u.rows, u.cache = amxRows, 2<<20 // which every processor with AMX has
	u.tile, u.matrix, u.words, u.turnWords = nil, runAMX, amxWords, turnWords
	return &u
}()

// pairs is the level's family of kernels on words, nil for none.
func (l Level) pairs() *pairKernel {
	switch {
	case l == AMX:
		return pairKernelsAMX
	case l == AVX512 && cpu.X86.HasAVX512BF16:
		return &pairKernels
	}
	return nil
}

func pairWords(to, from *float32, toStride, fromStride, second, rows, toLine, fromLine, lines, n int, first, last uint32) {
	f := pairRows512x2
	if n <= 16 {
		f = pairRows512x1
	}
	f(to, from, 4*toStride, 4*fromStride, 4*second, rows, 4*toLine, 4*fromLine, lines, uint32(1<<n-1), first, last)
}

func pairWordsSums(to, from, sum *float32, fromStride, second, rows, n int) {
	pairSums512(to, from, sum, 4*fromStride, 4*second, rows, uint32(1<<n-1))
}

func neighbourWords(to, from *float32, toStride, fromStride, rows, toLine, fromLine, lines, n int) {
	tail := n % 32
	convertRows512(to, from, 4*toStride, 4*fromStride, rows, 4*toLine, 4*fromLine, lines, n/32, uint32(1<<tail-1), uint32(1<<words(tail)-1))
}
