package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RunDir is the folder of a run:
//
//	config.yaml           the resolved experiment, every default filled in
//	metrics.jsonl         a line every log interval
//	events/               the same for TensorBoard
//	checkpoints/          step-00001000.safetensors, …
//	samples/              pictures, by step
type RunDir string

func (d RunDir) Config() string      { return filepath.Join(string(d), "config.yaml") }
func (d RunDir) Metrics() string     { return filepath.Join(string(d), "metrics.jsonl") }
func (d RunDir) Events() string      { return filepath.Join(string(d), "events") }
func (d RunDir) Checkpoints() string { return filepath.Join(string(d), "checkpoints") }
func (d RunDir) Samples() string     { return filepath.Join(string(d), "samples") }

// Sample is the path of a step's picture.
func (d RunDir) Sample(kind string, step int64) string {
	return filepath.Join(d.Samples(), fmt.Sprintf("%s-%08d.png", kind, step))
}

// IsRun reports whether path is a folder that holds a run.
func IsRun(path string) bool {
	_, err := os.Stat(RunDir(path).Config())
	return err == nil
}

// freshRunDir is root/name, or root/name-2, root/name-3, …: the first that does not exist.
func freshRunDir(root, name string) (RunDir, error) {
	for i := 1; ; i++ {
		dir := filepath.Join(root, name)
		if i > 1 {
			dir = fmt.Sprintf("%s-%d", dir, i)
		}
		_, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return RunDir(dir), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// newestRunDir is the last of root/name, root/name-2, … that holds a run.
func newestRunDir(root, name string) (RunDir, error) {
	found := ""
	for i := 1; ; i++ {
		dir := filepath.Join(root, name)
		if i > 1 {
			dir = fmt.Sprintf("%s-%d", dir, i)
		}
		if _, err := os.Lstat(dir); err != nil {
			break
		}
		if IsRun(dir) {
			found = dir
		}
	}
	if found == "" {
		return "", fmt.Errorf("nothing to resume: there is no run %s in %s", name, root)
	}
	return RunDir(found), nil
}

// create makes the folders of a new run. A folder with anything in it is refused.
func (d RunDir) create() error {
	entries, err := os.ReadDir(string(d))
	switch {
	case err == nil && IsRun(string(d)):
		return fmt.Errorf("%s already holds a run: add --resume to go on with it, or name another folder", d)
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s is not empty: name a new or empty folder with --run", d)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, p := range []string{string(d), d.Checkpoints(), d.Samples()} {
		if err := os.MkdirAll(p, 0o777); err != nil {
			return err
		}
	}
	return nil
}
