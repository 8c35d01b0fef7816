package cli_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/train"
)

// idx makes an IDX file of bytes.
func idx(shape []byte, data []byte) []byte {
	b := []byte{0, 0, 8, byte(len(shape))}
	for _, d := range shape {
		b = append(b, 0, 0, 0, d)
	}
	return append(b, data...)
}

// mistakesPlace has the runs of workplace and files with something wrong.
func mistakesPlace(t *testing.T) string {
	t.Helper()
	dir := workplace(t)
	file := func(name string, b []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, path, string(b))
	}
	file("images.idx", idx([]byte{3, 4, 4}, make([]byte, 48)))
	file("labels.idx", idx([]byte{3}, []byte{0, 1, 9}))
	file("short.idx", idx([]byte{3, 4, 4}, make([]byte, 40)))
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 40, 40))); err != nil {
		t.Fatal(err)
	}
	file("pictures/a.png", picture.Bytes())
	file("pictures/b.png", picture.Bytes()[:picture.Len()/2])
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	file("list.yaml", []byte("- a\n- b\n"))
	file("student.yaml", []byte("teacher: runs/tiny\nsteps: 4\nsample: {every: 0}\n"))
	file("broken.yaml", []byte("name: [\n"))
	file("key.yaml", []byte(tinyYAML+"optimm: {lr: 1}\n"))
	file("type.yaml", []byte("data: moons\nmodel: mlp\nsteps: many\n"))
	file("value.yaml", []byte("data: moons\nmodel: mlp\nbatch: 0\n"))
	ck := read(t, filepath.Join(dir, "runs/tiny/checkpoints/step-00000040.safetensors"))
	file("cut.safetensors", ck[:len(ck)/2])
	file("young/config.yaml", read(t, filepath.Join(dir, "runs/tiny/config.yaml")))
	noise := func(name string, shape []int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		if err := safetensors.WriteFile(filepath.Join(dir, name), []safetensors.Entry{safetensors.Float32("noise", shape, make([]float32, n))}, nil); err != nil {
			t.Fatal(err)
		}
	}
	noise("wide.safetensors", []int{2, 1, 9, 8})
	noise("flat.safetensors", []int{2, 64})
	noise("points.safetensors", []int{2, 2})
	if err := safetensors.WriteFile(filepath.Join(dir, "nameless.safetensors"), []safetensors.Entry{safetensors.Float32("x", []int{1}, []float32{1})}, nil); err != nil {
		t.Fatal(err)
	}
	copyPipeline(t, "unet-ddim", filepath.Join(dir, "cutpipe"))
	weights := filepath.Join(dir, "cutpipe/unet/diffusion_pytorch_model.safetensors")
	file("cutpipe/unet/diffusion_pytorch_model.safetensors", read(t, weights)[:2000])
	copyPipeline(t, "unet-ddim", filepath.Join(dir, "pipe"))
	copyPipeline(t, "unet-ddim-eta", filepath.Join(dir, "labelled"))
	copyPipeline(t, "unet-ddim", filepath.Join(dir, "oddpipe"))
	file("pipe-nowhere.yaml", []byte("data: digits\nmodel: {kind: diffusers, path: nowhere}\n"))
	file("pipe-points.yaml", []byte("data: moons\nmodel: {kind: diffusers, path: pipe}\n"))
	file("pipe-cut.yaml", []byte("data: digits\nconditional: false\nmodel: {kind: diffusers, path: cutpipe}\n"))
	config := read(t, filepath.Join(dir, "oddpipe/scheduler/scheduler_config.json"))
	file("oddpipe/scheduler/scheduler_config.json", bytes.Replace(config, []byte(`"prediction_type"`), []byte(`"prediction_tipe"`), 1))
	return dir
}

func TestMistakes(t *testing.T) {
	dir := mistakesPlace(t)
	for _, c := range []struct {
		args string
		code int
		says []string // that the error must name
	}{
		// Configs and overrides.
		{"train none.yaml", 1, []string{"none.yaml", "must be a YAML file"}},
		{"train tinny.yaml", 1, []string{"tinny.yaml", "did you mean tiny.yaml"}},
		{"train list.yaml", 1, []string{"list.yaml:1", "section with keys"}},
		{"train broken.yaml", 1, []string{"broken.yaml:", "not valid YAML"}},
		{"train key.yaml", 1, []string{"key.yaml:11: optimm: unknown key; did you mean optim"}},
		{"train type.yaml", 1, []string{"type.yaml:3: steps: must be a", `"many"`}},
		{"train value.yaml", 1, []string{"value.yaml:3: batch: must be ≥ 1, is 0"}},
		{"train tiny.yaml optim.lr=fast", 1, []string{"optim.lr", "must be a number"}},
		{"train tiny.yaml optim.rate=1", 1, []string{"optim.rate", "unknown key"}},
		{"train tiny.yaml steps", 1, []string{"steps", "key=value"}},
		{"train tiny.yaml data=moon", 1, []string{"data", `"moon"`, "did you mean moons"}},
		{"train tiny.yaml model=dit", 1, []string{"model", "images", "mlp"}},
		{"train tiny.yaml flip=true", 1, []string{"flip", "images"}},
		{"train tiny.yaml name=a/b", 1, []string{"name", "plain folder name"}},
		{"train tiny.yaml batch=100000000000", 1, []string{"batch", "must be at most"}},
		{"train tiny.yaml sample.every=10 sample.guidance=2 conditional=false", 1, []string{"sample", "guidance 2", "no classes"}},
		{"train tiny.yaml sample.every=10 objective.predict=eps sample.grid=uniform", 1, []string{"sample", "eps"}},
		{"train tiny.yaml sample.guidance=2 sample.guidance_weight=1", 1, []string{"guidance_weight", "exclude each other"}},
		{"train tiny.yaml sample.every=10 sample.guidance=2 model.null_condition=false", 1, []string{"sample", "guidance 2", "no null class"}},
		{"train tiny.yaml model.classes=1", 1, []string{"model.classes", "is 1; the data have 2"}},
		{"train tiny.yaml conditional=false model.classes=3 model.null_condition=false", 1, []string{"model.classes", "no null class"}},
		{"train tiny.yaml model.vector=3 model.null_condition=false", 1, []string{"model.vector", "no null vector"}},
		{"train tiny.yaml device=gpu", 1, []string{"device", "cpu"}},
		// Students.
		{"distill none.yaml", 1, []string{"none.yaml", "must be a YAML file"}},
		{"distill tiny.yaml", 1, []string{"tiny.yaml", "teacher: is required"}},
		{"distill student.yaml teacher=nowhere", 1, []string{"teacher=nowhere", "teacher: cannot be used", "nowhere"}},
		{"distill student.yaml teacher=tiny.yaml", 1, []string{"teacher: cannot be used", "tiny.yaml"}},
		{"distill student.yaml data=digits", 1, []string{"student.yaml", "method.teacher", "[2]", "[8 8 1]"}},
		{"distill student.yaml method=mean_flow", 1, []string{"method: is no method of distillation", "progressive"}},
		{"distill student.yaml method=progresive", 1, []string{"method", "did you mean progressive"}},
		{"distill student.yaml objective=flow", 1, []string{"objective", "has no place"}},
		{"distill student.yaml --run runs/tiny", 1, []string{"runs/tiny is the teacher itself"}},
		{"distill student.yaml --run runs/digits", 1, []string{"runs/digits holds another run"}},
		{"distill student.yaml teacher=pipe", 1, []string{"data", "is required"}},
		{"distill student.yaml teacher=oddpipe data=digits", 1, []string{"teacher", "oddpipe", "prediction_tipe"}},
		{"distill student.yaml teacher=cutpipe data=digits", 1, []string{"teacher", "cutpipe"}},
		{"distill", 2, []string{"a YAML file"}},
		// Data.
		{"train tiny.yaml data.kind=idx", 1, []string{"data.images", "required"}},
		{"train digits.yaml data.kind=idx data.images=none.idx", 1, []string{"data", "none.idx"}},
		{"train digits.yaml data.kind=idx data.images=short.idx", 1, []string{"short.idx", "truncated", "byte 56"}},
		{"train digits.yaml data.kind=idx data.images=tiny.yaml", 1, []string{"tiny.yaml", "not an IDX file"}},
		{"train digits.yaml data.kind=idx data.images=images.idx data.labels=labels.idx data.classes=5", 1, []string{"labels.idx", "label 9 of sample 2", "want 0 to 4"}},
		{"train digits.yaml data.kind=idx data.images=images.idx data.heldout=3", 1, []string{"heldout", "3"}},
		{"train digits.yaml data.kind=folder data.dir=empty data.height=8 data.width=8", 1, []string{"empty", "no PNG, JPEG, GIF or WebP pictures"}},
		{"train digits.yaml data.kind=folder data.dir=nowhere data.height=8 data.width=8", 1, []string{"nowhere"}},
		{"train digits.yaml data.kind=folder data.dir=pictures data.height=8 data.width=8", 1, []string{"pictures/b.png", "cannot be decoded"}},
		{"train tiny.yaml data.kind=npy data.samples=tiny.yaml", 1, []string{"tiny.yaml"}},
		{"train tiny.yaml data.kind=rings data.radii=[]", 1, []string{"data.radii", "at least one"}},
		{"train tiny.yaml data.kind=noise data.shape=[100000,100000]", 1, []string{"data.shape", "more than"}},
		{"train digits.yaml data.kind=noise data.shape=[10,7,1]", 1, []string{"model", "[10 7 1]"}},
		{"train digits.yaml model.out_channels=3", 1, []string{"model", "[8 8 3]", "want [8 8 1]"}},
		{"train digits.yaml model.in_channels=3", 1, []string{"model", "[8 8 1]"}},
		// Initial weights.
		{"train tiny.yaml init=nowhere", 1, []string{"init", "nowhere", "want a run's folder"}},
		{"train tiny.yaml init=empty", 1, []string{"init", "empty"}},
		{"train tiny.yaml init=cut.safetensors", 1, []string{"init", "cut.safetensors", "truncated"}},
		{"train tiny.yaml init=young", 1, []string{"init", "young", "no checkpoint yet"}},
		{"train tiny.yaml init=runs/digits", 1, []string{"init", "runs/digits"}},
		{"train digits.yaml init=pipe", 1, []string{"init", "pipe", "not this network's"}},
		{"train pipe-nowhere.yaml", 1, []string{"pipe-nowhere.yaml:2: model", "nowhere"}},
		{"train pipe-points.yaml", 1, []string{"pipe-points.yaml:2: model.path", "images of 1 channels", "[2]"}},
		{"train pipe-cut.yaml", 1, []string{"pipe-cut.yaml:3: model", "cutpipe", "truncated"}},
		// Run folders.
		{"train runs/tiny", 2, []string{"runs/tiny is a run", "--resume"}},
		{"train tiny.yaml --run runs/tiny", 1, []string{"runs/tiny already holds a run", "--resume"}},
		{"train tiny.yaml --run tiny.yaml", 1, []string{"tiny.yaml is a file", "--run"}},
		{"train tiny.yaml --run pictures", 1, []string{"pictures is not empty", "--run"}},
		{"train tiny.yaml --run tiny.yaml/x", 1, []string{"tiny.yaml/x", "not a directory", "--run"}},
		{"train tiny.yaml --resume --run empty", 1, []string{"empty holds no run", "--resume"}},
		{"train tiny.yaml --resume name=other", 1, []string{"no run other in runs"}},
		{"train runs/tiny --resume --run runs/digits", 2, []string{"named twice"}},
		{"train runs/tiny steps=9 --resume", 1, []string{"steps", "step 40 already"}},
		{"train empty", 1, []string{"empty is a folder", "YAML file"}},
		{"train pipe", 1, []string{"pipe is a folder", "init: pipe"}},
		// Sampling.
		{"sample nowhere", 1, []string{"nowhere", "want a run's folder"}},
		{"sample empty", 1, []string{"empty is neither a run", "nor a diffusers folder"}},
		{"sample tiny.yaml", 1, []string{"tiny.yaml", "not a safetensors file"}},
		{"sample cut.safetensors", 1, []string{"cut.safetensors", "truncated"}},
		{"sample nameless.safetensors", 1, []string{"nameless.safetensors", "not a checkpoint"}},
		{"sample young", 1, []string{"young has no checkpoint yet"}},
		{"sample cutpipe", 1, []string{"cutpipe/unet/diffusion_pytorch_model.safetensors", "truncated"}},
		{"sample oddpipe", 1, []string{"scheduler_config.json", "prediction_tipe"}},
		{"sample runs/tiny --class 2", 1, []string{"--class 2", "0 to 1"}},
		{"sample runs/tiny --class -1", 1, []string{"--class -1", "0 to 1"}},
		{"sample runs/tiny --class cat", 1, []string{"--class cat", "0 to 1", "none"}},
		{"sample pipe --class 1", 1, []string{"--class 1", "no classes"}},
		{"sample pipe --guidance 2", 1, []string{"guidance 2", "no classes"}},
		{"sample labelled --class 1 --guidance 2", 1, []string{"guidance 2", "no null class"}},
		{"sample labelled --class none", 1, []string{"--class none", "no null class"}},
		{"sample runs/tiny --sampler none", 1, []string{"--sampler", `"none"`, "heun"}},
		{"sample pipe --sampler none", 1, []string{`"none"`, "heun"}},
		{"sample pipe sampler=heun", 1, []string{"sampler=heun", "--sampler"}},
		{"sample pipe steps=3", 1, []string{"steps", "--steps"}},
		{"sample pipe --steps 2000", 1, []string{"2000"}},
		{"sample runs/tiny sampler.eta=1", 1, []string{"sampler.eta", "unknown key", "ddim"}},
		{"sample runs/tiny --steps 0", 2, []string{"--steps must be at least 1"}},
		{"sample runs/tiny --steps -3", 2, []string{"--steps must be at least 1"}},
		{"sample runs/tiny --guidance -1", 2, []string{"--guidance", "negative"}},
		{"sample runs/tiny --guidance inf", 2, []string{"--guidance", "finite"}},
		{"sample runs/tiny --n 0", 2, []string{"--n must be at least 1"}},
		{"sample runs/tiny --n many", 2, []string{"--n must be a whole number", `"many"`}},
		{"sample runs/tiny --n 100000000000", 1, []string{"100000000000 samples", "want 1 to"}},
		{"sample runs/tiny --seed -1", 2, []string{"--seed must be a whole number, 0 or above"}},
		{"sample runs/tiny --n 3 --noise points.safetensors", 2, []string{"--n and --noise"}},
		{"sample runs/tiny --noise none.safetensors", 1, []string{"none.safetensors"}},
		{"sample runs/tiny --noise tiny.yaml", 1, []string{"tiny.yaml", "not a safetensors file"}},
		{"sample runs/tiny --noise nameless.safetensors", 1, []string{"nameless.safetensors", "noise"}},
		{"sample pipe --noise wide.safetensors", 1, []string{"wide.safetensors", "[2 1 9 8]", "(N, 1, 8, 8)"}},
		{"sample pipe --noise flat.safetensors", 1, []string{"flat.safetensors", "(N, 1, 8, 8)"}},
		{"sample runs/tiny --out x.gif", 1, []string{"x.gif", ".png, .npy or .safetensors"}},
		{"sample runs/tiny --out x", 1, []string{"x", ".png, .npy or .safetensors"}},
		{"sample runs/tiny --out nowhere/x.png", 1, []string{"nowhere", "no such", "x.png"}},
		{"sample runs/tiny --out tiny.yaml/x.png", 1, []string{"tiny.yaml", "not a folder"}},
		// Measuring and looking.
		{"eval nowhere", 1, []string{"nowhere", "want a run's folder"}},
		{"eval pipe", 1, []string{"pipe", "eval needs a run"}},
		{"eval runs/tiny --n 3", 2, []string{"--n must be at least 10"}},
		{"eval runs/tiny --guidance -1", 2, []string{"--guidance"}},
		{"eval young", 1, []string{"young has no checkpoint yet"}},
		{"inspect nowhere", 1, []string{"nowhere", "want a run's folder"}},
		{"inspect empty", 1, []string{"empty is neither"}},
		{"average nowhere --sigma-rel 0.1", 1, []string{"nowhere is no run"}},
		{"average runs/tiny --sigma-rel 0.1", 1, []string{"no snapshots of averages", "post_hoc"}},
		{"average runs/tiny --last 9", 1, []string{"checkpoints, not 9", "checkpoint.keep"}},
		{"average runs/tiny --last 1", 1, []string{"1 checkpoints have no mean"}},
		{"average runs/tiny runs/digits --last 1", 1, []string{"want checkpoints of one network"}},
		{"average runs/tiny --updates 3", 2, []string{"--updates belongs to --sigma-rel"}},
		{"average runs/tiny runs/digits --sigma-rel 0.1", 2, []string{"one argument too many"}},
		{"average cut.safetensors runs/tiny --last 1", 1, []string{"cut.safetensors"}},
		{"export pictures", 1, []string{"pictures is a folder, and not that of a run"}},
		{"export nowhere", 1, []string{"nowhere"}},
		// The command line itself.
		{"train", 2, []string{"missing", "YAML file"}},
		{"sample", 2, []string{"missing", "run"}},
		{"inspect", 2, []string{"missing"}},
		{"inspect a b", 2, []string{`"b"`, "too many"}},
		{"doctor now", 2, []string{`"now"`, "too many"}},
		{"version 2", 2, []string{`"2"`, "too many"}},
		{"frobnicate", 2, []string{`unknown command "frobnicate"`}},
		{"sample --frob", 2, []string{"--frob"}},
	} {
		fails(t, c.code, dir, strings.Fields(c.args), c.says...)
	}
}

// A sampler that runs out of the file's noise says which step it wants.
func TestTooLittleNoise(t *testing.T) {
	dir := t.TempDir()
	copyPipeline(t, "unet-ddpm", filepath.Join(dir, "pipe"))
	fails(t, 1, dir, []string{"sample", "pipe", "--steps", "12", "--noise", "pipe/samples.safetensors", "--out", "x.npy"},
		"pipe/samples.safetensors", "noises has 8 steps", "step 9")
}

func TestUnwritablePlaces(t *testing.T) {
	dir := workplace(t)
	place := "/sys/langevin-test" // where not even root may make a folder
	if _, err := os.Stat("/sys/kernel"); err != nil {
		t.Skip("needs Linux")
	}
	fails(t, 1, dir, []string{"train", "tiny.yaml", "--run", place}, place, "--run")
	fails(t, 1, dir, []string{"train", "tiny.yaml", "--run", place + "/a/b"}, place, "--run")
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--out", "/sys/x.npy"}, "/sys/x.npy", "/sys must be writable")
	if os.Getuid() == 0 {
		return
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o777)
	fails(t, 1, dir, []string{"train", "tiny.yaml", "--run", "new"}, "new", "--run")
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--out", "x.npy"}, "x.npy", "must be writable")
}

// A disk that is full from the start, and one that fills up.
func TestFullDisk(t *testing.T) {
	dir := workplace(t)
	if _, err := os.Stat("/dev/full"); err == nil {
		for _, ext := range []string{".png", ".npy", ".safetensors"} {
			if err := os.Symlink("/dev/full", filepath.Join(dir, "full"+ext)); err != nil {
				t.Fatal(err)
			}
			fails(t, 1, dir, []string{"sample", "runs/tiny", "--out", "full" + ext}, "full"+ext, "free some space")
		}
	}
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := mountTiny(disk, "256k"); err != nil {
		t.Skipf("a small disk can only be made by root: %v", err)
	}
	defer unmount(disk)

	// Filled up on the way: what is there is good, and the run goes on once there is space.
	succeeds(t, dir, "train", "tiny.yaml", "--run", "whole")
	fill := filepath.Join(disk, "fill")
	write(t, fill, strings.Repeat("x", 168<<10))
	o := langevin(t, dir, "train", "tiny.yaml", "--run", "disk/r", "checkpoint.keep=0")
	if lines := errorLines(o.stderr); o.code != 1 || len(lines) != 1 || !strings.Contains(lines[0], "disk/r") || !strings.Contains(lines[0], "free some space") {
		t.Fatalf("exit code %d\n%s", o.code, o.stderr)
	}
	if files, _ := filepath.Glob(filepath.Join(disk, "r/checkpoints/.*")); len(files) > 0 {
		t.Errorf("half-written files are left: %v", files)
	}
	// No space at all: nothing new is begun.
	write(t, fill, "")
	fillUp(t, fill)
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--n", "1000", "--out", "disk/x.npy"}, "disk/x.npy", "free some space")
	fails(t, 1, dir, []string{"train", "tiny.yaml", "--run", "disk/new"}, "disk/new", "free some space")
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	succeeds(t, dir, "train", "disk/r", "checkpoint.keep=2", "--resume")
	// Weights and metrics are those of the run that always had space; the config
	// in the checkpoint has another place for keep.
	_, got := final(t, train.RunDir(filepath.Join(disk, "r")))
	_, want := final(t, train.RunDir(filepath.Join(dir, "whole")))
	if got != want {
		t.Errorf("the metrics are\n%s, want\n%s", got, want)
	}
	sameSamples(t, dir, "disk/r", "whole")
}

// sameSamples compares what two runs' weights make of the same noise.
func sameSamples(t *testing.T, dir, a, b string) {
	t.Helper()
	for _, r := range []string{a, b} {
		succeeds(t, dir, "sample", r, "--n", "4", "--out", "compare-"+filepath.Base(r)+".npy")
	}
	if !bytes.Equal(read(t, filepath.Join(dir, "compare-"+filepath.Base(a)+".npy")), read(t, filepath.Join(dir, "compare-"+filepath.Base(b)+".npy"))) {
		t.Errorf("%s and %s have different weights", a, b)
	}
}

// fillUp writes to a file until the disk is full.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		t.Fatal(err)
	}
}
