package figure

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
)

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
