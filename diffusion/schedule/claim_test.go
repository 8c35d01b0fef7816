package schedule

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion/sampler"
)

func TestClaimed(t *testing.T) {
	for config, want := range map[string]string{
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "prediction_type": "epsilon"}`:         "epsilon",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "prediction_type": "flow_prediction"}`: "",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler"}`:                                       "",
		`{"_class_name": "DDIMScheduler", "prediction_type": "epsilon"}`:                           "",
		`[]`: "",
	} {
		if got := Claimed([]byte(config)); got != want {
			t.Errorf("%s claims %q, want %q", config, got, want)
		}
	}
}

// diffusers shifts the end of a shifted grid twice, and Diagnose sees it.
func TestDiagnoseShiftedScheduler(t *testing.T) {
	for config, want := range map[string]int{
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}`:                                                                    1,
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1.0}`:                                                                    0,
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "use_karras_sigmas": true}`:                                         1,
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "shift_terminal": 0.02}`:                                            0,
		`{"_class_name": "DDPMScheduler", "timestep_spacing": "trailing", "clip_sample": false}`:                                              0,
		`{"_class_name": "DDPMScheduler", "timestep_spacing": "leading", "num_train_timesteps": 1000}`:                                        1,
		`{"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012}`:                                                 1, // signal is left
		`{"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}`: 0,
	} {
		s, err := Decode([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Plan(10)
		if err != nil {
			t.Fatal(err)
		}
		c := &sampler.Checkup{Path: p.Path, Predicts: p.Predicts, Grid: p.Grid, NoiseSlope: math.NaN()}
		c.Shift, c.First = Shifted(s)
		if got := sampler.Diagnose(c); len(got) != want {
			t.Errorf("%s: warns of %q, want %d", config, got, want)
		}
	}
}
