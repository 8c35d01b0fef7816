package figure

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train/plot"
)

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
