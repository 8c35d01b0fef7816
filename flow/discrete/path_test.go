package discrete

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/tensor/rng"
)

var schedulers = map[string]flow.Scheduler{
	"linear": nil, "cosine": new(flow.CosineKappa), "sine": new(flow.SineKappa),
	"power": &flow.PowerKappa{Exponent: 1.5}, "polynomial": &flow.PolynomialKappa{Exponent: 2},
}

// Tokens are the data's own values: those of pictures of as many levels, bit for bit.
func TestAlphabet(t *testing.T) {
	for _, k := range []Alphabet{2, 3, 17, 256, 1 << 16} {
		if err := k.Check(); err != nil {
			t.Fatal(err)
		}
		for token := range int(k) + 1 {
			v := k.Value(token)
			if want := min(1, float32(2*token)/float32(int(k)-1)-1); token < int(k) && v != want {
				t.Fatalf("token %d of %d is %g, in pictures %g", token, k, v, want)
			}
			if got := k.Token(float64(v)); got != token {
				t.Fatalf("%g of %d tokens is token %d, want %d", v, k, got, token)
			}
			if k.Is(float64(v), false) != (token < int(k)) || !k.Is(float64(v), true) {
				t.Fatalf("token %d of %d is not told from others", token, k)
			}
			if off := float64(v) + 0.05*2/float64(k-1); k.Is(off, true) {
				t.Fatalf("%g counts as token %d of %d", off, token, k)
			}
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 3, -1.2} {
		if Alphabet(5).Is(v, true) {
			t.Errorf("%g counts as a token", v)
		}
	}
	for _, k := range []Alphabet{-1, 0, 1, 1<<16 + 1} {
		if k.Check() == nil {
			t.Errorf("an alphabet of %d", k)
		}
	}
}

// Every scheduler is 0 at the data and 1 at the source, never falls, and has the derivative that differences give.
func TestSchedulers(t *testing.T) {
	const h = 1e-6
	for name, k := range schedulers {
		p := &Path{Alphabet: 3, Scheduler: k}
		a, _ := p.Kappa(0)
		if b, _ := p.Kappa(1); a != 0 || math.Abs(b-1) > 1e-15 {
			t.Errorf("%s: κ runs from %g to %g", name, a, b)
		}
		for _, at := range []float64{0.01, 0.3, 0.5, 0.9} {
			lo, _ := p.Kappa(at - h)
			hi, _ := p.Kappa(at + h)
			// Central differences: h²/6 times a third derivative below 60, and rounding of 10⁻¹⁶ over h.
			if _, rate := p.Kappa(at); math.Abs(rate-(hi-lo)/(2*h)) > 60*h*h+2e-16/h || rate < 0 {
				t.Errorf("%s at %g: κ' is %g, by differences %g", name, at, rate, (hi-lo)/(2*h))
			}
		}
	}
}

// The Kolmogorov equation: with the exact posteriors' rates the marginals are those of the path. Along with any part of
// the rates that go both ways, too.
//
// d p_t(x)/dt, time running to the source, is minus the probability that flows into x as time runs to the data.
func TestKolmogorovEquation(t *testing.T) {
	const h = 1e-5
	for _, source := range []Source{Mask, Uniform} {
		for name, k := range schedulers {
			m := newToy(source, k)
			b := m.path.Width()
			for _, at := range []float64{0.2, 0.5, 0.85} {
				for _, eta := range []float64{0, 0.7} {
					toData, toSource := m.path.Rates(at)
					toData, toSource = (1+eta)*toData, eta*toSource
					in := make([]float64, m.states())
					for i := range in {
						x := m.split(i, b)
						p := m.marginal(x, at)
						if p == 0 {
							continue
						}
						post := m.posterior(x, at)
						for j, from := range x {
							for to := range b {
								rate := toSource * m.source(to)
								if to < 3 {
									rate += toData * post[j][to]
								}
								x[j] = to
								in[m.join(x, b)] += rate * p
								x[j] = from
								in[i] -= rate * p
							}
						}
					}
					for i := range in {
						x := m.split(i, b)
						slope := (m.marginal(x, at+h) - m.marginal(x, at-h)) / (2 * h)
						// h²/6 times a third derivative of a product of three factors, each with derivatives up to 2, 5, 16.
						if e := math.Abs(slope + in[i]); e > 200*h*h/6+1e-16/h {
							t.Fatalf("%v, %s, time %g, η %g, state %v: d p/dt is %g and the flow into it %g", source, name, at, eta, x, slope, in[i])
						}
					}
				}
			}
		}
	}
}

// A step keeps the marginals, two steps are one, and a short one has the rates.
func TestKernel(t *testing.T) {
	for name, k := range schedulers {
		p := &Path{Alphabet: 3, Scheduler: k}
		for _, eta := range []float64{0, 0.3, 4} {
			for _, at := range [][3]float64{{1, 0.7, 0.2}, {0.9, 0.6, 0.5}, {0.4, 0.01, 0}} {
				s1, d1, n1 := p.Kernel(at[0], at[1], eta)
				s2, d2, n2 := p.Kernel(at[1], at[2], eta)
				s, d, n := p.Kernel(at[0], at[2], eta)
				if math.Abs(s+d+n-1) > 4e-16 || s < 0 || d < 0 || n < 0 {
					t.Errorf("%s: probabilities %g, %g, %g", name, s, d, n)
				}
				// The last jump counts: nothing twice, or a jump in the second step, or only in the first.
				for i, e := range []float64{s - s1*s2, d - d2 - s2*d1, n - n2 - s2*n1} {
					if math.Abs(e) > 1e-15 {
						t.Errorf("%s, η %g, %v: two steps and one differ by %g in probability %d", name, eta, at, e, i)
					}
				}
				from, _ := p.Kappa(at[0])
				to, _ := p.Kappa(at[2])
				if e := s*from + n - to; math.Abs(e) > 1e-15 {
					t.Errorf("%s, η %g, %v: the source's part is off by %g", name, eta, at, e)
				}
			}
			const h = 1e-7
			toData, toSource := p.Rates(0.5)
			if _, d, n := p.Kernel(0.5, 0.5-h, eta); math.Abs(d/h-(1+eta)*toData) > 1e-3*(1+toData) || math.Abs(n/h-eta*toSource) > 1e-3*(1+toSource) {
				t.Errorf("%s, η %g: rates %g and %g, of short steps %g and %g", name, eta, (1+eta)*toData, eta*toSource, d/h, n/h)
			}
		}
		if s, d, n := p.Kernel(0.3, 0.3, 1); s != 1 || d != 0 || n != 0 {
			t.Errorf("%s: no step is %g, %g, %g", name, s, d, n)
		}
	}
}

// Draws of x_t have the law of the formula, and are functions of key and sample.
func TestMarginals(t *testing.T) {
	const n = 20000
	for _, source := range []Source{Mask, Uniform} {
		m := newToy(source, schedulers["cosine"])
		s, b := float64Scope(t), m.path.Width()
		x0 := []int{2, 0, 1}
		data := make([]float32, 0, n*m.d)
		for range n {
			for _, k := range x0 {
				data = append(data, m.path.Alphabet.Value(k))
			}
		}
		key := rng.Key{Seed: 3}
		x := m.path.Between(key, 0, s.Tensor(data, n, m.d), m.starts(s, 9, n), 0.4).Float64s()
		got, law := make([]int, n), make([]float64, m.states())
		for i := range got {
			row := make([]int, m.d)
			for j := range row {
				row[j] = m.path.Alphabet.Token(x[i*m.d+j])
			}
			got[i] = m.join(row, b)
		}
		for i := range law {
			law[i] = m.given(m.split(i, b), x0, 0.4)
		}
		chiSquare(t, fmt.Sprint(source), got, law)
		rest := m.path.Between(key, 7, s.Tensor(data[:3*m.d], 3, m.d), m.starts(s, 9, n).Slice(0, 7, 10), 0.4).Float64s()
		for i, v := range rest {
			if v != x[7*m.d+i] {
				t.Fatalf("%v: sample %d depends on the batch", source, 7+i/m.d)
			}
		}
	}
}
