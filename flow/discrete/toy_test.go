package discrete

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// toy is a law of d tokens whose posteriors along a path are known exactly.
type toy struct {
	path *Path
	d    int
	law  []float64 // of each of the K^d data, first token slowest
}

// newToy has three tokens with a law in which all depend on all.
func newToy(source Source, scheduler flow.Scheduler) *toy {
	m := &toy{path: &Path{Alphabet: 3, Source: source, Scheduler: scheduler}, d: 3, law: make([]float64, 27)}
	sum := 0.0
	for i := range m.law {
		u := rng.Float64(rng.Key{Seed: 11}, uint64(i), 0)
		m.law[i] = 0.1 + u*u
		sum += m.law[i]
	}
	for i := range m.law {
		m.law[i] /= sum
	}
	return m
}

// states is the number of states of the path: K^d, or (K+1)^d with the mask.
func (m *toy) states() int { return int(math.Pow(float64(m.path.Width()), float64(m.d))) }

// split is number i in base b, m.d digits.
func (m *toy) split(i, b int) []int {
	out := make([]int, m.d)
	for j := m.d - 1; j >= 0; j-- {
		out[j] = i % b
		i /= b
	}
	return out
}

func (m *toy) join(x []int, b int) int {
	i := 0
	for _, k := range x {
		i = i*b + k
	}
	return i
}

// source is π of a token.
func (m *toy) source(k int) float64 {
	switch {
	case m.path.Source == Uniform:
		return 1 / float64(m.path.Alphabet)
	case k == m.path.Alphabet.Mask():
		return 1
	}
	return 0
}

// given is p_t(x|x0).
func (m *toy) given(x, x0 []int, t float64) float64 {
	kappa, _ := m.path.Kappa(t)
	p := 1.0
	for i := range x {
		v := kappa * m.source(x[i])
		if x[i] == x0[i] {
			v += 1 - kappa
		}
		p *= v
	}
	return p
}

// marginal is p_t(x).
func (m *toy) marginal(x []int, t float64) float64 {
	p := 0.0
	for i, q := range m.law {
		p += q * m.given(x, m.split(i, 3), t)
	}
	return p
}

// posterior is p(x0^i = k|x_t = x), by token.
func (m *toy) posterior(x []int, t float64) [][]float64 {
	out, sum := make([][]float64, m.d), 0.0
	for j := range out {
		out[j] = make([]float64, 3)
	}
	for i, q := range m.law {
		x0 := m.split(i, 3)
		w := q * m.given(x, x0, t)
		sum += w
		for j, k := range x0 {
			out[j][k] += w
		}
	}
	for j := range out {
		for k := range out[j] {
			out[j][k] /= sum
		}
	}
	return out
}

func (m *toy) Path() diffusion.GaussianPath { return m.path }
func (m *toy) Kind() diffusion.Kind         { return Posterior }

// Eval are logarithms of the posteriors, less a number that softmax does not see.
func (m *toy) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	shape := slices.Clone(x.Shape())
	shape[len(shape)-1] *= 3
	value := x.Scope().Host(func(y []float64, in [][]float64) {
		row, known := make([]int, m.d), map[[2]float64][][]float64{}
		for i := range len(in[0]) / m.d {
			for j := range row {
				row[j] = m.path.Alphabet.Token(in[0][i*m.d+j])
			}
			key := [2]float64{at.At(i), float64(m.join(row, 4))}
			if known[key] == nil {
				known[key] = m.posterior(row, at.At(i))
			}
			for j, p := range known[key] {
				for k, v := range p {
					y[(i*m.d+j)*3+k] = math.Max(math.Log(v), -700) + 3
				}
			}
		}
	}, shape, x)
	return diffusion.Pred{Value: value, Kind: Posterior}
}

func float64Scope(t *testing.T) *tensor.Scope {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	t.Cleanup(s.Close)
	return s
}

// starts are n samples of the source.
func (m *toy) starts(s *tensor.Scope, seed uint64, n int) *tensor.Tensor {
	x := make([]float32, n*m.d)
	for i := range n {
		m.path.DrawSource(rng.Key{Seed: seed, Stream: 5}, uint64(i), x[i*m.d:(i+1)*m.d])
	}
	return s.Tensor(x, n, m.d)
}

// uniform is a grid of equal steps from the source to the data.
func uniform(steps int) []float64 {
	grid := make([]float64, steps+1)
	for i := range grid {
		grid[i] = 1 - float64(i)/float64(steps)
	}
	return grid
}

// draw are n samples as numbers of data.
func (m *toy) draw(t *testing.T, how sampler.Sampler, steps, n int, seed uint64) []int {
	t.Helper()
	s := float64Scope(t)
	x, err := sampler.Sample(context.Background(), s, m, how, uniform(steps), m.starts(s, seed, n), sampler.Options{Key: rng.Key{Seed: seed}})
	if err != nil {
		t.Fatal(err)
	}
	values, out := x.Float64s(), make([]int, n)
	for i := range out {
		row := make([]int, m.d)
		for j := range row {
			v := values[i*m.d+j]
			if row[j] = m.path.Alphabet.Token(v); !m.path.Alphabet.Is(v, false) {
				t.Fatalf("sample %d has %g, which is no token", i, v)
			}
		}
		out[i] = m.join(row, 3)
	}
	return out
}

// chainLaw is the exact law of samples by CTMC in so many steps, summed over all ways.
func (m *toy) chainLaw(steps int, eta float64) []float64 {
	b, grid := m.path.Width(), uniform(steps)
	law := make([]float64, m.states())
	for i := range law {
		p := 1.0
		for _, k := range m.split(i, b) {
			p *= m.source(k)
		}
		law[i] = p
	}
	for n := range steps {
		next := make([]float64, len(law))
		stay, data, source := m.path.Kernel(grid[n], grid[n+1], eta)
		for i, p := range law {
			if p == 0 {
				continue
			}
			x := m.split(i, b)
			post := m.posterior(x, grid[n])
			for to := range next {
				q := p
				for j, k := range m.split(to, b) {
					step := source * m.source(k)
					if k < 3 {
						step += data * post[j][k]
					}
					if k == x[j] {
						step += stay
					}
					q *= step
				}
				next[to] += q
			}
		}
		law = next
	}
	out := make([]float64, len(m.law))
	for i, p := range law {
		x := m.split(i, b)
		ended := true
		for _, k := range x {
			ended = ended && k < 3
		}
		if ended {
			out[m.join(x, 3)] += p
		}
	}
	return out
}

// apart is the total variation between two laws.
func apart(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Abs(a[i]-b[i]) / 2
	}
	return sum
}

// chiSquare fails where counts are not of a law. The statistic of so many cells is above the bound
// with probability 10⁻⁶ (Wilson and Hilferty's approximation, 4.75 deviations).
func chiSquare(t *testing.T, name string, got []int, law []float64) {
	t.Helper()
	n, counts := float64(len(got)), make([]float64, len(law))
	for _, i := range got {
		counts[i]++
	}
	sum, cells := 0.0, -1.0
	rest, others := 0.0, 0.0 // cells of fewer than 5 expected samples are one
	for i, p := range law {
		if p*n < 5 {
			rest, others = rest+p*n, others+counts[i]
			continue
		}
		cells++
		sum += (counts[i] - p*n) * (counts[i] - p*n) / (p * n)
	}
	if rest > 1 {
		cells++
		sum += (others - rest) * (others - rest) / rest
	}
	h := 2 / (9 * cells)
	if bound := cells * math.Pow(1-h+4.75*math.Sqrt(h), 3); !(sum < bound) {
		t.Errorf("%s: χ² is %.1f with %.0f degrees of freedom, want less than %.1f", name, sum, cells, bound)
	}
}
