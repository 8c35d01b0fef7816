package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// Job trains the runs of a plan, one after another. What is there is gone on from, so that
// a job that was stopped ends as it would have.
type Job struct {
	Plan *Plan

	Progress func(label string, start, total int64) record.Progress
	Warn     func(format string, args ...any)
	Say      func(format string, args ...any) // a line about what begins
	Stage    func(what string, done, total int)
}

// OutOfTimeError says that a run has had its max_time: the same job goes on from there.
type OutOfTimeError struct {
	Run  string
	Step int64 // steps done
	Time time.Duration
}

func (e *OutOfTimeError) Error() string {
	return fmt.Sprintf("%s: the time is over (max_time %v) after step %d", e.Run, e.Time, e.Step)
}

// note is what a run's folder keeps for the sweep.
type note struct {
	Config   string             `json:"config"`             // the experiment, resolved
	Diverged string             `json:"diverged,omitempty"` // why; "": it did not
	Step     int64              `json:"step"`               // at which it ended; 0: it has not
	Eval     int                `json:"eval"`               // samples that the figures are of
	Figures  map[string]float64 `json:"figures,omitempty"`
}

func (r Run) noteFile() string { return filepath.Join(r.Dir, "sweep.json") }

// noted reads the note, if there is one.
func (r Run) noted() (n note, ok bool, err error) {
	b, err := os.ReadFile(r.noteFile())
	if errors.Is(err, os.ErrNotExist) {
		return n, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err != nil {
		return n, false, fmt.Errorf("%s: %w; remove it to have the run measured again", r.noteFile(), err)
	}
	return n, true, nil
}

func (r Run) write(n note) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(r.noteFile(), append(b, '\n'))
}

// Run trains and measures. When ctx is cancelled it leaves everything in good order. A run whose losses
// are not finite any more counts as diverged, and the others go on.
func (j *Job) Run(ctx context.Context) ([]Result, error) {
	for _, r := range j.Plan.Runs { // mistakes show before anything is trained
		if err := r.same(); err != nil {
			return nil, err
		}
	}
	var results []Result
	for i, r := range j.Plan.Runs {
		n, err := j.run(ctx, r, fmt.Sprintf("%d/%d", i+1, len(j.Plan.Runs)))
		if err != nil {
			return nil, err
		}
		result, err := r.result(n)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// same refuses a folder that has a run with other settings.
func (r Run) same() error {
	if !train.IsRun(r.Dir) {
		return nil
	}
	n, ok, err := r.noted()
	if err != nil {
		return err
	}
	old := []byte(n.Config)
	if !ok {
		if old, err = os.ReadFile(train.RunDir(r.Dir).Config()); err != nil {
			return err
		}
	}
	now, err := r.exp.Resolved()
	if err != nil {
		return err
	}
	if changed := train.ChangedSettings(old, now); len(changed) > 0 {
		return fmt.Errorf("%s was trained with other settings: now %s; name another folder, or remove it", r.Dir, strings.Join(changed, ", "))
	}
	return nil
}

// run trains and measures one run, from where it is.
func (j *Job) run(ctx context.Context, r Run, which string) (note, error) {
	n, noted, err := r.noted()
	if err != nil {
		return n, err
	}
	if noted && n.Step > 0 && (n.Diverged != "" || n.Eval == j.Plan.Eval) {
		return n, nil
	}
	resolved, err := r.exp.Resolved()
	if err != nil {
		return n, err
	}
	t, err := train.New(ctx, r.exp, train.Options{Dir: r.Dir, Resume: train.IsRun(r.Dir), Progress: j.Progress, Warn: j.Warn})
	if err != nil {
		return n, err
	}
	if !t.Finished() && j.Say != nil {
		j.Say("%s %s: %d of %d steps of %d samples", which, r.Dir, t.Step(), r.exp.Steps, r.exp.Batch)
	}
	if n = (note{Config: string(resolved)}); !noted {
		err = r.write(n)
	}
	if err == nil {
		err = t.Run(ctx)
	}
	if closed := t.Close(); err == nil {
		err = closed
	}
	var diverged *train.DivergedError
	switch {
	case errors.As(err, &diverged):
		if j.Warn != nil {
			j.Warn("%s: %v", r.Dir, err)
		}
		n.Diverged, n.Step = err.Error(), diverged.Step
		return n, r.write(n)
	case err != nil:
		return n, err
	case t.OutOfTime():
		return n, &OutOfTimeError{r.Dir, t.Step(), r.exp.MaxTime}
	}
	n.Step, n.Eval = t.Step(), j.Plan.Eval
	if n.Eval > 0 {
		if n.Figures, err = j.measure(ctx, r); err != nil {
			return n, err
		}
	}
	return n, r.write(n)
}

// measure is the figures of a finished run's samples.
func (j *Job) measure(ctx context.Context, r Run) (map[string]float64, error) {
	t, err := train.Open(r.Dir, j.Warn)
	if err != nil {
		return nil, err
	}
	e, err := train.Eval(ctx, t, train.EvalOptions{N: j.Plan.Eval, Keep: filepath.Join(filepath.Dir(r.Dir), "classifier.safetensors"), Progress: j.Stage, Warn: j.Warn})
	if err != nil {
		return nil, err
	}
	var report any = e.Images
	if e.Points != nil {
		report = e.Points
	}
	b, err := json.Marshal(report)
	if err != nil {
		return nil, err
	}
	all := make(map[string]any)
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	figures := make(map[string]float64)
	for _, name := range measured {
		if v, ok := all[name].(float64); ok {
			figures[name] = v
		}
	}
	return figures, nil
}

// measured are the figures of an evaluation that a sweep has, in the order of its table.
var measured = []string{"frechet", "class_accuracy", "precision", "recall", "density", "coverage", "median_train_distance", "w2", "sliced_w2", "energy_distance", "mmd"}

// recorded are those of a run's metrics: the last ones.
var recorded = []string{"train/loss", "valid/loss", "valid/best"}

// Result is what came of a run.
type Result struct {
	Run
	Diverged string             // why; "": it did not
	Step     int64              // at which it ended
	Figures  map[string]float64 // by name; none of a run that diverged
}

// result puts what is noted together with the run's metrics.
func (r Run) result(n note) (Result, error) {
	out := Result{Run: r, Diverged: n.Diverged, Step: n.Step, Figures: make(map[string]float64)}
	if n.Diverged != "" {
		return out, nil
	}
	records, err := record.ReadMetrics(train.RunDir(r.Dir).Metrics())
	if err != nil {
		return out, err
	}
	for _, rec := range records {
		for _, name := range recorded {
			if v, ok := rec.Get(name); ok {
				out.Figures[name] = v
			}
		}
	}
	for name, v := range n.Figures {
		out.Figures[name] = v
	}
	return out, nil
}
