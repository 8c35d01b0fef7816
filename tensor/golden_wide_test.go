package tensor_test

import (
	"maps"
	"math"
	"slices"

	. "github.com/langevin-go/langevin/tensor"
)

func init() { maps.Copy(goldenFuncs, goldenWide) }

// goldenWide are the operations that are made of others.
var goldenWide = map[string]golden{
	"unsqueeze": goldenAxis((*Tensor).Unsqueeze),
	"squeeze":   goldenAxes((*Tensor).Squeeze),
	"transpose": goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Transpose(int(a.A), int(a.B)) }),
	"moveaxis":  goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.MoveAxis(a.Start, a.End) }),
	"diagonal":  goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Diagonal(int(a.A), int(a.B)) }),
	"split":     goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return weighted(x.Split(a.Axis, a.Shape...)) }),
	"chunk":     goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return weighted(x.Chunk(a.Axis, a.K)) }),
	"stack": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return Stack(a.Axis, in["x"], in["y"]), 1
	},
	"roll":        goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Roll(a.K, a.Axis) }),
	"flip":        goldenAxes((*Tensor).Flip),
	"tile":        goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Tile(a.Shape...) }),
	"repeat":      goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Repeat(a.Axis, a.K) }),
	"padwith":     goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.PadWith(a.C, a.Axis, a.Before, a.After) }),
	"padedge":     goldenPad((*Tensor).PadEdge),
	"padreflect":  goldenPad((*Tensor).PadReflect),
	"padcircular": goldenPad((*Tensor).PadCircular),
	"tril":        goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Tril(a.K) }),
	"triu":        goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Triu(a.K) }),
	"arange":      goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Mul(x.Scope().Arange(a.A, a.C, a.K)) }),
	"linspace":    goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Mul(x.Scope().Linspace(a.Lo, a.Hi, a.K)) }),
	"pixelshuffle": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return channelsFirst(channelsLast(in["input"]).PixelShuffle(a.UpscaleFactor)), 1
	},
	"pixelunshuffle": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return channelsFirst(channelsLast(in["input"]).PixelUnshuffle(a.DownscaleFactor)), 1
	},
	"patchify": goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return channelsLast(x).Patchify(a.K, a.K) }),
	"unpatchify": goldenView(func(x *Tensor, a goldenAttributes) *Tensor {
		return channelsFirst(x.Unpatchify(a.Shape, a.K, a.K))
	}),

	"indexselect": goldenIndex(func(x, _, index *Tensor, a goldenAttributes) *Tensor { return x.IndexSelect(a.Axis, index) }),
	"takealong":   goldenIndex(func(x, _, index *Tensor, a goldenAttributes) *Tensor { return x.TakeAlong(a.Axis, index) }),
	"scatteradd":  goldenIndex(func(x, src, index *Tensor, a goldenAttributes) *Tensor { return x.ScatterAdd(a.Axis, index, src) }),
	"scatter": goldenIndex(func(x, src, index *Tensor, a goldenAttributes) *Tensor {
		return x.Scatter(a.Axis, ranks(index, a.Axis), src)
	}),
	"argmax": goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return real(x.ArgMax(a.Axis)).Mul(x.Sum(a.Axis)) }),
	"argmin": goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return real(x.ArgMin(a.Axis)).Mul(x.Sum(a.Axis)) }),
	"asmask": goldenIndex(func(x, _, index *Tensor, _ goldenAttributes) *Tensor {
		return x.Add(real(index).AsMask()).Softmax()
	}),
	"causalmask": goldenView(func(x *Tensor, _ goldenAttributes) *Tensor {
		return x.Add(x.Scope().CausalMask(x.Dim(-2), x.Dim(-1))).Softmax()
	}),

	"einsumof": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		var ts []*Tensor
		fold := 1
		for _, name := range slices.Sorted(maps.Keys(in)) {
			ts = append(ts, in[name])
			fold = max(fold, in[name].Elems())
		}
		return EinsumOf(a.Spec, ts...), fold
	},

	"max":       goldenReduction((*Tensor).Max),
	"min":       goldenReduction((*Tensor).Min),
	"prod":      goldenReduction((*Tensor).Prod),
	"prodkeep":  goldenReduction((*Tensor).ProdKeep),
	"logsumexp": goldenReduction((*Tensor).LogSumExp),
	"var":       goldenFold(func(x *Tensor, a goldenAttributes) *Tensor { return x.Var(a.Correction, a.Axes...) }),
	"std":       goldenFold(func(x *Tensor, a goldenAttributes) *Tensor { return x.Std(a.Correction, a.Axes...) }),
	"stdkeep":   goldenFold(func(x *Tensor, a goldenAttributes) *Tensor { return x.StdKeep(a.Correction, a.Axes...) }),
	"vectornorm": goldenFold(func(x *Tensor, a goldenAttributes) *Tensor {
		return x.VectorNorm(order(a.C), a.Axes...)
	}),
	"vectornormkeep": goldenFold(func(x *Tensor, a goldenAttributes) *Tensor {
		return x.VectorNormKeep(order(a.C), a.Axes...)
	}),
	"softmaxalong":    goldenFold(func(x *Tensor, a goldenAttributes) *Tensor { return x.SoftmaxAlong(a.Axis) }),
	"logsoftmaxalong": goldenFold(func(x *Tensor, a goldenAttributes) *Tensor { return x.LogSoftmaxAlong(a.Axis) }),
	"cumsum":          goldenFold(func(x *Tensor, a goldenAttributes) *Tensor { return x.CumSum(a.Axis) }),

	"windows": goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return x.Windows(a.Axis, a.K, a.Step, 1) }),
	"avgpool": goldenSpatial(func(x *Tensor, a goldenAttributes) *Tensor { return x.AvgPool(a.pool()) }),
	"maxpool": goldenSpatial(func(x *Tensor, a goldenAttributes) *Tensor { return x.MaxPool(a.pool()) }),
	"adaptiveavgpool": goldenSpatial(func(x *Tensor, a goldenAttributes) *Tensor {
		return x.AdaptiveAvgPool(a.Shape...)
	}),
	"adaptivemaxpool": goldenSpatial(func(x *Tensor, a goldenAttributes) *Tensor {
		return x.AdaptiveMaxPool(a.Shape...)
	}),
	"resize": goldenSpatial(func(x *Tensor, a goldenAttributes) *Tensor { return x.Resize(a.interpolation(), a.Size...) }),

	"huber": goldenLoss(func(x, y *Tensor, _ map[string]*Tensor, a goldenAttributes) *Tensor { return x.Huber(y, a.C) }),
	"smoothl1": goldenLoss(func(x, y *Tensor, _ map[string]*Tensor, a goldenAttributes) *Tensor {
		return x.SmoothL1(y, a.C)
	}),
	"bcewithlogits": goldenLoss(func(x, y *Tensor, _ map[string]*Tensor, _ goldenAttributes) *Tensor { return x.BCEWithLogits(y) }),
	"gaussiankl": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		return GaussianKL(in["m1"], in["v1"], in["m2"], in["v2"]), in["m1"].Elems()
	},
	"cosinesimilarity": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, y := in["input"], in["target"]
		return x.CosineSimilarity(y, a.Axis, 1e-8), max(x.Elems(), y.Elems())
	},
	"nll": goldenLoss(func(x, _ *Tensor, in map[string]*Tensor, _ goldenAttributes) *Tensor { return x.NLL(in["index"]) }),
	"crossentropysmoothed": goldenLoss(func(x, _ *Tensor, in map[string]*Tensor, a goldenAttributes) *Tensor {
		return x.CrossEntropySmoothed(in["index"], a.C)
	}),
}

func goldenAxis(f func(x *Tensor, axis int) *Tensor) golden {
	return goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return f(x, a.Axis) })
}

func goldenAxes(f func(x *Tensor, axes ...int) *Tensor) golden {
	return goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return f(x, a.Axes...) })
}

func goldenPad(f func(x *Tensor, axis, before, after int) *Tensor) golden {
	return goldenView(func(x *Tensor, a goldenAttributes) *Tensor { return f(x, a.Axis, a.Before, a.After) })
}

// goldenView rounds at most in the gradient of an element that is used several times, all of the result's at most.
func goldenView(f func(x *Tensor, a goldenAttributes) *Tensor) golden {
	return func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		y := f(in["x"], a)
		return y, max(1, y.Elems()/max(1, in["x"].Elems())) + in["x"].Dim(-1)
	}
}

// goldenFold adds up at most all elements.
func goldenFold(f func(x *Tensor, a goldenAttributes) *Tensor) golden {
	return func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) { return f(in["x"], a), in["x"].Elems() }
}

func goldenIndex(f func(x, src, index *Tensor, a goldenAttributes) *Tensor) golden {
	return func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return f(in["x"], in["src"], in["index"], a), in["index"].Elems()
	}
}

// goldenSpatial adds up the elements of one plane at most.
func goldenSpatial(f func(x *Tensor, a goldenAttributes) *Tensor) golden {
	return func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x := in["x"]
		y := channelsFirst(f(channelsLast(x), a))
		return y, max(x.Elems(), y.Elems()) / (x.Dim(0) * x.Dim(1))
	}
}

func (a *goldenAttributes) pool() Pool {
	return Pool{Kernel: a.KernelSize, Stride: a.Stride, Dilation: a.Dilation, PadLo: a.Padding, PadHi: a.Padding, ExcludePad: a.CountIncludePad != nil && !*a.CountIncludePad}
}

func (a *goldenAttributes) interpolation() Interpolation {
	by := map[string]Interpolation{"nearest": Nearest, "nearest-exact": NearestExact, "linear": Linear, "bilinear": Linear, "trilinear": Linear, "bicubic": Cubic}[a.Mode]
	switch {
	case a.AlignCorners:
		by++
	case a.Antialias:
		by += 2
	}
	return by
}

// order is that of a norm; JSON has no infinity.
func order(c float64) float64 {
	if math.Abs(c) == 99 {
		return math.Inf(int(c))
	}
	return c
}

// weighted joins parts in another order, with factors of their own.
func weighted(parts []*Tensor) *Tensor {
	var flat []*Tensor
	for i := len(parts) - 1; i >= 0; i-- {
		flat = append(flat, parts[i].Reshape(-1).Scale(float64(i+1)))
	}
	return Concat(0, flat...)
}

// real is an int32 tensor in the scope's type.
func real(t *Tensor) *Tensor {
	return t.Scope().Host(func(y []float64, x [][]float64) { copy(y, x[0]) }, t.Shape(), t)
}

// ranks are the order of the elements along an axis of a matrix: the permutation that sorts them.
func ranks(t *Tensor, axis int) *Tensor {
	rows, cols := t.Dim(0), t.Dim(1)
	v := make([]int32, t.Elems())
	t.CopyTo(v)
	at := func(line, i int) int {
		if axis == 1 {
			return line*cols + i
		}
		return i*cols + line
	}
	lines, n := rows, cols
	if axis == 0 {
		lines, n = cols, rows
	}
	sorted := make([]int32, len(v))
	for line := range lines {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int { return int(v[at(line, i)] - v[at(line, j)]) })
		for i, k := range order {
			sorted[at(line, i)] = int32(k)
		}
	}
	return t.Scope().Ints(sorted, rows, cols)
}
