package tensor_test

import (
	"math"

	. "github.com/langevin-go/langevin/tensor"
)

// goldenFuncs are the operations of the golden files by their names there, which
// are those of the methods, in small letters.
var goldenFuncs = map[string]golden{
	"neg":        goldenUnary((*Tensor).Neg),
	"abs":        goldenUnary((*Tensor).Abs),
	"sign":       goldenUnary((*Tensor).Sign),
	"round":      goldenUnary((*Tensor).Round),
	"floor":      goldenUnary((*Tensor).Floor),
	"ceil":       goldenUnary((*Tensor).Ceil),
	"logsigmoid": goldenUnary((*Tensor).LogSigmoid),
	"elu":        func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) { return in["x"].ELU(a.Alpha), 1 },
	"leakyrelu":  func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) { return in["x"].LeakyReLU(a.Slope), 1 },
	"sqrt":       goldenUnary((*Tensor).Sqrt),
	"rsqrt":      goldenUnary((*Tensor).Rsqrt),
	"recip":      goldenUnary((*Tensor).Recip),
	"square":     goldenUnary((*Tensor).Square),
	"exp":        goldenUnary((*Tensor).Exp),
	"expm1":      goldenUnary((*Tensor).Expm1),
	"log":        goldenUnary((*Tensor).Log),
	"log1p":      goldenUnary((*Tensor).Log1p),
	"sin":        goldenUnary((*Tensor).Sin),
	"cos":        goldenUnary((*Tensor).Cos),
	"silu":       goldenUnary((*Tensor).SiLU),
	"gelu":       goldenUnary((*Tensor).GELU),
	"gelutanh":   goldenUnary((*Tensor).GELUTanh),
	"mish":       goldenUnary((*Tensor).Mish),
	"relu":       goldenUnary((*Tensor).ReLU),
	"selu":       goldenUnary((*Tensor).SELU),
	"sigmoid":    goldenUnary((*Tensor).Sigmoid),
	"tanh":       goldenUnary((*Tensor).Tanh),
	"softplus":   goldenUnary((*Tensor).Softplus),
	"erf":        goldenUnary((*Tensor).Erf),
	"detach":     goldenUnary(func(x *Tensor) *Tensor { return x.Detach().Mul(x) }),

	"add":       goldenBinary((*Tensor).Add),
	"sub":       goldenBinary((*Tensor).Sub),
	"mul":       goldenBinary((*Tensor).Mul),
	"div":       goldenBinary((*Tensor).Div),
	"minimum":   goldenBinary((*Tensor).Minimum),
	"maximum":   goldenBinary((*Tensor).Maximum),
	"greater":   goldenBinary((*Tensor).Greater),
	"greatereq": goldenBinary((*Tensor).GreaterEq),
	"noteq":     goldenBinary((*Tensor).NotEq),
	"powtensor": goldenBinary((*Tensor).PowTensor),
	"less":      goldenBinary((*Tensor).Less),
	"lesseq":    goldenBinary((*Tensor).LessEq),
	"eq":        goldenBinary((*Tensor).Eq),

	"where": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		y := in["condition"].Where(in["x"], in["y"])
		return y, y.Elems()
	},
	"muladd": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		y := in["x"].MulAdd(in["y"], in["z"])
		return y, y.Elems()
	},
	"axpby": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		y := in["x"].Axpby(a.A, in["y"], a.B)
		return y, y.Elems()
	},
	"scale":     goldenScalar((*Tensor).Scale),
	"addscalar": goldenScalar((*Tensor).AddScalar),
	"pow":       goldenScalar((*Tensor).Pow),
	"clamp": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].Clamp(a.Lo, a.Hi), 1
	},

	"reshape": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].Reshape(a.Shape...), 1
	},
	"permute": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].Permute(a.Axes...), 1
	},
	"t":          goldenUnary((*Tensor).T),
	"contiguous": goldenUnary(func(x *Tensor) *Tensor { return x.T().Contiguous() }),
	"slice": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].Slice(a.Axis, a.Start, a.End), 1
	},
	"slicestep": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].SliceStep(a.Axis, a.Start, a.End, a.Step), 1
	},
	"pad": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].Pad(a.Axis, a.Before, a.After), 1
	},
	"concat": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		parts := []*Tensor{in["a"], in["b"]}
		if in["c"] != nil {
			parts = append(parts, in["c"])
		}
		return Concat(a.Axis, parts...), 1
	},
	"expand": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		y := in["x"].Expand(a.Shape...)
		return y, y.Elems()
	},
	"gather": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		return in["x"].Gather(in["index"]), in["index"].Elems()
	},
	"onehot": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].Add(in["x"].Scope().OneHot(in["index"], a.K)), 1
	},

	"sum":           goldenReduction((*Tensor).Sum),
	"sumkeep":       goldenReduction((*Tensor).SumKeep),
	"mean":          goldenReduction((*Tensor).Mean),
	"meankeep":      goldenReduction((*Tensor).MeanKeep),
	"maxkeep":       goldenReduction((*Tensor).MaxKeep),
	"minkeep":       goldenReduction((*Tensor).MinKeep),
	"logsumexpkeep": goldenReduction((*Tensor).LogSumExpKeep),
	"varkeep": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].VarKeep(a.Correction, a.Axes...), in["x"].Elems()
	},
	"sumto": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].SumTo(a.Shape...), in["x"].Elems()
	},

	"softmax": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x := in["x"]
		if a.Dim == 1 {
			return x.T().Softmax().T(), x.Dim(1)
		}
		return x.Softmax(), x.Dim(-1)
	},
	"logsoftmax": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].LogSoftmax(), in["x"].Dim(-1)
	},
	"avgpool2d": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, k := in["x"], a.KernelSize[0]
		n, c, h, w := x.Dim(0), x.Dim(1), x.Dim(2)/k, x.Dim(3)/k
		x = x.Slice(2, 0, h*k).Slice(3, 0, w*k).Reshape(n, c, h, k, w, k)
		return x.Mean(3, 5), k * k
	},
	"upsamplenearest2d": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, f := in["x"], int(a.ScaleFactor)
		n, c, h, w := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
		return x.Reshape(n, c, h, 1, w, 1).Expand(n, c, h, f, w, f).Reshape(n, c, h*f, w*f), f * f
	},

	"matmul": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		y := in["x"].MatMul(in["y"])
		return y, max(in["x"].Dim(-1), y.Elems())
	},
	"linear": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		w := in["weight"].T()
		y := in["x"].Linear(w, operandOf(in["bias"]))
		return y, max(w.Dim(0), w.Dim(1), y.Elems()/y.Dim(-1))
	},
	"conv": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, w := channelsLast(in["x"]), kernelFirst(in["weight"])
		y := x.Conv(w, operandOf(in["bias"]), a.conv())
		return channelsFirst(y), convFold(w, y)
	},
	"convtranspose": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		// torch's weights are (Cin, Cout/groups, kernel…) in terms of this
		// operation, and so those of the convolution that it transposes.
		x, w := channelsLast(in["x"]), kernelFirst(in["weight"])
		c := a.conv()
		var out []int
		for i := range x.Rank() - 2 {
			reach := max(1, a.Dilation[i])*(w.Dim(i)-1) + 1
			out = append(out, (x.Dim(i+1)-1)*max(1, a.Stride[i])+reach-2*a.Padding[i]+a.OutputPadding[i])
		}
		y := x.ConvTranspose(w, operandOf(in["bias"]), c, out...)
		return channelsFirst(y), max(convFold(w, x), y.Elems()/y.Dim(-1))
	},

	"divergence": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		f := func(x *Tensor) *Tensor { return x.Reshape(x.Dim(0), -1).MatMul(in["w"]).Tanh().Reshape(x.Shape()...) }
		return in["x"].Scope().Divergence(f, in["x"]), 3 * in["w"].Elems() // x·w, its derivative, the trace
	},
	"hutchinsondivergence": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		f := func(x *Tensor) *Tensor { return x.MatMul(in["w"]).Tanh() }
		return in["x"].Scope().HutchinsonDivergence(f, in["x"], in["probe"]), 3 * in["w"].Elems()
	},

	"groupnorm": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x := channelsLast(in["x"])
		y := x.GroupNorm(a.NumGroups, operandOf(in["weight"]), operandOf(in["bias"]), a.norm())
		return channelsFirst(y), x.Elems() // a shift's gradient is a sum over samples and positions
	},
	"layernorm": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].LayerNorm(operandOf(in["weight"]), operandOf(in["bias"]), a.norm()), in["x"].Elems()
	},
	"rmsnorm": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].RMSNorm(operandOf(in["weight"]), a.norm()), in["x"].Elems()
	},

	"attention": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		q, k, v := in["q"].Permute(0, 2, 1, 3), in["k"].Permute(0, 2, 1, 3), in["v"].Permute(0, 2, 1, 3)
		t, s, d := q.Dim(1), k.Dim(1), q.Dim(3)
		scale := a.Scale
		if scale == 0 {
			scale = 1 / math.Sqrt(float64(d))
		}
		if wide := v.Dim(3) - d; wide > 0 {
			// Values wider than the keys: zeros behind these change no score.
			q, k = q.Pad(3, 0, wide), k.Pad(3, 0, wide)
		}
		mask := in["mask"]
		if a.IsCausal {
			m := make([]float64, t*s)
			for i := range m {
				if i%s > i/s {
					m[i] = math.Inf(-1)
				}
			}
			mask = q.Scope().Tensor(m, t, s)
		}
		return Attention(q, k, v, mask, scale).Permute(0, 2, 1, 3), 2 * max(t, s) * d // a sum over keys of sums over d
	},

	"mse": goldenLoss(func(x, y *Tensor, _ map[string]*Tensor, _ goldenAttributes) *Tensor { return x.MSE(y) }),
	"weightedmse": goldenLoss(func(x, y *Tensor, in map[string]*Tensor, _ goldenAttributes) *Tensor {
		return x.WeightedMSE(y, in["weight"])
	}),
	"samplemse": goldenLoss(func(x, y *Tensor, _ map[string]*Tensor, _ goldenAttributes) *Tensor { return x.SampleMSE(y) }),
	"l1":        goldenLoss(func(x, y *Tensor, _ map[string]*Tensor, _ goldenAttributes) *Tensor { return x.L1(y) }),
	"pseudohuber": goldenLoss(func(x, y *Tensor, _ map[string]*Tensor, a goldenAttributes) *Tensor {
		return x.PseudoHuber(y, a.C)
	}),
	"crossentropy": goldenLoss(func(x, _ *Tensor, in map[string]*Tensor, _ goldenAttributes) *Tensor {
		return x.CrossEntropy(in["index"])
	}),
}

func goldenUnary(f func(*Tensor) *Tensor) golden {
	return func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) { return f(in["x"]), 1 }
}

func goldenScalar(f func(*Tensor, float64) *Tensor) golden {
	return func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) { return f(in["x"], a.C), 1 }
}

// goldenBinary sums gradients over at most all elements, where an operand is broadcast.
func goldenBinary(f func(*Tensor, Operand) *Tensor) golden {
	return func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		y := f(in["x"], in["y"])
		return y, y.Elems()
	}
}

func goldenReduction(f func(*Tensor, ...int) *Tensor) golden {
	return func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return f(in["x"], a.Axes...), in["x"].Elems()
	}
}

func goldenLoss(f func(input, target *Tensor, in map[string]*Tensor, a goldenAttributes) *Tensor) golden {
	return func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return f(in["input"], in["target"], in, a), in["input"].Elems()
	}
}

func (a *goldenAttributes) conv() Conv {
	return Conv{Stride: a.Stride, Dilation: a.Dilation, PadLo: a.Padding, PadHi: a.Padding, Groups: a.Groups}
}

func (a *goldenAttributes) norm() Norm { return Norm{Eps: a.Eps, AddOne: a.AddOne, SiLU: a.SiLU} }

// operandOf is t, or no operand.
func operandOf(t *Tensor) Operand {
	if t == nil {
		return nil
	}
	return t
}

// channelsLast shows torch's (N,C,…) as (N,…,C), channelsFirst the other way round.
func channelsLast(t *Tensor) *Tensor {
	axes := []int{0}
	for i := 2; i < t.Rank(); i++ {
		axes = append(axes, i)
	}
	return t.Permute(append(axes, 1)...)
}

func channelsFirst(t *Tensor) *Tensor {
	axes := []int{0, t.Rank() - 1}
	for i := 1; i < t.Rank()-1; i++ {
		axes = append(axes, i)
	}
	return t.Permute(axes...)
}

// kernelFirst shows torch's weights (Cout, Cin/groups, kernel…) as (kernel…, Cin/groups, Cout).
func kernelFirst(t *Tensor) *Tensor {
	var axes []int
	for i := 2; i < t.Rank(); i++ {
		axes = append(axes, i)
	}
	return t.Permute(append(axes, 1, 0)...)
}

// convFold is the longest sum of a convolution with weights w (kernel…, Cin/groups, Cout) and result y (N, o…, Cout):
// over taps and channels forward and for the input, over samples and positions for the weights.
func convFold(w, y *Tensor) int {
	r := w.Rank()
	taps := w.Elems() / (w.Dim(r-1) * w.Dim(r-2))
	return max(taps*w.Dim(r-2), taps*w.Dim(r-1), y.Elems()/y.Dim(-1))
}
