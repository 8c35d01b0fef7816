package figure

import (
	"context"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
)

// paths are those that the perfect models of these tests have, as overrides of an experiment.
var paths = []string{
	"objective=flow", "objective={kind: flow, interpolant: trig, predict: x0}", "objective={kind: dsm, sde: vp}", "objective={kind: dsm, sde: ve}", "objective=edm", "objective=ddpm",
}

// gaussian is the scene of the class of a mixture that is one Gaussian, of the mean and deviation 0.6 in both coordinates.
func gaussian(t *testing.T, overrides ...string) (s *Scene, mean [2]float64) {
	t.Helper()
	return scene(t, "pair", 1, overrides...), [2]float64{2, 0.5}
}

func scene(t *testing.T, mixture string, class int, overrides ...string) *Scene {
	t.Helper()
	m, err := train.OpenOracle(context.Background(), mixture, overrides)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewScene(context.Background(), m, class, 3)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// marginal is N(α·mean, α²·.36+σ²) at t.
func marginal(s *Scene, mean [2]float64, t float64) (p diffusion.Point, m [2]float64, v float64) {
	p = s.Model.Path().At(t)
	return p, [2]float64{p.Alpha * mean[0], p.Alpha * mean[1]}, p.Alpha*p.Alpha*0.36 + p.Sigma*p.Sigma
}

// arrowsOf is the field of an area, and the layer below.
func arrowsOf(t *testing.T, a plot.Area) (*plot.Arrows, plot.Layer) {
	t.Helper()
	field, ok := a.Layers[1].(*plot.Arrows)
	if !ok || len(a.Layers) != 2 {
		t.Fatalf("the layers are %T", a.Layers)
	}
	return field, a.Layers[0]
}

// A run's own data, without a known density; images; and flows that the score does not follow from.
func TestScenesOfRuns(t *testing.T) {
	dir := t.TempDir()
	open := func(name, yaml string) *Scene {
		t.Helper()
		exp, err := train.ReadExperiment(name, []byte(yaml), []string{"steps=2", "batch=4", "sample.every=0"})
		if err != nil {
			t.Fatal(err)
		}
		run := filepath.Join(dir, name)
		tr, err := train.New(context.Background(), exp, train.Options{Dir: run})
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		m, err := train.Open(run, t.Errorf)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewScene(context.Background(), m, -1, 0)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	refuses := func(what string, err error, says ...string) {
		t.Helper()
		for _, w := range says {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", what, err, w)
			}
		}
	}
	moons := open("moons", "data: moons\nmodel: {kind: mlp, width: 8, depth: 1}\n")
	if moons.Data.Exact || moons.Data.N != dataPoints || len(moons.Data.Density.Weights) != dataPoints {
		t.Errorf("the moons' density: exact %t, of %d", moons.Data.Exact, len(moons.Data.Density.Weights))
	}
	if err := moons.Data.Density.Check(); err != nil {
		t.Error(err)
	}
	// Kernels are as wide as ten neighbours reach: some hundredths, the moons' noise being .05.
	if w := moons.Data.Density.Stds[0][0]; w < 0.01 || w > 0.1 {
		t.Errorf("kernels are %g wide", w)
	}
	if fig, err := Score(moons, []float64{0.3}); err != nil || !strings.Contains(fig.Entries[0].Name, "1000 samples") {
		t.Errorf("the moons' score: %v", err)
	}
	mixture := open("8gaussians", "data: 8gaussians\nmodel: {kind: mlp, width: 8, depth: 1}\n")
	if !mixture.Data.Exact || len(mixture.Data.Density.Weights) != 8 {
		t.Error("the density of eight Gaussians is not taken for known")
	}

	digits := open("digits", "data: digits\nmodel: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}\nobjective: edm\n")
	_, err := Score(digits, nil)
	refuses("images", err, "score", "[8 8 1]")
	_, err = Fan(context.Background(), digits, FanOptions{N: 1, ODE: "heun", SDE: "none"})
	refuses("images", err, "fan", "[8 8 1]")
	_, err = Crossing(context.Background(), digits, 1)
	refuses("images", err, "crossing", "[8 8 1]")
	_, err = NoisingPoints(digits, 1, 2, nil)
	refuses("images", err, "noising", "[8 8 1]")
	_, err = NoisingImages(moons, 1, 2, nil)
	refuses("points", err, "noising", "[2]")
	m, err := NoisingImages(digits, 3, 4, nil)
	if err != nil || m.Bounds().Dx() != 4*50+2+16 {
		t.Fatalf("%v", err)
	}
	// From the data to the noise, which of EDM is 80 times too large to be seen.
	q := digits.request(3)
	q.Init = digits.Data.X[:3*64]
	far, err := digits.Noised(q, 80)
	if err != nil {
		t.Fatal(err)
	}
	for i := range far {
		far[i] /= float32(math.Sqrt(1 + 80*80))
	}
	for col, want := range map[int][]float32{0: q.Init, 3: far} {
		grid := plot.Grid(want, []int{8, 8, 1}, plot.GridOptions{Columns: 1})
		top := m.Bounds().Dy() - grid.Rect.Dy()
		for y := range grid.Rect.Dy() {
			for x := range 50 {
				if got := grid.ColorModel().Convert(m.At(8+50*col+x, top+y)); !near(got, grid.RGBAAt(x, y)) {
					t.Fatalf("column %d at %d,%d is %v, want %v", col, x, y, got, grid.RGBAAt(x, y))
				}
			}
		}
	}

	source := open("source", "data: moons\nconditional: false\nmodel: {kind: mlp, width: 8, depth: 1}\nobjective: {kind: flow, source: 8gaussians}\n")
	_, err = Score(source, nil)
	refuses("a source", err, "score", "starts from other data")
	_, err = Particles(context.Background(), source, ParticlesOptions{N: 1, At: []int{1}})
	refuses("a source", err, "particles", "starts from other data")
	_, err = Fan(context.Background(), source, FanOptions{N: 1, ODE: "none", SDE: "euler_maruyama"})
	refuses("a source", err, "SDE by euler_maruyama", "normal noise")
	fan, err := Fan(context.Background(), source, FanOptions{N: 2, ODE: "heun", SDE: "none"})
	if err != nil || len(fan.Areas[0].Layers) != 1 || fan.Entries != nil {
		t.Errorf("a fan without a density: %v", err)
	}
	transport, err := Transport(context.Background(), source, 5)
	if err != nil || transport.Entries[0].Name != "source" {
		t.Errorf("from a source: %v", err)
	}
	if _, err := Velocity(source, nil); err != nil {
		t.Errorf("the velocity from a source: %v", err)
	}
	exp, err := os.ReadFile("../../examples/sphere.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sphere, err := train.ReadExperiment("sphere", exp, []string{"steps=1", "batch=4", "sample.every=0"})
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "sphere")
	tr, err := train.New(context.Background(), sphere, train.Options{Dir: run})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	tr.Close()
	model, err := train.Open(run, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	globe, err := NewScene(context.Background(), model, -1, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Score(globe, nil)
	refuses("the score on a sphere", err, "on the sphere S^2")
	_, err = Fan(context.Background(), globe, FanOptions{N: 2, ODE: "heun"})
	refuses("a fan on a sphere", err, "on the sphere S^2")
	onTheGlobe(t, globe)
}

// onTheGlobe sees that all points of pictures of a sphere are in Mollweide's ellipse, and that they are where the data and the way are.
func onTheGlobe(t *testing.T, s *Scene) {
	t.Helper()
	inside := func(what string, xy []float32) {
		for i := 0; i+1 < len(xy); i += 2 {
			x, y := float64(xy[i]), float64(xy[i+1])
			if r := x*x/8 + y*y/2; r > 1+1e-5 {
				t.Errorf("%s: a point at %g, %g", what, x, y)
			}
		}
	}
	frames, err := Flow(context.Background(), s, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		layers := f.Areas[0].Layers
		if _, ok := layers[0].(plot.Graticule); !ok || len(layers) != 3 {
			t.Fatalf("the layers are %T", layers)
		}
		data, samples := layers[1].(*plot.Points), layers[2].(*plot.Points)
		inside("data", data.XY)
		inside("samples", samples.XY)
		if !slices.Equal(data.XY, plot.Mollweide(s.Data.X)) || len(samples.XY) != 2*7 {
			t.Error("the data are elsewhere")
		}
	}
	transport, err := Transport(context.Background(), s, 7)
	if err != nil {
		t.Fatal(err)
	}
	first, last := frames[0].Areas[0].Layers[2].(*plot.Points), frames[len(frames)-1].Areas[0].Layers[2].(*plot.Points)
	layers := transport.Areas[0].Layers
	if !slices.Equal(layers[2].(*plot.Points).XY, first.XY) || !slices.Equal(layers[3].(*plot.Points).XY, last.XY) {
		t.Error("trajectories have other ends than the animation")
	}
	noising, err := NoisingPoints(s, 50, 3, nil)
	if err != nil || len(noising.Areas) != 3 {
		t.Fatalf("noising: %v", err)
	}
}

// Lines break where they go over the edge of a map, and nowhere else.
func TestLinesOverTheEdge(t *testing.T) {
	s := &Scene{chart: chartOf(manifold.Torus{N: 2})}
	w := &way{times: []float64{1, 0.5, 0}, states: [][]float32{{3, 0, 0, 0, 0, 3}, {3.2, 0.1, 1, 0, 0.2, -3.1}, {3.3, 0.2, 2, 0, 0.4, -3}}}
	turn := float32(2 * math.Pi)
	got := s.lines(w)
	for i, want := range [][]float32{
		{3, 0, float32(math.NaN()), float32(math.NaN()), 3.2 - turn, 0.1, 3.3 - turn, 0.2},
		{0, 0, 1, 0, 2, 0},
		{0, 3, float32(math.NaN()), float32(math.NaN()), 0.2, -3.1, 0.4, -3},
	} {
		if !slices.EqualFunc(got[i], want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 || a != a && b != b }) {
			t.Errorf("line %d: %v, want %v", i, got[i], want)
		}
	}
	for _, m := range []manifold.Manifold{manifold.Sphere{N: 1}, manifold.Sphere{N: 3}, manifold.Torus{N: 3}} {
		if chartOf(m) != nil {
			t.Errorf("%v has a map", m)
		}
	}
}

// near reports whether two greys are a level apart at most, which the rounding of a division may make.
func near(a, b color.Color) bool {
	x, _, _, _ := a.RGBA()
	y, _, _, _ := b.RGBA()
	return max(x, y)-min(x, y) <= 0x101
}

func TestTimesOfAScene(t *testing.T) {
	s := scene(t, "pair", -1)
	for _, asked := range [][]float64{{0}, {-1}, {1.1}, {math.NaN()}} {
		if _, err := s.times(asked, true); err == nil || !strings.Contains(err.Error(), "above 0 to 1") {
			t.Errorf("times %v: %v", asked, err)
		}
	}
	if got, err := s.times([]float64{0, 1}, false); err != nil || !slices.Equal(got, []float64{0, 1}) {
		t.Errorf("both ends: %v, %v", got, err)
	}
}
