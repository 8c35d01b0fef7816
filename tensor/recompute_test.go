package tensor_test

import (
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	. "github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// recomputed is t, to be recomputed if lean.
func recomputed(t *Tensor, lean bool) *Tensor {
	if lean {
		return t.Recompute()
	}
	return t
}

// leanBlocks is some blocks of what Recompute is for, read by one product or two.
func leanBlocks(x *Tensor, w, b *Param, lean bool) *Tensor {
	s := x.Scope()
	h := x
	for range 12 {
		m := s.Mark()
		y := recomputed(h.LayerNorm(b, nil, Norm{Eps: 1e-5, AddOne: true}), lean)
		y = y.Linear(w, b).Add(y.MatMul(w))
		y = recomputed(y.GELUTanh(), lean).Dropout(0.1).MatMul(w)
		z := recomputed(y.Reshape(4, -1, y.Dim(-1)).GroupNorm(4, b, b, Norm{Eps: 1e-5, SiLU: true}), lean)
		y = recomputed(y.SiLU(), lean).Linear(w, nil).Add(z.Linear(w, b).Reshape(y.Shape()...))
		h = s.Release(m, y.Add(h))
	}
	return h
}

func TestRecomputeChangesNoBit(t *testing.T) {
	w, b := param(t, 32, 32), param(t, 32)
	ways := map[string]func(s *Scope, x, loss *Tensor) []*Tensor{
		"once": func(s *Scope, x, loss *Tensor) []*Tensor {
			return s.GradOf(loss, GradOptions{}, x, s.Param(w), s.Param(b))
		},
		"twice on one tape": func(s *Scope, x, loss *Tensor) []*Tensor {
			s.GradOf(loss, GradOptions{Retain: true}, x)
			return s.GradOf(loss, GradOptions{}, x, s.Param(w), s.Param(b))
		},
		"second derivatives": func(s *Scope, x, loss *Tensor) []*Tensor {
			g := s.GradOf(loss, GradOptions{CreateGraph: true}, x)[0]
			return s.GradOf(g.Square().Mean(), GradOptions{}, x, s.Param(w), s.Param(b))
		},
	}
	for name, grad := range ways {
		for _, checkpoint := range []bool{false, true} {
			run := func(lean bool) (out [][]float32, peak int) {
				s := scope(t, Recording)
				s.SetDropout(rng.Key{Seed: 2})
				x := s.Leaf(s.Normal(rng.Key{Seed: 1}, 0, 64, 32))
				f := func(in []*Tensor) *Tensor { return leanBlocks(in[0], w, b, lean) }
				var y *Tensor
				if checkpoint {
					y = s.Checkpoint(f, x)
				} else {
					y = f([]*Tensor{x})
				}
				loss := s.Hold(y.Square().Mean())
				for _, g := range append(grad(s, x, loss), loss) {
					out = append(out, g.Float32s())
				}
				return out, s.MemoryPeak()
			}
			want, all := run(false)
			got, some := run(true)
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("%s, checkpoint %v: result %d differs", name, checkpoint, i)
				}
			}
			// Of a block, three arrays of x's size of about eight are kept less: the two
			// norms and the last activation. (Dropout keeps no activation anyway.)
			if name == "once" && !checkpoint && float64(some) > 0.75*float64(all) {
				t.Errorf("%d bytes at most with Recompute, %d without", some, all)
			}
		}
	}
}

// Where it would gain nothing, or is not known how, nothing changes; and what is
// held stays.
func TestRecomputeLeavesAlone(t *testing.T) {
	w := param(t, 8, 8)
	s := scope(t, Recording)
	x := s.Leaf(s.Normal(rng.Key{Seed: 1}, 0, 4, 8))
	if got := x.Recompute(); got != x {
		t.Error("a leaf became another tensor")
	}
	m := s.Mark()
	product := x.MatMul(w).Recompute() // as dear as what reads it
	sum := x.Add(product).Recompute()  // of what no gradient keeps
	held := s.Hold(product.Sin().Recompute())
	y := s.Release(m, product.MatMul(w).Add(sum.MatMul(w)).Add(held.MatMul(w)))
	for name, k := range map[string]*Tensor{"product": product, "sum": sum, "held": held} {
		func() {
			defer func() {
				if e := recover(); e != nil {
					t.Errorf("the %s is gone: %v", name, e)
				}
			}()
			k.Float32s()
		}()
	}
	s.GradOf(y.Mean(), GradOptions{}, x)
}

func TestRecomputeAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	w, b := param(t, 32, 32), param(t, 32)
	s := scope(t, Recording)
	params := []*Param{w, b}
	step := func() {
		s.Reset()
		x := s.Normal(rng.Key{Seed: 1}, 0, 64, 32)
		s.Grad(leanBlocks(x, w, b, true).Square().Mean(), params)
	}
	for range 6 {
		step()
	}
	if n := testenv.Allocs(t, step); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}
