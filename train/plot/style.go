package plot

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The palette: dark text, hairlines, grey for the data, and one colour for what the model made.
var (
	ink     = color.NRGBA{0x24, 0x29, 0x2f, 0xff}
	muted   = color.NRGBA{0x65, 0x6d, 0x76, 0xff}
	hair    = color.NRGBA{0xe4, 0xe8, 0xec, 0xff}
	grey    = color.NRGBA{0x8c, 0x95, 0x9f, 0xff}
	blue    = color.NRGBA{0x0a, 0x5c, 0xd6, 0xff}
	orange  = color.NRGBA{0xd1, 0x6a, 0x1b, 0xff}
	green   = color.NRGBA{0x2b, 0x8a, 0x57, 0xff}
	purple  = color.NRGBA{0x82, 0x50, 0xdf, 0xff}
	red     = color.NRGBA{0xc9, 0x3c, 0x37, 0xff}
	palette = []color.NRGBA{blue, orange, green, purple, red, grey}
)

const dpi = 144

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

func textStyle(size vg.Length, c color.Color) text.Style {
	return text.Style{Font: sans(size), Color: c, Handler: plot.DefaultTextHandler}
}

// newPlot has no frame, hairlines at the ticks, and small muted labels.
func newPlot() *plot.Plot {
	p := plot.New()
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Width = 0
		a.Padding = 0
		a.Tick.Length = 0
		a.Tick.LineStyle.Width = 0
		a.Tick.Label.Font = sans(8)
		a.Tick.Label.Color = muted
		a.Label.TextStyle.Font = sans(9)
		a.Label.TextStyle.Color = ink
		a.Label.Padding = 3
		a.Tick.Marker = ticks{}
	}
	lines := plotter.NewGrid()
	lines.Horizontal = draw.LineStyle{Color: hair, Width: vg.Points(0.6)}
	lines.Vertical = lines.Horizontal
	p.Add(lines)
	return p
}

// Entry is a name in a picture's header, beside a dot of its colour, or in a list beside a line.
type Entry struct {
	Name  string
	Color color.Color

	dashes []vg.Length // of a line in a list
}

// canvas is a white figure of a width and height in inches.
func canvas(w, h float64) (*vgimg.Canvas, draw.Canvas) {
	return canvasOf(w, h, dpi)
}

func canvasOf(w, h float64, dpi int) (*vgimg.Canvas, draw.Canvas) {
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(w)*vg.Inch, vg.Length(h)*vg.Inch), vgimg.UseDPI(dpi))
	return c, draw.New(c)
}

func pixels(c *vgimg.Canvas) image.Image { return c.Image() }

// header writes the title at the left and the entries at the right of the top
// line, and gives the canvas below it, with margins.
func header(c draw.Canvas, title string, entries []Entry) draw.Canvas {
	const margin, line = 10, 12
	c = draw.Crop(c, margin, -margin, margin, -margin)
	if title == "" && len(entries) == 0 {
		return c
	}
	base := c.Max.Y - line + 2
	style := textStyle(11, ink)
	c.FillText(style, vg.Point{X: c.Min.X, Y: base}, title)
	style.Font.Size = 9
	right := c.Max.X
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		right -= style.Width(e.Name)
		style.Color = ink
		c.FillText(style, vg.Point{X: right, Y: base}, e.Name)
		right -= 7
		c.DrawGlyph(draw.GlyphStyle{Color: e.Color, Radius: 2.8, Shape: draw.CircleGlyph{}}, vg.Point{X: right, Y: base + 3})
		right -= 12
	}
	return draw.Crop(c, 0, 0, 0, -(line + 8))
}

// headerWidth is how wide a header's words are, in inches.
func headerWidth(title string, entries []Entry) float64 {
	style := textStyle(11, ink)
	width := style.Width(title)
	style.Font.Size = 9
	for _, e := range entries {
		width += style.Width(e.Name) + 19
	}
	return float64(width / vg.Inch)
}

// listWidth is the width of a list of entries, in inches.
const listWidth = 2.4

// listed writes the title as header does and the entries, as many as there is space for, in a list at the right,
// and gives the canvas that is left.
func listed(c draw.Canvas, title string, entries []Entry) draw.Canvas {
	c = header(c, title, nil)
	body := draw.Crop(c, 0, -listWidth*vg.Inch, 0, 0)
	const sample = 22 // length of a line
	style := textStyle(8, ink)
	x, y := body.Max.X+8, c.Max.Y-8
	for i, e := range entries {
		if y-12 < c.Min.Y && i < len(entries)-1 {
			c.FillText(style, vg.Point{X: x + sample + 4, Y: y - 3}, fmt.Sprintf("and %d more", len(entries)-i))
			break
		}
		c.StrokeLine2(draw.LineStyle{Color: e.Color, Width: 1.3, Dashes: e.dashes}, x, y, x+sample, y)
		c.FillText(style, vg.Point{X: x + sample + 4, Y: y - 3}, shortened(e.Name, style, listWidth*vg.Inch-sample-12))
		y -= 12
	}
	return body
}

// shortened is as much of s as fits a width, with dots where something is missing.
func shortened(s string, style text.Style, width vg.Length) string {
	if style.Width(s) <= width {
		return s
	}
	letters := []rune(s)
	for len(letters) > 0 && style.Width(string(letters)+"…") > width {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

// ticks puts labels at round numbers, about five of them.
type ticks struct{}

func (ticks) Ticks(lo, hi float64) []plot.Tick {
	step := roundStep((hi - lo) / 5)
	var out []plot.Tick
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+1e-9*step; k++ {
		out = append(out, plot.Tick{Value: k * step, Label: number(k * step)})
	}
	return out
}

// roundStep is the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least x.
func roundStep(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= x*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// number writes a tick's value: 1500 as 1.5k, with a true minus sign.
func number(v float64) string {
	s := ""
	switch a := math.Abs(v); {
	case a < 1e-12:
		return "0"
	case a >= 1e6:
		s = strconv.FormatFloat(a/1e6, 'g', 5, 64) + "M"
	case a >= 1e3:
		s = strconv.FormatFloat(a/1e3, 'g', 5, 64) + "k"
	default:
		s = strconv.FormatFloat(a, 'g', 5, 64)
	}
	if v < 0 {
		s = "−" + s
	}
	return s
}

// logTicks puts labels at 1, 2 and 5 times powers of ten, or at the powers only if there are many.
type logTicks struct{}

func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	var out []plot.Tick
	multiples := []float64{1, 2, 5}
	if hi/lo > 500 {
		multiples = []float64{1}
	}
	for power := math.Pow(10, math.Floor(math.Log10(lo))); power <= hi; power *= 10 {
		for _, m := range multiples {
			if v := m * power; v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				out = append(out, plot.Tick{Value: v, Label: number(v)})
			}
		}
	}
	if len(out) < 2 { // within a factor of two or so
		return ticks{}.Ticks(lo, hi)
	}
	return out
}
