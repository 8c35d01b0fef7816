package train

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion/schedule"
	"github.com/langevin-go/langevin/train/config"
)

// Choice changes how a Trained model is sampled from. Zero values leave things as they are.
type Choice struct {
	Sampler   string
	Steps     int
	Guidance  *float64
	Overrides []string // key=value of the sample section, as in sampler.eta=0.5
}

// diffusersSteps is how many steps a diffusers folder is sampled with unless
// told otherwise: the default of diffusers' pipelines.
const diffusersSteps = 50

// Choose applies a choice.
func (t *Trained) Choose(c Choice) error {
	if c.Steps < 0 {
		return fmt.Errorf("--steps must be at least 1, is %d", c.Steps)
	}
	if c.Guidance != nil && !(*c.Guidance >= 0) {
		return fmt.Errorf("--guidance must not be negative, is %g", *c.Guidance)
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
	if len(c.Overrides) > 0 {
		return fmt.Errorf("%s: key=value settings are for runs; a diffusers folder's are in its scheduler_config.json", c.Overrides[0])
	}
	sched, err := schedule.ForSampler(c.Sampler, t.scheduler)
	if err != nil {
		return fmt.Errorf("%s: %w", t.schedulerFile, err)
	}
	steps := c.Steps
	if steps == 0 {
		steps = diffusersSteps
	}
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
	if c.Guidance != nil {
		t.How.Scale = *c.Guidance
	}
	t.SchedulerClass = sched.Class()
	return nil
}
