package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// newDir is a run's folder that has just been made, with what it takes to undo that.
type newDir struct {
	dir  RunDir
	made []string // folders that were not there before, outermost first
}

// newRunDir makes the folders of a new run: in dir, which must be new or empty,
// or else in the first of runs/name, runs/name-2, … that is not there.
func newRunDir(dir, name string) (*newDir, error) {
	n := &newDir{dir: RunDir(dir)}
	if err := n.make(name); err != nil {
		n.undo()
		return nil, err
	}
	return n, nil
}

func (n *newDir) make(name string) error {
	if n.dir == "" {
		if err := n.number(name); err != nil {
			return err
		}
	} else if err := n.dir.checkEmpty(); err != nil {
		return err
	}
	for _, p := range []string{string(n.dir), n.dir.Checkpoints(), n.dir.Samples()} {
		if err := n.mkdirAll(p); err != nil {
			return notMade(n.dir, err)
		}
	}
	return nil
}

// number makes the first of runs/name, runs/name-2, … that is not there.
func (n *newDir) number(name string) error {
	if err := n.mkdirAll(runsRoot); err != nil {
		return notMade(runsRoot, err)
	}
	for i := 1; ; i++ {
		n.dir = RunDir(numbered(name, i))
		err := os.Mkdir(string(n.dir), 0o777) // fails if another process is quicker
		if err == nil {
			n.made = append(n.made, string(n.dir))
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return notMade(n.dir, err)
		}
	}
}

// mkdirAll is os.MkdirAll that remembers what it made.
func (n *newDir) mkdirAll(path string) error {
	var missing []string
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, p)
		if p == filepath.Dir(p) {
			break
		}
	}
	slices.Reverse(missing)
	for _, p := range missing {
		if err := os.Mkdir(p, 0o777); err == nil {
			n.made = append(n.made, p)
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// undo removes the folders that were made, unless somebody has put anything there.
func (n *newDir) undo() {
	for _, p := range slices.Backward(n.made) {
		os.Remove(p)
	}
}

// checkEmpty is an error if there is anything in the folder but what a run
// leaves that was killed before it had written its config.
func (d RunDir) checkEmpty() error {
	if info, err := os.Stat(string(d)); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file: name a new or empty folder with --run", d)
	}
	if IsRun(string(d)) {
		return errHoldsRun(d)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return notMade(d, err)
	}
	for _, e := range entries {
		path := filepath.Join(string(d), e.Name())
		switch {
		case path == d.Pairs() || path == d.lock() || strings.HasPrefix(e.Name(), "."+filepath.Base(d.Config())):
		case path == d.Checkpoints() || path == d.Samples():
			if below, err := os.ReadDir(path); err != nil || len(below) > 0 {
				return notEmpty(d)
			}
		default:
			return notEmpty(d)
		}
	}
	return nil
}

func notEmpty(d RunDir) error {
	return fmt.Errorf("%s is not empty: name a new or empty folder with --run", d)
}

// discard takes back the folder of a new run that could not begin. This process holds its lock.
func (t *Trainer) discard() {
	if t.made == nil {
		return
	}
	if t.metrics != nil {
		t.metrics.Close()
		t.metrics = nil
	}
	if t.events != nil {
		t.events.Close()
		t.events = nil
	}
	d := t.dir
	files, _ := filepath.Glob(filepath.Join(d.Events(), "*"))
	for _, p := range append(files, d.Events(), d.Config(), d.Metrics(), d.lock()) {
		os.Remove(p)
	}
	t.made.undo()
}
