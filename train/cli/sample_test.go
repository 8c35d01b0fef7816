package cli_test

import (
	"bytes"
	"fmt"
	"image/gif"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// The same samples in every kind of file.
func TestOutputs(t *testing.T) {
	dir := workplace(t)
	for _, ext := range []string{"png", "npy", "safetensors"} {
		o := succeeds(t, dir, "sample", "runs/digits", "--n", "7", "--seed", "4", "--out", "x."+ext)
		if want := fmt.Sprintf("x.%s: 7 samples, heun, 2 steps, in ", ext); !strings.HasPrefix(o.stdout, want) {
			t.Errorf("said %q, want %q", o.stdout, want)
		}
	}
	raw, shape := samplesOf(t, filepath.Join(dir, "x.safetensors"))
	if !slices.Equal(shape, []int{7, 1, 8, 8}) {
		t.Fatalf("shape %v, want N,C,H,W", shape)
	}
	d, err := gorgonia.ReadNPY(filepath.Join(dir, "x.npy"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal([]int(d.Shape()), []int{7, 8, 8, 1}) {
		t.Errorf("the .npy has shape %v, want N,H,W,C", d.Shape())
	}
	for i, v := range d.Data().([]float32) { // one channel: the order is the same
		if float64(v) != raw[i] {
			t.Fatalf("number %d is %g in .npy and %g in .safetensors", i, v, raw[i])
		}
	}
	// The picture: 3×3 cells of 8 pixels, each a square of 6, 2 apart; black is −1, white 1.
	f, err := os.Open(filepath.Join(dir, "x.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	const cell = 8*6 + 2
	if b := m.Bounds(); b.Dx() != 3*cell+2 || b.Dy() != 3*cell+2 {
		t.Fatalf("the picture is %v", b)
	}
	for i, v := range raw {
		n, y, x := i/64, i/8%8, i%8
		r, g, b, a := m.At(2+n%3*cell+6*x+3, 2+n/3*cell+6*y+3).RGBA()
		want := uint32(math.Floor((math.Max(-1, math.Min(1, v))+1)*127.5 + 0.5))
		if r>>8 != want || g != r || b != r || a != 0xffff {
			t.Fatalf("sample %d, pixel %d,%d is %d,%d,%d, want %d", n, y, x, r>>8, g>>8, b>>8, want)
		}
	}
}

func TestClasses(t *testing.T) {
	dir := workplace(t)
	sample := func(args ...string) []byte {
		succeeds(t, dir, append([]string{"sample", "runs/tiny", "--n", "6", "--out", "x.npy"}, args...)...)
		return read(t, filepath.Join(dir, "x.npy"))
	}
	all := sample()
	if !bytes.Equal(all, sample("--class", "all")) {
		t.Error("--class all is not the default")
	}
	header := len(all) - 6*2*4
	zero, one, none := sample("--class", "0")[header:], sample("--class", "1")[header:], sample("--class", "none")[header:]
	if bytes.Equal(zero, one) || bytes.Equal(zero, none) || bytes.Equal(one, none) {
		t.Error("the class makes no difference")
	}
	for i := range 6 {
		want := [][]byte{zero, one}[i%2]
		if !bytes.Equal(all[header+8*i:header+8*i+8], want[8*i:8*i+8]) {
			t.Errorf("sample %d of all classes in turn is not that of class %d", i, i%2)
		}
	}
	if !bytes.Equal(sample("--guidance", "2"), sample("guidance_weight=1")) || bytes.Equal(sample("--guidance", "2"), all) {
		t.Error("--guidance 2 and guidance_weight=1 are not the same, or no guidance at all")
	}
	if !bytes.Equal(sample("--guidance", "1"), all) {
		t.Error("--guidance 1 is not the unguided model")
	}
	// The default file: a picture of images and of points in the plane.
	o := succeeds(t, dir, "sample", "runs/tiny")
	if !strings.HasPrefix(o.stdout, "samples.png: 16 samples") {
		t.Errorf("said %q", o.stdout)
	}
	if _, err := png.Decode(bytes.NewReader(read(t, filepath.Join(dir, "samples.png")))); err != nil {
		t.Error(err)
	}
}

// A checkpoint file is as good as its run.
func TestSampleFile(t *testing.T) {
	dir := workplace(t)
	succeeds(t, dir, "sample", "runs/tiny", "--out", "a.npy")
	succeeds(t, dir, "sample", "runs/tiny/checkpoints/step-00000040.safetensors", "--out", "b.npy")
	if !bytes.Equal(read(t, filepath.Join(dir, "a.npy")), read(t, filepath.Join(dir, "b.npy"))) {
		t.Error("the newest checkpoint and its run give different samples")
	}
}

// Ctrl-C in the middle of sampling or measuring: told, exit code 130, nothing half-written.
func TestInterruptedWork(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("there is no such signal on Windows")
	}
	dir := workplace(t)
	begun := time.Now()
	succeeds(t, dir, "sample", "runs/digits", "--n", "1", "--steps", "1", "--out", "y.npy")
	start := time.Since(begun)
	for _, args := range [][]string{
		{"sample", "runs/digits", "--n", "200000", "--steps", "1000", "--out", "x.png"},
		{"eval", "runs/digits", "--n", "100000", "--steps", "1000"},
	} {
		before := tree(t, dir)
		c := command(dir, args...)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*start + 200*time.Millisecond) // well into its work, which takes minutes
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		c.Wait()
		if code := c.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "Stopped") {
			t.Errorf("%v: exit code %d\n%s", args, code, &stderr)
		}
		if d := time.Since(stopped); d > 20*time.Second {
			t.Errorf("%v took %v to stop", args, d)
		}
		if after := tree(t, dir); !slices.Equal(before, after) {
			t.Errorf("%v: files were\n%v, and are\n%v", args, before, after)
		}
	}
}

func TestSampleWithConstraints(t *testing.T) {
	dir := workplace(t)
	o := succeeds(t, dir, "sample", "runs/tiny", "--n", "3", "--out", "x.npy", "constraints=[{kind: mean, value: 0.5}]")
	for _, want := range []string{"within mean", "constraints: the model was off by up to", "in the first step", "the samples are by"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in\n%s", want, o.stdout)
		}
	}
	if o = succeeds(t, dir, "sample", "runs/tiny", "--n", "3", "--out", "x.npy"); strings.Contains(o.stdout, "constraints") {
		t.Errorf("speaks of constraints without any:\n%s", o.stdout)
	}
	fails(t, 1, dir, []string{"sample", "runs/tiny", "constraints=[{kind: known, file: none.safetensors}]"}, "constraints[0]", "none.safetensors")
}

func TestClassifierCommand(t *testing.T) {
	dir := workplace(t)
	o := succeeds(t, dir, "classifier", "runs/tiny", "--updates", "20", "--width", "8", "--out", "k.safetensors")
	for _, want := range []string{"k.safetensors: 2 classes", "sigma/alpha", "%"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in\n%s", want, o.stdout)
		}
	}
	o = succeeds(t, dir, "sample", "runs/tiny", "--n", "2", "--class", "1", "--out", "x.npy", "classifier_guidance={file: k.safetensors}")
	if !strings.Contains(o.stdout, "classifier guidance 1") {
		t.Errorf("no word of the classifier in\n%s", o.stdout)
	}
	fails(t, 2, dir, []string{"classifier", "runs/tiny", "--updates", "0"}, "--updates")
	fails(t, 2, dir, []string{"classifier", "runs/tiny", "--width", "1000"}, "--width")
	fails(t, 2, dir, []string{"classifier", "runs/tiny", "--lr", "0"}, "--lr")
	fails(t, 2, dir, []string{"classifier", "runs/tiny", "--out", "k.png"}, ".safetensors")
	fails(t, 1, dir, []string{"classifier", "nowhere"}, "nowhere")
	fails(t, 1, dir, []string{"sample", "runs/tiny", "classifier_guidance={file: none.safetensors}"}, "classifier_guidance.file", "none.safetensors")
}

// A peek leaves the samples as they are, and says what it has written.
func TestPeekCommand(t *testing.T) {
	dir := workplace(t)
	succeeds(t, dir, "sample", "runs/digits", "--n", "18", "--out", "x.npy")
	o := succeeds(t, dir, "sample", "runs/digits", "--n", "18", "--out", "y.npy", "--peek", "p.png")
	if !bytes.Equal(read(t, filepath.Join(dir, "x.npy")), read(t, filepath.Join(dir, "y.npy"))) {
		t.Error("the samples are others")
	}
	if !strings.Contains(o.stdout, "p.png: how the first 16 of them came about") {
		t.Errorf("said %q", o.stdout)
	}
	m, err := png.Decode(bytes.NewReader(read(t, filepath.Join(dir, "p.png"))))
	if err != nil || m.Bounds().Dx() != 2*50+2+16 { // 2 steps: an estimate and the sample
		t.Errorf("%v, the strip is %v", err, m.Bounds())
	}
	succeeds(t, dir, "sample", "runs/tiny", "--n", "30", "--sampler", "euler_maruyama", "--peek", "p.gif")
	if g, err := gif.DecodeAll(bytes.NewReader(read(t, filepath.Join(dir, "p.gif")))); err != nil || len(g.Image) != 3 {
		t.Errorf("%v, an animation of other than 3 frames", err)
	}
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--peek", "p.jpg"}, "--peek", "p.jpg", ".png", ".gif")
	fails(t, 2, dir, []string{"sample", "runs/tiny", "--peek", "a.png", "--out", "a.png"}, "--peek", "--out", "a.png")
	fails(t, 2, dir, []string{"sample", "runs/tiny", "--peek", "a.png", "--invert", "x.npy"}, "--peek", "--invert")
}

// Rows between samples begin and end with what --n alone draws.
func TestInterpolateCommand(t *testing.T) {
	dir := workplace(t)
	way := []string{"sample", "runs/tiny", "--n", "4", "--class", "1", "--seed", "3"}
	succeeds(t, dir, append(way, "--out", "x.npy")...)
	succeeds(t, dir, append(way, "--out", "y.npy", "--interpolate", "5")...)
	x, y := numbers(t, filepath.Join(dir, "x.npy")), numbers(t, filepath.Join(dir, "y.npy"))
	if len(y) != 2*5*2 || !slices.Equal(x, append(append(append(slices.Clone(y[:2]), y[8:10]...), y[10:12]...), y[18:]...)) {
		t.Errorf("samples %v, rows %v", x, y)
	}
	succeeds(t, dir, "sample", "runs/digits", "--n", "6", "--interpolate", "5", "--out", "x.png")
	if m, err := png.Decode(bytes.NewReader(read(t, filepath.Join(dir, "x.png")))); err != nil || m.Bounds().Dx() != 5*50+2 || m.Bounds().Dy() != 3*50+2 {
		t.Errorf("%v, the grid is %v", err, m.Bounds())
	}
	fails(t, 2, dir, []string{"sample", "runs/tiny", "--interpolate", "2"}, "--interpolate", "at least 3")
	fails(t, 2, dir, []string{"sample", "runs/tiny", "--interpolate", "4", "--n", "5"}, "--n", "even")
	fails(t, 2, dir, []string{"sample", "runs/tiny", "--interpolate", "4", "--init", "x.npy"}, "--interpolate", "--init")
	fails(t, 2, dir, []string{"sample", "runs/tiny", "--interpolate", "4", "--invert", "x.npy"}, "--interpolate", "--invert")
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--interpolate", "4", "--sampler", "ddpm"}, "adds noise", "heun")
}
