package diffusion

import (
	"fmt"
	"math"
	"testing"
)

// Weights as the papers state them, in the errors that they state them of.
func TestWeightsBySNR(t *testing.T) {
	for name, path := range paths() {
		for i := range 20 {
			p := path.At(path.End() * (0.01 + 0.98*unitFloat(i)))
			s, lambda := p.SNR(), math.Log(p.SNR())
			sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
			for _, c := range []struct {
				w    Weighting
				own  Kind
				want float64
			}{
				{&SoftMinSNR{4}, X0, 1 / (1/s + 0.25)},
				{&SoftMinSNR{4}, Eps, 4 / (s + 4)},
				{&WeightPoints{Eps, []float64{-1, 1}, []float64{3, 1}}, X0, s * min(max(2-lambda, 1), 3)},
				{&WeightPoints{X0, []float64{-2, 0, 2}, []float64{0, 4, 0}}, X0, max(4-2*math.Abs(lambda), 0)},
				{TruncatedSNR{}, X0, max(s, 1)},
				{SNRPlusOne{}, X0, math.Pow(p.Alpha*p.Alpha+p.Sigma*p.Sigma, 2) / (p.Sigma * p.Sigma)},
				{&SoftMinSNR{math.Exp(-3)}, X0, math.Exp(-3) * sigmoid(lambda+3)},
				{&P2{1, 1}, Eps, 1 / (1 + s)},
				{&P2{1, 0}, Eps, 1},
				{&P2{0.5, 0.7}, X0, s * math.Pow(0.5+s, -0.7)},
				{&Sigmoid{Bias: -1}, Eps, sigmoid(-1 - lambda)},
				{&Sigmoid{Bias: 2}, X0, s * sigmoid(2-lambda)},
			} {
				close(t, fmt.Sprintf("%s at %g: weight %T of %v", name, p.T, c.w, c.own), EffectiveWeight(c.w, c.own, p), c.want, 1e-10)
			}
		}
	}
	// At the ends: no signal, no noise.
	none, clean := Point{Alpha: 0, Sigma: 1}, Point{Alpha: 1, Sigma: 0}
	for _, c := range []struct {
		w    Weighting
		own  Kind
		p    Point
		want float64
	}{
		{&WeightPoints{Eps, []float64{0, 1}, []float64{2, 5}}, Eps, none, 2}, {&WeightPoints{X0, []float64{0, 1}, []float64{2, 5}}, X0, clean, 5},
		{&SoftMinSNR{4}, Eps, none, 1}, {&SoftMinSNR{4}, X0, none, 0}, {&SoftMinSNR{4}, X0, clean, 4}, {&SoftMinSNR{4}, V, none, 0},
		{&P2{1, 1}, Eps, none, 1}, {&P2{1, 1}, Eps, clean, 0}, {&Sigmoid{Bias: 2}, Eps, none, 1}, {&Sigmoid{Bias: 2}, Eps, clean, 0},
	} {
		if got := EffectiveWeight(c.w, c.own, c.p); got != c.want {
			t.Errorf("%T of %v at α=%g is %g, want %g", c.w, c.own, c.p.Alpha, got, c.want)
		}
	}
}

// The likelihood weighting is g² of the score, with g² as Song et al. 2021 state it
// for each of their SDEs.
func TestLikelihoodWeight(t *testing.T) {
	ve, vp := VE{0.01, 50}, VP{0.1, 20}
	for i := range 20 {
		at := 0.01 + 0.98*unitFloat(i)
		beta := 0.1 + 19.9*at
		integral := 0.1*at + 19.9*at*at/2
		rate := math.Log(50 / 0.01)
		for name, c := range map[string]struct {
			path GaussianPath
			g2   float64
		}{
			"VE":     {ve, 2 * rate * math.Pow(0.01*math.Pow(50/0.01, at), 2)}, // σ_min²(σ_max/σ_min)^{2t}·2·ln(σ_max/σ_min)
			"VP":     {vp, beta},
			"sub-VP": {SubVP{vp}, beta * -math.Expm1(-2*integral)},
		} {
			p := c.path.At(at)
			close(t, fmt.Sprintf("g² of %s at %g", name, at), EffectiveWeight(Likelihood{}, Score, p), c.g2, 1e-10)
			// |dλ/dt| by differences.
			const h = 1e-5
			slope := -(c.path.HalfLogSNR(at+h) - c.path.HalfLogSNR(at-h)) / h
			w := &Sigmoid{Bias: 1}
			by := &Sigmoid{Bias: 1, ByLogSNR: true}
			close(t, fmt.Sprintf("|dλ/dt| of %s at %g", name, at), EffectiveWeight(by, Eps, p)/EffectiveWeight(w, Eps, p), slope, 1e-5)
		}
	}
}

// Quantile functions rise from 0 to 1, and their slopes are the reciprocals of the
// densities that the papers state.
func TestTimeQuantiles(t *testing.T) {
	sinh := func(a float64) float64 { return math.Expm1(a) / a } // ∫e^{at}
	for _, c := range []struct {
		d       TimeSampler
		density func(t float64) float64 // nil: of u, not of t
	}{
		{&Mode{Scale: 1.29}, nil}, {&Mode{Scale: -1}, nil}, {&Mode{Scale: modeLimit}, nil}, {&Mode{}, func(float64) float64 { return 1 }},
		{CosMap{}, func(t float64) float64 { return 2 / (math.Pi * (1 - 2*t + 2*t*t)) }},
		{&UShaped{Rate: 4}, func(t float64) float64 { return (math.Exp(4*t) + math.Exp(4*(1-t))) / (2 * sinh(4)) }},
	} {
		before := 0.0
		for i := range 199 {
			u := float64(i+1) / 200
			at := c.d.Time(CondOT{}, u)
			if !(at >= before && at <= 1) {
				t.Fatalf("%T %v: time %g after %g at %g", c.d, c.d, at, before, u)
			}
			before = at
			if c.density == nil {
				continue
			}
			const h = 1e-5
			slope := (c.d.Time(CondOT{}, u+h) - c.d.Time(CondOT{}, u-h)) / (2 * h)
			close(t, fmt.Sprintf("%T: density at %g", c.d, at), 1/slope, c.density(at), 1e-6)
		}
		lo, hi := c.d.Time(CondOT{}, 1e-12), c.d.Time(CondOT{}, 1-1e-12)
		if lo > 1e-5 || hi < 1-1e-5 {
			t.Errorf("%T: from %g to %g", c.d, lo, hi)
		}
	}
	// The paper's map of u, which falls, at 1−u.
	for _, u := range []float64{0.1, 0.5, 0.8} {
		c := math.Cos(math.Pi * u / 2)
		close(t, "mode", (&Mode{Scale: 1.29}).Time(CondOT{}, 1-u), 1-u-1.29*(c*c-1+u), 1e-14)
	}
}
