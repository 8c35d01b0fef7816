package schedule

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
)

func TestDefaults(t *testing.T) {
	for _, class := range classes {
		s, err := Decode([]byte(`{"_class_name": "` + class + `", "_diffusers_version": "0.42.1"}`))
		if err != nil {
			t.Fatal(err)
		}
		if s.Class() != class {
			t.Errorf("%s became %s", class, s.Class())
		}
		for _, steps := range []int{1, 2, 10, 50} {
			p, err := s.Plan(steps)
			if err != nil {
				t.Fatalf("%s, %d steps: %v", class, steps, err)
			}
			if err := sampler.CheckGrid(p.Path, p.Grid); err != nil || len(p.Grid) != steps+1 {
				t.Errorf("%s, %d steps: grid %v, %v", class, steps, p.Grid, err)
			}
		}
		if _, err := s.Plan(0); err == nil {
			t.Errorf("%s: no error for 0 steps", class)
		}
	}
}

// Every mistake names its field.
func TestMistakes(t *testing.T) {
	const ddim, ddpm, euler, heun, flow = "DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"
	const dpm, single, uni, deis = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler"
	const lms, kdpm2, flowHeun, edm, edmDPM = "LMSDiscreteScheduler", "KDPM2DiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"
	for _, c := range []struct{ class, config, field, says string }{
		{ddim, `"beta_strat": 1`, "beta_strat", "not a field"},
		{ddim, `"beta_start": "x"`, "beta_start", "must be a number"},
		{ddim, `"beta_start": null`, "beta_start", "is null"},
		{ddim, `"beta_start": 0`, "beta_start", "(0, 1)"},
		{ddim, `"beta_end": 1.5`, "beta_end", "(0, 1)"},
		{ddim, `"beta_schedule": "sigmoid"`, "beta_schedule", "linear"},
		{ddim, `"num_train_timesteps": 0`, "num_train_timesteps", "1…"},
		{ddim, `"num_train_timesteps": 1000000000`, "num_train_timesteps", "1…"},
		{ddim, `"num_train_timesteps": 10.5`, "num_train_timesteps", "whole number"},
		{ddim, `"trained_betas": [0.1, 0.2]`, "trained_betas", "2 values"},
		{ddim, `"trained_betas": "no"`, "trained_betas", "list"},
		{ddim, `"timestep_spacing": "even"`, "timestep_spacing", "trailing"},
		{ddim, `"steps_offset": -1`, "steps_offset", "negative"},
		{ddim, `"prediction_type": "eps"`, "prediction_type", "epsilon"},
		{ddim, `"rescale_betas_zero_snr": true`, "prediction_type", "v_prediction"},
		{ddim, `"clip_sample": 1`, "clip_sample", "boolean"},
		{ddim, `"clip_sample_range": -1`, "clip_sample_range", "positive"},
		{ddim, `"thresholding": true, "dynamic_thresholding_ratio": 2`, "dynamic_thresholding_ratio", "(0, 1]"},
		{ddim, `"thresholding": true, "sample_max_value": 0.5`, "sample_max_value", "at least 1"},
		{ddpm, `"variance_type": "fixed_large_log"`, "variance_type", "fixed_large"},
		{ddpm, `"variance_type": "small"`, "variance_type", "fixed_small"},
		{euler, `"use_karras_sigmas": true, "use_beta_sigmas": true`, "use_beta_sigmas", "excludes"},
		{euler, `"interpolation_type": "cubic"`, "interpolation_type", "log_linear"},
		{euler, `"final_sigmas_type": "one"`, "final_sigmas_type", "zero"},
		{euler, `"timestep_type": "real"`, "timestep_type", "continuous"},
		{euler, `"sigma_min": 0`, "sigma_min", "positive"},
		{heun, `"clip_sample": true, "clip_sample_range": 0`, "clip_sample_range", "positive"},
		{heun, `"beta_schedule": "laplace"`, "beta_schedule", "exp"},
		{flow, `"shift": 0`, "shift", "positive"},
		{flow, `"time_shift_type": "log"`, "time_shift_type", "linear"},
		{flow, `"shift_terminal": 1`, "shift_terminal", "[0, 1)"},
		{flow, `"use_dynamic_shifting": true, "base_shift": null`, "base_shift", "max_shift"},
		{flow, `"stochastic_sampling": true, "invert_sigmas": true`, "stochastic_sampling", "invert_sigmas"},
		{dpm, `"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min", "solver_order": 3`, "solver_order", "no formula"},
		{dpm, `"algorithm_type": "sde-dpmsolver"`, "final_sigmas_type", "sigma_min"},
		{dpm, `"algorithm_type": "dpm"`, "algorithm_type", "dpmsolver++"},
		{dpm, `"algorithm_type": "dpmsolver"`, "final_sigmas_type", "sigma_min"},
		{dpm, `"final_sigmas_type": "one"`, "final_sigmas_type", "zero"},
		{dpm, `"solver_type": "rk"`, "solver_type", "midpoint"},
		{dpm, `"solver_order": 4`, "solver_order", "1…3"},
		{dpm, `"prediction_type": "flow_prediction"`, "prediction_type", "use_flow_sigmas"},
		{dpm, `"prediction_type": "v_prediction", "use_flow_sigmas": true`, "prediction_type", "use_flow_sigmas"},
		{dpm, `"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min", "prediction_type": "flow_prediction", "use_flow_sigmas": true`, "prediction_type", "noise"},
		{dpm, `"use_flow_sigmas": true, "use_karras_sigmas": true`, "use_flow_sigmas", "excludes"},
		{dpm, `"use_flow_sigmas": true, "use_lu_lambdas": true`, "use_lu_lambdas", "excludes"},
		{dpm, `"lambda_min_clipped": NaN`, "lambda_min_clipped", "number"},
		{dpm, `"lambda_min_clipped": Infinity`, "lambda_min_clipped", "-Infinity"},
		{dpm, `"flow_shift": -Infinity`, "flow_shift", "must be a number"},
		{dpm, `"flow_shift": 0`, "flow_shift", "positive"},
		{dpm, `"variance_type": "small"`, "variance_type", "learned"},
		{dpm, `"time_shift_type": "linear"`, "time_shift_type", "exponential"},
		{dpm, `"thresholding": true, "sample_max_value": 0`, "sample_max_value", "at least 1"},
		{dpm, `"timestep_spacing": "even"`, "timestep_spacing", "trailing"},
		{single, `"thresholding": true, "algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"`, "thresholding", "timestep"},
		{single, `"euler_at_final": 3, "final_sigma_type": "zero"`, "final_sigma_type", "not a field"},
		{uni, `"solver_p": {"a": 1}`, "solver_p", "not supported"},
		{uni, `"disable_corrector": [-1]`, "disable_corrector", "from 0"},
		{uni, `"shift_terminal": 0.1`, "shift_terminal", "use_flow_sigmas"},
		{uni, `"use_flow_sigmas": true, "use_beta_sigmas": true`, "use_flow_sigmas", "excludes"},
		{uni, `"predict_x0": false, "prediction_type": "flow_prediction", "use_flow_sigmas": true`, "prediction_type", "noise"},
		{uni, `"sigma_min": 0`, "sigma_min", "positive"},
		{deis, `"solver_type": "rho"`, "solver_type", "logrho"},
		{deis, `"algorithm_type": "sde-dpmsolver"`, "algorithm_type", "no such algorithm"},
		{deis, `"use_flow_sigmas": true, "use_beta_sigmas": true`, "use_flow_sigmas", "excludes"},
		{lms, `"prediction_type": "original_sample"`, "prediction_type", "epsilon"},
		{kdpm2, `"prediction_type": "sample"`, "prediction_type", "not implemented"},
		{flowHeun, `"shift": 0`, "shift", "positive"},
		{flowHeun, `"num_train_timesteps": 0`, "num_train_timesteps", "1…"},
		{edm, `"sigma_max": 0.001`, "sigma_max", "above"},
		{edm, `"prediction_type": "sample"`, "prediction_type", "preconditioning"},
		{edm, `"sigma_schedule": "cosine"`, "sigma_schedule", "karras"},
		{edmDPM, `"solver_order": 0`, "solver_order", "1…3"},
	} {
		_, err := Decode([]byte(`{"_class_name": "` + c.class + `", ` + c.config + `}`))
		f, ok := err.(interface{ ConfigField() string })
		if !ok || f.ConfigField() != c.field || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %s: %v, want an error about %s with %q", c.class, c.config, err, c.field, c.says)
		}
	}
	for _, bad := range []string{``, `[]`, `null`, `{`, `{"_class_name": 3}`, `{"_class_name": "PNDMScheduler"}`, `{}`} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
	for class, c := range map[string]struct {
		config string
		steps  int
		says   string
	}{
		ddim:   {`"num_train_timesteps": 10`, 11, "10 entries"},
		ddpm:   {`"steps_offset": 1`, 1000, "offset 1"},
		flow:   {`"use_dynamic_shifting": true`, 4, "tokens"},
		euler:  {`"use_karras_sigmas": true, "sigma_min": 500`, 4, "sigma_min"},
		dpm:    {`"lambda_min_clipped": 7.5, "timestep_spacing": "trailing"`, 3, "at most 4.6"},
		single: {`"lambda_min_clipped": 7.5`, 3, "at most 4.6"},
	} {
		s, err := Decode([]byte(`{"_class_name": "` + class + `", ` + c.config + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Plan(c.steps); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %s in %d steps: %v", class, c.config, c.steps, err)
		}
	}
}

// Python writes infinite numbers as words that JSON does not have.
func TestInfinity(t *testing.T) {
	s, err := Decode([]byte(`{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "_note": "-Infinity \"NaN, and", "solver_order": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := s.(*DPMMultistep); !math.IsInf(float64(d.LambdaMinClipped), -1) || d.SolverOrder != 3 {
		t.Errorf("%+v", d)
	}
}

// The configs in folders that diffusers wrote, an old one among them.
func TestFolders(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "internal", "golden", "testdata", "pipelines", "*", "scheduler", "scheduler_config.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d configs, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for name, class := range samplerClasses {
			s, err := ForSampler(name, data)
			if err != nil {
				t.Errorf("%s as %s: %v", file, name, err)
			} else if s.Class() != class {
				t.Errorf("%s as %s is a %s", file, name, s.Class())
			}
		}
	}
}

// A config read as another class keeps what both have; the rest has the new class's defaults.
func TestForSampler(t *testing.T) {
	data := []byte(`{"_class_name": "DDPMScheduler", "beta_end": 0.03, "clip_sample": true, "clip_sample_range": 2.5, "variance_type": "fixed_large", "timestep_spacing": "trailing"}`)
	s, err := ForSampler("heun", data)
	if err != nil {
		t.Fatal(err)
	}
	want := newHeun()
	want.BetaEnd, want.ClipSample, want.ClipSampleRange, want.TimestepSpacing = 0.03, true, 2.5, "trailing"
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v, want %+v", s, want)
	}
	if own, err := ForSampler("", data); err != nil || own.Class() != "DDPMScheduler" {
		t.Errorf("%v, %v", own, err)
	}
	flow := []byte(`{"_class_name": "FlowMatchEulerDiscreteScheduler"}`)
	if _, err := ForSampler("euler", flow); err != nil {
		t.Error(err)
	}
	if heun, err := ForSampler("heun", flow); err != nil || heun.Class() != "FlowMatchHeunDiscreteScheduler" {
		t.Errorf("a flow as heun: %v, %v", heun, err)
	}
	edm := []byte(`{"_class_name": "EDMEulerScheduler", "sigma_max": 20}`)
	if as, err := ForSampler("dpm_multistep", edm); err != nil || as.(*EDMDPM).SigmaMax != 20 {
		t.Errorf("an EDM config as dpm_multistep: %v, %v", as, err)
	}
	for name, data := range map[string][]byte{"ddim": flow, "dimm": data, "heun": edm} {
		if _, err := ForSampler(name, data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestModelChannels(t *testing.T) {
	fixed, _ := newDDIM().Plan(5)
	learnedConfig := newDDPM()
	learnedConfig.VarianceType = "learned_range"
	learned, _ := learnedConfig.Plan(5)
	for _, c := range []struct {
		plan    *Plan
		in, out int
		want    diffusion.Variance
		ok      bool
	}{
		{fixed, 4, 4, diffusion.VarianceFixed, true},
		{fixed, 4, 8, diffusion.VarianceIgnored, true},
		{fixed, 4, 5, 0, false},
		{learned, 4, 8, diffusion.VarianceLearnedRange, true},
		{learned, 4, 4, 0, false},
	} {
		m, err := c.plan.Model(nil, c.in, c.out)
		if (err == nil) != c.ok || err == nil && m.Variance != c.want {
			t.Errorf("%d channels in, %d out: %v, %v", c.in, c.out, m, err)
		}
	}
}

// diffusers shifts the ends of a flow-matching grid and then the grid.
func TestFlowMatchShift(t *testing.T) {
	s := newFlowMatchEuler()
	s.Shift = 3
	p, err := s.Plan(5)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%.4f", p.Grid); got != "[1.0000 0.9004 0.7511 0.5030 0.0089 0.0000]" {
		t.Errorf("the grid is %s", got)
	}
	// Tokens 256…4096 shift by μ = .5…1.15.
	d := newFlowMatchEuler()
	d.UseDynamicShifting, d.SeqLen = true, 4096
	p, err = d.Plan(2)
	if err != nil {
		t.Fatal(err)
	}
	mid := 1 / 1000.0
	if want := math.Exp(1.15) / (math.Exp(1.15) + 1/mid - 1); math.Abs(p.Grid[1]-want) > 1e-15 {
		t.Errorf("shifted for 4096 tokens: %.15g, want %.15g", p.Grid[1], want)
	}
	d.InvertSigmas = true
	if p, err = d.Plan(2); err != nil || p.Predicts != diffusion.DataVelocity {
		t.Fatalf("%v, %v", p, err)
	}
	if got := p.TimeInput(diffusion.Point{T: 0.3}); math.Abs(got-700) > 1e-9 {
		t.Errorf("an inverted network's time at .3 is %g, want 700", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, class := range classes {
		f.Add([]byte(`{"_class_name": "`+class+`"}`), 7)
	}
	f.Add([]byte(`{"_class_name": "EulerDiscreteScheduler", "num_train_timesteps": 8, "trained_betas": [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5], "use_beta_sigmas": true}`), 4)
	f.Add([]byte(`{"_class_name": "DDIMScheduler", "num_train_timesteps": 3, "trained_betas": [0.5, 1, 2], "set_alpha_to_one": false}`), 3)
	f.Add([]byte(`{"_class_name": "EulerDiscreteScheduler", "rescale_betas_zero_snr": true, "interpolation_type": "log_linear", "sigma_min": 1e-300, "use_karras_sigmas": true}`), 2)
	f.Add([]byte(`{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": 3.5, "timestep_spacing": "trailing"}`), 3)
	f.Add([]byte(`{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": 7.5, "timestep_spacing": "trailing"}`), 3)
	f.Add([]byte(`{"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": true, "use_karras_sigmas": true, "shift_terminal": 0.5, "sigma_max": 1e-300}`), 3)
	f.Add([]byte(`{"_class_name": "EDMDPMSolverMultistepScheduler", "rho": 1e-300, "final_sigmas_type": "sigma_min"}`), 3)
	f.Add([]byte(`{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1e300, "shift_terminal": 0.999}`), 3)
	f.Fuzz(func(t *testing.T, data []byte, steps int) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		p, err := s.Plan(steps % 2000)
		if err != nil {
			return
		}
		// A plan that is handed out can be run, as far as its grid goes, or is refused there.
		if err := sampler.CheckGrid(p.Path, p.Grid); err == nil {
			for _, at := range p.Grid {
				q := p.Path.At(at)
				if math.IsNaN(q.Alpha) || math.IsNaN(q.Sigma) || at > 0 && math.IsNaN(p.TimeInput(q)) {
					t.Fatalf("%s: at %g the path is %+v, the network's time %g", data, at, q, p.TimeInput(q))
				}
			}
		}
	})
}
