package figure

import (
	"context"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
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

// Of one Gaussian, all arrows lead to its mean, at the rate of the closed form; the map is the log-density.
func TestScoreOfAGaussian(t *testing.T) {
	for _, path := range paths {
		s, mean := gaussian(t, path)
		fig, err := Score(s, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		times, _ := s.times(nil, true)
		if len(fig.Areas) != 4 || len(times) != 4 {
			t.Fatalf("%s: %d areas", path, len(fig.Areas))
		}
		for k, a := range fig.Areas {
			p, m, v := marginal(s, mean, times[k])
			// Times are those of noise levels 3, 1, .4, .1 of the data's deviation, .6 as 1000 samples estimate it to 5 standard errors of 1/√(4·1000).
			if level := p.NoiseLevel() / 0.6 / levels[k]; math.Abs(level-1) > 5/math.Sqrt(4000) && times[k] < s.Model.Path().End() {
				t.Errorf("%s: area %d is at a noise level of %g deviations, want %g", path, k, p.NoiseLevel()/0.6, levels[k])
			}
			if want := fmt.Sprintf("t = %.3g ", times[k]); !strings.HasPrefix(a.Title, want) || !strings.Contains(a.Title, "max |s|") {
				t.Errorf("%s: area %d is called %q, want %q", path, k, a.Title, want)
			}
			field, below := arrowsOf(t, a)
			if len(field.At) != 2*arrowsAcross*arrowsAcross {
				t.Fatalf("%d arrows", len(field.At)/2)
			}
			farthest := 0.0
			for i := range field.At {
				farthest = max(farthest, math.Abs(float64(field.At[i])-m[i%2])/v)
			}
			for i, got := range field.Vectors {
				// Of the order of ten roundings of numbers up to the largest; x/σ² cancels in conversions from other predictions.
				if want := -(float64(field.At[i]) - m[i%2]) / v; math.Abs(float64(got)-want) > 1e-4*max(farthest, 1/p.Sigma) {
					t.Fatalf("%s, t = %g: the score at %v is %g, want %g", path, times[k], field.At[i/2*2:i/2*2+2], got, want)
				}
			}
			heat := below.(*plot.Heat)
			best, at := math.Inf(-1), heat.At()
			var mode [2]float64
			for i, h := range heat.Values {
				dx, dy := float64(at[2*i])-m[0], float64(at[2*i+1])-m[1]
				if h > best {
					best, mode = h, [2]float64{float64(at[2*i]), float64(at[2*i+1])}
				}
				// The top is the cell's nearest to the mean, less than a cell's diagonal away.
				cell := math.Hypot(heat.X1-heat.X0, heat.Y1-heat.Y0) / float64(heat.W)
				if want := 1 - (dx*dx+dy*dy)/(2*v)/depth; math.Abs(h-want) > cell*cell/(2*v)/depth+1e-6 {
					t.Fatalf("%s, t = %g: the map is %g at (%g,%g), want %g", path, times[k], h, at[2*i], at[2*i+1], want)
				}
			}
			if d := math.Hypot(mode[0]-m[0], mode[1]-m[1]); best != 1 || d > (heat.X1-heat.X0)/float64(heat.W) {
				t.Errorf("%s, t = %g: the map is %g at its top %v, the mean is %v", path, times[k], best, mode, m)
			}
			if b := heat.Box; b.X0 > a.Box.X0 || b.X1 < a.Box.X1 || b.Y0 > a.Box.Y0 || b.Y1 < a.Box.Y1 {
				t.Errorf("the map, %v, does not cover the area %v", b, a.Box)
			}
		}
	}
}

// The velocity is −(α'·E[x0|x] + σ'·E[ε|x]), of a Gaussian in closed form; it is shown on the noised data.
func TestVelocityOfAGaussian(t *testing.T) {
	for _, path := range paths[:3] {
		s, mean := gaussian(t, path)
		fig, err := Velocity(s, []float64{0.9, 0.4})
		if err != nil {
			t.Fatal(path, err)
		}
		for k, at := range []float64{0.9, 0.4} {
			p, m, v := marginal(s, mean, at)
			field, below := arrowsOf(t, fig.Areas[k])
			for i, got := range field.Vectors {
				off := (float64(field.At[i]) - m[i%2]) / v
				want := -(p.DAlpha*(mean[i%2]+p.Alpha*0.36*off) + p.DSigma*p.Sigma*off)
				if math.Abs(float64(got)-want) > 1e-3 {
					t.Fatalf("%s, t = %g: the velocity at %v is %g, want %g", path, at, field.At[i/2*2:i/2*2+2], got, want)
				}
			}
			points := below.(*plot.Points).XY
			var sum, square float64
			for i := 0; i < len(points); i += 2 {
				sum += float64(points[i]) - m[0]
				square += (float64(points[i]) - m[0]) * (float64(points[i]) - m[0])
			}
			n := float64(len(points) / 2)
			if math.Abs(sum/n) > 5*math.Sqrt(v/n) || math.Abs(square/n/v-1) > 5*math.Sqrt(2/n) {
				t.Errorf("%s, t = %g: noised data are %g off and have the variance %g, want %g", path, at, sum/n, square/n, v)
			}
		}
	}
}

// The flow of one Gaussian is x_t − α·mean in proportion to the marginal's deviation; in one dimension any flow keeps the order.
func TestFan(t *testing.T) {
	for _, path := range []string{"objective=flow", "objective={kind: dsm, sde: vp}", "objective=edm"} {
		s, mean := gaussian(t, path)
		s.How.Steps = 200
		fig, err := Fan(context.Background(), s, FanOptions{N: 7, ODE: "heun", SDE: "euler_maruyama", Coordinate: 1})
		if err != nil || len(fig.Areas) != 2 || fig.Areas[0].Title != "ODE, heun" || fig.Areas[1].Title != "SDE, euler_maruyama" {
			t.Fatal(path, err)
		}
		grid, err := s.Grid(200)
		if err != nil {
			t.Fatal(err)
		}
		ode, sde := fig.Areas[0].Layers[1].(*plot.Lines), fig.Areas[1].Layers[1].(*plot.Lines)
		unit := func(t float64) float64 {
			if path == "objective=edm" {
				return s.spread(t)
			}
			return 1
		}
		for i, l := range ode.Paths {
			if len(l) != 2*201 || l[0] != 0 || l[400] != 200 {
				t.Fatalf("%s: trajectory %d has %d places", path, i, len(l)/2)
			}
			if other := sde.Paths[i]; other[1] != l[1] {
				t.Errorf("%s: trajectory %d starts at %g, and with noise at %g", path, i, l[1], other[1])
			}
			_, m0, v0 := marginal(s, mean, grid[0])
			z := (float64(l[1])*unit(grid[0]) - m0[1]) / math.Sqrt(v0)
			for k, at := range grid {
				_, m, v := marginal(s, mean, at)
				want := (m[1] + z*math.Sqrt(v)) / unit(at)
				// Heun's method is of order 2 with the last step of order 1: errors of some 1/200² and, from the last time, its share.
				if got := float64(l[2*k+1]); math.Abs(got-want) > 0.02 {
					t.Fatalf("%s: trajectory %d is at %g at time %g, want %g", path, i, got, at, want)
				}
			}
		}
		heat := fig.Areas[0].Layers[0].(*plot.Heat)
		places := plot.Mesh{Box: heat.Box, W: heat.W, H: heat.H}.At()
		for j := range heat.H {
			for _, k := range []int{0, 100, 200} {
				_, m, v := marginal(s, mean, grid[k])
				y := float64(places[2*(j*heat.W+k)+1])
				off := y*unit(grid[k]) - m[1]
				cell := (heat.Y1 - heat.Y0) / float64(heat.H) * unit(grid[k])
				want := 0.9 * math.Exp(-off*off/(2*v))
				if got := heat.Values[j*heat.W+k]; got < want-1e-4 || got > want*math.Exp(cell*cell/(8*v))+1e-4 {
					t.Fatalf("%s: the map is %g at %g, time %g, want %g", path, got, y, grid[k], want)
				}
			}
		}
		if ticks := fig.Areas[0].XTicks; len(ticks) != 5 || ticks[0].At != 0 || ticks[4].At != 200 || ticks[4].Label != "0" || ticks[0].Label != fmt.Sprintf("%.3g", grid[0]) {
			t.Errorf("%s: ticks %v", path, ticks)
		}
	}
	s := scene(t, "line", -1)
	s.How.Steps = 3
	for o, says := range map[FanOptions]string{
		{N: 2, ODE: "ddpm", SDE: "none"}:                "adds noise of its own",
		{N: 2, ODE: "none", SDE: "heun"}:                "heun adds no noise",
		{N: 2, ODE: "none", SDE: "none"}:                "neither",
		{N: 2, ODE: "hein", SDE: "none"}:                "did you mean heun",
		{N: 2, ODE: "heun", SDE: "none", Coordinate: 1}: "coordinates 0 to 0",
		{N: 2, ODE: "dopri5", SDE: "none"}:              "chooses its steps itself",
	} {
		if _, err := Fan(context.Background(), s, o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", o, err, says)
		}
	}
	if fig, err := Fan(context.Background(), s, FanOptions{N: 2, ODE: "none", SDE: "ddpm"}); err != nil || len(fig.Areas) != 1 {
		t.Errorf("without the ODE: %v", err)
	}
}

// Trajectories of one coordinate never cross; paths between independent pairs do, and are those of the path.
func TestCrossing(t *testing.T) {
	s := scene(t, "line", -1)
	const n = 30
	s.How.Steps = 40
	fig, err := Crossing(context.Background(), s, n)
	if err != nil {
		t.Fatal(err)
	}
	crossings := func(a plot.Area) (c int) {
		lines := a.Layers[1].(*plot.Lines).Paths
		for i := range lines {
			for j := range i {
				first, last := lines[i][1] < lines[j][1], lines[i][2*40+1] < lines[j][2*40+1]
				if first != last {
					c++
				}
			}
		}
		return c
	}
	// Of independent pairs half of all n(n−1)/2 cross; 5 standard deviations of at most √(n³)/6 are some 140: want a fifth.
	if c := crossings(fig.Areas[0]); c < n*(n-1)/10 {
		t.Errorf("%d of %d paths cross", c, n*(n-1)/2)
	}
	if c := crossings(fig.Areas[1]); c != 0 {
		t.Errorf("%d trajectories of the flow cross", c)
	}
	pairs, flow := fig.Areas[0].Layers[1].(*plot.Lines).Paths, fig.Areas[1].Layers[1].(*plot.Lines).Paths
	for i, l := range pairs {
		if math.Abs(float64(l[1]-flow[i][1])) > 1e-6 {
			t.Errorf("path %d starts at %g, the trajectory at %g", i, l[1], flow[i][1])
		}
		if x := s.Data.X[i]; math.Abs(float64(l[81]-x)) > 1e-6 {
			t.Errorf("path %d ends at %g, the data at %g", i, l[81], x)
		}
		for k := range 41 { // a straight line
			if want := float64(l[1]) + float64(k)/40*float64(l[81]-l[1]); math.Abs(float64(l[2*k+1])-want) > 1e-5 {
				t.Fatalf("path %d is at %g in place %d, want %g", i, l[2*k+1], k, want)
			}
		}
	}
	plane, err := Crossing(context.Background(), scene(t, "triangle", -1), 5)
	if err != nil || len(plane.Areas) != 2 || len(plane.Areas[0].Layers) != 3 {
		t.Fatalf("in the plane: %v", err)
	}
	s.How.Sampler = train.Samplers.Default("ddpm")
	if _, err := Crossing(context.Background(), s, n); err == nil || !strings.Contains(err.Error(), "adds noise") {
		t.Errorf("by a sampler with noise: %v", err)
	}
	s.How.Sampler = train.Samplers.Default("heun")
	if _, err := Crossing(context.Background(), s, 2000); err == nil || !strings.Contains(err.Error(), "2000 samples") {
		t.Errorf("more paths than data: %v", err)
	}
}

// What is drawn of a flow are the samples that the model draws, from their starts.
func TestTransportAndFlow(t *testing.T) {
	for _, path := range []string{"objective=flow", "objective=edm"} {
		s := scene(t, "triangle", 2, path)
		s.How.Steps = 6
		q := s.request(50)
		x, err := s.Draw(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		fig, err := Transport(context.Background(), s, 50)
		if err != nil {
			t.Fatal(path, err)
		}
		lines, from, to := fig.Areas[0].Layers[0].(*plot.Lines).Paths, fig.Areas[0].Layers[1].(*plot.Points).XY, fig.Areas[0].Layers[2].(*plot.Points).XY
		if !slices.Equal(to, x) {
			t.Errorf("%s: what is drawn are not the samples", path)
		}
		for i, l := range lines {
			if len(l) != 2*7 || !slices.Equal(l[:2], from[2*i:2*i+2]) || !slices.Equal(l[12:], to[2*i:2*i+2]) {
				t.Errorf("%s: trajectory %d goes %v, from %v to %v", path, i, l, from[2*i:2*i+2], to[2*i:2*i+2])
			}
		}
		// The starts have a deviation of 1, or scaled to be seen that of the data.
		square, want := 0.0, 1.0
		if path == "objective=edm" {
			want = s.Std
		}
		for _, v := range from {
			square += float64(v) * float64(v) / float64(len(from))
		}
		if math.Abs(square/want/want-1) > 5*math.Sqrt(2./100) {
			t.Errorf("%s: starts have the deviation %g, want %g", path, math.Sqrt(square), want)
		}
		s.How.Steps = 3
		frames, err := Flow(context.Background(), s, 50)
		if err != nil || len(frames) != 4 || frames[3].Areas[0].Title != "t = 0" || frames[0].Areas[0].Box != frames[3].Areas[0].Box {
			t.Errorf("%s: %d frames, %v", path, len(frames), err)
		}
		if x, err = s.Draw(context.Background(), q); err != nil || !slices.Equal(frames[3].Areas[0].Layers[1].(*plot.Points).XY, x) {
			t.Errorf("%s: the last frame is not the samples, %v", path, err)
		}
	}
}

func TestNoising(t *testing.T) {
	s := scene(t, "triangle", -1)
	fig, err := NoisingPoints(s, 200, 5, nil)
	if err != nil || len(fig.Areas) != 5 || fig.Areas[0].Title != "t = 0" || fig.Areas[4].Title != "t = 1" {
		t.Fatalf("%v", err)
	}
	at := func(k int) []float32 {
		var x []float32
		labels := s.Data.Labels[:200]
		byClass := map[int32][]float32{}
		for c, l := range fig.Areas[k].Layers {
			byClass[int32(c)] = l.(*plot.Points).XY
		}
		for _, l := range labels {
			x, byClass[l] = append(x, byClass[l][:2]...), byClass[l][2:]
		}
		return x
	}
	if !slices.Equal(at(0), s.Data.X[:400]) {
		t.Error("the first area is not the data")
	}
	noise := at(4)
	for i, v := range at(2) { // halfway
		if want := 0.5*float64(s.Data.X[i]) + 0.5*float64(noise[i]); math.Abs(float64(v)-want) > 1e-6 {
			t.Fatalf("number %d is %g at t = .5, want %g", i, v, want)
		}
	}
	if fig, err := NoisingPoints(s, 10, 0, []float64{0.25}); err != nil || len(fig.Areas) != 1 {
		t.Errorf("at one time: %v", err)
	}
	if _, err := NoisingPoints(s, 10, 0, []float64{2}); err == nil || !strings.Contains(err.Error(), "time 2") {
		t.Errorf("at a time that is not on the path: %v", err)
	}
}

// Particles on one Gaussian end with its mean and, as ULA has it, the variance V/(1−h/4V); the step is a third of 4V.
func TestParticles(t *testing.T) {
	s, mean := gaussian(t, "objective=flow")
	const at, n = 0.2, 2000
	_, m, v := marginal(s, mean, at)
	h, err := s.stableStep(at)
	if err != nil || math.Abs(h/(4*v/3)-1) > 1e-2 {
		t.Fatalf("the step is %g, %v, want %g", h, err, 4*v/3)
	}
	fig, err := Particles(context.Background(), s, ParticlesOptions{N: n, Time: at, At: []int{0, 1, 60}})
	if err != nil || len(fig.Areas) != 3 || fig.Areas[2].Title != "step 60" {
		t.Fatal(err)
	}
	moments := func(k int) (mean, variance [2]float64) {
		xy := fig.Areas[k].Layers[1].(*plot.Points).XY
		for i, x := range xy {
			mean[i%2] += float64(x) / n
		}
		for i, x := range xy {
			d := float64(x) - mean[i%2]
			variance[i%2] += d * d / n
		}
		return mean, variance
	}
	b := fig.Areas[0].Box
	got, variance := moments(0)
	for k, side := range [][2]float64{{b.X0, b.X1}, {b.Y0, b.Y1}} { // even: in the middle, with the variance w²/12
		w := side[1] - side[0]
		if math.Abs(got[k]-(side[0]+side[1])/2) > 5*w/math.Sqrt(12*n) || math.Abs(variance[k]/(w*w/12)-1) > 0.1 {
			t.Errorf("starts have the mean %v and variance %v in %v", got, variance, b)
		}
	}
	got, variance = moments(2)
	want := v / (1 - h/(4*v))
	for k := range 2 {
		if math.Abs(got[k]-m[k]) > 5*math.Sqrt(want/n) || math.Abs(variance[k]/want-1) > 5*math.Sqrt(2./n) {
			t.Errorf("particles have the mean %v and variance %v, want %v and %g", got, variance, m, want)
		}
	}
	if fig, err := Particles(context.Background(), s, ParticlesOptions{N: 5, At: []int{0}}); err != nil || len(fig.Areas) != 1 {
		t.Errorf("the starts alone: %v", err)
	}
	if _, err := Particles(context.Background(), s, ParticlesOptions{N: 5, Time: 1.5, At: []int{0}}); err == nil || !strings.Contains(err.Error(), "time 1.5") {
		t.Errorf("at a time that is not on the path: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Particles(ctx, s, ParticlesOptions{N: 5, At: []int{9}}); err == nil {
		t.Error("goes on when cancelled")
	}
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
	_, err = NewScene(context.Background(), model, -1, 0)
	refuses("a sphere", err, "sphere S^2")
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
