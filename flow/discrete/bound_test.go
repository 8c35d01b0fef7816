package discrete

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/tensor"
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

// exact is the bound's integral for a datum, of a chain that ends at start: over the time by the midpoint rule, over states by summing them all.
func (m *toy) exact(x0 []int, start float64, parts int) float64 {
	b, total, step := m.path.Width(), 0.0, (1-start)/float64(parts)
	for k := range parts {
		at := start + (1-start)*(float64(k)+0.5)/float64(parts)
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
					total -= p * toData * math.Log(post[j][k]) * step
				} else {
					total += p * toData * step
				}
				if x[j] < 3 {
					total -= p * toData * post[j][x[j]] * step
				}
			}
		}
	}
	for i := range m.states() {
		x := m.split(i, b)
		p := m.given(x, x0, start)
		if start == 0 || p == 0 {
			continue
		}
		post := m.posterior(x, start)
		for j, k := range x0 {
			total -= p * math.Log(post[j][k])
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
		var above [2]float64 // the bound of a chain that ends before the data, over the entropy
		for i, p := range masked.law {
			x0, want := masked.split(i, 3), -math.Log(p)
			// The integrand's second derivative is below 500; of √(1−t), which power has at no end but 0, the rule's error is parts^{−3/2}.
			if got := masked.exact(x0, 0, parts); math.Abs(got-want) > 500./24/parts/parts+10*math.Pow(parts, -1.5) {
				t.Errorf("%s: the bound of %v is %g, −ln p is %g", name, x0, got, want)
			}
			if got := uniform.exact(x0, 0, parts); got < want-1e-3 {
				t.Errorf("%s, uniform: the bound of %v is %g, below −ln p, %g", name, x0, got, want)
			}
			for j, m := range []*toy{masked, uniform} {
				above[j] += p * (m.exact(x0, 0.1, parts) - want)
			}
		}
		// Its samples have another law than the data: only on average does it lie above, by the divergence between the two.
		if !(above[0] > 0 && above[0] < 0.1) || !(above[1] > 0) {
			t.Errorf("%s: chains that end at 0.1 have bounds %g above the entropy", name, above)
		}
	}
}

// The estimate is unbiased: within five of its standard errors of the integral, for each datum and in the mean.
func TestBoundEstimate(t *testing.T) {
	for _, c := range []struct {
		source Source
		start  float64
	}{{Mask, 0}, {Mask, 0.2}, {Uniform, 0.1}} {
		source := c.source
		m := newToy(source, schedulers["polynomial"])
		d := m.data(600)
		b := &Bound{Start: c.start, Times: 40, Key: rng.Key{Seed: 2}}
		s := float64Scope(t)
		calls, evals := 0, 3*40
		if c.start > 0 {
			evals = 3 * 41
		}
		nats, decoder, err := b.Of(context.Background(), s, m, d, func(done, total int) {
			if calls++; done != calls || total != evals {
				t.Fatalf("progress %d of %d at call %d", done, total, calls)
			}
		})
		if err != nil || calls != evals {
			t.Fatal(err, calls)
		}
		for i, v := range decoder {
			if nats[i] += v; (v > 0) != (c.start > 0) && (v != 0 || source != Mask) { // of a state without masks it is 0
				t.Fatalf("the decoder's term is %g of a chain to %g", v, c.start)
			}
		}
		known, diff := map[int]float64{}, make([]float64, len(nats))
		for i, v := range nats {
			row := make([]int, m.d)
			for j := range row {
				row[j] = m.path.Alphabet.Token(d.X[i*m.d+j])
			}
			at := m.join(row, 3)
			if known[at] == 0 {
				known[at] = m.exact(row, c.start, 400)
			}
			diff[i] = v - known[at]
		}
		if e := likelihood.Mean(diff); math.Abs(e.Mean) > 5*e.Error+1e-3 || e.Error > 0.1 {
			t.Errorf("%v: estimates are %g ± %g off", source, e.Mean, e.Error)
		}
		if e := likelihood.Mean(nats); c.start == 0 && math.Abs(e.Mean-m.entropy()) > 5*e.Error+0.02 { // data in whole numbers
			t.Errorf("the bound is %g ± %g, the entropy %g", e.Mean, e.Error, m.entropy())
		}
		// Neither batches nor what stands beside a sample matter.
		b.Batch, b.First = 7, 100
		some := likelihood.Data{X: d.X[100*m.d : 120*m.d], Shape: d.Shape}
		again, last, err := b.Of(context.Background(), s, m, some, nil)
		for i, v := range last {
			again[i] += v
		}
		if err != nil || !slices.Equal(again, nats[100:120]) {
			t.Errorf("%v: samples 100 to 119 alone: %v, %v", source, again, err)
		}
	}
}

// The times that samples are asked at are one from each part of the path, and the end of the chain.
func TestBoundTimes(t *testing.T) {
	m := &asked{toy: newToy(Mask, nil)}
	b := &Bound{Start: 0.2, Times: 4, Key: rng.Key{Seed: 1}}
	if _, _, err := b.Of(context.Background(), float64Scope(t), m, m.data(5), nil); err != nil {
		t.Fatal(err)
	}
	if len(m.times) != 5*5 {
		t.Fatalf("%d times", len(m.times))
	}
	for i, at := range m.times {
		lo, hi := 0.2, 0.2
		if k := i / 5; k > 0 {
			lo, hi = 0.2*float64(k), 0.2*float64(k+1)
		}
		if at < lo-1e-15 || at > hi+1e-15 || i > 5 && i%5 > 0 && at == m.times[i-1] {
			t.Errorf("evaluation %d, sample %d: time %g, want one of its own from %g to %g", i/5, i%5, at, lo, hi)
		}
	}
}

// asked notes the times.
type asked struct {
	*toy
	times []float64
}

func (m *asked) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	m.times = append(m.times, at.T...)
	return m.toy.Eval(x, at, c)
}

func TestBoundRefuses(t *testing.T) {
	m, s := newToy(Mask, nil), float64Scope(t)
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, _, err := new(Bound).Of(stopped, s, m, m.data(3), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for name, d := range map[string]likelihood.Data{
		"no token":   {X: []float64{0, 0.3, 1}, Shape: []int{3}},
		"the mask":   {X: []float64{0, 2, 1}, Shape: []int{3}},
		"a fraction": {X: []float64{0, 1}, Shape: []int{3}},
	} {
		if _, _, err := new(Bound).Of(context.Background(), s, m, d, nil); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, b := range []*Bound{{Times: -1}, {Start: -0.1}, {Start: 1}, {Start: math.NaN()}} {
		if _, _, err := b.Of(context.Background(), s, m, m.data(3), nil); err == nil {
			t.Errorf("%+v is taken", b)
		}
	}
	if _, _, err := new(Bound).Of(context.Background(), s, newToy(Uniform, nil), m.data(3), nil); err == nil {
		t.Error("a chain from random tokens to the data is taken")
	}
}
