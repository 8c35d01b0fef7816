package train

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/schedule"
	"github.com/langevin-go/langevin/train/config"
)

// Choice changes how a Trained model is sampled from. Zero values leave things as they are.
type Choice struct {
	Sampler   string
	Steps     int
	Guidance  *float64
	Overrides []string // key=value of the sample section, as in sampler.eta=0.5; of a diffusers folder, what its scheduler's config does not say
}

// diffusersSteps is how many steps a diffusers folder is sampled with unless
// told otherwise: the default of diffusers' pipelines.
const diffusersSteps = 50

// Choose applies a choice.
func (t *Trained) Choose(c Choice) error {
	if c.Steps < 0 {
		return fmt.Errorf("--steps must be at least 1, is %d", c.Steps)
	}
	if c.Guidance != nil && !(*c.Guidance >= 0 && finite(*c.Guidance)) {
		return fmt.Errorf("--guidance must be finite and not negative, is %g", *c.Guidance)
	}
	if t.scheduler != nil {
		return t.chooseDiffusers(c)
	}
	how := &t.How
	if c.Sampler != "" {
		v, err := Samplers.Lookup(c.Sampler)
		if err != nil {
			return fmt.Errorf("--sampler: %w", err)
		}
		how.Sampler = v
	}
	if c.Steps > 0 {
		how.Steps = c.Steps
	}
	if c.Guidance != nil {
		how.Scale, how.Weight = *c.Guidance, nil
	}
	if len(c.Overrides) == 0 {
		return nil
	}
	base, err := config.Resolved(how)
	if err != nil {
		return err
	}
	return config.Decode(t.File+" (sample)", base, c.Overrides, how)
}

// chooseDiffusers plans the run as diffusers' scheduler of that name would.
func (t *Trained) chooseDiffusers(c Choice) error {
	sched, err := schedule.ForSampler(c.Sampler, t.scheduler)
	if err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	steps := c.Steps
	if steps == 0 {
		steps = diffusersSteps
		if t.call != nil {
			steps = t.call.Steps
		}
	}
	t.calls(sched)
	plan, err := sched.Plan(steps)
	if err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	if t.Model, err = plan.Model(t.network(), t.Shape[2], t.outChannels); err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	t.Sampler, t.Times, t.InitScale = plan.Sampler, plan.Grid, plan.InitScale
	t.How.Clip, t.How.Steps = plan.Clip, steps
	t.How.Guidance.SetDefaults()
	if t.call != nil {
		t.How.Scale = t.call.Guidance
		if c.Sampler == "" {
			t.InitScale *= t.call.StartScale
		}
	}
	if c.Guidance != nil {
		t.How.Scale = *c.Guidance
	}
	t.SchedulerClass, t.samplerName = sched.Class(), c.Sampler
	return t.overridePlan(c.Overrides)
}

// calls tells a scheduler what the pipeline of a folder that we have exported tells it.
func (t *Trained) calls(s schedule.Scheduler) {
	if t.call == nil {
		return
	}
	if t.call.Even {
		schedule.Evenly(s)
	}
	if d, ok := s.(*schedule.DDIM); ok {
		d.Eta, d.UseClippedModelOutput = t.call.Eta, t.call.Rederive
	}
}

// planKeys are the keys of a sample section that go beside a scheduler's config:
// the arguments of its step (eta, churn), guidance, limits and noise.
var planKeys = []string{"sampler", "clip", "guidance", "guidance_weight", "guidance_from", "guidance_to", "guidance_sigma_from", "guidance_sigma_to",
	"guidance_schedule", "guidance_rule", "guidance_rescale", "guidance_negative", "guidance_with", "autoguidance", "classifier_guidance", "cost", "constraints", "batch", "brownian", "eps_scaling"}

// overridePlan puts key=value settings over diffusers' plan.
func (t *Trained) overridePlan(overrides []string) error {
	for _, o := range overrides {
		key, _, _ := strings.Cut(o, "=")
		top, below, _ := strings.Cut(strings.TrimSpace(key), ".")
		switch {
		case !slices.Contains(planKeys, top):
			return fmt.Errorf("override %s: %s is not a setting of a diffusers folder (valid: %s); its scheduler's are in %s, and --sampler and --steps choose among them",
				o, top, strings.Join(planKeys, ", "), t.schedulerFile)
		case top == "sampler" && (below == "" || below == "kind"):
			return fmt.Errorf("override %s: choose the sampler of a diffusers folder with --sampler, which takes its settings over from %s", o, t.schedulerFile)
		}
	}
	if len(overrides) == 0 {
		return nil
	}
	how := &t.How
	var err error
	if how.Sampler, err = variantOf(t.Sampler); err != nil {
		return err
	}
	base, err := config.Resolved(how)
	if err != nil {
		return err
	}
	if err := config.Decode(t.schedulerFile+" (sample)", base, overrides, how); err != nil {
		return err
	}
	chosen, err := how.Sampler.Build(SamplerArg{})
	if err != nil {
		return err
	}
	copyUnnamed(chosen, t.Sampler)
	t.Sampler = chosen
	return nil
}

// variantOf is a sampler as a config names it.
func variantOf(s sampler.Sampler) (v config.Variant[SamplerArg, sampler.Sampler], err error) {
	for _, e := range sampler.Samplers {
		if reflect.TypeOf(e.New()) == reflect.TypeOf(s) {
			v, err = Samplers.Lookup(e.Name)
			v.Config = reflect.ValueOf(s).Elem().Interface()
			return v, err
		}
	}
	return v, fmt.Errorf("the sampler %T has no name in configs", s)
}

// copyUnnamed copies the fields that have no key in configs, which a scheduler sets.
func copyUnnamed(to, from sampler.Sampler) {
	a, b := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range a.NumField() {
		if a.Type().Field(i).Tag.Get("yaml") == "-" {
			a.Field(i).Set(b.Field(i))
		}
	}
}
