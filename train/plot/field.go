package plot

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Panel is a vector field at one time.
type Panel struct {
	Title string
	Name  string // of the vectors, in the title; "": v
	// At are the places, x and y in turn, as [Lattice] makes them.
	At []float32
	// Vectors are the field there, in the same order.
	Vectors []float32
}

// FieldOptions say what a plot of vector fields shows beside them.
type FieldOptions struct {
	Title string
	// Data are points of the data, drawn in grey below the arrows.
	Data []float32
}

// Lattice gives n×n places, evenly spaced over the square that a plot of the
// data would cover, at which to evaluate a field.
func Lattice(data []float32, n int) []float32 {
	return Mesh{Around(data), n, n}.At()
}

// WriteField writes a row of vector fields to path. The length of the arrows is
// to scale within a panel, up to twice the distance of their places, and
// darker arrows are longer; each panel names its longest vector.
func WriteField(path string, panels []Panel, opt FieldOptions) error {
	if len(panels) == 0 {
		panic("plot.WriteField: no panels")
	}
	fig := Figure{Title: opt.Title}
	if len(opt.Data) > 0 {
		fig.Entries = []Entry{{Name: "data", Color: grey}}
	}
	for _, p := range panels {
		fig.Areas = append(fig.Areas, p.Area(&Points{XY: head(opt.Data), Color: Fade(grey, 0.35), Radius: 1}))
	}
	return fig.Write(path)
}

// Area is the field over what else is to be seen there; its title names the longest vector.
func (p Panel) Area(below ...Layer) Area {
	if len(p.At) != len(p.Vectors) || len(p.At)%2 != 0 || len(p.At) == 0 {
		panic(fmt.Sprintf("plot.Panel: %d coordinates and %d components", len(p.At), len(p.Vectors)))
	}
	field := newArrows(p)
	title := p.Title
	if title != "" {
		title += "   "
	}
	name := p.Name
	if name == "" {
		name = "v"
	}
	title += "max |" + name + "| = " + number(math.Round(field.longest*100)/100)
	return Area{Title: title, Box: around(p.At).rectangle(), Equal: true, Layers: append(below, field)}
}

// around is the square about the places, half a step wider.
func around(at []float32) box {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for i := 0; i < len(at); i += 2 {
		x, y := float64(at[i]), float64(at[i+1])
		x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
	}
	half := max(x1-x0, y1-y0) / 2
	if half == 0 {
		half = 1
	}
	return box{(x0 + x1) / 2, (y0 + y1) / 2, half * (1 + 1/math.Sqrt(float64(len(at)/2)))}
}

// Arrows draws a vector field.
type Arrows struct {
	Panel
	longest float64 // the longest finite vector
	scale   float64 // length in the plane of a vector of length 1
	step    float64 // distance of neighbouring places
}

// newArrows scales the field so that nine in ten arrows are at most as long as a step.
func newArrows(p Panel) *Arrows {
	a := &Arrows{Panel: p}
	var lengths []float64
	for i := 0; i < len(p.Vectors); i += 2 {
		if l := math.Hypot(float64(p.Vectors[i]), float64(p.Vectors[i+1])); l-l == 0 {
			lengths = append(lengths, l)
		}
	}
	b := around(p.At)
	a.step = 2 * b.half / math.Sqrt(float64(len(p.At)/2))
	if len(lengths) > 0 {
		slices.Sort(lengths)
		a.longest = lengths[len(lengths)-1]
		if l := lengths[len(lengths)*9/10]; l > 0 {
			a.scale = a.step / l
		} else if a.longest > 0 {
			a.scale = a.step / a.longest
		}
	}
	return a
}

// Plot leaves out vectors that are not finite and draws very short ones as dots.
func (a *Arrows) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	for i := 0; i < len(a.At); i += 2 {
		vx, vy := float64(a.Vectors[i]), float64(a.Vectors[i+1])
		l := math.Hypot(vx, vy)
		if l-l != 0 {
			continue
		}
		shown := min(l*a.scale, 2*a.step)
		var dx, dy float64
		if l > 0 {
			dx, dy = vx/l*shown/2, vy/l*shown/2
		}
		x, y := float64(a.At[i]), float64(a.At[i+1])
		from, to := vg.Point{X: trX(x - dx), Y: trY(y - dy)}, vg.Point{X: trX(x + dx), Y: trY(y + dy)}
		arrow(c, from, to, shade(shown/a.step))
	}
}

// shade goes from light to dark blue as an arrow grows from 0 to a step.
func shade(t float64) color.NRGBA {
	t = min(1, t)
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + t*(float64(b)-float64(a)) + 0.5) }
	light, dark := color.NRGBA{0xa8, 0xc7, 0xf0, 0xff}, color.NRGBA{0x06, 0x3b, 0x8e, 0xff}
	return color.NRGBA{mix(light.R, dark.R), mix(light.G, dark.G), mix(light.B, dark.B), 0xff}
}

// arrow draws a shaft with a filled head, in the middle of its place.
func arrow(c draw.Canvas, from, to vg.Point, col color.NRGBA) {
	d := to.Sub(from)
	l := vg.Length(math.Hypot(float64(d.X), float64(d.Y)))
	if l < 0.8 {
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: col, Radius: 0.7, Shape: draw.CircleGlyph{}}, from)
		return
	}
	u := vg.Point{X: d.X / l, Y: d.Y / l}
	n := vg.Point{X: -u.Y, Y: u.X}
	size := min(3.6, 0.45*l) // length of the head
	neck := to.Sub(u.Scale(size))
	c.StrokeLine2(draw.LineStyle{Color: col, Width: 0.8}, from.X, from.Y, neck.X, neck.Y)
	var head vg.Path
	head.Move(to)
	head.Line(neck.Add(n.Scale(0.38 * size)))
	head.Line(neck.Sub(n.Scale(0.38 * size)))
	head.Close()
	c.SetColor(col)
	c.Fill(head)
}
