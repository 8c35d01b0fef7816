package tensor_test

import (
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	gc "github.com/langevin-go/langevin/tensor/gradcheck"
)

func in(i ...gc.Input) []gc.Input { return i }

func un(name string, f func(*Tensor) *Tensor, i gc.Input) gc.Named {
	return gc.Named{Name: name, F: func(s *Scope, in []*Tensor) *Tensor { return f(in[0]) }, Inputs: in(i)}
}

func bin(name string, f func(*Tensor, Operand) *Tensor, a, b gc.Input) gc.Named {
	return gc.Named{Name: name, F: func(s *Scope, in []*Tensor) *Tensor { return f(in[0], in[1]) }, Inputs: in(a, b)}
}

func TestElementwiseGradients(t *testing.T) {
	s, p := gc.Shape(3, 5), gc.Positive(3, 5)
	gc.Run(t, []gc.Named{
		bin("add", (*Tensor).Add, s, s), bin("sub", (*Tensor).Sub, s, s), bin("mul", (*Tensor).Mul, s, s), bin("div", (*Tensor).Div, s, p),
		bin("minimum", (*Tensor).Minimum, s, s), bin("maximum", (*Tensor).Maximum, s, s),
		bin("add broadcast", (*Tensor).Add, gc.Shape(2, 1, 4), gc.Shape(3, 1)), bin("mul broadcast", (*Tensor).Mul, gc.Shape(2, 1, 4), gc.Shape(3, 1)),
		bin("div broadcast", (*Tensor).Div, gc.Shape(1, 4), gc.Positive(3, 1)), bin("sub scalar", (*Tensor).Sub, gc.Shape(2, 3), gc.Shape()),
		un("neg", (*Tensor).Neg, s), un("abs", (*Tensor).Abs, s), un("sqrt", (*Tensor).Sqrt, p), un("rsqrt", (*Tensor).Rsqrt, p),
		un("recip", (*Tensor).Recip, p), un("square", (*Tensor).Square, s), un("exp", (*Tensor).Exp, s), un("expm1", (*Tensor).Expm1, s),
		un("log", (*Tensor).Log, p), un("log1p", (*Tensor).Log1p, p), un("sin", (*Tensor).Sin, s), un("cos", (*Tensor).Cos, s),
		un("tanh", (*Tensor).Tanh, s), un("sigmoid", (*Tensor).Sigmoid, s), un("erf", (*Tensor).Erf, s), un("softplus", (*Tensor).Softplus, s),
		un("silu", (*Tensor).SiLU, s), un("relu", (*Tensor).ReLU, s), un("selu", (*Tensor).SELU, s), un("mish", (*Tensor).Mish, s), un("gelu", (*Tensor).GELU, s), un("gelu tanh", (*Tensor).GELUTanh, s),
		un("pow 3", func(x *Tensor) *Tensor { return x.Pow(3) }, s), un("pow -1.5", func(x *Tensor) *Tensor { return x.Pow(-1.5) }, p),
		un("scale", func(x *Tensor) *Tensor { return x.Scale(-2.5) }, s), un("add scalar", func(x *Tensor) *Tensor { return x.AddScalar(3) }, s),
		un("clamp", func(x *Tensor) *Tensor { return x.Clamp(-0.5, 0.7) }, s),
		{Name: "muladd", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].MulAdd(in[1], in[2]) }, Inputs: in(s, gc.Shape(5), gc.Shape(3, 1))},
		{Name: "axpby", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].Axpby(2, in[1], -0.5) }, Inputs: in(s, gc.Shape(5))},
		{Name: "where", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].Less(in[1]).Where(in[1], in[2]) }, Inputs: in(gc.Fixed(3, 5), s, gc.Shape(5))},
		{Name: "same operand twice", F: func(s *Scope, in []*Tensor) *Tensor {
			return in[0].Mul(in[0]).Add(in[0]).Div(in[0].Square().AddScalar(1))
		}, Inputs: in(s)},
		bin("pow of two tensors", (*Tensor).PowTensor, p, gc.Shape(2, 1, 5)), un("log sigmoid", (*Tensor).LogSigmoid, s),
		un("leaky relu", func(x *Tensor) *Tensor { return x.LeakyReLU(0.2) }, s), un("elu", func(x *Tensor) *Tensor { return x.ELU(1.3) }, s),
		un("floor", (*Tensor).Floor, s), un("ceil", (*Tensor).Ceil, s), un("round", (*Tensor).Round, s),
	})
}

func TestShapeGradients(t *testing.T) {
	s := gc.Shape(2, 3, 4)
	sq := func(f func(*Tensor) *Tensor) func(*Tensor) *Tensor {
		return func(x *Tensor) *Tensor { return f(x).Mul(f(x.Scale(0.5)).AddScalar(1)) }
	}
	gc.Run(t, []gc.Named{
		un("reshape", sq(func(x *Tensor) *Tensor { return x.Reshape(4, -1) }), s),
		un("permute", sq(func(x *Tensor) *Tensor { return x.Permute(2, 0, 1) }), s),
		un("T", sq((*Tensor).T), s),
		un("permute reshape", sq(func(x *Tensor) *Tensor { return x.Permute(1, 0, 2).Reshape(6, 4) }), s),
		un("slice", sq(func(x *Tensor) *Tensor { return x.Slice(1, 1, 3) }), s),
		un("slice step", sq(func(x *Tensor) *Tensor { return x.SliceStep(-1, 1, 4, 2) }), s),
		un("slices of one", func(x *Tensor) *Tensor { return x.Slice(2, 0, 2).Mul(x.Slice(2, 2, 4)) }, s),
		un("pad", sq(func(x *Tensor) *Tensor { return x.Pad(1, 2, 1) }), s),
		un("expand", sq(func(x *Tensor) *Tensor { return x.Expand(2, 3, 4) }), gc.Shape(3, 1)),
		un("contiguous", sq(func(x *Tensor) *Tensor { return x.T().Contiguous() }), s),
		{Name: "concat", F: func(s *Scope, in []*Tensor) *Tensor { y := Concat(1, in[0], in[1], in[0]); return y.Mul(y) }, Inputs: in(s, gc.Shape(2, 1, 4))},
		un("detach", func(x *Tensor) *Tensor {
			return x.Mul(x.Square().Detach()).Add(x).Sub(x.Mul(x.Square().Detach())).Square()
		}, s),
	})
}

func TestReduceGradients(t *testing.T) {
	s := gc.Shape(2, 3, 4)
	sq := func(f func(*Tensor) *Tensor) func(*Tensor) *Tensor {
		return func(x *Tensor) *Tensor { return f(x).Square() }
	}
	gc.Run(t, []gc.Named{
		un("sum", sq(func(x *Tensor) *Tensor { return x.Sum() }), s), un("sum 1", sq(func(x *Tensor) *Tensor { return x.Sum(1) }), s),
		un("mean 0 -1", sq(func(x *Tensor) *Tensor { return x.Mean(0, -1) }), s), un("sum to", sq(func(x *Tensor) *Tensor { return x.SumTo(3, 1) }), s),
		un("max", sq(func(x *Tensor) *Tensor { return x.MaxKeep(1) }), s), un("min", sq(func(x *Tensor) *Tensor { return x.MinKeep() }), s),
		un("logsumexp", func(x *Tensor) *Tensor { return x.LogSumExpKeep(2) }, s), un("var", func(x *Tensor) *Tensor { return x.VarKeep(1, 0, 2) }, s),
		un("softmax", (*Tensor).Softmax, s), un("log softmax", (*Tensor).LogSoftmax, s),
		{Name: "mse", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].MSE(in[1]) }, Inputs: in(s, s)},
		{Name: "weighted mse", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].WeightedMSE(in[1], in[2]) }, Inputs: in(s, s, gc.Shape(2, 1, 1))},
		{Name: "sample mse", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].SampleMSE(in[1]) }, Inputs: in(s, s)},
		{Name: "l1", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].L1(in[1]) }, Inputs: in(s, s)},
		{Name: "huber", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].PseudoHuber(in[1], 0.3) }, Inputs: in(s, s)},
		{Name: "cross entropy", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].CrossEntropy(s.Ints([]int32{2, 0, 4}, 3)) }, Inputs: in(gc.Shape(3, 5))},
		{Name: "gather", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].Gather(s.Ints([]int32{2, 0, 2, 1}, 2, 2)).Square() }, Inputs: in(gc.Shape(3, 5))},
	})
}

func TestMatrixGradients(t *testing.T) {
	lin := func(s *Scope, in []*Tensor) *Tensor { return in[0].Linear(in[1], in[2]) }
	gc.Run(t, []gc.Named{
		bin("matmul", (*Tensor).MatMul, gc.Shape(3, 4), gc.Shape(4, 2)), bin("matmul flat", (*Tensor).MatMul, gc.Shape(2, 3, 4), gc.Shape(4, 2)),
		bin("matmul batch", (*Tensor).MatMul, gc.Shape(2, 3, 4), gc.Shape(2, 4, 2)), bin("matmul broadcast", (*Tensor).MatMul, gc.Shape(2, 1, 3, 4), gc.Shape(3, 4, 2)),
		{Name: "linear", F: lin, Inputs: in(gc.Shape(2, 3, 4), gc.Shape(4, 5), gc.Shape(5))},
		{Name: "linear of transposes", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].T().Linear(in[1].T(), in[2]) }, Inputs: in(gc.Shape(4, 3), gc.Shape(5, 4), gc.Shape(5))},
	})
}

func TestConvGradients(t *testing.T) {
	conv := func(c Conv) gc.Func {
		return func(s *Scope, in []*Tensor) *Tensor {
			if len(in) == 2 {
				return in[0].Conv(in[1], nil, c)
			}
			return in[0].Conv(in[1], in[2], c)
		}
	}
	gc.Run(t, []gc.Named{
		{Name: "3x3", F: conv(Conv2D(1, 1)), Inputs: in(gc.Shape(2, 4, 3, 2), gc.Shape(3, 3, 2, 3), gc.Shape(3))},
		{Name: "stride 2", F: conv(Conv2D(2, 1)), Inputs: in(gc.Shape(1, 5, 4, 2), gc.Shape(3, 3, 2, 2), gc.Shape(2))},
		{Name: "1x1", F: conv(Conv2D(1, 0)), Inputs: in(gc.Shape(2, 3, 2, 3), gc.Shape(1, 1, 3, 2))},
		{Name: "groups, dilation, uneven padding", F: conv(Conv{Groups: 2, Dilation: [3]int{2, 1}, PadLo: [3]int{1, 0}, PadHi: [3]int{2, 1}, Stride: [3]int{1, 2}}), Inputs: in(gc.Shape(1, 5, 4, 4), gc.Shape(2, 3, 2, 6))},
		{Name: "1-D", F: conv(Conv{PadLo: [3]int{2}, Stride: [3]int{2}}), Inputs: in(gc.Shape(2, 7, 2), gc.Shape(3, 2, 2))},
		{Name: "3-D", F: conv(Conv{PadLo: [3]int{1, 0, 1}, PadHi: [3]int{0, 1, 1}}), Inputs: in(gc.Shape(1, 3, 2, 3, 1), gc.Shape(2, 2, 3, 1, 2))},
		{Name: "transposed", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].ConvTranspose(in[1], in[2], Conv2D(2, 1), 6, 5) }, Inputs: in(gc.Shape(1, 3, 3, 2), gc.Shape(3, 3, 3, 2), gc.Shape(3))},
	})
}

func TestNormGradients(t *testing.T) {
	x := gc.Shape(2, 3, 4)
	layer := func(o Norm) gc.Func {
		return func(s *Scope, in []*Tensor) *Tensor { return in[0].LayerNorm(in[1], in[2], o) }
	}
	group := func(o Norm) gc.Func {
		return func(s *Scope, in []*Tensor) *Tensor { return in[0].GroupNorm(2, in[1], in[2], o) }
	}
	gc.Run(t, []gc.Named{
		un("layer norm", func(x *Tensor) *Tensor { return x.LayerNorm(nil, nil, Norm{Eps: 1e-2}) }, x),
		{Name: "layer norm affine", F: layer(Norm{Eps: 1e-2}), Inputs: in(x, gc.Shape(4), gc.Shape(4))},
		{Name: "adaptive layer norm", F: layer(Norm{Eps: 1e-2, AddOne: true}), Inputs: in(x, gc.Shape(2, 4), gc.Shape(2, 4))},
		{Name: "group norm", F: group(Norm{Eps: 1e-2}), Inputs: in(x, gc.Shape(4), gc.Shape(4))},
		{Name: "group norm silu", F: group(Norm{Eps: 1e-2, SiLU: true}), Inputs: in(gc.Shape(2, 2, 2, 4), gc.Shape(4), gc.Shape(4))},
		{Name: "adaptive group norm silu", F: group(Norm{Eps: 1e-2, SiLU: true, AddOne: true}), Inputs: in(x, gc.Shape(2, 4), gc.Shape(2, 4))},
		{Name: "rms norm", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].RMSNorm(in[1], Norm{Eps: 1e-2}) }, Inputs: in(x, gc.Shape(4))},
	})
}

func TestAttentionGradients(t *testing.T) {
	gc.Run(t, []gc.Named{
		{Name: "self", F: func(s *Scope, in []*Tensor) *Tensor { return Attention(in[0], in[1], in[2], nil, 0.6) }, Inputs: in(gc.Shape(2, 3, 2, 2), gc.Shape(2, 3, 2, 2), gc.Shape(2, 3, 2, 2))},
		{Name: "cross, masked", F: func(s *Scope, in []*Tensor) *Tensor { return Attention(in[0], in[1], in[2], in[3], 0.6) }, Inputs: in(gc.Shape(1, 3, 2, 2), gc.Shape(1, 4, 2, 2), gc.Shape(1, 4, 2, 2), gc.Fixed(3, 4))},
		{Name: "learnt bias", F: func(s *Scope, in []*Tensor) *Tensor { return Attention(in[0], in[1], in[2], in[3], 0.6) }, Inputs: in(gc.Shape(2, 3, 2, 2), gc.Shape(2, 4, 2, 2), gc.Shape(2, 4, 2, 2), gc.Shape(2, 3, 1))},
		{Name: "a query that may look nowhere", F: func(s *Scope, in []*Tensor) *Tensor {
			mask := s.Tensor([]float64{1, 1, 0, 0, 0, 0, 0, 1, 0}, 3, 3).AsMask()
			return Attention(in[0], in[1], in[2], mask, 0.6)
		}, Inputs: in(gc.Shape(1, 3, 2, 2), gc.Shape(1, 3, 2, 2), gc.Shape(1, 3, 2, 2))},
		{Name: "causal, after a past", F: func(s *Scope, in []*Tensor) *Tensor {
			return Attention(in[0], in[1], in[1], s.CausalMask(2, 4), 0.6)
		}, Inputs: in(gc.Shape(1, 2, 2, 2), gc.Shape(1, 4, 2, 2))},
		{Name: "views of one", F: func(s *Scope, in []*Tensor) *Tensor {
			x := in[0].Reshape(2, 3, 3, 2, 2)
			part := func(i int) *Tensor { return x.Slice(2, i, i+1).Reshape(2, 3, 2, 2) }
			return Attention(part(0), part(1), part(2), nil, 0.7)
		}, Inputs: in(gc.Shape(2, 3, 12))},
	})
}
