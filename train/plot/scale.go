package plot

import "gonum.org/v1/plot/plotter"

// Ticks are round places on an axis from lo to hi, as the package's own pictures have them; log: of a logarithmic axis, whose lo is above 0.
func Ticks(lo, hi float64, log bool) (out []Tick) {
	of := ticks{}.Ticks
	if log {
		of = logTicks{}.Ticks
	}
	for _, t := range of(lo, hi) {
		out = append(out, Tick{t.Value, t.Label})
	}
	return out
}

// Smooth is a curve as WriteCurve draws it: of a long one the averages of neighbouring values, between their 10 and 90 %
// quantiles, which are nil of a short one. Values that are not finite are left out, and those not above 0 if log.
func Smooth(s Series, log bool) (mean Series, low, high []float64) {
	m, l, h := summary(finite(s, log, false))
	mean.Name = s.Name
	for _, p := range m {
		mean.X, mean.Y = append(mean.X, p.X), append(mean.Y, p.Y)
	}
	heights := func(q plotter.XYs) (y []float64) {
		for _, p := range q {
			y = append(y, p.Y)
		}
		return y
	}
	return mean, heights(l), heights(h)
}
