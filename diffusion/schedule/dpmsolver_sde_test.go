package schedule

import (
	"maps"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
)

// The stochastic algorithms of DPM-Solver's classes, state by state, at every order, solver and prediction that they accept.
func TestDPMSolverSDE(t *testing.T) {
	for class, least := range map[string]int{
		"DPMSolverMultistepScheduler-sde": 40, "DPMSolverSinglestepScheduler-sde": 40, "EDMDPMSolverMultistepScheduler-sde": 19,
	} {
		t.Run(class, func(t *testing.T) {
			g := openGolden(t, class)
			largest := 0.0
			for _, key := range slices.Sorted(maps.Keys(g.cases)) {
				c := g.cases[key]
				p, _ := g.plan(key)
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
			if largest < 0.05 || len(g.cases) < least {
				t.Errorf("%d cases, none nearer than %.3f to its bound", len(g.cases), largest)
			}
		})
	}
}
