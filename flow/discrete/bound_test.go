package discrete

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/tensor/rng"
)

// data are n draws of the toy's law, in proportion to it as nearly as whole numbers can be.
func (m *toy) data(n int) likelihood.Data {
	d := likelihood.Data{Shape: []int{m.d}}
	sum, at := 0.0, 0
	for i := range n {
		for sum+m.law[at] < (float64(i)+0.5)/float64(n) {
			sum += m.law[at]
			at++
		}
		for _, k := range m.split(at, 3) {
			d.X = append(d.X, float64(m.path.Alphabet.Value(k)))
		}
	}
	return d
}

func (m *toy) entropy() float64 {
	h := 0.0
	for _, p := range m.law {
		if p > 0 {
			h -= p * math.Log(p)
		}
	}
	return h
}

// exact is the bound's integral for a datum: over the time by the midpoint rule, over states by summing them all.
func (m *toy) exact(x0 []int, parts int) float64 {
	b, total := m.path.Width(), 0.0
	for k := range parts {
		at := (float64(k) + 0.5) / float64(parts)
		toData, _ := m.path.Rates(at)
		for i := range m.states() {
			x := m.split(i, b)
			p := m.given(x, x0, at)
			if p == 0 {
				continue
			}
			post := m.posterior(x, at)
			for j, k := range x0 {
				if x[j] != k {
					total -= p * toData * math.Log(post[j][k]) / float64(parts)
				} else {
					total += p * toData / float64(parts)
				}
				if x[j] < 3 {
					total -= p * toData * post[j][x[j]] / float64(parts)
				}
			}
		}
	}
	return total
}

// With the exact posterior and the mask the bound is −ln p of each datum. From the uniform source it lies above: a token that has
// come to the data stays there, which the chain of the posteriors does not know.
func TestBoundOfExactPosteriors(t *testing.T) {
	const parts = 400
	for name, k := range schedulers {
		masked, uniform := newToy(Mask, k), newToy(Uniform, k)
		for i, p := range masked.law {
			x0, want := masked.split(i, 3), -math.Log(p)
			// The integrand's second derivative is below 500; of √(1−t), which power has at no end but 0, the rule's error is parts^{−3/2}.
			if got := masked.exact(x0, parts); math.Abs(got-want) > 500./24/parts/parts+10*math.Pow(parts, -1.5) {
				t.Errorf("%s: the bound of %v is %g, −ln p is %g", name, x0, got, want)
			}
			got := uniform.exact(x0, parts)
			if got < want-1e-3 {
				t.Errorf("%s, uniform: the bound of %v is %g, below −ln p, %g", name, x0, got, want)
			}
		}
	}
}

// The estimate is unbiased: within five of its standard errors of the integral, for each datum and in the mean.
func TestBoundEstimate(t *testing.T) {
	for _, source := range []Source{Mask, Uniform} {
		m := newToy(source, schedulers["polynomial"])
		d := m.data(600)
		b := &Bound{Times: 40, Key: rng.Key{Seed: 2}}
		s := float64Scope(t)
		calls := 0
		nats, err := b.Of(context.Background(), s, m, d, func(done, total int) {
			if calls++; done != calls || total != 3*40 {
				t.Fatalf("progress %d of %d at call %d", done, total, calls)
			}
		})
		if err != nil || calls != 120 {
			t.Fatal(err, calls)
		}
		known, diff := map[int]float64{}, make([]float64, len(nats))
		for i, v := range nats {
			row := make([]int, m.d)
			for j := range row {
				row[j] = m.path.Alphabet.Token(d.X[i*m.d+j])
			}
			at := m.join(row, 3)
			if known[at] == 0 {
				known[at] = m.exact(row, 400)
			}
			diff[i] = v - known[at]
		}
		if e := likelihood.Mean(diff); math.Abs(e.Mean) > 5*e.Error+1e-3 || e.Error > 0.1 {
			t.Errorf("%v: estimates are %g ± %g off", source, e.Mean, e.Error)
		}
		if e := likelihood.Mean(nats); source == Mask && math.Abs(e.Mean-m.entropy()) > 5*e.Error+0.02 { // data in whole numbers
			t.Errorf("the bound is %g ± %g, the entropy %g", e.Mean, e.Error, m.entropy())
		}
		// Neither batches nor what stands beside a sample matter.
		b.Batch, b.First = 7, 100
		some := likelihood.Data{X: d.X[100*m.d : 120*m.d], Shape: d.Shape}
		again, err := b.Of(context.Background(), s, m, some, nil)
		if err != nil || !slices.Equal(again, nats[100:120]) {
			t.Errorf("%v: samples 100 to 119 alone: %v, %v", source, again, err)
		}
	}
}

func TestBoundRefuses(t *testing.T) {
	m, s := newToy(Mask, nil), float64Scope(t)
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := new(Bound).Of(stopped, s, m, m.data(3), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for name, d := range map[string]likelihood.Data{
		"no token":   {X: []float64{0, 0.3, 1}, Shape: []int{3}},
		"the mask":   {X: []float64{0, 2, 1}, Shape: []int{3}},
		"a fraction": {X: []float64{0, 1}, Shape: []int{3}},
	} {
		if _, err := new(Bound).Of(context.Background(), s, m, d, nil); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := (&Bound{Times: -1}).Of(context.Background(), s, m, m.data(3), nil); err == nil {
		t.Error("times −1 is taken")
	}
}
