package train

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

// RunDir is the folder of a run:
//
//	config.yaml           the resolved experiment, every default filled in
//	metrics.jsonl         a line every log interval
//	environment.jsonl     what its processes ran on, a line each
//	events/               the same for TensorBoard
//	checkpoints/          step-00001000.safetensors, …
//	samples/              pictures, by step
//	averages/             snapshots of post_hoc's averages, by step
//	pairs/                what a student is trained on, if its teacher made it
type RunDir string

func (d RunDir) Config() string      { return filepath.Join(string(d), "config.yaml") }
func (d RunDir) Metrics() string     { return filepath.Join(string(d), "metrics.jsonl") }
func (d RunDir) Events() string      { return filepath.Join(string(d), "events") }
func (d RunDir) Checkpoints() string { return filepath.Join(string(d), "checkpoints") }
func (d RunDir) Averages() string    { return filepath.Join(string(d), "averages") }
func (d RunDir) Pairs() string       { return filepath.Join(string(d), "pairs") }
func (d RunDir) lock() string        { return filepath.Join(string(d), "lock") }
func (d RunDir) Samples() string     { return filepath.Join(string(d), "samples") }

// Best is the checkpoint with the lowest loss on held-out data.
func (d RunDir) Best() string { return filepath.Join(d.Checkpoints(), "best.safetensors") }

// Sample is the path of a step's picture.
func (d RunDir) Sample(kind string, step int64) string {
	return filepath.Join(d.Samples(), fmt.Sprintf("%s-%08d.png", kind, step))
}

// IsRun reports whether path is a folder that holds a run.
func IsRun(path string) bool {
	_, err := os.Stat(RunDir(path).Config())
	return err == nil
}

// hasCheckpoint reports whether there is something to resume from.
func (d RunDir) hasCheckpoint() bool {
	if d == "" {
		return false
	}
	paths, err := listCheckpoints(d.Checkpoints())
	return err == nil && len(paths) > 0
}

// runsRoot is where run folders are made.
const runsRoot = "runs"

// numbered is runs/name, or runs/name-i for i above 1.
func numbered(name string, i int) string {
	dir := filepath.Join(runsRoot, name)
	if i > 1 {
		dir = fmt.Sprintf("%s-%d", dir, i)
	}
	return dir
}

// findRun is the run to resume: in dir or, without one, the last of runs/name, runs/name-2, …
func findRun(dir, name string) (RunDir, error) {
	if dir != "" {
		if !IsRun(dir) {
			return "", fmt.Errorf("%s holds no run to resume (no config.yaml): name the run's folder, or leave out --resume to start there", dir)
		}
		return RunDir(dir), nil
	}
	found := ""
	for i := 1; ; i++ {
		dir := numbered(name, i)
		if _, err := os.Lstat(dir); err != nil {
			break
		}
		if IsRun(dir) {
			found = dir
		}
	}
	if found == "" {
		return "", fmt.Errorf("nothing to resume: there is no run %s in %s; name the run's folder with --run", name, runsRoot)
	}
	return RunDir(found), nil
}

// tidy removes what killed processes left behind, and makes the folders that it lacks.
func (d RunDir) tidy() error {
	for _, p := range []string{d.Checkpoints(), d.Samples()} {
		if err := os.MkdirAll(p, 0o777); err != nil {
			return notMade(d, err)
		}
		if err := atomicfile.Sweep(p); err != nil {
			return err
		}
	}
	return atomicfile.SweepOf(d.Config())
}

func errHoldsRun(d RunDir) error {
	return fmt.Errorf("%s already holds a run: add --resume to go on with it, or name another folder", d)
}

func notMade(d RunDir, err error) error {
	return fmt.Errorf("the folder %s of the run cannot be made (%w): name a place that can be written to with --run", d, plainError(err))
}
