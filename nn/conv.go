package nn

import "github.com/langevin-go/langevin/tensor"

// Conv2D convolves images (N,H,W,C).
type Conv2D struct {
	Weight *tensor.Param // (kh, kw, in, out)
	Bias   *tensor.Param // (out), or nil

	conv tensor.Conv
}

// NewConv2D has a square kernel and PyTorch's default initialisation.
func NewConv2D(in *Init, from, to, kernel, stride, pad int) *Conv2D {
	return NewConv2DOf(in, from, to, kernel, tensor.Conv2D(stride, pad))
}

// NewConv2DOf is NewConv2D with any stride, padding, dilation and groups.
func NewConv2DOf(in *Init, from, to, kernel int, c tensor.Conv) *Conv2D {
	perGroup := from / max(1, c.Groups)
	fanIn := kernel * kernel * perGroup
	return &Conv2D{in.KaimingUniform(fanIn, kernel, kernel, perGroup, to), in.KaimingUniform(fanIn, to), c}
}

// NewZeroConv2D starts at zero: for outputs that are to begin as nothing.
func NewZeroConv2D(in *Init, from, to, kernel, stride, pad int) *Conv2D {
	return &Conv2D{in.Zeros(kernel, kernel, from, to), in.Zeros(to), tensor.Conv2D(stride, pad)}
}

// Forward maps (N,H,W,in) to (N,H',W',out).
func (c *Conv2D) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Conv(c.Weight, c.Bias, c.conv) }
