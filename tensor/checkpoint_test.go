package tensor_test

import (
	"testing"

	. "github.com/langevin-go/langevin/tensor"
	gc "github.com/langevin-go/langevin/tensor/gradcheck"
	"github.com/langevin-go/langevin/tensor/rng"
)

func TestCheckpointChangesNoBit(t *testing.T) {
	w, b := param(t, 32, 32), param(t, 32)
	run := func(checkpoint bool) (out [][]float32, peak int) {
		s := scope(t, Recording)
		s.SetDropout(rng.Key{Seed: 2})
		x := s.Leaf(s.Normal(rng.Key{Seed: 1}, 0, 64, 32))
		block := func(in []*Tensor) *Tensor {
			h := in[0]
			for range 4 {
				h = h.Linear(w, b).SiLU().Dropout(0.1).Add(in[0])
			}
			return h.LayerNorm(nil, b, Norm{Eps: 1e-5})
		}
		h := x
		for range 6 {
			if checkpoint {
				h = s.Checkpoint(block, h)
			} else {
				h = block([]*Tensor{h})
			}
		}
		loss := s.Hold(h.Square().Mean())
		g := s.GradOf(loss, GradOptions{}, x, s.Param(w), s.Param(b))
		for _, t := range append(g, loss) {
			out = append(out, t.Float32s())
		}
		return out, s.MemoryPeak()
	}
	want, all := run(false)
	got, some := run(true)
	for i := range want {
		for j := range want[i] {
			if got[i][j] != want[i][j] {
				t.Fatalf("result %d element %d: %g with Checkpoint, %g without", i, j, got[i][j], want[i][j])
			}
		}
	}
	if some > all/2 {
		t.Errorf("%d bytes at most with Checkpoint, %d without", some, all)
	}
}

func TestCheckpointGradients(t *testing.T) {
	gc.Run(t, []gc.Named{
		{Name: "two inputs", F: func(s *Scope, in []*Tensor) *Tensor {
			return s.Checkpoint(func(x []*Tensor) *Tensor { return x[0].MatMul(x[1]).Tanh().Mul(x[0]) }, in[0], in[1]).Add(in[0].Square())
		}, Inputs: in(gc.Shape(3, 3), gc.Shape(3, 3))},
		{Name: "nested", F: func(s *Scope, in []*Tensor) *Tensor {
			return s.Checkpoint(func(x []*Tensor) *Tensor {
				return s.Checkpoint(func(x []*Tensor) *Tensor { return x[0].Exp().Sin() }, x[0]).Square()
			}, in[0])
		}, Inputs: in(gc.Shape(2, 3))},
		{Name: "identity", F: func(s *Scope, in []*Tensor) *Tensor {
			return s.Checkpoint(func(x []*Tensor) *Tensor { return x[0] }, in[0]).Square()
		}, Inputs: in(gc.Shape(4))},
	})
}
