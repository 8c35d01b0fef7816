package diffusion

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// The oracle of one path, as a model of another, is the oracle of that.
func TestAlong(t *testing.T) {
	s, data := scope64(t, tensor.Inference), testMixture()
	all := map[string]GaussianPath{"condot": CondOT{}, "trig": Trig{}, "vp": VP{0.1, 20}, "edm": EDM{80}, "ve": VE{0.01, 50}}
	for from, p := range all {
		for to, q := range all {
			for _, k := range []Kind{Eps, X0, V, Velocity, Score, Preconditioned{SigmaData: 0.5}} {
				m := Along(&Oracle{data, p, k}, q)
				if !SamePath(m.Path(), q) {
					t.Fatalf("%s as %s is a model on %T", from, to, m.Path())
				}
				at := Step{}
				for _, level := range []float64{0.05, 0.3, 1, 2.5} {
					at.T = append(at.T, q.Time(-math.Log(level)))
				}
				x := s.Normal(rng.Key{Seed: 4}, 0, 4, 2)
				got, want := m.Eval(x, at, Cond{}), (&Oracle{data, q, Velocity}).Eval(x, at, Cond{}).Value.Float64s()
				if got.Kind != m.Kind() {
					t.Errorf("%s as %s predicts %v, its kind is %v", from, to, got.Kind, m.Kind())
				}
				for i, v := range got.As(Velocity, x, q, at).Float64s() {
					close(t, fmt.Sprintf("%s as %s from %v, velocity %d", from, to, k, i), v, want[i], 1e-9)
				}
			}
		}
	}
	o := &Oracle{data, CondOT{}, V}
	if Along(o, CondOT{}) != Model(o) {
		t.Error("a model of the path itself was wrapped")
	}
}
