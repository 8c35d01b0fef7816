package cli_test

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A table, lines of JSON that plot quality reads, and pictures of both kinds.
func TestCompareCommand(t *testing.T) {
	dir := workplace(t)
	write(t, filepath.Join(dir, "student.yaml"), "teacher: runs/tiny\nsteps: 6\nsample: {every: 0}\n")
	succeeds(t, dir, "distill", "student.yaml")
	args := []string{"eval", "--compare", "runs/tiny", "runs/student", "--n", "40", "--nfe", "1,2", "--solvers", "euler,unipc", "--requests", "3", "--teacher-steps", "2"}
	o := succeeds(t, dir, append(args, "--out", "quality.svg")...)
	for _, want := range []string{"W2", "to teacher", "p99", "student (consistency-distillation)", "tiny (flow)", "held-out data"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, o.stdout)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "quality.svg"))
	if err != nil || !strings.Contains(string(b), "<svg") || !strings.Contains(string(b), "median latency") {
		t.Errorf("no drawing of vectors: %v", err)
	}
	o = succeeds(t, dir, append(args, "--json", "--out", "quality.png")...)
	if n := strings.Count(o.stdout, "\n"); n != 6 { // two solvers, a student, two numbers of evaluations
		t.Errorf("%d lines, want 6:\n%s", n, o.stdout)
	}
	f, err := os.Open(filepath.Join(dir, "quality.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m, err := png.Decode(f); err != nil || m.Bounds().Dx() < 600 {
		t.Errorf("the picture: %v", err)
	}
	write(t, filepath.Join(dir, "compared.jsonl"), o.stdout)
	succeeds(t, dir, "plot", "quality", "compared.jsonl", "--x", "evaluations", "--y", "w2", "--by", "method", "--out", "again.png")
	for _, bad := range [][]string{
		{"--out must end in", "eval", "--compare", "runs/tiny", "--out", "x.gif"},
		{"exclude each other", "eval", "--compare", "runs/tiny", "--steps", "3"},
		{"belongs to --compare", "eval", "runs/tiny", "--nfe", "3"},
		{"takes runs alone", "eval", "--compare", "runs/tiny", "sample.steps=3"},
		{"--nfe must rise", "eval", "--compare", "runs/tiny", "--nfe", "2,2"},
		{"--n must be at least 10", "eval", "--compare", "runs/tiny", "--n", "3"},
	} {
		if o := langevin(t, dir, bad[1:]...); o.code != 2 || !strings.Contains(o.stderr, bad[0]) {
			t.Errorf("%v: %d, want 2 and %q:\n%s", bad[1:], o.code, bad[0], o.stderr)
		}
	}
}
