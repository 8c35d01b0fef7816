package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/train/record"
)

// openDir creates the run's folder, or goes on with an old one.
func (t *Trainer) openDir(o Options) error {
	if o.Resume {
		return t.resume()
	}
	made, err := newRunDir(o.Dir, t.exp.Name)
	if err != nil {
		return err
	}
	t.dir, t.made = made.dir, made
	if t.lock, err = record.LockDir(string(t.dir)); err != nil {
		if locked := new(record.LockedError); errors.As(err, &locked) {
			t.made = nil // it is theirs by now
		}
		return unwritten(err)
	}
	if IsRun(string(t.dir)) { // of a process that was quicker
		t.made = nil
		return errHoldsRun(t.dir)
	}
	if err := t.dir.tidy(); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(t.dir.Config(), t.config); err != nil {
		return err
	}
	return t.openRecords(-1)
}

// resume goes on with the run in a folder.
func (t *Trainer) resume() (err error) {
	if t.lock, err = record.LockDir(string(t.dir)); err != nil {
		return unwritten(err)
	}
	if err := t.dir.tidy(); err != nil {
		return err
	}
	if err := t.restore(); err != nil {
		return err
	}
	if err := t.noteChanges(); err != nil {
		return err
	}
	if err := t.dropSnapshots(); err != nil {
		return err
	}
	if t.Finished() {
		return nil
	}
	if err := atomicfile.WriteBytes(t.dir.Config(), t.config); err != nil {
		return err
	}
	return t.openRecords(t.step)
}

// openRecords opens the records for the steps after the given one.
func (t *Trainer) openRecords(step int64) (err error) {
	if err := t.recordEnvironment(); err != nil {
		return err
	}
	if t.metrics, err = record.OpenMetrics(t.dir.Metrics(), step); err != nil {
		return unwritten(err)
	}
	t.events, err = record.NewEvents(t.dir.Events(), step)
	return unwritten(err)
}

// Finished reports whether the run has all its steps, losses and pictures, or has been given up by validation.
func (t *Trainer) Finished() bool {
	return t.stale() || t.step == t.exp.Steps && !t.pictureMissing() && !t.validationDue()
}

// pictureDue reports whether a picture belongs to the present step.
func (t *Trainer) pictureDue() bool {
	every := t.exp.Sample.Every
	return t.step > 0 && every > 0 && (t.step%every == 0 || t.step == t.exp.Steps)
}

// pictureMissing reports whether the present step's picture is due and not there.
func (t *Trainer) pictureMissing() bool {
	if !t.pictureDue() {
		return false
	}
	name := t.pictureName()
	_, err := os.Stat(name)
	return name != "" && errors.Is(err, fs.ErrNotExist)
}

// groups is everything that a checkpoint holds.
func (t *Trainer) groups() []group {
	g := []group{{prefix: modelPrefix, params: t.params}, {prefix: optimPrefix, params: t.opt.State(), spare: t.ofFrozen}}
	if len(t.own) > 0 {
		g = append(g, group{prefix: objectivePrefix, params: t.own})
	}
	if t.average != nil {
		g = append(g, group{prefix: emaPrefix, params: t.average})
	}
	for i, p := range t.profiles {
		g = append(g, group{prefix: profilePrefix(i), params: p.params, spare: t.ofFrozen})
	}
	for i, c := range t.targets {
		g = append(g, group{prefix: targetPrefix(i), params: c.params})
	}
	return g
}

// ofFrozen tells the optimiser's arrays of parameters that are not trained any more.
func (t *Trainer) ofFrozen(name string) bool {
	for _, p := range t.params {
		if p.Frozen && strings.HasSuffix(name, "."+p.Name) {
			return true
		}
	}
	return false
}

// restore takes up the newest checkpoint. Without any, the run starts again from
// its first step, which is where it was.
func (t *Trainer) restore() error {
	c, err := newestCheckpoint(t.dir.Checkpoints(), t.warn)
	if err != nil {
		return err
	}
	if c == nil {
		t.warn("%s has no checkpoint yet: starting from step 0", t.dir)
		return nil
	}
	defer c.Close()
	if c.state.Step > t.exp.Steps {
		return t.exp.places.Errorf("steps", "is %d, but the checkpoint %s is at step %d already", t.exp.Steps, c.path, c.state.Step)
	}
	if now, was := t.about(), c.state.about; !equalShape(was.Shape, now.Shape) || was.Classes != now.Classes {
		return t.exp.places.Errorf("data", "have shape %v and %d classes to condition on; the run so far had %v and %d", now.Shape, now.Classes, was.Shape, was.Classes)
	} else if was.Vector != now.Vector {
		return t.exp.places.Errorf("data", "have vectors of %d numbers to condition on; the run so far had %d", now.Vector, was.Vector)
	}
	if err := c.load(t.groups()...); err != nil {
		return fmt.Errorf("cannot go on with these settings: %w", err)
	}
	if t.average != nil {
		if err := t.copyFrozen(t.average); err != nil {
			return err
		}
	}
	for _, c := range t.targets {
		if err := t.copyFrozen(c.params); err != nil {
			return err
		}
	}
	t.step, t.skipped = c.state.Step, c.state.Skipped
	t.inARow = c.state.InARow
	t.window = window{loss: float64(c.state.WindowLoss), norm: float64(c.state.WindowNorm), steps: c.state.WindowSteps}
	t.window.restoreLevels(c.state.WindowLevels)
	t.opt.SetSteps(c.state.OptimSteps)
	if o, ok := t.opt.(optim.Counting); ok {
		var counters []float64
		for _, v := range c.state.OptimCounters {
			counters = append(counters, float64(v))
		}
		if err := o.SetCounters(counters); err != nil {
			return fmt.Errorf("cannot go on with these settings: %s: %w", c.path, err)
		}
	}
	if t.ema != nil {
		t.ema.SetSteps(c.state.EMASteps)
	}
	for _, p := range t.profiles {
		p.ema.SetSteps(c.state.Averaged)
	}
	if c.state.Validation != nil {
		t.stands = *c.state.Validation
	}
	if o := t.observer; o != nil {
		if err := o.UnmarshalState(c.state.Objective); err != nil {
			return fmt.Errorf("cannot go on with these settings: %s: the state of the objective: %w", c.path, err)
		}
	}
	return nil
}

// noteChanges warns of settings other than those that the run has had so far.
func (t *Trainer) noteChanges() error {
	old, err := os.ReadFile(t.dir.Config())
	if err != nil {
		return noRead(t.dir.Config(), err, "the config of the run")
	}
	for _, c := range ChangedSettings(old, t.config) {
		t.warn("going on from step %d with %s", t.step, c)
	}
	return nil
}

// Save writes a checkpoint of the present step, and removes those that are not to be kept.
func (t *Trainer) Save() error {
	if err := t.saveTo(t.CheckpointPath()); err != nil {
		return err
	}
	return pruneCheckpoints(t.dir.Checkpoints(), t.exp.Checkpoint.Keep, t.exp.Checkpoint.KeepEvery)
}

// saveTo writes a checkpoint of the present step to a file.
func (t *Trainer) saveTo(path string) error {
	// No record up to the checkpoint's step may be lost once it is there.
	if err := t.metrics.Sync(); err != nil {
		return unwritten(err)
	}
	st := checkpointState{about: t.about(), Step: t.step, Skipped: t.skipped, InARow: t.inARow, OptimSteps: t.opt.Steps(),
		WindowLoss: float64Bits(t.window.loss), WindowNorm: float64Bits(t.window.norm), WindowSteps: t.window.steps, WindowLevels: t.window.savedLevels()}
	if t.ema != nil {
		st.EMASteps = t.ema.Steps()
	}
	if len(t.profiles) > 0 {
		st.Averaged = t.profiles[0].ema.Steps()
	}
	if t.valid != nil {
		stands := t.stands
		st.Validation = &stands
	}
	if c, ok := t.opt.(optim.Counting); ok {
		for _, v := range c.Counters() {
			st.OptimCounters = append(st.OptimCounters, float64Bits(v))
		}
	}
	if o := t.observer; o != nil {
		b, err := o.MarshalState()
		if err != nil {
			return err
		}
		st.Objective = b
	}
	t.settle()
	return saveCheckpoint(path, st, t.texts(), t.groups()...)
}

// CheckpointPath is where the checkpoint of the present step is, or would be.
func (t *Trainer) CheckpointPath() string {
	return t.dir.Checkpoints() + string(os.PathSeparator) + checkpointName(t.step)
}
