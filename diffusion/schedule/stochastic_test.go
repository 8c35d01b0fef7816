package schedule

import (
	"strings"
	"testing"
)

// Mistakes in the configs of stochastic schedulers name their field.
func TestStochasticMistakes(t *testing.T) {
	const euler, kdpm2, sde = "EulerAncestralDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverSDEScheduler"
	for _, c := range []struct{ class, config, field, says string }{
		{euler, `"prediction_type": "sample"`, "prediction_type", "not implemented"},
		{euler, `"prediction_type": "eps"`, "prediction_type", "epsilon"},
		{euler, `"beta_schedule": "exp"`, "beta_schedule", "linear"},
		{euler, `"timestep_spacing": "even"`, "timestep_spacing", "trailing"},
		{kdpm2, `"use_karras_sigmas": true, "use_beta_sigmas": true`, "use_beta_sigmas", "excludes"},
		{kdpm2, `"beta_start": 2`, "beta_start", "(0, 1)"},
		{kdpm2, `"prediction_type": "sample"`, "prediction_type", "not implemented"},
		{"DPMSolverSinglestepScheduler", `"algorithm_type": "sde-dpmsolver"`, "algorithm_type", "no such algorithm"},
		{"EDMDPMSolverMultistepScheduler", `"algorithm_type": "sde-dpmsolver++", "solver_order": 3`, "solver_order", "no formula"},
		{sde, `"noise_sampler_seed": 1`, "noise_sampler_seed", "null"},
		{sde, `"steps_offset": -1`, "steps_offset", "negative"},
		{sde, `"noise_sampler_sed": 1`, "noise_sampler_sed", "not a field"},
	} {
		_, err := Decode([]byte(`{"_class_name": "` + c.class + `", ` + c.config + `}`))
		f, ok := err.(interface{ ConfigField() string })
		if !ok || f.ConfigField() != c.field || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %s: %v, want an error about %s with %q", c.class, c.config, err, c.field, c.says)
		}
	}
	if s, err := Decode([]byte(`{"_class_name": "DPMSolverSDEScheduler", "noise_sampler_seed": null}`)); err != nil || s.Class() != sde {
		t.Errorf("%v, %v", s, err)
	}
}

// An unknown class's error lists those that there are.
func TestClassIsListed(t *testing.T) {
	_, err := New("PNDMScheduler")
	for _, class := range classes {
		if err == nil || !strings.Contains(err.Error(), class) {
			t.Errorf("%s is not among %v", class, err)
		}
	}
}
