package nn

import (
	"testing"

	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// scoreNet is a network of fused operations (linear with bias, layer norm, attention), whose
// higher derivatives go through their composites: (N,2) to (N,2).
type scoreNet struct {
	In   *Linear
	Norm *LayerNorm
	Att  *SelfAttention
	Out  *Linear
	Skip *Linear
}

func newScoreNet() *scoreNet {
	in := newInit()
	return &scoreNet{NewLinear(in, 2, 32), NewLayerNorm(in, 8, 1e-5), NewSelfAttention(in, 8, 2, 4, true), NewLinear(in, 32, 2), NewLinear(in, 2, 2)}
}

func (m *scoreNet) forward(x *tensor.Tensor) *tensor.Tensor {
	n := x.Dim(0)
	h := m.In.Forward(x).Reshape(n, 4, 8)
	h = h.Add(m.Att.Forward(m.Norm.Forward(h))).SiLU()
	return m.Out.Forward(h.Reshape(n, 32)).Add(m.Skip.Forward(x))
}

// Score matching (Hyvärinen 2005) trains a network to the score of its data, of a
// Gaussian here: s(x) = −Σ⁻¹·(x−μ). Its loss ½|s|² + div s has derivatives of s in it, so that a
// step needs derivatives of derivatives of every operation: reverse over forward mode
// (exact), reverse over reverse mode (sliced; Song et al. 2019, with reduced variance).
func TestScoreMatching(t *testing.T) {
	const batch, steps = 128, 250
	std, mean := []float32{0.5, 1}, []float32{1, -0.5}
	for name, trace := range map[string]func(s *tensor.Scope, m *scoreNet, x, probe *tensor.Tensor) (score, trace *tensor.Tensor){
		"exact": func(s *tensor.Scope, m *scoreNet, x, _ *tensor.Tensor) (score, trace *tensor.Tensor) {
			return m.forward(x), s.Divergence(m.forward, x)
		},
		"sliced": func(s *tensor.Scope, m *scoreNet, x, probe *tensor.Tensor) (score, trace *tensor.Tensor) {
			x = s.Leaf(x)
			score = m.forward(x)
			g := s.GradOf(score.Mul(probe).Sum(), tensor.GradOptions{CreateGraph: true}, x)[0]
			return score, g.Mul(probe).Sum(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newScoreNet()
			params := Params(m)
			opt := optim.NewAdam(params, optim.AdamConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8})
			s := tensor.NewScope(cpu.Default(), tensor.Recording)
			defer s.Close()
			data := func(step uint64) (x *tensor.Tensor) {
				return s.Normal(rng.Key{Seed: 7}, step*batch, batch, 2).MulAdd(s.Tensor(std, 2), s.Tensor(mean, 2))
			}
			// distance is E|s−s*|²/E|s*|².
			distance := func() float64 {
				s.Reset()
				x := data(1 << 20)
				want := x.Sub(s.Tensor(mean, 2)).Div(s.Tensor(std, 2).Square()).Neg()
				return m.forward(x).MSE(want).Item() / want.Square().Mean().Item()
			}
			before := distance()
			for step := range uint64(steps) {
				s.Reset()
				probe := s.Normal(rng.Key{Seed: 8}, step*batch, batch, 2)
				score, tr := trace(s, m, data(step), probe)
				loss := score.Square().Sum(1).Scale(0.5).Add(tr).Mean()
				opt.Step(s, s.Grad(loss, params), 1e-2, 1)
			}
			// A learner that sees 32,000 points: some percent remain. Without the trace, or with a wrong
			// derivative of it, s goes to 0 or away, and the distance to 1 or more.
			if after := distance(); !(after < 0.1) {
				t.Errorf("the relative error of the score is %.3f, before %.3f", after, before)
			}
		})
	}
}
