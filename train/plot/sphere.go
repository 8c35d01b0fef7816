package plot

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// WriteSphere writes a plot of points on the unit sphere, three numbers each, to path: the whole sphere in
// Mollweide's projection, in which equal areas are equal, with the third axis up and the first in the middle.
// Points are taken to be as far from the centre as they should be; those that are not finite are left out.
func WriteSphere(path string, samples []float32, opt ScatterOptions) error {
	if len(samples)%3 != 0 || len(opt.Data)%3 != 0 || opt.Labels != nil && len(opt.Labels) != len(samples)/3 {
		panic(fmt.Sprintf("plot.WriteSphere: %d and %d coordinates, %d labels", len(samples), len(opt.Data), len(opt.Labels)))
	}
	opt.Data = Mollweide(opt.Data)
	img, c := canvas(7.2, 4)
	body := header(c, opt.Title, opt.entries(0))
	p := plot.New()
	p.HideAxes()
	p.Add(Graticule{})
	whole := box{half: 2 * math.Sqrt2}
	p.Add(opt.plotters(Mollweide(samples))...)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -whole.half*1.01, whole.half*1.01, -math.Sqrt2*1.01, math.Sqrt2*1.01
	p.Draw(body)
	return WritePNG(path, pixels(img))
}

// Mollweide projects points of the sphere, three numbers each, to an ellipse of half axes 2√2 and √2: with longitude
// λ and latitude φ, x = 2√2/π·λ·cos θ and y = √2·sin θ where 2θ + sin 2θ = π·sin φ (Snyder 1987, p. 251).
func Mollweide(points []float32) []float32 {
	out := make([]float32, 0, len(points)/3*2)
	for i := 0; i+2 < len(points); i += 3 {
		x, y := mollweide(float64(points[i]), float64(points[i+1]), float64(points[i+2]))
		out = append(out, float32(x), float32(y))
	}
	return out
}

func mollweide(x, y, z float64) (px, py float64) {
	lambda := math.Atan2(y, x)
	sin := max(-1, min(1, z/math.Sqrt(x*x+y*y+z*z)))
	theta := mollweideAngle(math.Pi * sin)
	return 2 * math.Sqrt2 / math.Pi * lambda * math.Cos(theta), math.Sqrt2 * math.Sin(theta)
}

// mollweideAngle solves 2θ + sin 2θ = a for a in [−π, π]: the left side rises, so halving the interval finds
// θ to the last bit, at the poles, too, where Newton's method is slow.
func mollweideAngle(a float64) float64 {
	lo, hi := -math.Pi/2, math.Pi/2
	for range 60 {
		mid := (lo + hi) / 2
		if 2*mid+math.Sin(2*mid) < a {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// Graticule draws meridians and parallels 30° apart, and the outline, of the sphere as [Mollweide] projects it.
type Graticule struct{}

// Plot draws the lines.
func (Graticule) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	line := func(style draw.LineStyle, at func(t float64) (lambda, phi float64)) {
		points := make([]vg.Point, 0, 61)
		for i := range 61 {
			lambda, phi := at(float64(i) / 60)
			theta := mollweideAngle(math.Pi * math.Sin(phi))
			x, y := 2*math.Sqrt2/math.Pi*lambda*math.Cos(theta), math.Sqrt2*math.Sin(theta)
			points = append(points, vg.Point{X: trX(x), Y: trY(y)})
		}
		c.StrokeLines(style, points)
	}
	thin, edge := draw.LineStyle{Color: hair, Width: vg.Points(0.6)}, draw.LineStyle{Color: grey, Width: vg.Points(0.8)}
	for k := -6; k <= 6; k++ {
		style := thin
		if k == -6 || k == 6 {
			style = edge
		}
		line(style, func(t float64) (lambda, phi float64) { return float64(k) * math.Pi / 6, math.Pi * (t - 0.5) })
	}
	for k := -2; k <= 2; k++ {
		line(thin, func(t float64) (lambda, phi float64) { return 2 * math.Pi * (t - 0.5), float64(k) * math.Pi / 6 })
	}
}
