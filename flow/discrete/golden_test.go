package discrete

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	results "github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// goldenFile holds PyTorch's losses and SciPy's transitions: see internal/golden/README.md.
const goldenFile = "../../internal/golden/testdata/flow/discrete.safetensors"

type golden struct{ results.File }

func openGolden(t *testing.T) golden { return golden{results.Open(t, goldenFile)} }

// values are tokens as states have them.
func (g golden) values(name string, k Alphabet) []float32 {
	g.T.Helper()
	tokens := g.Ints(name)
	out := make([]float32, len(tokens))
	for i, v := range tokens {
		out[i] = k.Value(int(v))
	}
	return out
}

// fixed is a model that says the same of all states.
type fixed struct {
	path   *Path
	logits *tensor.Tensor
}

func (m fixed) Path() diffusion.GaussianPath { return m.path }
func (m fixed) Kind() diffusion.Kind         { return Posterior }
func (m fixed) Eval(*tensor.Tensor, diffusion.Step, diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Value: m.logits, Kind: Posterior}
}

// Both losses and their gradients, of every source and scheduler, in float64.
func TestLossesLikePyTorch(t *testing.T) {
	g := openGolden(t)
	const k, n = Alphabet(5), 6
	shape := []int{2, 3}
	for _, source := range []Source{Mask, Uniform} {
		for name, scheduler := range schedulers {
			for kind, bound := range map[string]bool{"cross_entropy": false, "bound": true} {
				s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
				logits := s.Leaf(s.Tensor(g.Floats("logits"), n, 2, 3*int(k)))
				m := fixed{&Path{Alphabet: k, Source: source, Scheduler: scheduler}, logits}
				d := &diffusion.Draw{N: n, Shape: shape, X: g.values("x1", k), T: g.Floats("t"), Extra: g.values(source.String()+"/xt", k)}
				for i := range d.T { // the papers' time runs to the data
					d.T[i] = 1 - d.T[i]
				}
				loss := (&Matching{Path: m.path, Bound: bound}).Loss(s, m, d)
				at := fmt.Sprintf("%v/%s/%s", source, name, kind)
				// 36 tokens' sums of 5 exponentials: some hundred roundings.
				if want := g.Floats(at + "/loss")[0]; math.Abs(loss.Item()-want) > 1e-13*(1+math.Abs(want)) {
					t.Errorf("%s: loss %.15g, want %.15g", at, loss.Item(), want)
				}
				grad, want := s.GradOf(loss, tensor.GradOptions{}, logits)[0].Float64s(), g.Floats(at+"/grad")
				for i := range want {
					if math.Abs(grad[i]-want[i]) > 1e-13*(1+math.Abs(want[i])) {
						t.Fatalf("%s: gradient %d is %g, want %g", at, i, grad[i], want[i])
					}
				}
				s.Close()
			}
		}
	}
}

// The chain's steps are SciPy's solutions of its rates' equation, of a relative tolerance of 10⁻¹².
func TestKernelsLikeSciPy(t *testing.T) {
	g := openGolden(t)
	var steps [][3]float64
	g.JSON("steps", &steps)
	source := g.Floats("kernel/source")
	for name, scheduler := range schedulers {
		p := &Path{Alphabet: 3, Scheduler: scheduler}
		for i, at := range steps {
			stay, data, fresh := p.Kernel(1-at[0], 1-at[1], at[2])
			for j, want := range g.Floats(fmt.Sprintf("kernel/%s/%d", name, i)) {
				from, to := j/3, j%3
				got := fresh * source[to]
				if to == from {
					got += stay
				}
				if to == 0 {
					got += data
				}
				if math.Abs(got-want) > 1e-11 {
					t.Errorf("%s, step %v, %d to %d: %.12g, want %.12g", name, at, from, to, got, want)
				}
			}
		}
	}
}
