package optim

import (
	"math"
	"testing"
)

// near allows the roundings of a handful of operations.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 8*math.Ldexp(1, -53)) {
		t.Errorf("%s: %.17g, want %.17g", what, got, want)
	}
}

// The factors that transformers gives torch's LambdaLR (optimization.py), with
// its step counted from 0, W warm-up steps and T training steps:
//
//	warm-up       step/max(1,W)                                     where step < W
//	constant      1
//	cosine        (1 + cos(π·p))/2,  p = (step−W)/max(1,T−W)
//	linear        1 − p
//	inverse sqrt  √(W/step)
//
// Ours differ from them in two ways: the first step is not wasted on a rate of 0,
// so that warm-up and inverse root are theirs at step+1; and the last step has
// the final rate, so that p is theirs with T−1 training steps.
func theirs(kind string, step, warmup, total int) float64 {
	w := float64(max(1, warmup))
	if step < warmup {
		return float64(step+1) / w
	}
	p := float64(step-warmup) / float64(max(1, total-1-warmup))
	switch kind {
	case "cosine":
		return math.Max(0, 0.5*(1+math.Cos(math.Pi*p)))
	case "linear":
		return math.Max(0, 1-p)
	case "inverse":
		return 1 / math.Sqrt(float64(step+1)/w)
	}
	return 1
}

func TestSchedulesAreThoseOfTransformers(t *testing.T) {
	for _, warmup := range []int{0, 1, 5, 30} {
		w := WarmupConfig{Warmup: warmup}
		const total = 101
		for step := range total {
			near(t, "constant", (&Constant{w}).Rate(step, total), theirs("constant", step, warmup, total))
			near(t, "cosine", (&Cosine{Decay{WarmupConfig: w}}).Rate(step, total), theirs("cosine", step, warmup, total))
			near(t, "linear", (&Linear{Decay{WarmupConfig: w}}).Rate(step, total), theirs("linear", step, warmup, total))
			near(t, "inverse sqrt", (&InverseSqrt{w}).Rate(step, total), theirs("inverse", step, warmup, total))
		}
	}
}

// Values that need no formula: the ends, the middle, a quarter.
func TestScheduleLandmarks(t *testing.T) {
	cosine := &Cosine{Decay{WarmupConfig{Warmup: 10}, 0.2}}
	linear := &Linear{Decay{WarmupConfig{Warmup: 10}, 0.2}}
	for _, c := range []struct {
		step           int
		cosine, linear float64
	}{
		{0, 0.1, 0.1}, {4, 0.5, 0.5}, {9, 1, 1}, {10, 1, 1},
		{35, 0.2 + 0.8*0.85355339059327376220, 0.8}, // 10 + 100/4: (1+√½)/2
		{60, 0.6, 0.6}, {110, 0.2, 0.2}, {111, 0.2, 0.2}, {5000, 0.2, 0.2},
	} {
		near(t, "cosine", cosine.Rate(c.step, 111), c.cosine)
		near(t, "linear", linear.Rate(c.step, 111), c.linear)
	}
	root := &InverseSqrt{WarmupConfig{Warmup: 100}}
	near(t, "inverse sqrt at 4 warm-ups", root.Rate(399, 0), 0.5)
	near(t, "inverse sqrt at the peak", root.Rate(99, 0), 1)
	// Runs that end with or within the warm-up, and of one step.
	for _, total := range []int{1, 5, 10, 11} {
		near(t, "last step", cosine.Rate(total-1, total), map[int]float64{1: 0.1, 5: 0.5, 10: 1, 11: 0.2}[total])
	}
	near(t, "a single step", (&Linear{}).Rate(0, 1), 0)
}

// Up during the warm-up, never up after it.
func TestSchedulesStayWithinTheirBounds(t *testing.T) {
	for _, final := range []float64{0, 0.3, 1} {
		for _, warmup := range []int{0, 7, 500} {
			d := Decay{WarmupConfig{Warmup: warmup}, final}
			for name, s := range map[string]Schedule{"cosine": &Cosine{d}, "linear": &Linear{d}, "constant": &Constant{d.WarmupConfig}, "inverse sqrt": &InverseSqrt{d.WarmupConfig}} {
				last := 0.0
				for step := range 300 {
					r := s.Rate(step, 200)
					if !(r >= 0 && r <= 1) {
						t.Fatalf("%s: factor %g at step %d", name, r, step)
					}
					if rising := step < warmup; rising && r <= last || !rising && step > 0 && r > last {
						t.Fatalf("%s with warm-up %d: from %g to %g at step %d", name, warmup, last, r, step)
					}
					last = r
				}
			}
		}
	}
}
