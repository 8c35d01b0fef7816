package sampler

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Langevin steps that stay at one time end at the variance that the unadjusted
// algorithm has on a Gaussian: of x' = (1−h/2V)x + √h·z, V/(1−h/4V) (exactly: h/(1−(1−h/2V)²)).
// The annealed corrector's step h·score + √(2h)·z is one of 2h of these.
func TestLangevinStationaryLaw(t *testing.T) {
	const mu, std = 0.7, 0.5
	path := diffusion.VP{Beta0: 0.1, Beta1: 20}
	o := &diffusion.Oracle{Of: gaussian(mu, std), Along: path, Predicts: diffusion.Eps}
	p := path.At(0.4)
	law := p.Alpha*p.Alpha*std*std + p.Sigma*p.Sigma
	grid := make([]float64, 41)
	for i := range grid {
		grid[i] = 0.4
	}
	for _, c := range []struct {
		name  string
		how   Sampler
		draws int
		h     float64
	}{
		{"annealed_langevin", &AnnealedLangevin{Epsilon: 0.5 * law, Steps: 5}, 5, 0.5 * law},
		{"annealed_langevin, by default", &AnnealedLangevin{Steps: 5, Denoise: true}, 5, 0.2 * p.Sigma * p.Sigma},
		{"corrector", &PredictorCorrector{Predictor: None, Corrector: CorrectAnnealed, SNR: 0.3, Steps: 5}, 6, 4 * 0.09 * p.Sigma * p.Sigma},
	} {
		m, v := moments(t, o, c.how, grid, c.draws, 0, 9)
		want := law / (1 - c.h/(4*law))
		// What is left of the start, after 200 steps.
		left := math.Pow(1-c.h/(2*law), 200)
		if math.Abs(m-p.Alpha*mu) > 2*left+1e-12 || math.Abs(v/want-1) > 20*left+1e-12 {
			t.Errorf("%s: mean %.9f and variance %.9f, want %.9f and %.9f", c.name, m, v, p.Alpha*mu, want)
		}
	}
}

// A restart from exact samples keeps the law, but for Heun's error, which falls with
// the square of its steps; mean and variance are exact as in TestWeakOrders.
func TestRestartKeepsTheLaw(t *testing.T) {
	const mu, std = 0.7, 0.5
	path := diffusion.EDM{SigmaMax: 80}
	o := &diffusion.Oracle{Of: gaussian(mu, std), Along: path, Predicts: diffusion.X0}
	var logs []float64
	for n := 8; n <= 128; n *= 2 {
		// The single main step is as fine as nothing: from .3000001 to .3.
		how := &Restart{Intervals: []RestartInterval{{0.3, 4, 2, n}}, Noise: 1}
		_, v := moments(t, o, how, []float64{0.3 + 1e-9, 0.3}, 2, mu, std*std+0.09)
		logs = append(logs, math.Log2(math.Abs(v-std*std-0.09)))
	}
	if slope := (logs[0] - logs[4]) / 4; math.Abs(slope-2) > 0.15 {
		t.Errorf("order %.3f, want 2 (log₂ errors %.2f)", slope, logs)
	}
	// Without noise in it the level is too low: the test would see it.
	_, v := moments(t, o, &Restart{Intervals: []RestartInterval{{0.3, 4, 2, 128}}, Noise: 0}, []float64{0.3 + 1e-9, 0.3}, 2, mu, std*std+0.09)
	if v > 0.9*(std*std+0.09) {
		t.Errorf("without noise the variance is %.3f", v)
	}
}

// counting cancels after some evaluations.
type counting struct {
	diffusion.Model
	left   int
	cancel func()
}

func (m *counting) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	if m.left--; m.left == 0 {
		m.cancel()
	}
	return m.Model.Eval(x, at, c)
}

// Samplers that ask the model many times in a step hear of a cancellation within it, and
// make the condition anew after what was in the scope is gone.
func TestCancelWithinAStep(t *testing.T) {
	path := diffusion.EDM{SigmaMax: 5}
	for name, how := range map[string]Sampler{
		"annealed_langevin":   &AnnealedLangevin{Steps: 1000, Denoise: true},
		"predictor_corrector": &PredictorCorrector{Predictor: PredictAncestral, Corrector: CorrectAnnealed, SNR: 0.1, Steps: 1000},
		"restart":             &Restart{Intervals: []RestartInterval{{2, 4, 1000, 5}}, Noise: 1},
	} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		ctx, cancel := context.WithCancel(context.Background())
		m := &counting{&diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.X0}, 20, cancel}
		_, err := Sample(ctx, s, m, how, []float64{5, 1.5, 0}, s.Ones(2, 2), Options{Cond: func(s *tensor.Scope) diffusion.Cond {
			return diffusion.Cond{Labels: s.Ints([]int32{0, 2}, 2)}
		}})
		if !errors.Is(err, context.Canceled) || m.left < -3 {
			t.Errorf("%s: %v, %d evaluations after the cancellation", name, err, -m.left)
		}
		s.Close()
	}
}
