package distill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// Job makes a student of a trained model, by any method that is a train.Method: one run, or with
// progressive distillation one run a round, steps-N, in a folder of the job's. What is there is gone on from, so that a job
// that was stopped ends as it would have.
type Job struct {
	Exp *train.Loaded // of train.LoadDistillation
	Dir string        // of the run, or of the job

	Progress func(label string, start, total int64) record.Progress
	Warn     func(format string, args ...any)
	Say      func(format string, args ...any) // a line about what begins
}

// Stage is a student that was made.
type Stage struct {
	Run   string
	Steps int // of sampling that it was made for
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

// Run trains. When ctx is cancelled it leaves everything in good order.
func (j *Job) Run(ctx context.Context) ([]Stage, error) {
	rounds, err := j.Exp.Rounds()
	if err != nil {
		return nil, err
	}
	if rounds == nil {
		exp, err := j.paired(ctx)
		if err != nil {
			return nil, err
		}
		stage, err := j.train(ctx, exp, j.Dir)
		return []Stage{stage}, err
	}
	if train.IsRun(j.Dir) {
		return nil, fmt.Errorf("%s holds a run: name another folder for the rounds", j.Dir)
	}
	var done []Stage
	teacher := j.Exp.Init
	for _, steps := range rounds {
		round, err := j.Exp.WithRound(teacher, 2*steps, steps)
		if err != nil {
			return done, err
		}
		if len(done) == 0 { // the later ones' teachers are made here
			if err := j.rehearse(ctx, round); err != nil {
				return nil, err
			}
			if err := os.MkdirAll(j.Dir, 0o777); err != nil {
				return nil, fmt.Errorf("%s: cannot be made: %w", j.Dir, err)
			}
		}
		stage, err := j.train(ctx, round, filepath.Join(j.Dir, round.Name))
		if err != nil {
			return done, err
		}
		done, teacher = append(done, stage), stage.Run
	}
	return done, nil
}

// paired has the teacher make the pairs that a method trains on, in the student's folder, and gives the experiment on them.
// Mistakes show on a few pairs, before there is anything.
func (j *Job) paired(ctx context.Context) (*train.Loaded, error) {
	p := j.Exp.Pairing()
	if p == nil {
		return j.Exp, nil
	}
	if err := j.Exp.CheckStudent(j.Dir); err != nil {
		return nil, err
	}
	dir := train.RunDir(j.Dir).Pairs()
	exp := j.Exp.WithPairs(dir)
	if train.IsRun(j.Dir) { // they were made before it began
		return exp, nil
	}
	try, err := os.MkdirTemp("", "pairs")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(try)
	few := train.PairsArg{Dir: try, Count: min(p.Count, 8), Seed: j.Exp.Seed}
	if err := j.Exp.MakePairs(ctx, few, j.Warn); err != nil {
		return nil, err
	}
	if err := j.rehearse(ctx, j.Exp.WithPairs(try)); err != nil {
		return nil, err
	}
	if j.Say != nil {
		j.Say("%s: %d pairs of %s by %s", dir, p.Count, p.Teacher, p.Solver.Kind)
	}
	var progress record.Progress = record.Silent{}
	if j.Progress != nil {
		progress = j.Progress("pairs", 0, int64(p.Count))
	}
	defer progress.Finish()
	whole := train.PairsArg{Dir: dir, Count: p.Count, Seed: j.Exp.Seed, Progress: func(done, _ int) { progress.Update(int64(done)) }}
	return exp, j.Exp.MakePairs(ctx, whole, j.Warn)
}

// rehearse finds mistakes in the first round before anything is made.
func (j *Job) rehearse(ctx context.Context, exp *train.Loaded) error {
	t, err := train.New(ctx, exp, train.Options{Bare: true, Warn: j.Warn})
	if err != nil {
		return err
	}
	return t.Close()
}

// train trains a run to its end, from where it is.
func (j *Job) train(ctx context.Context, exp *train.Loaded, dir string) (Stage, error) {
	stage := Stage{Run: dir, Steps: exp.Sample.Steps}
	if err := exp.CheckStudent(dir); err != nil {
		return stage, err
	}
	t, err := train.New(ctx, exp, train.Options{Dir: dir, Resume: train.IsRun(dir), Progress: j.Progress, Warn: j.Warn})
	if err != nil {
		return stage, err
	}
	if !t.Finished() && j.Say != nil {
		from := exp.Init
		if from == "" {
			from = "new weights"
		}
		j.Say("%s: %s from %s, %s; %d of %d steps of %d samples", dir, exp.Objective.Kind, from, t.Describe(), t.Step(), exp.Steps, exp.Batch)
	}
	err = t.Run(ctx)
	if closed := t.Close(); err == nil {
		err = closed
	}
	if err == nil && t.OutOfTime() {
		err = &OutOfTimeError{dir, t.Step(), exp.MaxTime}
	}
	return stage, err
}
