package tensor_test

import (
	"fmt"
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	gc "github.com/langevin-go/langevin/tensor/gradcheck"
	"github.com/langevin-go/langevin/tensor/rng"
)

// dice are small random numbers for shapes.
type dice struct {
	seed uint64
	n    int
}

func (d *dice) upTo(n int) int { d.n++; return rng.Intn(rng.Key{Seed: 31}, d.seed, d.n, n) }
func (d *dice) from(lo, hi int) int {
	return lo + d.upTo(hi-lo+1)
}

func (d *dice) shape(rank int) []int {
	s := make([]int, rank)
	for i := range s {
		s[i] = d.from(1, 4)
	}
	return s
}

// broadcastable is a shape that broadcasts to s: axes become 1, or leading ones go.
func (d *dice) broadcastable(s []int) []int {
	b := append([]int(nil), s[d.upTo(len(s)+1):]...)
	for i := range b {
		if d.upTo(3) == 0 {
			b[i] = 1
		}
	}
	return b
}

// randomCases make an operation, its settings and the shapes of its inputs of dice.
var randomCases = []func(d *dice) (string, gc.Func, []gc.Input){
	randomBroadcasts,
	randomReductions,
	randomViews,
	randomProducts,
	randomConvolutions,
	randomNorms,
	randomAttention,
	randomFolds,
	randomArrangements,
	randomIndexing,
	randomPools,
	randomResizes,
	randomTransposedConvolutions,
}

// FuzzGradients checks derivatives of operations with settings and shapes beyond those of the tests.
func FuzzGradients(f *testing.F) {
	for kind := range randomCases {
		f.Add(uint8(kind), uint64(100+kind))
	}
	f.Fuzz(func(t *testing.T, kind uint8, seed uint64) {
		name, fn, inputs := randomCases[int(kind)%len(randomCases)](&dice{seed: seed})
		gc.Check(t, name, fn, inputs...)
	})
}

// many checks a random case for each of some seeds.
func many(t *testing.T, n int, f func(d *dice) (string, gc.Func, []gc.Input)) {
	t.Helper()
	for seed := range uint64(n) {
		name, fn, inputs := f(&dice{seed: seed})
		gc.Check(t, fmt.Sprintf("%s (case %d)", name, seed), fn, inputs...)
		if t.Failed() {
			return
		}
	}
}

func TestGradientsOfRandomBroadcasts(t *testing.T) { many(t, 40, randomBroadcasts) }

func randomBroadcasts(d *dice) (string, gc.Func, []gc.Input) {
	ops := []struct {
		name string
		f    func(*Tensor, Operand) *Tensor
	}{{"add", (*Tensor).Add}, {"sub", (*Tensor).Sub}, {"mul", (*Tensor).Mul}, {"div", (*Tensor).Div}, {"max", (*Tensor).Maximum}, {"min", (*Tensor).Minimum}}
	s := d.shape(d.upTo(5))
	a, b := d.broadcastable(s), d.broadcastable(s)
	o := ops[d.upTo(len(ops))]
	f := func(_ *Scope, in []*Tensor) *Tensor { return o.f(in[0], in[1]) }
	return fmt.Sprint(o.name, a, b), f, []gc.Input{gc.Shape(a...), gc.Positive(b...)}
}

func TestGradientsOfRandomReductions(t *testing.T) { many(t, 30, randomReductions) }

func randomReductions(d *dice) (string, gc.Func, []gc.Input) {
	s := d.shape(d.from(1, 4))
	var axes []int
	for i := range s {
		if d.upTo(2) == 0 {
			axes = append(axes, i-len(s)*d.upTo(2))
		}
	}
	kind := d.upTo(5)
	f := func(_ *Scope, in []*Tensor) *Tensor {
		switch x := in[0]; kind {
		case 0:
			return x.Square().Sum(axes...)
		case 1:
			return x.Square().Mean(axes...)
		case 2:
			return x.MaxKeep(axes...).Square()
		case 3:
			return x.LogSumExpKeep(axes...)
		default:
			return x.Mul(x.Softmax()).SumKeep(axes...)
		}
	}
	return fmt.Sprint("reduction ", kind, s, axes), f, []gc.Input{gc.Shape(s...)}
}

func TestGradientsOfRandomViews(t *testing.T) { many(t, 30, randomViews) }

func randomViews(d *dice) (string, gc.Func, []gc.Input) {
	s := d.shape(3)
	axis, cut := d.upTo(3), 0
	start := d.upTo(s[axis])
	end := d.from(start+1, s[axis])
	step := d.from(1, 2)
	cut = d.upTo(3)
	f := func(_ *Scope, in []*Tensor) *Tensor {
		x := in[0].Square()
		y := x.SliceStep(axis, start, end, step)
		z := Concat(axis, y, x, y.Scale(0.5)).Permute((cut)%3, (cut+1)%3, (cut+2)%3)
		return z.Pad(cut, 1, 2).Reshape(-1).Mul(z.Pad(cut, 2, 1).Reshape(-1))
	}
	return fmt.Sprint("views ", s, axis, start, end, step), f, []gc.Input{gc.Shape(s...)}
}

func TestGradientsOfRandomProducts(t *testing.T) { many(t, 30, randomProducts) }

func randomProducts(d *dice) (string, gc.Func, []gc.Input) {
	m, k, n := d.from(1, 4), d.from(1, 4), d.from(1, 4)
	batch := d.shape(d.upTo(3))
	a := append(d.broadcastable(batch), m, k)
	b := append(d.broadcastable(batch), k, n)
	ta, tb := d.upTo(2) == 1, d.upTo(2) == 1
	swap := func(s []int, t bool) []int {
		if t {
			r := len(s)
			s[r-1], s[r-2] = s[r-2], s[r-1]
		}
		return s
	}
	f := func(_ *Scope, in []*Tensor) *Tensor {
		x, y := in[0], in[1]
		if ta {
			x = x.T()
		}
		if tb {
			y = y.T()
		}
		return x.Linear(y, in[2]).Square()
	}
	return fmt.Sprint("product ", a, ta, b, tb), f, []gc.Input{gc.Shape(swap(a, ta)...), gc.Shape(swap(b, tb)...), gc.Shape(n)}
}

func TestGradientsOfRandomConvolutions(t *testing.T) { many(t, 30, randomConvolutions) }

func randomConvolutions(d *dice) (string, gc.Func, []gc.Input) {
	spatial := d.from(1, 3)
	var c Conv
	c.Groups = d.from(1, 2)
	cin, cout := c.Groups*d.from(1, 2), c.Groups*d.from(1, 2)
	x, w := []int{d.from(1, 2)}, []int{}
	for i := range spatial {
		kernel := d.from(1, 3)
		c.Stride[i], c.Dilation[i] = d.from(1, 2), d.from(1, 2)
		c.PadLo[i], c.PadHi[i] = d.upTo(2), d.upTo(2)
		x = append(x, max(1, c.Dilation[i]*(kernel-1)+1-c.PadLo[i]-c.PadHi[i])+d.upTo(2))
		w = append(w, kernel)
	}
	x, w = append(x, cin), append(w, cin/c.Groups, cout)
	f := func(_ *Scope, in []*Tensor) *Tensor { return in[0].Conv(in[1], in[2], c) }
	return fmt.Sprintf("conv %v %v %+v", x, w, c), f, []gc.Input{gc.Shape(x...), gc.Shape(w...), gc.Shape(cout)}
}

func TestGradientsOfRandomNorms(t *testing.T) { many(t, 30, randomNorms) }

func randomNorms(d *dice) (string, gc.Func, []gc.Input) {
	groups := d.from(1, 3)
	n, ch := d.from(1, 3), groups*d.from(1, 3)
	x := append(append([]int{n}, d.shape(d.from(1, 2))...), ch)
	affine := []int{ch}
	if d.upTo(2) == 0 {
		affine = []int{n, ch}
	}
	o := Norm{Eps: 0.1, AddOne: d.upTo(2) == 0, SiLU: d.upTo(2) == 0}
	kind := d.upTo(3)
	f := func(_ *Scope, in []*Tensor) *Tensor {
		switch kind {
		case 0:
			return in[0].LayerNorm(in[1], in[2], o)
		case 1:
			return in[0].GroupNorm(groups, in[1], in[2], o)
		default:
			return in[0].RMSNorm(in[1], o).Mul(in[2].Sum())
		}
	}
	return fmt.Sprintf("norm %d %v %v groups %d %+v", kind, x, affine, groups, o), f, []gc.Input{gc.Shape(x...), gc.Shape(affine...), gc.Shape(affine...)}
}

func TestGradientsOfRandomAttention(t *testing.T) { many(t, 20, randomAttention) }

func randomAttention(d *dice) (string, gc.Func, []gc.Input) {
	n, tq, tk, h, dim := d.from(1, 2), d.from(1, 4), d.from(1, 4), d.from(1, 2), d.from(1, 3)
	masked := d.upTo(2) == 0
	f := func(_ *Scope, in []*Tensor) *Tensor {
		var mask *Tensor
		if masked {
			mask = in[3]
		}
		return Attention(in[0], in[1], in[2], mask, 0.7)
	}
	return fmt.Sprint("attention ", n, tq, tk, h, dim, masked), f,
		[]gc.Input{gc.Shape(n, tq, h, dim), gc.Shape(n, tk, h, dim), gc.Shape(n, tk, h, dim), gc.Fixed(tq, tk)}
}
