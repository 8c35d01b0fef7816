package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is a curve: Y over X, which must not decrease but for CurveOptions.Points.
type Series struct {
	Name string
	X, Y []float64
}

// CurveOptions say how curves are shown.
type CurveOptions struct {
	Title, XLabel, YLabel string
	// Log makes the vertical axis logarithmic, LogX the horizontal one; values not above 0 are left out.
	Log, LogX bool
	// Points shows each value, and draws curves through the means of those at one place; X may then be in any order.
	Points bool
	// Front draws a broken stair along the values that no other is below and to the left of.
	Front bool
	// Reference is a value that curves are compared with, drawn as a broken line; nil: none.
	Reference     *float64
	ReferenceName string
}

// WriteCurve writes curves to path, as PNG or, if it ends so, as SVG. A long one is drawn as the average of
// neighbouring values, over a band that has four fifths of them. Values that
// are not finite are left out.
func WriteCurve(path string, series []Series, opt CurveOptions) error {
	p, entries, err := curves(series, opt)
	if err != nil {
		return err
	}
	width, below := 6.4, header
	if headerWidth(opt.Title, entries) > 6 {
		width, below = width+listWidth, listed
	}
	return writeSheet(path, width, 3.6, func(c draw.Canvas) { p.Draw(below(c, opt.Title, entries)) })
}

// curves makes the plot, and names what is in it.
func curves(series []Series, opt CurveOptions) (*plot.Plot, []Entry, error) {
	p := newPlot()
	p.X.Label.Text, p.Y.Label.Text = opt.XLabel, opt.YLabel
	var entries []Entry
	drawn := 0
	for k, s := range series {
		if len(s.X) != len(s.Y) {
			panic(fmt.Sprintf("plot.WriteCurve: %q has %d places and %d values", s.Name, len(s.X), len(s.Y)))
		}
		c, dash := Tint(k), dashes[k/len(palette)%len(dashes)]
		entries = append(entries, Entry{Name: s.Name, Color: c, dashes: dash})
		points := finite(s, opt.Log, opt.LogX)
		mean, low, high := summary(points)
		if opt.Points {
			mean, low, high = means(points), nil, nil
		}
		if len(mean) == 0 {
			continue
		}
		drawn++
		if low != nil {
			slices.Reverse(low)
			band, err := plotter.NewPolygon(append(high, low...))
			if err != nil {
				return nil, nil, err
			}
			band.Color = Fade(c, 0.16)
			band.LineStyle.Width = 0
			p.Add(band)
		}
		line, err := plotter.NewLine(mean)
		if err != nil {
			return nil, nil, err
		}
		line.LineStyle = draw.LineStyle{Color: c, Width: vg.Points(1.3), Dashes: dash}
		p.Add(line)
		if opt.Points {
			dots, err := plotter.NewScatter(points)
			if err != nil {
				return nil, nil, err
			}
			dots.GlyphStyle = draw.GlyphStyle{Color: Fade(c, 0.75), Radius: vg.Points(2), Shape: draw.CircleGlyph{}}
			p.Add(dots)
		}
	}
	if stair := front(series, opt); opt.Front && len(stair) > 0 {
		line, err := plotter.NewLine(stair)
		if err != nil {
			return nil, nil, err
		}
		line.LineStyle = draw.LineStyle{Color: ink, Width: vg.Points(0.8), Dashes: broken}
		line.StepStyle = plotter.PostStep
		p.Add(line)
		entries = append(entries, Entry{Name: "front", Color: ink, dashes: broken})
	}
	if r := opt.Reference; r != nil && drawn > 0 && (*r > 0 || !opt.Log) {
		line, err := plotter.NewLine(plotter.XYs{{X: p.X.Min, Y: *r}, {X: p.X.Max, Y: *r}})
		if err != nil {
			return nil, nil, err
		}
		line.LineStyle = draw.LineStyle{Color: grey, Width: vg.Points(1), Dashes: broken}
		p.Add(line)
		entries = append(entries, Entry{Name: opt.ReferenceName, Color: grey, dashes: broken})
	}
	if drawn == 0 {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		opt.Log, opt.LogX = false, false
	}
	if opt.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
	}
	if opt.Log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		margin := max(1.02, math.Pow(p.Y.Max/p.Y.Min, 0.04))
		p.Y.Min, p.Y.Max = p.Y.Min/margin, p.Y.Max*margin
	} else {
		margin := max((p.Y.Max-p.Y.Min)*0.04, math.Abs(p.Y.Max)*1e-6, 1e-300)
		p.Y.Min, p.Y.Max = p.Y.Min-margin, p.Y.Max+margin
	}
	switch {
	case p.X.Min == p.X.Max && opt.LogX:
		p.X.Min, p.X.Max = p.X.Min/1.5, p.X.Max*1.5
	case p.X.Min == p.X.Max:
		p.X.Min, p.X.Max = p.X.Min-0.5, p.X.Max+0.5
	}
	return p, entries, nil
}

// dashes tell curves apart that have one colour.
var dashes = [][]vg.Length{nil, {5, 2}, {1.5, 1.5}, {6, 2, 1.5, 2}}

// broken is the line of a reference.
var broken = []vg.Length{4, 3}

// finite gives the points that can be drawn.
func finite(s Series, log, logX bool) plotter.XYs {
	var out plotter.XYs
	for i, y := range s.Y {
		if x := s.X[i]; x-x == 0 && y-y == 0 && (!log || y > 0) && (!logX || x > 0) {
			out = append(out, plotter.XY{X: x, Y: y})
		}
	}
	return out
}

// front are the corners of the stair below all values: each is lower than all those to its left.
func front(series []Series, opt CurveOptions) (stair plotter.XYs) {
	var all plotter.XYs
	for _, s := range series {
		points := finite(s, opt.Log, opt.LogX)
		if opt.Points {
			points = means(points)
		}
		all = append(all, points...)
	}
	slices.SortStableFunc(all, func(a, b plotter.XY) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y)) })
	for _, q := range all {
		if len(stair) == 0 || q.Y < stair[len(stair)-1].Y {
			stair = append(stair, q)
		}
	}
	return stair
}

// means are the means of the points at each place, in order.
func means(points plotter.XYs) (out plotter.XYs) {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
	for i := 0; i < len(points); {
		k, sum := i, 0.0
		for ; k < len(points) && points[k].X == points[i].X; k++ {
			sum += points[k].Y
		}
		out = append(out, plotter.XY{X: points[i].X, Y: sum / float64(k-i)})
		i = k
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
