package cpu

var (
	norm256 = &normKernels[float32]{
		sum: vecSum256, largest: vecMaximum256, add: vecAdd256,
		squares: vecSquares256, addDeviations: vecAddDeviations256, row: vecNormRow256, channels: vecNormChannels256,
		silu: vecSilu256, siluGrad: vecSiluGrad256, channelsSilu: vecNormSilu256, channelsSiluGrad: vecNormSiluGrad256,
		sums: vecNormSums256, gradRow: vecNormGradRow256, gradChannels: vecNormGradChannels256, addProducts: vecAddProducts256,
		expSum: vecExpSum256, scale: vecScale256, dot: vecDot256, softmaxGrad: vecSoftmaxGrad256,
	}
	norm512 = &normKernels[float32]{
		sum: vecSum512, largest: vecMaximum512, add: vecAdd512,
		squares: vecSquares512, addDeviations: vecAddDeviations512, row: vecNormRow512, channels: vecNormChannels512,
		silu: vecSilu512, siluGrad: vecSiluGrad512, channelsSilu: vecNormSilu512, channelsSiluGrad: vecNormSiluGrad512,
		sums: vecNormSums512, gradRow: vecNormGradRow512, gradChannels: vecNormGradChannels512, addProducts: vecAddProducts512,
		expSum: vecExpSum512, scale: vecScale512, dot: vecDot512, softmaxGrad: vecSoftmaxGrad512,
	}
)

func normKernels32(d *Device) *normKernels[float32] {
	switch d.level {
	case AVX512, AMX:
		return norm512
	case AVX2:
		return norm256
	}
	return goNorm32
}
