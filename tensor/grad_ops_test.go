package tensor_test

import (
	"fmt"
	"math"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	gc "github.com/langevin-go/langevin/tensor/gradcheck"
)

// view is a random view of x: a permutation that brings the axes back where they were leaves
// strides that are not row-major.
func (d *dice) view(x *Tensor) *Tensor {
	switch r := x.Rank(); {
	case r > 0 && d.upTo(3) == 0: // gaps
		a := d.upTo(r)
		return x.Repeat(a, 2).SliceStep(a, 1, 2*x.Dim(a), 2)
	case r > 1 && d.upTo(2) == 0:
		a := d.upTo(r)
		return x.Transpose(0, a).Contiguous().Transpose(0, a)
	}
	return x
}

// curved makes second derivatives of linear operations differ from zero.
func curved(x *Tensor) *Tensor { return x.Mul(x.Scale(0.5).AddScalar(1)) }

// axes is a random set of axes, negative ones among them.
func (d *dice) axes(rank int) (axes []int) {
	for i := range rank {
		if d.upTo(2) == 0 {
			axes = append(axes, i-rank*d.upTo(2))
		}
	}
	return axes
}

func TestGradientsOfRandomFolds(t *testing.T) { many(t, 48, randomFolds) }

func randomFolds(d *dice) (string, gc.Func, []gc.Input) {
	folds := []struct {
		name string
		f    func(x *Tensor, axes ...int) *Tensor
	}{
		{"max", (*Tensor).Max}, {"min", (*Tensor).Min}, {"prod", (*Tensor).Prod}, {"logsumexp", (*Tensor).LogSumExp},
		{"var", func(x *Tensor, axes ...int) *Tensor { return x.Var(0, axes...) }},
		{"std", func(x *Tensor, axes ...int) *Tensor { return x.Std(-1, axes...) }}, // n+1: a single element is no 0/0
		{"norm 1", func(x *Tensor, axes ...int) *Tensor { return x.VectorNorm(1, axes...) }},
		{"norm 2", func(x *Tensor, axes ...int) *Tensor { return x.VectorNorm(2, axes...) }},
		{"norm 3", func(x *Tensor, axes ...int) *Tensor { return x.VectorNorm(3, axes...) }},
		{"norm 1.5", func(x *Tensor, axes ...int) *Tensor { return x.VectorNorm(1.5, axes...) }},
		{"norm inf", func(x *Tensor, axes ...int) *Tensor { return x.VectorNorm(math.Inf(1), axes...) }},
		{"norm -inf", func(x *Tensor, axes ...int) *Tensor { return x.VectorNorm(math.Inf(-1), axes...) }},
	}
	s := d.shape(d.from(1, 4))
	fold := folds[int(d.seed)%len(folds)]
	axes := d.axes(len(s))
	if fold.name == "std" { // of one element it is 0, where it has a corner
		for i := range s {
			s[i]++
		}
		axes = append(axes[:0], d.upTo(len(s)))
	}
	seed := *d
	f := func(_ *Scope, in []*Tensor) *Tensor { e := seed; return fold.f(e.view(in[0]), axes...).Square() }
	if fold.name == "norm 1.5" { // its second derivatives are infinite at 0
		return fmt.Sprint(fold.name, s, axes), f, []gc.Input{gc.Positive(s...)}
	}
	return fmt.Sprint(fold.name, s, axes), f, []gc.Input{gc.Shape(s...)}
}

func TestGradientsOfRandomArrangements(t *testing.T) { many(t, 60, randomArrangements) }

func randomArrangements(d *dice) (string, gc.Func, []gc.Input) {
	s := d.shape(d.from(1, 4))
	axis, kind := d.upTo(len(s)), int(d.seed)%15
	other, k := d.upTo(len(s)), d.from(-5, 5)
	lo, hi := d.upTo(s[axis]), d.upTo(s[axis])
	reps := []int{d.from(1, 2), d.from(1, 3)}
	seed := *d
	f := func(_ *Scope, in []*Tensor) *Tensor {
		e := seed
		x := e.view(curved(in[0]))
		var y *Tensor
		switch kind {
		case 0:
			y = x.Roll(k, axis)
		case 1:
			y = x.Flip(axis, other)
		case 2:
			y = x.Tile(reps...)
		case 3:
			y = x.Repeat(axis, 2)
		case 4:
			y = x.PadReflect(axis, lo, hi)
		case 5:
			y = x.PadEdge(axis, k+5, hi)
		case 6:
			y = x.PadCircular(axis, lo, s[axis])
		case 7:
			y = x.PadWith(1.5, axis, hi, lo)
		case 8:
			y = Stack(axis-len(s)-1, x, x.Scale(2))
		case 9:
			y = x.Unsqueeze(axis).MoveAxis(other, axis)
		case 10:
			if len(s) < 2 {
				y = x.CumSum(0)
			} else {
				y = x.Diagonal(axis, (axis+1)%len(s))
			}
		case 11:
			if len(s) < 2 {
				y = x.CumSum(0)
			} else {
				y = x.Tril(k).Add(x.Triu(k + 1).Scale(3))
			}
		case 12:
			y = x.CumSum(axis)
		case 13:
			size := min(s[axis], 2)
			y = x.Windows(axis, size, 1+hi, 1)
		case 14:
			y = x.SoftmaxAlong(axis).Add(x.LogSoftmaxAlong(other))
		}
		return y
	}
	return fmt.Sprint("arrangement ", kind, s, axis, other, k, lo, hi, reps), f, []gc.Input{gc.Shape(s...)}
}

func TestGradientsOfRandomIndexing(t *testing.T) { many(t, 40, randomIndexing) }

func randomIndexing(d *dice) (string, gc.Func, []gc.Input) {
	s := d.shape(d.from(1, 3))
	axis := d.upTo(len(s))
	n := s[axis]
	k := append([]int(nil), s...)
	for i := range k { // of the indices: any number along the axis, 1 or all elsewhere
		if i == axis {
			k[i] = d.from(1, 5)
		} else if d.upTo(4) == 0 {
			k[i] = 1
		}
	}
	elems := 1
	for _, m := range k {
		elems *= m
	}
	idx := make([]int32, elems)
	for i := range idx {
		idx[i] = int32(d.upTo(n))
	}
	src := append([]int(nil), s...)
	src[axis] = k[axis]
	kind, seed := int(d.seed)%4, *d
	f := func(sc *Scope, in []*Tensor) *Tensor {
		e := seed
		x, i := e.view(curved(in[0])), sc.Ints(idx, k...)
		switch kind {
		case 0:
			return x.TakeAlong(axis, i)
		case 1:
			return x.ScatterAdd(axis, i, e.view(curved(in[1])))
		case 2:
			return x.Scatter(axis, i, e.view(curved(in[1])))
		default:
			return x.IndexSelect(axis, i.Reshape(-1)).Mul(in[1].Sum())
		}
	}
	return fmt.Sprint("indexing ", kind, s, axis, k, idx), f, []gc.Input{gc.Shape(s...), gc.Shape(src...)}
}

func TestGradientsOfEinsum(t *testing.T) {
	size := map[rune]int{'i': 2, 'j': 3, 'k': 4, 'b': 2, 'h': 3}
	shape := func(axes string) gc.Input {
		var s []int
		for _, a := range axes {
			s = append(s, size[a])
		}
		return gc.Shape(s...)
	}
	var cases []gc.Named
	for _, c := range []struct {
		spec string
		in   []string
	}{
		{"ij,jk->ik", []string{"ij", "jk"}}, {"ij,kj->ki", []string{"ij", "kj"}}, {"ij,ij->", []string{"ij", "ij"}}, {"i,j->ij", []string{"i", "j"}},
		{"ii->i", []string{"ii"}}, {"iji->j", []string{"iji"}}, {"ij->j", []string{"ij"}}, {"bhik,bhjk->bhij", []string{"bhik", "bhjk"}},
		{"bij,bjk->bik", []string{"bij", "bjk"}}, {"...j,jk->...k", []string{"bij", "jk"}}, {"ij,jk,kb->ib", []string{"ij", "jk", "kb"}},
		{"bi,ijk,bj->bk", []string{"bi", "ijk", "bj"}}, {"ibj,jib", []string{"ibj", "jib"}}, {"ij,k->k", []string{"ij", "k"}}, {"bhj,bhk,b->hjk", []string{"bhj", "bhk", "b"}},
	} {
		e := NewEinsum(c.spec)
		var inputs []gc.Input
		for _, a := range c.in {
			inputs = append(inputs, shape(a))
		}
		cases = append(cases, gc.Named{Name: c.spec, F: func(_ *Scope, in []*Tensor) *Tensor { return e.Apply(in...) }, Inputs: inputs})
	}
	gc.Run(t, cases)
}

func TestGradientsOfRandomPools(t *testing.T) { many(t, 40, randomPools) }

func randomPools(d *dice) (string, gc.Func, []gc.Input) {
	spatial := d.from(1, 3)
	var p Pool
	p.ExcludePad = d.upTo(2) == 0
	x, size := []int{d.from(1, 2)}, []int{}
	for i := range spatial {
		p.Kernel[i] = d.from(1, 3)
		p.Stride[i], p.Dilation[i] = d.upTo(3), d.from(1, 2)
		span := (p.Kernel[i]-1)*p.Dilation[i] + 1
		p.PadLo[i], p.PadHi[i] = d.upTo(min(span, 2)), d.upTo(min(span, 2))
		// Two elements where taps are two apart: a window of one tap on either side of a single element has no maximum.
		x = append(x, max(p.Dilation[i], span-p.PadLo[i]-p.PadHi[i])+d.upTo(3))
		size = append(size, d.from(1, 3))
	}
	x = append(x, d.from(1, 2))
	kind, seed := int(d.seed)%4, *d
	f := func(_ *Scope, in []*Tensor) *Tensor {
		e := seed
		x := e.view(curved(in[0]))
		switch kind {
		case 0:
			return x.AvgPool(p)
		case 1:
			return x.MaxPool(p)
		case 2:
			return x.AdaptiveAvgPool(size...)
		default:
			return x.AdaptiveMaxPool(size...)
		}
	}
	return fmt.Sprintf("pool %d %v %+v %v", kind, x, p, size), f, []gc.Input{gc.Shape(x...)}
}

func TestGradientsOfRandomResizes(t *testing.T) { many(t, 48, randomResizes) }

func randomResizes(d *dice) (string, gc.Func, []gc.Input) {
	spatial := d.from(1, 2)
	x, size := []int{d.from(1, 2)}, []int{}
	for range spatial {
		x = append(x, d.from(1, 5))
		size = append(size, d.from(1, 6))
	}
	x = append(x, d.from(1, 2))
	by, seed := Interpolation(d.seed%8), *d
	f := func(_ *Scope, in []*Tensor) *Tensor { e := seed; return e.view(curved(in[0])).Resize(by, size...) }
	return fmt.Sprint("resize ", by, x, size), f, []gc.Input{gc.Shape(x...)}
}

func TestGradientsOfPatches(t *testing.T) {
	gc.Run(t, []gc.Named{
		un("pixel shuffle", func(x *Tensor) *Tensor { return curved(x).PixelShuffle(2) }, gc.Shape(2, 2, 1, 8)),
		un("pixel unshuffle", func(x *Tensor) *Tensor { return curved(x).PixelUnshuffle(2) }, gc.Shape(1, 4, 2, 3)),
		un("patchify", func(x *Tensor) *Tensor { return curved(x).Patchify(2, 1) }, gc.Shape(2, 4, 3, 2)),
		un("unpatchify", func(x *Tensor) *Tensor { return curved(x).Unpatchify([]int{2, 1, 2}, 1, 2, 1) }, gc.Shape(1, 4, 6)),
	})
}

func TestGradientsOfLosses(t *testing.T) {
	s := gc.Shape(3, 4)
	labels := func(s *Scope) *Tensor { return s.Ints([]int32{2, 0, 3}, 3) }
	pair := func(name string, f func(x, y *Tensor) *Tensor, a, b gc.Input) gc.Named {
		return gc.Named{Name: name, F: func(_ *Scope, in []*Tensor) *Tensor { return f(in[0], in[1]) }, Inputs: in(a, b)}
	}
	gc.Run(t, []gc.Named{
		pair("huber", func(x, y *Tensor) *Tensor { return x.Huber(y, 0.7) }, s, s),
		pair("huber, broadcast", func(x, y *Tensor) *Tensor { return x.Huber(y, 1.1) }, gc.Shape(3, 1), gc.Shape(2, 1, 4)),
		pair("smooth l1", func(x, y *Tensor) *Tensor { return x.SmoothL1(y, 0.4) }, s, s),
		pair("bce", (*Tensor).BCEWithLogits, s, gc.Positive(3, 4)),
		pair("mse, broadcast", (*Tensor).MSE, gc.Shape(3, 1), s),
		{Name: "gaussian kl", F: func(_ *Scope, in []*Tensor) *Tensor { return GaussianKL(in[0], in[1], in[2], in[3]) }, Inputs: in(s, gc.Shape(4), gc.Shape(3, 1), s)},
		pair("cosine", func(x, y *Tensor) *Tensor { return x.CosineSimilarity(y, 1, 1e-8) }, s, gc.Shape(3, 4)),
		pair("cosine, broadcast", func(x, y *Tensor) *Tensor { return x.CosineSimilarity(y, 0, 1e-8) }, gc.Shape(4), gc.Shape(3, 4)),
		pair("cosine of short ones", func(x, y *Tensor) *Tensor { return x.CosineSimilarity(y, -1, 100) }, s, s),
		{Name: "nll", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].Square().NLL(labels(s)) }, Inputs: in(s)},
		{Name: "smoothed cross entropy", F: func(s *Scope, in []*Tensor) *Tensor { return in[0].CrossEntropySmoothed(labels(s), 0.1) }, Inputs: in(s)},
	})
}

func TestGradientsOfRandomTransposedConvolutions(t *testing.T) {
	many(t, 20, randomTransposedConvolutions)
}

func randomTransposedConvolutions(d *dice) (string, gc.Func, []gc.Input) {
	spatial := d.from(1, 3)
	var c Conv
	c.Groups = d.from(1, 2)
	cin, cout := c.Groups*d.from(1, 2), c.Groups*d.from(1, 2)
	y, w, out := []int{d.from(1, 2)}, []int{}, []int{}
	for i := range spatial {
		kernel := d.from(1, 3)
		c.Stride[i], c.Dilation[i] = d.from(1, 2), d.from(1, 2)
		c.PadLo[i], c.PadHi[i] = d.upTo(2), d.upTo(2)
		span := c.Dilation[i]*(kernel-1) + 1 - c.PadLo[i] - c.PadHi[i]
		size := max(1, span) + d.upTo(3)
		out = append(out, size)
		y = append(y, (size-span)/c.Stride[i]+1)
		w = append(w, kernel)
	}
	y, w = append(y, cout), append(w, cin/c.Groups, cout)
	f := func(_ *Scope, in []*Tensor) *Tensor { return in[0].ConvTranspose(in[1], in[2], c, out...) }
	return fmt.Sprintf("transposed conv %v %v %+v to %v", y, w, c, out), f, []gc.Input{gc.Shape(y...), gc.Shape(w...), gc.Shape(cin)}
}
