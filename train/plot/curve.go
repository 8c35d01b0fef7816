package plot

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is a curve: Y over X, which must not decrease.
type Series struct {
	Name string
	X, Y []float64
}

// CurveOptions say how curves are shown.
type CurveOptions struct {
	Title, XLabel, YLabel string
	// Log makes the vertical axis logarithmic; values not above 0 are left out.
	Log bool
}

// WriteCurve writes curves to path. A long one is drawn as the average of
// neighbouring values, over a band that has four fifths of them. Values that
// are not finite are left out.
func WriteCurve(path string, series []Series, opt CurveOptions) error {
	p := newPlot()
	p.X.Label.Text, p.Y.Label.Text = opt.XLabel, opt.YLabel
	var entries []Entry
	drawn := 0
	for k, s := range series {
		if len(s.X) != len(s.Y) {
			panic(fmt.Sprintf("plot.WriteCurve: %q has %d places and %d values", s.Name, len(s.X), len(s.Y)))
		}
		c := palette[k%len(palette)]
		entries = append(entries, Entry{s.Name, c})
		mean, low, high := summary(finite(s, opt.Log))
		if len(mean) == 0 {
			continue
		}
		drawn++
		if low != nil {
			slices.Reverse(low)
			band, err := plotter.NewPolygon(append(high, low...))
			if err != nil {
				return err
			}
			band.Color = Fade(c, 0.16)
			band.LineStyle.Width = 0
			p.Add(band)
		}
		line, err := plotter.NewLine(mean)
		if err != nil {
			return err
		}
		line.LineStyle = draw.LineStyle{Color: c, Width: vg.Points(1.3)}
		p.Add(line)
	}
	if drawn == 0 {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		opt.Log = false
	}
	if opt.Log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		margin := max(1.02, math.Pow(p.Y.Max/p.Y.Min, 0.04))
		p.Y.Min, p.Y.Max = p.Y.Min/margin, p.Y.Max*margin
	} else {
		margin := max((p.Y.Max-p.Y.Min)*0.04, math.Abs(p.Y.Max)*1e-6, 1e-300)
		p.Y.Min, p.Y.Max = p.Y.Min-margin, p.Y.Max+margin
	}
	if p.X.Min == p.X.Max {
		p.X.Min, p.X.Max = p.X.Min-0.5, p.X.Max+0.5
	}
	img, c := canvas(6.4, 3.6)
	p.Draw(header(c, opt.Title, entries))
	return WritePNG(path, pixels(img))
}

// finite gives the points that can be drawn.
func finite(s Series, log bool) plotter.XYs {
	var out plotter.XYs
	for i, y := range s.Y {
		if x := s.X[i]; x-x == 0 && y-y == 0 && (!log || y > 0) {
			out = append(out, plotter.XY{X: x, Y: y})
		}
	}
	return out
}

// summary brings a long curve to at most 300 points, the average of eight or
// more values each, with the 10 and 90 % quantiles. A short one stays as it is, without a band.
func summary(points plotter.XYs) (mean, low, high plotter.XYs) {
	const most, few = 300, 8
	bins := min(most, len(points)/few)
	if bins < 8 {
		return points, nil, nil
	}
	for k := range bins {
		part := points[k*len(points)/bins : (k+1)*len(points)/bins]
		var x, y float64
		values := make([]float64, len(part))
		for i, q := range part {
			x += q.X / float64(len(part))
			y += q.Y / float64(len(part))
			values[i] = q.Y
		}
		slices.Sort(values)
		mean = append(mean, plotter.XY{X: x, Y: y})
		low = append(low, plotter.XY{X: x, Y: values[len(values)/10]})
		high = append(high, plotter.XY{X: x, Y: values[len(values)-1-len(values)/10]})
	}
	return mean, low, high
}
