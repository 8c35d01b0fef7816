package train

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
)

// WithRound is the experiment of one round of progressive distillation.
func (l *Loaded) WithRound(teacher string, from, steps int) (*Loaded, error) {
	c, ok := l.Objective.Config.(ProgressiveConfig)
	if !ok {
		return nil, fmt.Errorf("the method %s has no rounds", l.Objective.Kind)
	}
	r := *l
	if c.Thinned == 0 && from < c.TeacherSteps {
		c.Thinned = c.TeacherSteps
	}
	c.Teacher, c.TeacherSteps, c.Steps = teacher, from, steps
	r.Objective.Config, r.Init, r.Name = c, teacher, fmt.Sprintf("steps-%d", steps)
	c.Sampling(&r.Sample)
	return &r, nil
}

// Rounds are the numbers of steps of progressive distillation's students, each half of those before,
// from half of the first teacher's on; of other methods none.
func (l *Loaded) Rounds() ([]int, error) {
	c, ok := l.Objective.Config.(ProgressiveConfig)
	if !ok {
		return nil, nil
	}
	ratio := c.TeacherSteps / c.Steps
	if ratio&(ratio-1) != 0 {
		return nil, l.at("objective", invalid.Field("steps", "must be half of teacher_steps=%d, or half of that, and so on, is %d", c.TeacherSteps, c.Steps))
	}
	var steps []int
	for n := c.TeacherSteps / 2; n >= c.Steps; n /= 2 {
		steps = append(steps, n)
	}
	return steps, nil
}

// CheckStudent is an error where dir has a run of something else than the student of an experiment.
func (l *Loaded) CheckStudent(dir string) error {
	if same, err := sameFile(dir, l.Init); err == nil && same {
		return fmt.Errorf("%s is the teacher itself: name another folder for the student", dir)
	}
	if !IsRun(dir) {
		return nil
	}
	var e Experiment
	src, err := os.ReadFile(RunDir(dir).Config())
	if err != nil {
		return noRead(RunDir(dir).Config(), err, "the config of the run")
	}
	if err := config.Decode(RunDir(dir).Config(), src, nil, &e); err != nil {
		return err
	}
	if e.Objective.Kind != l.Objective.Kind || filepath.Clean(e.Init) != filepath.Clean(l.Init) {
		return fmt.Errorf("%s holds another run, by %s from %q: name a new folder", dir, e.Objective.Kind, e.Init)
	}
	return nil
}

func sameFile(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}
