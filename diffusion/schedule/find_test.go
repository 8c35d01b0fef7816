package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// fieldsOf are the names of a config's fields, without those about the file.
func fieldsOf(t *testing.T, config []byte) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(quoteInfinities(config), &m); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(m, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "_") })
	return slices.Sorted(maps.Keys(m))
}

// Every class's config has the fields that diffusers writes, and is read back as it was.
func TestEncode(t *testing.T) {
	for _, make := range registry {
		s := make()
		text, err := Encode(s, "1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", s.Class(), err)
		}
		if u, ok := back.(*UniPC); ok && string(u.SolverP) == "null" {
			u.SolverP = nil
		}
		if !reflect.DeepEqual(back, s) {
			t.Errorf("%s: read back as %+v, was %+v", s.Class(), back, s)
		}
		g := openGolden(t, s.Class())
		if got, want := fieldsOf(t, text), fieldsOf(t, g.cases["00"].Config); !slices.Equal(got, want) {
			t.Errorf("%s: fields\n%v, diffusers writes\n%v", s.Class(), got, want)
		}
	}
	text, err := Encode(&FlowMatchHeun{NumTrainTimesteps: 50, Shift: 2.5, Even: true}, "1.2.3")
	if want := "{\n  \"_class_name\": \"FlowMatchHeunDiscreteScheduler\",\n  \"_diffusers_version\": \"1.2.3\",\n  \"num_train_timesteps\": 50,\n  \"shift\": 2.5\n}\n"; err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
	if text, err = Encode(newDPMMultistep(), "1"); err != nil || !strings.Contains(string(text), "\"lambda_min_clipped\": -Infinity,\n") {
		t.Errorf("got %s, %v", text, err)
	}
}

// samplerOf is the name that a class goes by on its path.
func samplerOf(class string) string {
	for _, classes := range []map[string]string{samplerClasses, flowClasses, edmClasses} {
		for name, c := range classes {
			if c == class {
				return name
			}
		}
	}
	return ""
}

// samePlan compares two plans in all that a sampling run sees of them. The last time is none at which the network is asked.
func samePlan(a, b *Plan) error {
	if !reflect.DeepEqual(a.Sampler, b.Sampler) || !reflect.DeepEqual(a.Clip, b.Clip) || a.Predicts != b.Predicts || a.Variance != b.Variance || len(a.Grid) != len(b.Grid) {
		return fmt.Errorf("%+v %+v %v in %d steps, and %+v %+v %v in %d", a.Sampler, a.Clip, a.Predicts, len(a.Grid), b.Sampler, b.Clip, b.Predicts, len(b.Grid))
	}
	close := func(x, y float64) bool { return math.Abs(x-y) <= 1e-8*max(math.Abs(y), 1e-3) }
	if !close(a.InitScale, b.InitScale) {
		return fmt.Errorf("starts %g and %g", a.InitScale, b.InitScale)
	}
	for i, t := range a.Grid {
		p, q := a.Path.At(t), b.Path.At(b.Grid[i])
		if !close(t, b.Grid[i]) || !close(p.Alpha, q.Alpha) || !close(p.Sigma, q.Sigma) {
			return fmt.Errorf("time %d is %g (α %g, σ %g), and %g (%g, %g)", i, t, p.Alpha, p.Sigma, b.Grid[i], q.Alpha, q.Sigma)
		}
		if i < len(a.Grid)-1 && !close(a.TimeInput(p), b.TimeInput(q)) {
			return fmt.Errorf("step %d is told %g, and %g", i, a.TimeInput(p), b.TimeInput(q))
		}
	}
	return nil
}

// What every config that diffusers wrote amounts to leads back to a scheduler of its class with the same plan, or to an error; and
// most of those that a run of ours could ask for do lead back.
func TestFindInvertsPlan(t *testing.T) {
	ours := map[string]int{}
	for _, make := range registry {
		class := make().Class()
		g := openGolden(t, class)
		keys := slices.Sorted(maps.Keys(g.cases))
		for i, key := range keys {
			if i%(1+len(keys)/16) != 0 { // some of every class
				continue
			}
			c := g.cases[key]
			s, err := Decode(c.Config)
			if err != nil {
				t.Fatal(err)
			}
			p, err := s.Plan(c.Steps)
			if err != nil {
				continue // dynamic shifting, which a run sets
			}
			w := Wanted{
				Path: p.Path, Predicts: p.Predicts, Variance: p.Variance, TimeInput: p.TimeInput,
				Name: samplerOf(class), Sampler: p.Sampler, Grid: p.Grid, Clip: p.Clip,
			}
			f, err := Find(w)
			if err != nil {
				var e *invalid.Error
				if !errors.As(err, &e) {
					t.Errorf("%s %s: untyped error %v", class, key, err)
				}
				continue
			}
			ours[class]++
			q, err := f.Scheduler.Plan(c.Steps)
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := f.Scheduler.(*DDPM); ok && d.VarianceType == "fixed_small" { // noise of 1e-10
				q.Sampler.(*sampler.DDPM).FinalNoise = p.Sampler.(*sampler.DDPM).FinalNoise
			}
			if f.InitScale != q.InitScale {
				t.Errorf("%s %s: starts at %g, want %g", class, key, f.InitScale, q.InitScale)
			}
			q.InitScale = p.InitScale // which those found say themselves
			if err := samePlan(p, q); err != nil || f.Scheduler.Class() != class {
				t.Errorf("%s %s: found %+v: %v", class, key, f.Scheduler, err)
			}
		}
	}
	for _, class := range []string{
		"DDPMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
		"UniPCMultistepScheduler", "EulerAncestralDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "EDMEulerScheduler", "EDMDPMSolverMultistepScheduler",
	} {
		if ours[class] == 0 {
			t.Errorf("none of the cases of %s is found", class)
		}
	}
	t.Logf("found: %v", ours)
}

// tableRun is a run of DDPM's usual schedule with a sampler, by default DDIM in 50 trailing steps.
func tableRun(t *testing.T, change func(w *Wanted)) Wanted {
	t.Helper()
	betas, err := diffusion.Betas("linear", 1000, 1e-4, 0.02)
	if err != nil {
		t.Fatal(err)
	}
	table, err := diffusion.NewTable(betas, diffusion.InterpolateLinear)
	if err != nil {
		t.Fatal(err)
	}
	w := Wanted{
		Path: table, Predicts: diffusion.Eps, Name: "ddim", Sampler: &sampler.DDIM{}, Betas: &Betas{BetaSchedule: "linear", BetaStart: 1e-4, BetaEnd: 0.02},
		TimeInput: func(p diffusion.Point) float64 { return 1000 * ((p.T - 1) / 1000) },
	}
	w.Grid = gridOf(t, &sampler.TableGrid{Spacing: sampler.Trailing}, table, 50)
	if change != nil {
		change(&w)
	}
	return w
}

func gridOf(t *testing.T, g sampler.Grid, path diffusion.GaussianPath, n int) []float64 {
	t.Helper()
	times, err := g.Times(path, n)
	if err != nil {
		t.Fatal(err)
	}
	return times
}

// flowRun is a run of rectified flow with Heun's method in 20 equal steps.
func flowRun(t *testing.T, change func(w *Wanted)) Wanted {
	t.Helper()
	how := new(sampler.Heun)
	how.SetDefaults()
	w := Wanted{
		Path: diffusion.CondOT{}, Predicts: diffusion.Velocity, Name: "heun", Sampler: how, TimeInput: func(p diffusion.Point) float64 { return 1000 * p.T },
		Grid: gridOf(t, &sampler.UniformGrid{Shift: 1}, diffusion.CondOT{}, 20),
	}
	if change != nil {
		change(&w)
	}
	return w
}

// edmRun is a run of EDM with Euler's method in 18 steps of Karras's.
func edmRun(t *testing.T, change func(w *Wanted)) Wanted {
	t.Helper()
	how := new(sampler.Euler)
	how.SetDefaults()
	grid := new(sampler.KarrasGrid)
	grid.SetDefaults()
	path := diffusion.EDM{SigmaMax: 80}
	w := Wanted{
		Path: path, Predicts: diffusion.Preconditioned{SigmaData: 0.75}, Name: "euler", Sampler: how, TimeInput: diffusion.EDMInput, Grid: gridOf(t, grid, path, 18),
	}
	if change != nil {
		change(&w)
	}
	return w
}

// Runs as configs describe them find the schedulers that anyone would name.
func TestFind(t *testing.T) {
	zero := diffusion.RescaleZeroSNR(mustBetas(t, "scaled_linear", 1000, 0.00085, 0.012))
	zeroTable, err := diffusion.NewTable(zero, diffusion.InterpolateLinear)
	if err != nil {
		t.Fatal(err)
	}
	short, err := diffusion.NewTable(mustBetas(t, "exp", 100, 1e-4, 0.02), diffusion.InterpolateLinear)
	if err != nil {
		t.Fatal(err)
	}
	dpm := new(sampler.DPMMultistep)
	dpm.SetDefaults()
	unipc := new(sampler.UniPC)
	unipc.SetDefaults()
	euler := new(sampler.Euler)
	euler.SetDefaults()
	for name, c := range map[string]struct {
		run  Wanted
		want []string // class, and parts of the config
		more Found    // without the scheduler
	}{
		"ddim": {tableRun(t, nil), []string{"DDIMScheduler", `"trained_betas": null`, `"beta_schedule": "linear"`, `"timestep_spacing": "trailing"`, `"clip_sample": false`, `"prediction_type": "epsilon"`}, Found{InitScale: 1}},
		"ddim with noise": {tableRun(t, func(w *Wanted) {
			w.Sampler, w.Predicts, w.Clip = &sampler.DDIM{Eta: 0.5, Rederive: true}, diffusion.X0, sampler.Clip{Range: 1.5}
		}), []string{"DDIMScheduler", `"clip_sample": true`, `"clip_sample_range": 1.5`, `"prediction_type": "sample"`}, Found{InitScale: 1, Eta: 0.5, Rederive: true}},
		"ddpm": {tableRun(t, func(w *Wanted) {
			w.Name, w.Sampler = "ddpm", &sampler.DDPM{Variance: sampler.FixedSmall}
		}), []string{"DDPMScheduler", `"variance_type": "fixed_small"`}, Found{InitScale: 1}},
		"ddpm, learned": {tableRun(t, func(w *Wanted) {
			w.Name, w.Sampler, w.Variance = "ddpm", &sampler.DDPM{Variance: sampler.Learned, FinalNoise: true}, diffusion.VarianceLearnedRange
		}), []string{"DDPMScheduler", `"variance_type": "learned_range"`}, Found{InitScale: 1}},
		"zero SNR": {tableRun(t, func(w *Wanted) {
			w.Path, w.Predicts, w.ZeroSNR = zeroTable, diffusion.V, true
			w.Betas = &Betas{BetaSchedule: "scaled_linear", BetaStart: 0.00085, BetaEnd: 0.012}
		}), []string{"DDIMScheduler", `"rescale_betas_zero_snr": true`, `"trained_betas": null`, `"prediction_type": "v_prediction"`}, Found{InitScale: 1}},
		"unnamed schedule": {tableRun(t, func(w *Wanted) {
			w.Path, w.Betas = short, &Betas{BetaSchedule: "exp", BetaStart: 1e-4, BetaEnd: 0.02}
			w.Grid = gridOf(t, &sampler.TableGrid{Spacing: sampler.Leading}, short, 10)
			w.TimeInput = func(p diffusion.Point) float64 { return p.T - 1 }
		}), []string{"DDIMScheduler", `"trained_betas": [`, `"num_train_timesteps": 100`, `"timestep_spacing": "leading"`}, Found{InitScale: 1}},
		"dpm": {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "dpm_multistep", dpm }),
			[]string{"DPMSolverMultistepScheduler", `"algorithm_type": "dpmsolver++"`, `"timestep_spacing": "trailing"`, `"final_sigmas_type": "zero"`}, Found{InitScale: 1}},
		"unipc": {tableRun(t, func(w *Wanted) { w.Name, w.Sampler, w.Clip = "unipc", unipc, sampler.Clip{Quantile: 0.9, Max: 2} }),
			[]string{"UniPCMultistepScheduler", `"predict_x0": true`, `"thresholding": true`, `"dynamic_thresholding_ratio": 0.9`, `"sample_max_value": 2`}, Found{InitScale: 1}},
		"euler on a table": {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "euler", euler }),
			[]string{"EulerDiscreteScheduler", `"timestep_spacing": "trailing"`}, Found{InitScale: math.Sqrt(1 - lastBar(t))}},
		"flow": {flowRun(t, nil), []string{"FlowMatchHeunDiscreteScheduler", `"num_train_timesteps": 1000`, `"shift": 1`}, Found{InitScale: 1, Even: true}},
		"shifted flow": {flowRun(t, func(w *Wanted) {
			w.Name, w.Sampler = "euler", euler
			w.Grid = gridOf(t, &sampler.UniformGrid{Shift: 3}, w.Path, 7)
		}), []string{"FlowMatchEulerDiscreteScheduler", `"shift": 3,`}, Found{InitScale: 1, Even: true}},
		"flow in one step": {flowRun(t, func(w *Wanted) { w.Grid = []float64{1, 0} }), []string{"FlowMatchHeunDiscreteScheduler"}, Found{InitScale: 1}},
		"edm": {edmRun(t, nil), []string{"EDMEulerScheduler", `"sigma_data": 0.75`, `"sigma_max": 80`, `"sigma_min": 0.002`, `"rho": 7`, `"sigma_schedule": "karras"`},
			Found{InitScale: math.Hypot(80, 1)}},
		"edm, other levels": {edmRun(t, func(w *Wanted) {
			w.Name, w.Sampler, w.Rho = "dpm_multistep", dpm, 5
			w.Grid = gridOf(t, &sampler.KarrasGrid{Rho: 5, Levels: sampler.Levels{SigmaMin: 0.01, SigmaMax: 80}}, w.Path, 9)
		}), []string{"EDMDPMSolverMultistepScheduler", `"sigma_min": 0.01`, `"rho": 5`}, Found{InitScale: math.Hypot(80, 1)}},
	} {
		f, err := Find(c.run)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := Encode(f.Scheduler, "1")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: %q is not in\n%s", name, want, text)
			}
		}
		f.Scheduler = nil
		if *f != c.more && math.Abs(f.InitScale-c.more.InitScale) > 1e-12 || f.Even != c.more.Even || f.Eta != c.more.Eta || f.Rederive != c.more.Rederive {
			t.Errorf("%s: besides, %+v, want %+v", name, *f, c.more)
		}
	}
}

func mustBetas(t *testing.T, name diffusion.BetaSchedule, n int, start, end float64) []float64 {
	t.Helper()
	b, err := diffusion.Betas(name, n, start, end)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lastBar(t *testing.T) float64 {
	bars := diffusion.AlphaBars(mustBetas(t, "linear", 1000, 1e-4, 0.02))
	return bars[len(bars)-1]
}

// What has no equivalent is named, with what would be right.
func TestFindRefuses(t *testing.T) {
	third := &sampler.DPMMultistep{DPM: sampler.DPM{Algorithm: sampler.DPMSolverPP, Order: 3, Type: sampler.Midpoint}, Third: sampler.Exact, Ending: sampler.Ending{LowerOrderFinal: true}}
	churning := new(sampler.Euler)
	churning.SetDefaults()
	churning.Churn.Amount = 10
	inTime := new(sampler.Euler)
	inTime.SetDefaults()
	inTime.Variable = "time"
	for name, c := range map[string]struct {
		run   Wanted
		field string
		want  []string
	}{
		"path":               {flowRun(t, func(w *Wanted) { w.Path = diffusion.Trig{} }), "objective", []string{"ddpm", "condot", "edm"}},
		"noise on the data":  {flowRun(t, func(w *Wanted) { w.Path = diffusion.CondOT{SigmaMin: 0.1} }), "sigma_min", []string{"0.1", "sigma_min: 0"}},
		"flow's prediction":  {flowRun(t, func(w *Wanted) { w.Predicts = diffusion.X0 }), "predict", []string{"x0", "want velocity"}},
		"flow's sampler":     {flowRun(t, func(w *Wanted) { w.Name, w.Sampler = "ddim", &sampler.DDIM{} }), "sampler", []string{"ddim", "straight lines", "euler, heun"}},
		"flow's grid":        {flowRun(t, func(w *Wanted) { w.Grid[3] = 0.83 }), "grid", []string{"time 4", "0.83", "take the grid uniform"}},
		"flow's scale":       {flowRun(t, func(w *Wanted) { w.TimeInput = func(p diffusion.Point) float64 { return 12.5 * p.T } }), "time_scale", []string{"12.5", "whole number"}},
		"table's prediction": {tableRun(t, func(w *Wanted) { w.Predicts = diffusion.Score }), "predict", []string{"score", "eps, x0 or v"}},
		"table's sampler":    {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "restart", new(sampler.Restart) }), "sampler", []string{"restart", "ddim, ddpm", "unipc"}},
		"between":            {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "dpm2", new(sampler.DPM2) }), "sampler", []string{"dpm2", "between the times", "ddim"}},
		"table's grid":       {tableRun(t, func(w *Wanted) { w.Grid[7]++ }), "grid", []string{"time 8", "DDIMScheduler", "trailing"}},
		"table's scale":      {tableRun(t, func(w *Wanted) { w.TimeInput = func(p diffusion.Point) float64 { return 2 * (p.T - 1) } }), "time_scale", []string{"1998", "999", "time_scale: 1000"}},
		"strides":            {tableRun(t, func(w *Wanted) { w.Grid = gridOf(t, &sampler.TableGrid{Spacing: sampler.Trailing}, w.Path, 30) }), "steps", []string{"30", "do not divide"}},
		"final noise": {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "ddpm", &sampler.DDPM{Variance: sampler.FixedLarge} }),
			"sampler", []string{"final_noise: false", "fixed_large", "above the table's first entry"}},
		"clip":    {tableRun(t, func(w *Wanted) { w.Name, w.Sampler, w.Clip = "euler", plainEuler(), sampler.Clip{Range: 1} }), "clip", []string{"EulerDiscreteScheduler", "ddpm or ddim"}},
		"churn":   {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "euler", churning }), "sampler", []string{"churn"}},
		"in time": {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "euler", inTime }), "sampler", []string{"variable: time", "variable: sigma"}},
		"third":   {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "dpm_multistep", third }), "sampler", []string{"third: published"}},
		"uncorrected": {tableRun(t, func(w *Wanted) {
			w.Name, w.Sampler = "unipc", &sampler.UniPC{Order: 2, Algorithm: sampler.DPMSolverPP, B: sampler.BH2, LowerOrderFinal: true}
		}), "sampler", []string{"UniPCMultistepScheduler"}},
		"deis": {tableRun(t, func(w *Wanted) { w.Name, w.Sampler = "deis", &sampler.DEIS{Order: 2, LowerOrderFinal: true} }), "grid", []string{"DEISMultistepScheduler"}},
		"ancestral x0": {tableRun(t, func(w *Wanted) {
			w.Name, w.Sampler, w.Predicts = "euler_ancestral", ancestral(), diffusion.X0
		}), "sampler", []string{"euler_ancestral", "not implemented by diffusers"}},
		"learned":       {tableRun(t, func(w *Wanted) { w.Variance = diffusion.VarianceLearned }), "variance", []string{"learned"}},
		"edm's sampler": {edmRun(t, func(w *Wanted) { w.Name, w.Sampler = "heun", new(sampler.Heun) }), "sampler", []string{"heun", "for EDM", "dpm_multistep, euler"}},
		"edm's scale": {edmRun(t, func(w *Wanted) {
			w.TimeInput = func(p diffusion.Point) float64 { return 1000 * diffusion.EDMInput(p) }
		}), "time_scale", []string{"time_scale: 1"}},
		"edm's grid":       {edmRun(t, func(w *Wanted) { w.Grid = gridOf(t, &sampler.UniformGrid{Shift: 1}, w.Path, 18) }), "grid", []string{"karras"}},
		"edm's prediction": {edmRun(t, func(w *Wanted) { w.Predicts = diffusion.Eps }), "predict", []string{"eps", "preconditioning"}},
	} {
		_, err := Find(c.run)
		var e *invalid.Error
		if !errors.As(err, &e) || e.Name != c.field || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one about %s", name, err, c.field)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %q", name, want, err)
			}
		}
	}
}

func plainEuler() *sampler.Euler {
	how := new(sampler.Euler)
	how.SetDefaults()
	return how
}

func ancestral() *sampler.EulerAncestral {
	how := new(sampler.EulerAncestral)
	how.SetDefaults()
	return how
}

// Equal steps are those of the grid uniform, shifted once.
func TestEvenly(t *testing.T) {
	for _, s := range []Scheduler{&FlowMatchEuler{NumTrainTimesteps: 1000, Shift: 3, TimeShiftType: "exponential"}, &FlowMatchHeun{NumTrainTimesteps: 1000, Shift: 3}} {
		own, err := s.Plan(5)
		if err != nil {
			t.Fatal(err)
		}
		Evenly(s)
		p, err := s.Plan(5)
		if err != nil {
			t.Fatal(err)
		}
		want := []float64{1, 12. / 13, 9. / 11, 2. / 3, 3. / 7, 0} // 3t/(1+2t) of 1, 4/5, …
		for i := range want {
			if math.Abs(p.Grid[i]-want[i]) > 1e-15 {
				t.Errorf("%s: time %d is %g, want %g", s.Class(), i, p.Grid[i], want[i])
			}
		}
		if slices.Equal(own.Grid, p.Grid) {
			t.Errorf("%s: its own times are equal steps", s.Class())
		}
	}
	d := newDDIM()
	Evenly(d)
	if !reflect.DeepEqual(d, newDDIM()) {
		t.Error("DDIM is changed")
	}
}
