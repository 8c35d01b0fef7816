package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// For data N(0, s²) on α=cos(πt/2), σ=sin(πt/2) the flow is dx/dt = a(t)·x with a = v'/2v, v = α²s²+σ², so
// that every step multiplies by a known number: Heun's by 1 + h(a₀+a₁)/2 + h²a₀a₁/2, the last one to the
// data, Euler's, by 1 − h·a₁, and the first one back, in which ε̂ = σx/v is seen at its end, by α(1+σ²/v).
// The samples' noise is their 1/s-fold.
func TestInvertInClosedForm(t *testing.T) {
	const s, n = 0.5, 5
	d := &Drawer{Device: cpu.Default(), Shape: []int{1}, Null: -1, Precision: Float32, Model: &diffusion.Oracle{
		Of:    &diffusion.Mixture{Weights: []float64{1}, Means: [][]float64{{0}}, Stds: [][]float64{{s}}},
		Along: diffusion.Trig{}, Predicts: diffusion.Velocity}}
	d.How.SetDefaults()
	d.How.Sampler = Samplers.Default("heun")
	d.How.Batch = 2
	x := []float32{-1.5, -0.25, 0.5, 1, 1.25}
	rate := func(t float64) (a, alpha, sigma, v float64) {
		sigma, alpha = math.Sincos(math.Pi / 2 * t)
		v = alpha*alpha*s*s + sigma*sigma
		return math.Pi / 2 * alpha * sigma * (1 - s*s) / v, alpha, sigma, v
	}
	var off [2]float64
	for k, steps := range []int{20, 40} {
		d.How.Steps = steps
		h := 1 / float64(steps)
		a, alpha, sigma, v := rate(h)
		there, back := alpha*(1+sigma*sigma/v), 1-h*a
		for i := 1; i < steps; i++ {
			a0, _, _, _ := rate(float64(i) * h)
			a1, _, _, _ := rate(float64(i+1) * h)
			there *= 1 + h*(a0+a1)/2 + h*h*a0*a1/2
			back *= 1 - h*(a0+a1)/2 + h*h*a0*a1/2
		}
		noise, err := d.Invert(context.Background(), Request{N: n, Init: x})
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.Draw(context.Background(), Request{N: n, Noise: noise})
		if err != nil {
			t.Fatal(err)
		}
		// A step rounds its state, and two slopes of h·1.2 at most of it by some ten operations each: 4 roundings of
		// the state in all. What is rounded grows at most by 1/s on the way, and is at most 1.5/s.
		bound := 2 * float64(steps) * 4 * 0x1p-24 * 1.5 / s / s
		for i := range x {
			if e := math.Abs(float64(noise[i]) - there*float64(x[i])); !(e <= bound) {
				t.Errorf("%d steps: the noise of %g is %g, off by %.2g from Heun's own %g", steps, x[i], noise[i], e, there*float64(x[i]))
			}
			if e := math.Abs(float64(again[i]) - there*back*float64(x[i])); !(e <= bound) {
				t.Errorf("%d steps: %g came back as %g, want %g", steps, x[i], again[i], there*back*float64(x[i]))
			}
			off[k] = max(off[k], math.Abs(float64(noise[i])-float64(x[i])/s))
		}
	}
	if ratio := off[0] / off[1]; !(ratio > 3 && ratio < 5) { // second order: four
		t.Errorf("the noise is off from the flow's by %.3g in 20 steps and %.3g in 40", off[0], off[1])
	}
}

// onSphere is a model of which only the path is asked.
type onSphere struct{ diffusion.Model }

func (onSphere) Path() diffusion.GaussianPath {
	return &flow.GeodesicPath{Manifold: manifold.Sphere{N: 2}}
}

func TestInvertRefuses(t *testing.T) {
	m := opened(t, trained(t, flowYAML, "steps=1", "sample.steps=2"))
	for _, name := range []string{"ddpm", "euler_maruyama", "dopri5"} {
		m.How.Sampler = Samplers.Default(name)
		if _, err := m.Invert(context.Background(), Request{N: 1, Init: make([]float32, 2)}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	curved := &Drawer{Shape: []int{3}, Model: onSphere{}}
	if _, err := curved.Invert(context.Background(), Request{N: 1, Init: []float32{0, 0, 1}}); err == nil || !strings.Contains(err.Error(), "geodesic") {
		t.Errorf("on a sphere: %v", err)
	}
	if _, err := m.Invert(context.Background(), Request{N: 2, Init: make([]float32, 2)}); err == nil || !strings.Contains(err.Error(), "2 samples") {
		t.Errorf("one sample for two: %v", err)
	}
}

// What WriteNoise writes ReadNoise reads, images channels first in between.
func TestWriteNoise(t *testing.T) {
	for _, shape := range [][]int{{2}, {2, 3, 2}} {
		x := make([]float32, 2*volume(shape))
		for i := range x {
			x[i] = float32(i)
		}
		path := filepath.Join(t.TempDir(), "n.safetensors")
		if err := WriteNoise(path, x, shape); err != nil {
			t.Fatal(err)
		}
		got, err := ReadNoise(path, shape)
		if err != nil {
			t.Fatal(err)
		}
		if got.N != 2 || !slices.Equal(got.Start, x) {
			t.Errorf("shape %v: %v, want %v", shape, got.Start, x)
		}
	}
}
