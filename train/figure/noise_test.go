package figure

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train/plot"
)

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
