package cli_test

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// Samples, their noise, and the samples of that noise, which are the first again but for both ways' errors.
func TestInvertCommand(t *testing.T) {
	dir := workplace(t)
	off := func(steps string) (d float64) {
		way := []string{"--class", "1", "--steps", steps}
		succeeds(t, dir, append([]string{"sample", "runs/tiny", "--n", "5", "--out", "x.npy"}, way...)...)
		succeeds(t, dir, append([]string{"sample", "runs/tiny", "--invert", "x.npy"}, way...)...)
		succeeds(t, dir, append([]string{"sample", "runs/tiny", "--noise", "noise.safetensors", "--out", "y.npy"}, way...)...)
		x, y := numbers(t, filepath.Join(dir, "x.npy")), numbers(t, filepath.Join(dir, "y.npy"))
		for i := range x {
			d = max(d, math.Abs(float64(x[i]-y[i])))
		}
		return d
	}
	// Heun's method is of second order, its first and last step, of Euler's, included: with four times the steps
	// the error is a sixteenth; a quarter would be first order's.
	few, many := off("20"), off("80")
	if !(few > 0 && many < few/8) {
		t.Errorf("samples come back off by %.3g in 20 steps and %.3g in 80", few, many)
	}
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--invert", "x.npy", "--sampler", "ddpm"}, "ddpm", "ddim")
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--invert", "none.npy"}, "none.npy")
	fails(t, 2, dir, []string{"sample", "runs/tiny", "--invert", "x.npy", "--out", "x.png"}, "--out x.png", ".safetensors")
	for _, other := range []string{"n", "init", "noise"} {
		fails(t, 2, dir, []string{"sample", "runs/tiny", "--invert", "x.npy", "--" + other, "3"}, "--invert", "--"+other)
	}
}

// Pictures are led back to noise and drawn again, nearly as they were; a folder's class folders are the classes.
func TestInvertPictures(t *testing.T) {
	long(t)
	dir := workplace(t)
	for _, class := range strings.Split("zero one two three four five six seven eight nine", " ") {
		putPicture(t, filepath.Join(dir, "classes", class, "x.png"), 8, 8)
	}
	noise := func(in string, args ...string) []byte {
		succeeds(t, dir, append([]string{"sample", "runs/digits", "--invert", in, "--steps", "40"}, args...)...)
		return read(t, filepath.Join(dir, "noise.safetensors"))
	}
	one := noise("classes/zero/x.png", "--class", "0")
	succeeds(t, dir, "sample", "runs/digits", "--noise", "noise.safetensors", "--steps", "40", "--class", "0", "--out", "x.npy")
	for i, v := range numbers(t, filepath.Join(dir, "x.npy")) {
		if want := float64(4*i)/255*2 - 1; math.Abs(float64(v)-want) > 0.1 {
			t.Errorf("pixel %d is %g, was %g", i, v, want)
		}
	}
	if bytes.Equal(one, noise("classes/zero/x.png", "--class", "1")) {
		t.Error("the class makes no difference")
	}
	if all := noise("classes"); !bytes.Equal(all, noise("classes", "--class", "all")) || bytes.Equal(all, noise("classes", "--class", "4")) {
		t.Error("the class folders are not the classes of the pictures")
	}
	putPicture(t, filepath.Join(dir, "wide.png"), 20, 10)
	if o := succeeds(t, dir, "sample", "runs/digits", "--invert", "wide.png"); !strings.Contains(o.stderr, "brought to 8×8: 1, such as wide.png was 20×10") {
		t.Errorf("no word of the size:\n%s", o.stderr)
	}
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--invert", "wide.png"}, "wide.png", "no pictures")
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--invert", "nothing.png"}, "nothing.png", "no such file")
	fails(t, 1, dir, []string{"sample", "runs/digits", "--init", "runs"}, "runs")
}

// putPicture writes a grey picture whose pixels rise by four levels.
func putPicture(t *testing.T, path string, w, h int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(4 * i)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	write(t, path, b.String())
}

func numbers(t *testing.T, path string) []float32 {
	t.Helper()
	d, err := gorgonia.ReadNPY(path)
	if err != nil {
		t.Fatal(err)
	}
	return d.Data().([]float32)
}
