package figure

import (
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
)

// NoisingPoints shows n points in the plane or on a map turn into noise, an area each time. Without times they are as many as columns of the
// sampler's own grid, from the data on.
func NoisingPoints(s *Scene, n, columns int, times []float64) (*plot.Figure, error) {
	if err := s.onAMap("noising"); err != nil {
		return nil, err
	}
	q, times, err := s.toNoise(n, columns, times)
	if err != nil {
		return nil, err
	}
	fig := &plot.Figure{Title: "noising: " + s.name(), Width: 2.1, Columns: 6}
	if s.chart != nil {
		fig.Width, fig.Columns = 3.4, 3
	}
	fig.Height = s.height(fig.Width)
	for _, t := range times {
		x, err := s.Noised(q, t)
		if err != nil {
			return nil, err
		}
		if s.chart != nil {
			x = s.chart.flat(x)
		}
		layers := []plot.Layer{&plot.Points{XY: x, Color: plot.Fade(plot.Samples, 0.6), Radius: 1.2}}
		if s.Data.Labels != nil {
			layers = plot.ByClass(x, s.Data.Labels[:q.N])
		}
		fig.Areas = append(fig.Areas, s.frame(plot.Area{Title: timeName(t), Layers: layers}, x))
	}
	return fig, nil
}

// toNoise is a request with the first n samples of the data to add noise to, and at what times.
func (s *Scene) toNoise(n, columns int, asked []float64) (q train.Request, times []float64, err error) {
	if asked != nil {
		times, err = s.times(asked, false)
	} else if times, err = s.Grid(columns - 1); err == nil {
		times = slices.Clone(times)
		slices.Reverse(times)
	}
	if err != nil {
		return q, nil, err
	}
	q = s.request(min(n, s.Data.N))
	q.Init, err = s.first(q.N)
	return q, times, err
}

// NoisingImages shows n images turn into noise, a row each, at times as in [NoisingPoints]. Where the path grows beyond the
// values that images have, states are divided by √(α²+σ²).
func NoisingImages(s *Scene, n, columns int, times []float64) (image.Image, error) {
	if len(s.Shape) != 3 || s.Shape[2] != 1 && s.Shape[2] != 3 {
		return nil, fmt.Errorf("noising shows images or points in the plane: samples of %s have the shape %v", s.Path, s.Shape)
	}
	q, times, err := s.toNoise(n, columns, times)
	if err != nil {
		return nil, err
	}
	path := s.Model.Path()
	end := path.At(path.End())
	grows := math.Hypot(end.Alpha, end.Sigma) > 1.5
	opt := plot.StripOptions{Title: "noising: " + s.name()}
	if grows {
		opt.Title += ", divided by √(α²+σ²)"
	}
	opt.Title += ", at t ="
	var strip [][]float32
	for _, t := range times {
		x, err := s.Noised(q, t)
		if err != nil {
			return nil, err
		}
		if p := path.At(t); grows {
			for i := range x {
				x[i] /= float32(math.Hypot(p.Alpha, p.Sigma))
			}
		}
		strip, opt.Labels = append(strip, x), append(opt.Labels, fmt.Sprintf("%.2g", t))
	}
	return plot.Strip(strip, s.Shape, q.N, opt), nil
}
