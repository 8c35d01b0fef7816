package schedule

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
)

// The stochastic algorithms of DPMSolverMultistepScheduler, state by state, at every
// order, solver and prediction that they accept, on the noise levels that diffusers chose.
func TestMultistepSDE(t *testing.T) {
	g := openGolden(t, "DPMSolverMultistepScheduler-sde")
	largest := 0.0
	for _, key := range slices.Sorted(maps.Keys(g.cases)) {
		c := g.cases[key]
		var config struct {
			Betas
			PredictionType        string  `json:"prediction_type"`
			AlgorithmType         string  `json:"algorithm_type"`
			SolverType            string  `json:"solver_type"`
			SolverOrder           int     `json:"solver_order"`
			LowerOrderFinal       bool    `json:"lower_order_final"`
			EulerAtFinal          bool    `json:"euler_at_final"`
			Thresholding          bool    `json:"thresholding"`
			DynamicThresholdRatio float64 `json:"dynamic_thresholding_ratio"`
			SampleMaxValue        float64 `json:"sample_max_value"`
		}
		if err := json.Unmarshal(c.Config, &config); err != nil {
			t.Fatal(err)
		}
		table, err := config.table(false, false, diffusion.InterpolateLog)
		if err != nil {
			t.Fatal(err)
		}
		grid := ofLevels(table, g.floats(key+"/sigmas"))
		p := &Plan{Path: table, Predicts: predictionKinds[config.PredictionType], Grid: grid, InitScale: 1}
		p.TimeInput = lookup(grid[:c.Steps], g.floats(key+"/timesteps"))
		p.Sampler = multistepSDE(config.AlgorithmType, config.SolverType, config.SolverOrder, config.LowerOrderFinal, config.EulerAtFinal)
		if config.Thresholding {
			p.Clip = sampler.Clip{Quantile: config.DynamicThresholdRatio, Max: config.SampleMaxValue}
		}
		got := g.run(key, p, how{dtype: tensor.Float64, states: true})
		want := g.floats(key + "/trajectory")
		if d := relative(got, want[len(want)-len(got):]); !(d <= 1e-9) {
			t.Errorf("case %s (%d steps, %s): the last state is off by %.2g", key, c.Steps, c.Config, d)
		}

		// float32, as in TestFloat32
		truth, bound := got, 0.0
		for i := range 6 {
			bound = max(bound, 4*relative(g.run(key, p, how{dtype: tensor.Float64, jitter: &jitter{seed: uint64(i)}}), truth))
		}
		stock, ours := relative(g.floats(key+"/final_float32"), truth), relative(g.run(key, p, how{dtype: tensor.Float32}), truth)
		if !(stock <= bound && ours <= bound) {
			t.Errorf("case %s (%s): in float32 diffusers is off by %.2g and this by %.2g, rounding explains %.2g", key, c.Config, stock, ours, bound)
		}
		largest = max(largest, stock/bound, ours/bound)
	}
	if largest < 0.05 || len(g.cases) < 40 {
		t.Errorf("%d cases, none nearer than %.3f to its bound", len(g.cases), largest)
	}
}
