package nn

import (
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
)

// AvgPool2 is the mean of 2×2 squares of x (N,H,W,C); an odd last row or column is left out.
func AvgPool2(x *tensor.Tensor) *tensor.Tensor {
	return x.AvgPool(tensor.Pool2D(2, 2, 0))
}

// Nearest2 repeats every pixel of x (N,H,W,C) as a 2×2 square.
func Nearest2(x *tensor.Tensor) *tensor.Tensor {
	n, h, w, c := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	return x.Reshape(n, h, 1, w, 1, c).Expand(n, h, 2, w, 2, c).Reshape(n, 2*h, 2*w, c)
}

// Downsample is a 3×3 convolution of stride 2.
type Downsample struct{ Conv *Conv2D }

// NewDownsample pads by pad on every side, 1 or 0; 0 pads the last row and column by
// 1 instead, as diffusers does.
func NewDownsample(in *Init, from, to, pad int) *Downsample {
	c := tensor.Conv2D(2, pad)
	if pad == 0 {
		c.PadHi = [3]int{1, 1}
	}
	return &Downsample{NewConv2DOf(in, from, to, 3, c)}
}

// Forward maps (N,H,W,from) to (N, ⌈H/2⌉, ⌈W/2⌉, to); without padding before, the sizes are rounded down.
func (d *Downsample) Forward(x *tensor.Tensor) *tensor.Tensor { return d.Conv.Forward(x) }

// Upsample repeats pixels 2×2 and convolves with a 3×3 kernel.
type Upsample struct{ Conv *Conv2D }

// NewUpsample maps channels from one number to another.
func NewUpsample(in *Init, from, to int) *Upsample {
	return &Upsample{NewConv2D(in, from, to, 3, 1, 1)}
}

// Forward maps (N,H,W,from) to (N,2H,2W,to).
func (u *Upsample) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	return s.Release(m, u.Conv.Forward(Nearest2(x)))
}

// fir resamples by 2 with the binomial filter [1,3,3,1] along both axes (Karras et al.
// 2020, as NCSN++ uses it): a convolution a channel, and its transpose times 4.
type fir struct{ down, up constant }

func newFIR(dev backend.Device, channels int) *fir {
	k := [4]float64{1, 3, 3, 1}
	down, up := make([]float64, 0, 16*channels), make([]float64, 0, 16*channels)
	for _, a := range k {
		for _, b := range k {
			for range channels {
				down = append(down, a*b/64)
				up = append(up, a*b/16)
			}
		}
	}
	return &fir{newConstant(dev, down, 4, 4, 1, channels), newConstant(dev, up, 4, 4, 1, channels)}
}

func firConv(channels int) tensor.Conv {
	c := tensor.Conv2D(2, 1)
	c.Groups = channels
	return c
}

func (f *fir) halve(x *tensor.Tensor) *tensor.Tensor {
	return x.Conv(f.down.of(x), nil, firConv(x.Dim(3)))
}

func (f *fir) double(x *tensor.Tensor) *tensor.Tensor {
	return x.ConvTranspose(f.up.of(x), nil, firConv(x.Dim(3)), 2*x.Dim(1), 2*x.Dim(2))
}
