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

// Conv1D convolves sequences (N,T,C).
type Conv1D struct {
	Weight *tensor.Param // (kernel, in, out)
	Bias   *tensor.Param // (out)

	conv tensor.Conv
}

// NewConv1D has PyTorch's default initialisation.
func NewConv1D(in *Init, from, to, kernel, stride, pad int) *Conv1D {
	c := tensor.Conv{Stride: [3]int{stride}, PadLo: [3]int{pad}, PadHi: [3]int{pad}}
	return &Conv1D{in.KaimingUniform(kernel*from, kernel, from, to), in.KaimingUniform(kernel*from, to), c}
}

// Forward maps (N,T,in) to (N,T',out).
func (c *Conv1D) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Conv(c.Weight, c.Bias, c.conv) }

// Upsample1D doubles the length of a sequence by a transposed convolution.
type Upsample1D struct {
	Weight *tensor.Param // (4, out, in)
	Bias   *tensor.Param // (out)
}

// NewUpsample1D has kernel 4, stride 2, padding 1 and PyTorch's default initialisation.
func NewUpsample1D(in *Init, channels int) *Upsample1D {
	return &Upsample1D{in.KaimingUniform(4*channels, 4, channels, channels), in.KaimingUniform(4*channels, channels)}
}

// Forward maps (N,T,C) to (N,2T,C).
func (u *Upsample1D) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.ConvTranspose(u.Weight, u.Bias, tensor.Conv{Stride: [3]int{2}, PadLo: [3]int{1}, PadHi: [3]int{1}}, 2*x.Dim(1))
}
