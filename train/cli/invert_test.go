package cli_test

import (
	"math"
	"path/filepath"
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

func numbers(t *testing.T, path string) []float32 {
	t.Helper()
	d, err := gorgonia.ReadNPY(path)
	if err != nil {
		t.Fatal(err)
	}
	return d.Data().([]float32)
}
