package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// still makes a network answer 0.
func still(t *testing.T, m *Trained) {
	t.Helper()
	for _, p := range m.Params {
		if err := p.Set(make([]float32, p.Elems())); err != nil {
			t.Fatal(err)
		}
	}
}

// What is edited by a network that does not move is its start: data and noise in the proportion of
// the time that the strength stands for.
func TestEditStartsFromNoisedData(t *testing.T) {
	for _, source := range []string{"null", "8gaussians"} {
		m := opened(t, trained(t, flowYAML, "steps=1", "sample.steps=10", "objective.source="+source))
		still(t, m)
		m.How.Batch = 3
		draw := func(q Request) []float32 {
			x, err := m.Draw(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		noise := draw(Request{N: 7, Seed: 4})
		init := []float32{10, 20, -30, 40}
		got := draw(Request{N: 7, Seed: 4, Init: init, Strength: 0.3})
		for i := range noise {
			want := 0.7*float64(init[i%4]) + 0.3*float64(noise[i])
			if math.Abs(float64(got[i])-want) > 40*4*0x1p-24 { // four roundings of 40
				t.Errorf("source %s, number %d: %g, want %g", source, i, got[i], want)
			}
		}
	}
}

// An edit keeps more of what it starts from the weaker it is, and is a sample of the model in full.
func TestEditStrength(t *testing.T) {
	mixture := &diffusion.Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{-2}, {2}}, Stds: [][]float64{{0.1}, {0.1}}}
	d := &Drawer{Device: cpu.Default(), Shape: []int{1}, Null: -1, Precision: Float32,
		Model: &diffusion.Oracle{Of: mixture, Along: diffusion.Trig{}, Predicts: diffusion.Velocity}}
	d.How.SetDefaults()
	d.How.Steps = 50
	kept := func(strength float64) (share float64) { // of samples that stay on the side they start on
		const n = 400
		x, err := d.Draw(context.Background(), Request{N: n, Init: []float32{1.7}, Strength: strength})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range x {
			if math.Abs(math.Abs(float64(v))-2) > 0.6 { // six deviations
				t.Fatalf("strength %g gives %g", strength, v)
			}
			if v > 0 {
				share += 1. / n
			}
		}
		return share
	}
	// At strength s the start is cos(πs/2)·1.7 + sin(πs/2)·ε, and its sign is that of the sample.
	for _, s := range []float64{0.2, 0.6, 1} {
		want := (1 + math.Erf(1.7/math.Tan(math.Pi/2*s)/math.Sqrt2)) / 2
		if got := kept(s); math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/400)+1e-3 {
			t.Errorf("strength %g: %g stay on their side, want %g", s, got, want)
		}
	}
	for _, q := range []Request{{N: 1, Init: []float32{1}}, {N: 1, Init: []float32{1}, Strength: 1.5}, {N: 1, Init: []float32{}, Strength: 1}} {
		if _, err := d.Draw(context.Background(), q); err == nil {
			t.Errorf("%+v is edited", q)
		}
	}
}

func TestReadInit(t *testing.T) {
	dir := t.TempDir()
	x := []float32{1, 2, 3, 4, 5, 6}
	for _, name := range []string{"x.npy", "x.safetensors"} {
		path := filepath.Join(dir, name)
		if err := (&Drawer{Shape: []int{2}}).WriteSamples(path, x, nil, 0); err != nil {
			t.Fatal(err)
		}
		got, err := ReadInit(t.Context(), path, []int{2}, 0, t.Logf)
		if err != nil || got.N != 3 || !slices.Equal(got.X, x) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		_, err = ReadInit(t.Context(), path, []int{3}, 0, t.Logf)
		wantError(t, err, name, "shape")
	}
	_, err := ReadInit(t.Context(), filepath.Join(dir, "none.npy"), []int{2}, 0, t.Logf)
	wantError(t, err, "none.npy")
}
