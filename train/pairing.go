package train

import (
	"context"
	"errors"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// PairsConfig are the settings of objectives that train on starts and the samples that a teacher leads them to.
type PairsConfig struct {
	Pairs     string                                      `yaml:"pairs" doc:"folder of starts and the samples that a model leads them to; filled in by the distill command, which has the teacher make it in the student's folder"`
	Teacher   string                                      `yaml:"teacher" doc:"what made the pairs: a run, a checkpoint, or a diffusers folder; filled in by the distill command"`
	Guidance  float64                                     `yaml:"guidance" doc:"scale of classifier-free guidance under which the teacher makes pairs, and which the student then has in it; 1: none" range:"[0,inf)"`
	Count     int                                         `yaml:"count" doc:"pairs that the distill command has the teacher make" range:"[1,inf)"`
	Solver    config.Variant[SamplerArg, sampler.Sampler] `yaml:"solver" doc:"how the teacher makes them: a sampler that adds no noise"`
	Intervals int                                         `yaml:"intervals" doc:"its steps; dopri5 chooses its own within each" range:"[1,100000]"`
}

// SetDefaults takes an accurate solver.
func (c *PairsConfig) SetDefaults() {
	c.Guidance, c.Count, c.Solver, c.Intervals = 1, 20000, Samplers.Default("dopri5"), 1
}

// learn takes what a teacher says.
func (c *PairsConfig) learn(t TeacherInfo) error {
	c.Teacher = t.Path
	if t.Built != 1 {
		if c.Guidance != 1 && c.Guidance != t.Built {
			return invalid.Field("guidance", "is %g; the teacher has guidance %g in it already", c.Guidance, t.Built)
		}
		c.Guidance = t.Built
	}
	return nil
}

// open opens the folder.
func (c *PairsConfig) open(a DataArg) (*Pairs, error) {
	if c.Pairs == "" {
		return nil, errors.New("is required, and not made yet: the distill command has the teacher make it")
	}
	return OpenPairs(a.Path(c.Pairs))
}

// paired completes a job of a student with its pairs.
func (c *PairsConfig) paired(job *Job, method string, steps int) {
	job.Pairs = c.open
	if c.Teacher != "" {
		job.Student = &Student{Method: method, Teacher: c.Teacher, Steps: steps, Scales: [2]float64{c.Guidance, c.Guidance}}
	}
}

// taughtBy is the teacher.
func (c PairsConfig) taughtBy() string { return c.Teacher }

// pairing are the settings themselves.
func (c PairsConfig) pairing() PairsConfig { return c }

// fromPairs is a config with PairsConfig in it.
type fromPairs interface {
	pairing() PairsConfig
	withPairs(dir string) any
}

// Pairing is what the distill command has a teacher make before a student is trained; nil: nothing, or it is there.
func (l *Loaded) Pairing() *PairsConfig {
	c, ok := l.Objective.Config.(fromPairs)
	if !ok || c.pairing().Teacher == "" || c.pairing().Pairs != "" {
		return nil
	}
	p := c.pairing()
	return &p
}

// WithPairs is the experiment on a folder of pairs.
func (l *Loaded) WithPairs(dir string) *Loaded {
	on := *l
	on.Objective.Config = l.Objective.Config.(fromPairs).withPairs(dir)
	return &on
}

// MakePairs has the teacher make count pairs for the student in a.Dir, in the student's classes; what the teacher cannot is refused by name.
func (l *Loaded) MakePairs(ctx context.Context, a PairsArg, warn func(format string, args ...any)) error {
	c := l.Pairing()
	t, err := Open(c.Teacher, warn)
	if err != nil {
		return l.at("objective", invalid.Field("teacher", "cannot be opened: %v", err))
	}
	if err := l.asPairing(ctx, t, c); err != nil {
		return l.at("objective", err)
	}
	a.Like = l
	return MakePairs(ctx, t, a)
}

// asPairing sets a teacher up to make pairs.
func (l *Loaded) asPairing(ctx context.Context, t *Trained, c *PairsConfig) error {
	ds, err := l.openData(ctx)
	if err != nil {
		return err
	}
	classes := 0
	if l.Conditional {
		classes = ds.Train.Classes()
	}
	m, err := t.teaching()
	switch {
	case err != nil:
		return invalid.Field("teacher", "%v", err)
	case l.Text != nil && !t.TakesPrompts():
		return invalid.Field("teacher", "takes no prompts, and the student does: set text: null")
	case t.Number:
		return invalid.Field("teacher", "is conditioned on a number (class_embed_type timestep), which data do not give")
	case !equalShape(t.Shape, ds.Train.Shape()):
		return invalid.Field("teacher", "makes samples of shape %v, the data have %v", t.Shape, ds.Train.Shape())
	case l.Conditional && t.Vector > 0 && data.VectorSize(ds.Train) != t.Vector:
		return invalid.Field("teacher", "is conditioned on vectors of %d numbers, the student on %d", t.Vector, data.VectorSize(ds.Train))
	case !l.Conditional && t.Vector > 0 && !t.NullVector:
		return invalid.Field("teacher", "has no null vector, and wants one of every sample, which the student does not have")
	case classes > 0 && t.Classes != classes:
		return invalid.Field("teacher", "has %d classes, the student is conditioned on %d", t.Classes, classes)
	case classes == 0 && t.Classes > 0 && t.Null < 0:
		return invalid.Field("teacher", "wants a class of every sample, and the student is conditioned on none")
	}
	// Of a diffusers folder, what its scheduler trains, by our solvers; of a student, without the defaults of its sampling.
	var how Sampling
	how.SetDefaults()
	how.Sampler, how.Steps = c.Solver, c.Intervals
	if t.built() != c.Guidance || t.student != nil && t.student.Told {
		how.Scale = c.Guidance
	}
	t.Model, t.How, t.Sampler, t.Times, t.InitScale, t.SchedulerClass, t.scheduler = m, how, nil, nil, 0, "", nil
	t.Classes = classes // of a student without classes, pairs of the teacher without
	return nil
}
