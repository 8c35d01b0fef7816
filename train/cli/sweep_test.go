package cli_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A dry run tells what training would take, of a file and of a run, and leaves nothing behind.
func TestDryRun(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	out := succeeds(t, dir, "train", "tiny.yaml", "batch=32", `optim.groups=[{match: "in.*", frozen: true}]`, "--dry-run").stdout
	for _, want := range []string{"parameters ", " are trained\n", " of 32 samples\n", "memory       about ", "GFLOP a step", "steps/s, so "} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q:\n%s", want, out)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	succeeds(t, dir, "train", "tiny.yaml")
	before, _ := filepath.Glob(filepath.Join(dir, "runs/tiny/*/*"))
	succeeds(t, dir, "train", "runs/tiny", "--dry-run")
	if after, _ := filepath.Glob(filepath.Join(dir, "runs/tiny/*/*")); len(after) != len(before) {
		t.Errorf("files of the run are %v, were %v", after, before)
	}
	fails(t, 2, dir, []string{"train", "tiny.yaml", "--dry-run", "--resume"}, "--dry-run writes nothing")
	fails(t, 1, dir, []string{"train", "tiny.yaml", "model={kind: dit, patch: 4}", "--dry-run"}, "model")
}

// The table of a sweep is printed when all runs are there, in three forms.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	write(t, filepath.Join(dir, "sweep.yaml"), "experiment: tiny.yaml\nset: {steps: 6}\nseeds: [0, 1]\ngrid: {optim.lr: [1e-3, 2e-3]}\n")
	plan := succeeds(t, dir, "sweep", "sweep.yaml", "--dry-run").stdout
	if !strings.Contains(plan, filepath.Join("runs", "sweep", "lr=2e-3,seed=1")+": optim.lr=2e-3 seed=1\n") || !strings.HasSuffix(plan, "\n4 runs\n") {
		t.Errorf("plan\n%s", plan)
	}
	if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
		t.Error("a dry run makes folders")
	}
	text := succeeds(t, dir, "sweep", "sweep.yaml").stdout
	if !strings.HasPrefix(text, "optim.lr  runs  train/loss") || strings.Count(text, "±") != 2 {
		t.Errorf("table\n%s", text)
	}
	rows, err := csv.NewReader(strings.NewReader(succeeds(t, dir, "sweep", "sweep.yaml", "--csv").stdout)).ReadAll()
	if err != nil || len(rows) != 3 || rows[2][0] != "2e-3" || rows[2][1] != "2" {
		t.Errorf("CSV %v, %v", rows, err)
	}
	for line := range strings.Lines(succeeds(t, dir, "sweep", "sweep.yaml", "--json").stdout) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	succeeds(t, dir, "inspect", filepath.Join("runs", "sweep", "lr=2e-3,seed=1"))
	fails(t, 2, dir, []string{"sweep", "sweep.yaml", "--csv", "--json"}, "want one of them")
	fails(t, 1, dir, []string{"sweep", "sweep.yaml", "batch=3"}, "was trained with other settings: now batch=3")
}
