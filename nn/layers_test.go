package nn

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/gradcheck"
	"github.com/langevin-go/langevin/tensor/rng"
)

type forward = func(in []*tensor.Tensor) *tensor.Tensor

// Every layer: gradients and gradients of gradients for its inputs, and the gradient
// for its parameters.
func TestLayerGradients(t *testing.T) {
	in := newInit()
	shape, positive := gradcheck.Shape, gradcheck.Positive
	attention := NewSelfAttention(in, 4, 2, 3, true)
	cross := NewCrossAttention(in, 4, 5, 2, 2)
	embedding := must(NewCondEmbedding(in, CondOptions{Classes: 3, Vector: 2, VectorEmbed: "mlp", Null: true}, 4, 1, nil))
	features := func() TimeFeatures { return NewSinusoidal(cpu.Default(), SinusoidalOptions{Dim: 5}) }
	asTime := must(NewCondEmbedding(in, CondOptions{Vector: 1, VectorEmbed: "time", Null: true}, 4, 1, features))
	block := func(o UNetOptions, r resSpec) *ResBlock {
		o.NormEps = 1e-5
		return (&unetBuilder{in: in, o: &o, dim: 3}).res(r)
	}
	plain := block(UNetOptions{Activation: "silu"}, resSpec{from: 2, to: 4, groups1: 1, group2: 2, scale: 1})
	modulated := block(UNetOptions{Activation: "mish", ScaleShift: true}, resSpec{from: 4, to: 4, groups1: 2, group2: 2, scale: 2, resample: AvgPool2})
	filter := newFIR(cpu.Default(), 2)
	down := newFIR(cpu.Default(), 2)
	spatial := (&unetBuilder{in: in, o: &UNetOptions{HeadDim: 2, NormEps: 1e-5}}).attention(4, 2, 2)
	mod := NewAdaLNZero(in, 3, 4)
	norm := NewLayerNorm(in, 4, 1e-5)
	group := NewGroupNorm(in, 2, 4, 1e-5)
	adaGroup := NewAdaGroupNorm(in, 2, 4, 3, 1e-5)
	film := NewFiLM(in, 3, 4)
	for _, c := range []struct {
		name   string
		model  any
		f      forward
		inputs []gradcheck.Input
	}{
		unary("linear", NewLinear(in, 3, 4), shape(2, 3)),
		unary("linear without bias", NewLinearNoBias(in, 3, 4), shape(2, 2, 3)),
		unary("convolution", NewConv2D(in, 2, 3, 3, 2, 1), shape(1, 3, 4, 2)),
		unary("group norm", group, shape(2, 3, 4)),
		{"group norm with silu", group, func(x []*tensor.Tensor) *tensor.Tensor { return group.SiLU(x[0]) }, []gradcheck.Input{shape(2, 3, 4)}},
		unary("layer norm", norm, shape(2, 3, 4)),
		unary("rms norm", NewRMSNorm(in, 4, 1e-5), shape(2, 3, 4)),
		binary("film", film, film.Forward, shape(2, 3, 4), shape(2, 3)),
		binary("film, one for all", film, film.Forward, shape(2, 2, 2, 4), shape(1, 3)),
		binary("adaptive group norm", adaGroup, adaGroup.Forward, shape(2, 3, 4), shape(2, 3)),
		binary("adaptive group norm, one for all", adaGroup, adaGroup.Forward, shape(2, 3, 4), shape(1, 3)),
		binary("adaLN-Zero", struct {
			Mod  *AdaLNZero
			Norm *LayerNorm
		}{mod, norm}, func(x, e *tensor.Tensor) *tensor.Tensor {
			a, b := mod.Forward(e)
			x = a.Residual(x, a.LayerNorm(x, 1e-5))
			return b.Residual(x, norm.modulated(x, b.Scale, b.Shift))
		}, shape(2, 2, 4), shape(2, 3)),
		unary("self-attention", attention, shape(2, 3, 4)),
		binary("cross-attention", cross, func(x, y *tensor.Tensor) *tensor.Tensor { return cross.Forward(x, y, nil) }, shape(2, 2, 4), shape(2, 3, 5)),
		unary("gelu mlp", NewFeedForward(in, 3, 4, "gelu_tanh", 0), shape(2, 3)),
		unary("quick gelu mlp", NewFeedForward(in, 3, 4, "quick_gelu", 0), shape(2, 3)),
		unary("geglu mlp", NewFeedForward(in, 3, 4, "geglu", 0), shape(2, 3)),
		unary("swiglu mlp", NewFeedForward(in, 3, 4, "swiglu", 0), shape(2, 3)),
		unary("sinusoidal time", NewTimeEmbedding(in, features(), 3), shape(3)),
		unary("fourier time", NewTimeEmbedding(in, NewFourier(in, 4, 0.3, false), 3), shape(3)), // angles of 2π·0.3·N(0,1): high frequencies have higher derivatives than differences can follow
		unary("log fourier time", NewTimeEmbedding(in, NewFourier(in, 4, 0.5, true), 3), positive(3)),
		{"condition", embedding, func(x []*tensor.Tensor) *tensor.Tensor {
			s := x[0].Scope()
			return embedding.Forward(s, Cond{Labels: s.Ints([]int32{0, 3, 2}, 3), Vector: x[0], Drop: s.Tensor([]float32{0, 1, 0}, 3)})
		}, []gradcheck.Input{shape(3, 2)}},
		{"condition like a time", asTime, func(x []*tensor.Tensor) *tensor.Tensor {
			s := x[0].Scope()
			return asTime.Forward(s, Cond{Vector: x[0], Drop: s.Tensor([]float32{0, 1, 0}, 3)})
		}, []gradcheck.Input{shape(3, 1)}},
		unary("downsample", NewDownsample(in, 2, 3, 1), shape(1, 4, 3, 2)),
		unary("downsample, padded behind", NewDownsample(in, 2, 3, 0), shape(1, 4, 3, 2)),
		unary("upsample", NewUpsample(in, 2, 3), shape(1, 2, 3, 2)),
		{"mean pool", nil, func(x []*tensor.Tensor) *tensor.Tensor { return AvgPool2(x[0]).Square() }, []gradcheck.Input{shape(1, 5, 4, 2)}},
		{"nearest", nil, func(x []*tensor.Tensor) *tensor.Tensor { return Nearest2(x[0]).Square() }, []gradcheck.Input{shape(1, 2, 3, 2)}},
		{"fir", nil, func(x []*tensor.Tensor) *tensor.Tensor { return filter.double(down.halve(x[0]).Square()) }, []gradcheck.Input{shape(1, 4, 6, 2)}},
		binary("residual block", plain, plain.Forward, shape(1, 2, 2, 2), shape(1, 3)),
		binary("residual block, scale and shift", modulated, modulated.Forward, shape(2, 2, 2, 4), shape(2, 3)),
		unary("spatial attention", spatial, shape(1, 2, 2, 4)),
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.model != nil {
				scramble(c.model, 0.3)
				Convert(c.model, tensor.Float64)
				defer Convert(c.model, tensor.Float32)
			}
			gradcheck.Check(t, c.name, func(_ *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor { return c.f(in) }, c.inputs...)
			if c.model == nil {
				return
			}
			alongDirection(t, c.name, Params(c.model), func(s *tensor.Scope) *tensor.Tensor {
				var xs []*tensor.Tensor
				for i, in := range c.inputs {
					x := s.Normal(rng.Key{Seed: 2}, uint64(100*i), in.Shape...)
					if in.Values != nil {
						x = s.Tensor(in.Values, in.Shape...)
					}
					xs = append(xs, x)
				}
				return c.f(xs)
			})
		})
	}
}

type layerCase = struct {
	name   string
	model  any
	f      forward
	inputs []gradcheck.Input
}

func unary(name string, l interface {
	Forward(*tensor.Tensor) *tensor.Tensor
}, x gradcheck.Input) layerCase {
	return layerCase{name, l, func(in []*tensor.Tensor) *tensor.Tensor { return l.Forward(in[0]) }, []gradcheck.Input{x}}
}

func binary(name string, l any, f func(x, y *tensor.Tensor) *tensor.Tensor, x, y gradcheck.Input) layerCase {
	return layerCase{name, l, func(in []*tensor.Tensor) *tensor.Tensor { return f(in[0], in[1]) }, []gradcheck.Input{x, y}}
}

func float64Scope(t *testing.T) *tensor.Scope {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	t.Cleanup(s.Close)
	return s
}

func TestSinusoidal(t *testing.T) {
	s := float64Scope(t)
	for _, o := range []SinusoidalOptions{
		{Dim: 6}, {Dim: 7, Shift: 1}, {Dim: 4, SinFirst: true, MaxPeriod: 100, Scale: 1000, Shift: 0.5},
	} {
		times := []float64{0, 0.37, 999}
		got := NewSinusoidal(cpu.Default(), o).Forward(s.Tensor(times, 3)).Float64s()
		period, scale := o.MaxPeriod, o.Scale
		if period == 0 {
			period = 10000
		}
		if scale == 0 {
			scale = 1
		}
		for i, tt := range times {
			for j := range o.Dim {
				h := o.Dim / 2
				k, first := j%h, j < h
				w := math.Pow(period, -float64(k)/(float64(h)-o.Shift))
				want := math.Cos(scale * tt * w)
				if first == o.SinFirst {
					want = math.Sin(scale * tt * w)
				}
				if j == 2*h {
					want = 0
				}
				// Angles reach 1e6, rounded to 2⁻⁵³ of themselves a few times.
				if g := got[i*o.Dim+j]; math.Abs(g-want) > 1e-9 {
					t.Errorf("%+v: feature %d of %g is %g, want %g", o, j, tt, g, want)
				}
			}
		}
	}
}

func TestResamplingValues(t *testing.T) {
	s := float64Scope(t)
	x := s.Tensor([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, 2, 5, 1)
	if got, want := AvgPool2(x).Float64s(), []float64{(1 + 2 + 6 + 7) / 4., (3 + 4 + 8 + 9) / 4.}; !slices.Equal(got, want) {
		t.Errorf("mean pool: got %v, want %v", got, want)
	}
	y := s.Tensor([]float64{1, 2, 3, 4}, 1, 2, 2, 1)
	if got, want := Nearest2(y).Float64s(), []float64{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}; !slices.Equal(got, want) {
		t.Errorf("nearest: got %v, want %v", got, want)
	}
	// The filter keeps a constant image, away from the edges.
	f := newFIR(cpu.Default(), 1)
	flat := s.Full(3, 1, 8, 8, 1)
	if got := f.halve(flat).Float64s()[1*4+1]; got != 3 {
		t.Errorf("filtered down: %g", got)
	}
	if got := f.double(flat).Float64s()[5*16+5]; got != 3 {
		t.Errorf("filtered up: %g", got)
	}
}

func TestPatchesComeBack(t *testing.T) {
	s := float64Scope(t)
	x := s.Normal(rng.Key{}, 0, 2, 6, 4, 3)
	tokens := patchify(x, 2, 3, 2)
	if !slices.Equal(tokens.Shape(), []int{2, 6, 12}) {
		t.Fatalf("shape %v", tokens.Shape())
	}
	// Token (1,0), pixel (0,1), channel 2 is pixel (2,1) of the image.
	if got, want := tokens.Float64s()[2*12+1*3+2], x.Float64s()[(2*4+1)*3+2]; got != want {
		t.Errorf("got %g, want %g", got, want)
	}
	if !slices.Equal(unpatchify(tokens, 2, 3, 2).Float64s(), x.Float64s()) {
		t.Error("another image came back")
	}
}

func TestLearnedTimeTakesRows(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	e := NewLearnedTime(newInit(), 5, 3)
	got, table := e.Forward(s.Tensor([]float32{4, 0, 2.5}, 3)).Float32s(), e.Weight.Float32s()
	if want := slices.Concat(table[12:15], table[0:3], []float32{0, 0, 0}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCrossAttentionMask(t *testing.T) {
	s := float64Scope(t)
	a := NewCrossAttention(newInit(), 4, 4, 2, 2)
	Convert(a, tensor.Float64)
	x, ctx := s.Normal(rng.Key{Seed: 1}, 0, 2, 3, 4), s.Normal(rng.Key{Seed: 2}, 0, 2, 5, 4)
	mask := s.Tensor([]float64{0, 0, 0, math.Inf(-1), math.Inf(-1)}, 5)
	got, want := a.Forward(x, ctx, mask).Float64s(), a.Forward(x, ctx.Slice(1, 0, 3), nil).Float64s()
	for i := range got {
		// Sums of the same three terms, with two zeros between.
		if math.Abs(got[i]-want[i]) > 1e-14 {
			t.Fatalf("element %d is %g, want %g", i, got[i], want[i])
		}
	}
}
