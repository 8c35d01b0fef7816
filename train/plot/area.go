package plot

import (
	"image"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Box is a part of the plane.
type Box struct{ X0, X1, Y0, Y1 float64 }

// Around is the square about most of the points, x and y in turn, with a margin: single stragglers do not widen it.
func Around(xy []float32) Box { return limits(xy).rectangle() }

// Tick is a place on an axis and what stands there.
type Tick struct {
	At    float64
	Label string
}

// Layer is something that is drawn in an [Area]: Points, Lines, a Heat map, a field of arrows.
type Layer = plot.Plotter

// Area is a part of the plane and what is seen of it.
type Area struct {
	Title          string
	XLabel, YLabel string
	Box            Box
	Equal          bool    // both axes have one scale
	Bare           bool    // no numbers at the axes
	Free           bool    // no axes and no lines across either
	XTicks         []Tick  // nil: at round numbers
	Layers         []Layer // from below
}

// Figure is a picture of areas in rows.
type Figure struct {
	Title   string
	Entries []Entry // legend
	Areas   []Area
	Columns int     // areas in a row; 0: all
	Width   float64 // of an area, in inches; 0: 3.4
	Height  float64 // likewise; 0: as Width
	DPI     int     // dots an inch; 0: 144
}

// Draw draws the figure.
func (f *Figure) Draw() image.Image {
	columns, w, h := f.Columns, f.Width, f.Height
	if columns <= 0 || columns > len(f.Areas) {
		columns = max(1, len(f.Areas))
	}
	if w == 0 {
		w = 3.4
	}
	if h == 0 {
		h = w
	}
	rows := max(1, (len(f.Areas)+columns-1)/columns)
	dots := f.DPI
	if dots == 0 {
		dots = dpi
	}
	img, c := canvasOf(w*float64(columns)+0.2, h*float64(rows)+0.35, dots)
	body := header(c, f.Title, f.Entries)
	cell := vg.Point{X: body.Size().X / vg.Length(columns), Y: body.Size().Y / vg.Length(rows)}
	for k := range f.Areas {
		x, y := vg.Length(k%columns)*cell.X, vg.Length(k/columns)*cell.Y
		at := draw.Crop(body, x, x+cell.X-body.Size().X, body.Size().Y-y-cell.Y, -y)
		if columns > 1 {
			at = draw.Crop(at, 4, -4, 0, 0)
		}
		if rows > 1 {
			at = draw.Crop(at, 0, 0, 3, -3)
		}
		f.Areas[k].draw(at)
	}
	return pixels(img)
}

// Write writes the figure to path, as a PNG file.
func (f *Figure) Write(path string) error { return WritePNG(path, Compact(f.Draw())) }

func (a *Area) draw(c draw.Canvas) {
	p := newPlot()
	p.X.Label.Text, p.Y.Label.Text = a.XLabel, a.YLabel
	if a.Title != "" {
		p.Title.Text = a.Title
		p.Title.TextStyle = textStyle(9, muted)
		p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
		p.Title.Padding = 4
	}
	if a.XTicks != nil {
		at := make([]plot.Tick, len(a.XTicks))
		for i, t := range a.XTicks {
			at[i] = plot.Tick{Value: t.At, Label: t.Label}
		}
		p.X.Tick.Marker = plot.ConstantTicks(at)
	}
	if a.Bare {
		p.X.Tick.Marker, p.Y.Tick.Marker = unlabelled{p.X.Tick.Marker}, unlabelled{p.Y.Tick.Marker}
	}
	if a.Free {
		p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(nil), plot.ConstantTicks(nil)
	}
	p.Add(a.Layers...)
	a.Box.show(p, c, a.Equal)
	p.Draw(c)
}

// unlabelled are ticks without their numbers.
type unlabelled struct{ of plot.Ticker }

// Ticks gives the places.
func (u unlabelled) Ticks(lo, hi float64) []plot.Tick {
	out := u.of.Ticks(lo, hi)
	for i := range out {
		out[i].Label = " " // without any, it would be a minor tick, which has no hairline
	}
	return out
}

// show sets the axes so that the box is seen in full.
func (b Box) show(p *plot.Plot, c draw.Canvas, equal bool) {
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = b.X0, b.X1, b.Y0, b.Y1
	if !equal {
		return
	}
	size := p.DataCanvas(c).Rectangle.Size()
	w, h := b.X1-b.X0, b.Y1-b.Y0
	if ratio := float64(size.X / size.Y); w < h*ratio {
		more := (h*ratio - w) / 2
		p.X.Min, p.X.Max = b.X0-more, b.X1+more
	} else {
		more := (w/ratio - h) / 2
		p.Y.Min, p.Y.Max = b.Y0-more, b.Y1+more
	}
}
