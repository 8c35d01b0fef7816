package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"github.com/langevin-go/langevin/train/plot"
)

// chart is a drawing of curves that the page's styles give its colours, so that it is right in light and dark.
type chart struct {
	Title, Note string
	XLabel      string
	Log, LogX   bool
	Dots        bool // each value is marked
	Smooth      bool // long curves are averages over a band
	Exact       bool // what is no measurement is not smoothed
	Reference   *float64
	RefName     string
	Lines       []plot.Series
	Shades      bool // curves are early to late, in shades of one colour

	SVG template.HTML // of the above, by draw
}

// Size of a drawing, in its own units.
const (
	chartWidth, chartHeight                      = 480, 264
	chartLeft, chartRight, chartTop, chartBottom = 58, 14, 12, 42
	plotWidth                                    = chartWidth - chartLeft - chartRight
	plotHeight                                   = chartHeight - chartTop - chartBottom
)

// colours is how many of the page's colours curves take in turn.
const colours = 6

// Class is the colour of a curve, as the page's styles name it.
func (c *chart) Class(i int) string {
	if c.Shades {
		return fmt.Sprintf("s%d", min(3, i+4-len(c.Lines)))
	}
	return fmt.Sprintf("c%d", i%colours)
}

// span is the range of an axis.
type span struct {
	lo, hi float64
	log    bool
}

func newSpan(log bool) span { return span{math.Inf(1), math.Inf(-1), log} }

func (s *span) add(v float64) {
	if v-v == 0 && (!s.log || v > 0) {
		s.lo, s.hi = min(s.lo, v), max(s.hi, v)
	}
}

// settle widens the range by a part, and one of nothing to something.
func (s *span) settle(part float64) {
	switch {
	case s.lo > s.hi:
		s.lo, s.hi = 1, 2
	case s.log:
		m := max(1.05, math.Pow(s.hi/s.lo, part))
		if part == 0 && s.lo < s.hi {
			m = 1
		}
		s.lo, s.hi = s.lo/m, s.hi*m
	default:
		m := part * (s.hi - s.lo)
		if s.lo == s.hi {
			m = max(0.5*math.Abs(s.lo), 1e-9)
		}
		if s.lo >= 0 && s.lo-m < 0 {
			s.lo, s.hi = 0, s.hi+m
		} else {
			s.lo, s.hi = s.lo-m, s.hi+m
		}
	}
}

// at is a value's place, 0 to 1.
func (s span) at(v float64) float64 {
	if s.log {
		return math.Log(v/s.lo) / math.Log(s.hi/s.lo)
	}
	return (v - s.lo) / (s.hi - s.lo)
}

// draw makes the SVG. Charts without a value that can be shown stay empty.
func (c *chart) draw() *chart {
	x, y := newSpan(c.LogX), newSpan(c.Log)
	type curve struct {
		plot.Series
		low, high []float64
	}
	var curves []curve
	for _, s := range c.Lines {
		var k curve
		if c.Smooth {
			k.Series, k.low, k.high = plot.Smooth(s, c.Log)
		} else {
			for i, v := range s.Y {
				if u := s.X[i]; v-v == 0 && u-u == 0 && (v > 0 || !c.Log) && (u > 0 || !c.LogX) {
					k.X, k.Y = append(k.X, u), append(k.Y, v)
				}
			}
		}
		for i := range k.X {
			x.add(k.X[i])
			y.add(k.Y[i])
		}
		for i := range k.low {
			y.add(k.low[i])
			y.add(k.high[i])
		}
		curves = append(curves, k)
	}
	if x.lo > x.hi {
		return c
	}
	if c.Reference != nil {
		y.add(*c.Reference)
	}
	x.settle(0.02)
	if !c.Dots {
		x.lo = max(x.lo, 0)
	}
	y.settle(0.06)
	px := func(v float64) float64 { return chartLeft + x.at(v)*plotWidth }
	py := func(v float64) float64 { return chartTop + (1-y.at(v))*plotHeight }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(c.Title))
	for _, t := range plot.Ticks(y.lo, y.hi, c.Log) {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="tick" text-anchor="end" x="%d" y="%.1f">%s</text>`,
			chartLeft, chartWidth-chartRight, py(t.At), py(t.At), chartLeft-8, py(t.At)+4, html.EscapeString(t.Label))
	}
	for _, t := range plot.Ticks(x.lo, x.hi, c.LogX) {
		fmt.Fprintf(&b, `<text class="tick" text-anchor="middle" x="%.1f" y="%d">%s</text>`, px(t.At), chartHeight-chartBottom+17, html.EscapeString(t.Label))
	}
	fmt.Fprintf(&b, `<line class="axis" x1="%d" x2="%d" y1="%d" y2="%[3]d"/>`, chartLeft, chartWidth-chartRight, chartHeight-chartBottom)
	fmt.Fprintf(&b, `<text class="label" text-anchor="middle" x="%d" y="%d">%s</text>`, chartLeft+plotWidth/2, chartHeight-6, html.EscapeString(c.XLabel))
	if c.Reference != nil {
		fmt.Fprintf(&b, `<line class="ref" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, chartLeft, chartWidth-chartRight, py(*c.Reference), py(*c.Reference))
	}
	for i, k := range curves {
		class := c.Class(i)
		if k.low != nil {
			fmt.Fprintf(&b, `<path class="band %s" d="`, class)
			for j := range k.X {
				fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(j, 1)], px(k.X[j]), py(k.high[j]))
			}
			for j := len(k.X) - 1; j >= 0; j-- {
				fmt.Fprintf(&b, "L%.1f %.1f", px(k.X[j]), py(k.low[j]))
			}
			b.WriteString(`Z"/>`)
		}
		if len(k.X) > 0 {
			fmt.Fprintf(&b, `<path class="line %s" d="`, class)
			for j := range k.X {
				fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(j, 1)], px(k.X[j]), py(k.Y[j]))
			}
			b.WriteString(`"/>`)
		}
		if c.Dots || len(k.X) == 1 {
			for j := range k.X {
				fmt.Fprintf(&b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3.4"/>`, class, px(k.X[j]), py(k.Y[j]))
			}
		}
	}
	b.WriteString("</svg>")
	c.SVG = template.HTML(b.String())
	return c
}
