package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run is exported, and its folder can be inspected, sampled from and measured against like any of diffusers'.
func TestExportCommand(t *testing.T) {
	long(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "digits.yaml"), tinyDigitsYAML)
	succeeds(t, dir, "train", "digits.yaml")
	o := succeeds(t, dir, "export", "runs/digits", "--format", "diffusers", "--sampler", "euler", "--steps", "3", "--guidance", "1.5", "--out", "pipe")
	for _, want := range []string{
		"pipe: LangevinPipeline of DiTTransformer2DModel and FlowMatchEulerDiscreteScheduler, 3 steps",
		`DiffusionPipeline.from_pretrained("pipe", trust_remote_code=True)`, "pipe(class_labels=[0, 1])",
	} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in\n%s", want, o.stdout)
		}
	}
	if o := succeeds(t, dir, "inspect", "pipe"); !strings.Contains(o.stdout, "FlowMatchEulerDiscreteScheduler, 3 steps, guidance 1.5") {
		t.Errorf("inspected:\n%s", o.stdout)
	}
	succeeds(t, dir, "sample", "pipe", "--n", "4", "--seed", "2", "--out", "theirs.npy")
	succeeds(t, dir, "sample", "runs/digits", "--n", "4", "--seed", "2", "--sampler", "euler", "--steps", "3", "--guidance", "1.5", "--out", "ours.npy")
	theirs, ours := points(t, filepath.Join(dir, "theirs.npy")), points(t, filepath.Join(dir, "ours.npy"))
	for i := range ours {
		// Times that are told as t·1000 or as t, three steps of numbers below 5.
		if d := theirs[i] - ours[i]; !(d <= 1e-4 && d >= -1e-4) {
			t.Fatalf("number %d is %g, the run's %g", i, theirs[i], ours[i])
		}
	}
	if o := succeeds(t, dir, "export", "runs/digits", "--out", "w.safetensors"); o.stdout != "w.safetensors\n" {
		t.Errorf("said %q", o.stdout)
	}

	fails(t, 1, dir, []string{"export", "runs/digits", "--format", "diffusers", "--out", "pipe"}, "pipe", "new or empty")
	fails(t, 1, dir, []string{"export", "runs/digits", "--format", "diffusers", "--out", "no/pipe"}, "no/pipe", "must exist")
	fails(t, 1, dir, []string{"export", "runs/digits", "--format", "diffusers", "--sampler", "ddim"}, "runs/digits", "sampler is ddim", "euler, heun")
	fails(t, 1, dir, []string{"export", "runs/digits", "--format", "diffusers", "guidance_rule=apg"}, "guidance_rule", "guidance_rule=cfg")
	fails(t, 1, dir, []string{"export", "runs/digits", "--format", "diffusers", "guidance_rulee=apg"}, "guidance_rulee")
	fails(t, 1, dir, []string{"export", "pipe", "--format", "diffusers"}, "pipe", "not that of a run")
	fails(t, 2, dir, []string{"export", "runs/digits", "--format", "onnx"}, "onnx", "safetensors or diffusers")
	fails(t, 2, dir, []string{"export", "runs/digits", "--format", "diffusers", "--steps", "0"}, "--steps")
	fails(t, 2, dir, []string{"export", "runs/digits", "--format", "diffusers", "--guidance=-1"}, "--guidance")
	fails(t, 2, dir, []string{"export", "runs/digits", "--steps", "3"}, "--steps is for --format diffusers")
	fails(t, 2, dir, []string{"export", "runs/digits", "sampler.eta=1"}, "one argument too many", "--format diffusers")
	fails(t, 2, dir, []string{"export"}, "missing")
}

// A disk that is full, or becomes so, has nothing of a pipeline on it.
func TestExportToAFullDisk(t *testing.T) {
	long(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "digits.yaml"), tinyDigitsYAML)
	succeeds(t, dir, "train", "digits.yaml")
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := mountTiny(disk, "48k"); err != nil {
		t.Skipf("a small disk can only be made by root: %v", err)
	}
	defer unmount(disk)
	fails(t, 1, dir, []string{"export", "runs/digits", "--format", "diffusers", "--out", "disk/pipe"}, "disk/pipe", "free some space")
	if entries, err := os.ReadDir(disk); err != nil || len(entries) > 0 {
		t.Errorf("there is %v, %v", entries, err)
	}
}
