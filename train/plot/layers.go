package plot

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Colours of what a picture shows: data, samples, noise, and other things beside them.
var (
	Data    color.Color = grey
	Samples color.Color = blue
	Noise   color.Color = orange
	Ink     color.Color = ink
)

// Tint is the colour of class or series k.
func Tint(k int) color.NRGBA { return palette[(k%len(palette)+len(palette))%len(palette)] }

// Fade is a colour with an opacity from 0 to 1.
func Fade(c color.Color, alpha float64) color.NRGBA {
	out := color.NRGBAModel.Convert(c).(color.NRGBA)
	out.A = uint8(alpha * 255)
	return out
}

// Points draws points, x and y in turn; those outside of the area, or not finite, are left out.
type Points struct {
	XY     []float32
	Color  color.Color
	Radius float64 // in points of 1/72 inch
}

// Plot draws the layer.
func (d *Points) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	style := draw.GlyphStyle{Color: d.Color, Radius: vg.Length(d.Radius), Shape: draw.CircleGlyph{}}
	for i := 0; i+1 < len(d.XY); i += 2 {
		if x, y := float64(d.XY[i]), float64(d.XY[i+1]); seen(p, x, y) {
			c.DrawGlyphNoClip(style, vg.Point{X: trX(x), Y: trY(y)})
		}
	}
}

// seen reports whether a point is within the axes.
func seen(p *plot.Plot, x, y float64) bool {
	return x >= p.X.Min && x <= p.X.Max && y >= p.Y.Min && y <= p.Y.Max
}

// Lines draws lines through points, x and y in turn, as far as they are within the area; a line breaks where one is not finite.
type Lines struct {
	Paths []([]float32)
	Color color.Color
	Width float64 // in points of 1/72 inch
}

// Plot draws the layer.
func (l *Lines) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	style := draw.LineStyle{Color: l.Color, Width: vg.Length(l.Width)}
	for _, path := range l.Paths {
		var part []vg.Point
		flush := func() {
			if len(part) > 1 {
				c.StrokeLines(style, c.ClipLinesXY(part)...)
			}
			part = nil
		}
		for i := 0; i+1 < len(path); i += 2 {
			x, y := float64(path[i]), float64(path[i+1])
			if x-x != 0 || y-y != 0 {
				flush()
				continue
			}
			part = append(part, vg.Point{X: trX(x), Y: trY(y)})
		}
		flush()
	}
}

// Mesh is a box of W columns and H rows of cells.
type Mesh struct {
	Box
	W, H int
}

// At gives the middles of the cells, x and y in turn, row by row from below.
func (m Mesh) At() []float32 {
	at := make([]float32, 0, 2*m.W*m.H)
	for j := range m.H {
		for i := range m.W {
			at = append(at, float32(m.X0+(float64(i)+0.5)*(m.X1-m.X0)/float64(m.W)), float32(m.Y0+(float64(j)+0.5)*(m.Y1-m.Y0)/float64(m.H)))
		}
	}
	return at
}

// Heat draws a map of values, one in the middle of each cell of a mesh. 0 and less is white, 1 and more the darkest.
type Heat struct {
	Mesh
	Values []float64 // (H,W)
}

// Plot draws the layer.
func (h *Heat) Plot(c draw.Canvas, p *plot.Plot) {
	if len(h.Values) != h.W*h.H || h.W < 1 || h.H < 1 {
		panic(fmt.Sprintf("plot.Heat: %d values for %d×%d cells", len(h.Values), h.W, h.H))
	}
	// The cells within the axes alone: images are not clipped.
	i0, i1 := within(p.X.Min, p.X.Max, h.X0, h.X1, h.W)
	j0, j1 := within(p.Y.Min, p.Y.Max, h.Y0, h.Y1, h.H)
	if i0 >= i1 || j0 >= j1 {
		return
	}
	m := image.NewNRGBA(image.Rect(0, 0, i1-i0, j1-j0))
	for j := j0; j < j1; j++ {
		for i := i0; i < i1; i++ {
			m.SetNRGBA(i-i0, j1-1-j, warmth(h.Values[j*h.W+i]))
		}
	}
	trX, trY := p.Transforms(&c)
	x := func(i int) vg.Length { return trX(h.X0 + float64(i)*(h.X1-h.X0)/float64(h.W)) }
	y := func(j int) vg.Length { return trY(h.Y0 + float64(j)*(h.Y1-h.Y0)/float64(h.H)) }
	c.DrawImage(vg.Rectangle{Min: vg.Point{X: x(i0), Y: y(j0)}, Max: vg.Point{X: x(i1), Y: y(j1)}}, m)
}

// within are the first of n cells of [x0,x1], and the one after the last, whose middles are in [lo,hi].
func within(lo, hi, x0, x1 float64, n int) (from, to int) {
	step := (x1 - x0) / float64(n)
	from = max(0, int(math.Ceil((lo-x0)/step-0.5)))
	to = min(n, int(math.Floor((hi-x0)/step-0.5))+1)
	return from, to
}

// Warm is a colour of heat maps, as an entry of a legend has it.
var Warm color.Color = warmth(0.6)

// warmth goes from white over sand to a quiet orange, light enough for what is drawn on it.
func warmth(v float64) color.NRGBA {
	stops := [...]color.NRGBA{{0xff, 0xff, 0xff, 0xff}, {0xfd, 0xf0, 0xdc, 0xff}, {0xfa, 0xd6, 0xa5, 0xff}, {0xef, 0xa8, 0x60, 0xff}}
	if !(v > 0) {
		return stops[0]
	}
	at := min(v, 1) * float64(len(stops)-1)
	k := min(int(at), len(stops)-2)
	f := at - float64(k)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + f*(float64(b)-float64(a)))) }
	a, b := stops[k], stops[k+1]
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}
