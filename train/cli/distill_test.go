package cli_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// A student is made, sampled with its own number of steps without its teacher's folder, inspected, and gone on with.
func TestDistillCommand(t *testing.T) {
	dir := workplace(t)
	write(t, filepath.Join(dir, "student.yaml"), "teacher: runs/tiny\nsteps: 6\nsample: {every: 0}\n")
	o := succeeds(t, dir, "distill", "student.yaml")
	if !strings.Contains(o.stdout, "runs/student: made for 1 step\n") || !strings.Contains(o.stdout, "langevin sample runs/student") {
		t.Errorf("says\n%s", o.stdout)
	}
	if o := succeeds(t, dir, "distill", "student.yaml", "steps=9"); !strings.Contains(o.stderr, "going on from step 6") {
		t.Errorf("the same command with more steps says\n%s%s", o.stdout, o.stderr)
	}
	again := succeeds(t, dir, "train", "runs/student", "--resume", "steps=10")
	if !strings.Contains(again.stdout, "Trained 10 steps") {
		t.Errorf("resumed by train:\n%s%s", again.stdout, again.stderr)
	}
	for _, c := range [][2]string{
		{"sample runs/student --n 4 --out x.npy", "renoise, 1 steps"},
		{"sample runs/student --n 4 --steps 3 --out x.npy", "renoise, 3 steps"},
		{"inspect runs/student", "by consistency-distillation from runs/tiny, made for 1 step or few"},
		{"distill student.yaml method=guidance --run runs/told", "runs/told"},
		{"sample runs/told --n 4 --guidance 3 --out x.npy", "guidance 3"},
		{"inspect runs/told", "told guidance from 1 to 5"},
		{"distill student.yaml method.kind=progressive --run runs/halved", "runs/halved/steps-32: made for 32 steps\n"},
		{"sample runs/halved/steps-4 --n 4 --out x.npy", "ddim, 4 steps"},
		{"inspect runs/halved/steps-4", "by progressive from runs/halved/steps-8, made for 4 steps"},
	} {
		if o := succeeds(t, dir, strings.Fields(c[0])...); !strings.Contains(o.stdout, c[1]) {
			t.Errorf("langevin %s does not say %q:\n%s%s", c[0], c[1], o.stdout, o.stderr)
		}
	}
	if o := langevin(t, dir, "sample", "runs/told", "--n", "4", "--guidance", "9"); o.code != 1 || !strings.Contains(o.stderr, "taught scales from 1 to 5") {
		t.Errorf("a scale that was not taught: %d\n%s", o.code, o.stderr)
	}
	if o := langevin(t, dir, "sample", "runs/halved/steps-4", "--n", "4", "--steps", "3"); o.code != 1 || !strings.Contains(o.stderr, "64 steps has none of 3") {
		t.Errorf("a number of steps that is no part of the grid: %d\n%s", o.code, o.stderr)
	}
}
