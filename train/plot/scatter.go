package plot

import (
	"fmt"
	"image/color"
	"math"
	"slices"
)

// ScatterOptions say what a scatter plot shows beside the samples.
type ScatterOptions struct {
	Title string
	// Data are points of the data to compare with, drawn in grey below the samples.
	Data []float32
	// Labels, one a sample, colour the samples by class; nil: one colour.
	Labels []int32
	// Half is half the side of the square about the origin that is shown; 0: what the data cover. Spheres are shown whole.
	Half float64
}

// entries name what is shown, and how many samples are outside.
func (o *ScatterOptions) entries(outside int) []Entry {
	var entries []Entry
	if len(o.Data) > 0 {
		entries = append(entries, Entry{Name: "data", Color: grey})
	}
	switch {
	case o.Labels == nil && outside > 0:
		return append(entries, Entry{Name: fmt.Sprintf("samples (%d outside)", outside), Color: blue})
	case o.Labels == nil:
		return append(entries, Entry{Name: "samples", Color: blue})
	case outside > 0:
		return append(entries, Entry{Name: fmt.Sprintf("%d samples outside", outside), Color: color.Transparent})
	}
	return entries
}

// plotters draw data and samples, in the plane.
func (o *ScatterOptions) plotters(samples []float32) []Layer {
	parts := []Layer{&Points{XY: head(o.Data), Color: Fade(grey, 0.45), Radius: 1.2}}
	if o.Labels == nil {
		return append(parts, &Points{XY: head(samples), Color: Fade(blue, 0.6), Radius: 1.2})
	}
	return append(parts, ByClass(head(samples), o.Labels)...)
}

// maxPoints bounds what is drawn of each set: more only darken the picture. The first ones are taken.
const maxPoints = 4000

// WriteScatter writes a plot of points in the plane, x and y in turn, to path. The
// axes cover the data, or the middle of the samples where there are none; how many samples lie
// outside (or are not finite) is said in the picture.
func WriteScatter(path string, samples []float32, opt ScatterOptions) error {
	if len(samples)%2 != 0 || len(opt.Data)%2 != 0 || opt.Labels != nil && len(opt.Labels) != len(samples)/2 {
		panic(fmt.Sprintf("plot.WriteScatter: %d and %d coordinates, %d labels", len(samples), len(opt.Data), len(opt.Labels)))
	}
	box := limits(samples)
	switch {
	case opt.Half > 0:
		box.x, box.y, box.half = 0, 0, opt.Half
	case len(opt.Data) > 0:
		box = limits(opt.Data)
	}
	outside := 0
	samples = slices.Clone(samples)
	for i := 0; i < len(samples); i += 2 {
		if !box.holds(samples[i], samples[i+1]) {
			outside++
			samples[i] = float32(math.NaN()) // not drawn beside the box, either
		}
	}
	fig := Figure{Title: opt.Title, Entries: opt.entries(outside), Width: 4.8, Height: 4.65,
		Areas: []Area{{Box: box.rectangle(), Equal: true, Layers: opt.plotters(samples)}}}
	return fig.Write(path)
}

// ByClass are the points of each class, in the order of the classes, in a colour of its own.
func ByClass(xy []float32, labels []int32) []Layer {
	parts := map[int32][]float32{}
	for i := 0; i < len(xy); i += 2 {
		l := labels[i/2]
		parts[l] = append(parts[l], xy[i], xy[i+1])
	}
	order := make([]int32, 0, len(parts))
	for l := range parts {
		order = append(order, l)
	}
	slices.Sort(order)
	out := make([]Layer, len(order))
	for k, l := range order {
		out[k] = &Points{XY: parts[l], Color: Fade(Tint(int(l)), 0.65), Radius: 1.2}
	}
	return out
}

func head(xy []float32) []float32 { return xy[:min(len(xy), 2*maxPoints)] }

// box is a square part of the plane.
type box struct{ x, y, half float64 }

// limits is the square around most of the points, with a margin: single
// stragglers, beyond the inner 99 % by more than half its width, do not widen it.
func limits(xy []float32) box {
	var lo, hi [2]float64
	for axis := range 2 {
		var v []float64
		for i := axis; i < len(xy); i += 2 {
			if f := float64(xy[i]); f-f == 0 {
				v = append(v, f)
			}
		}
		if len(v) == 0 {
			lo[axis], hi[axis] = -1, 1
			continue
		}
		slices.Sort(v)
		a, b := v[len(v)/200], v[len(v)-1-len(v)/200]
		lo[axis], hi[axis] = max(v[0], a-(b-a)/2), min(v[len(v)-1], b+(b-a)/2)
	}
	half := max(hi[0]-lo[0], hi[1]-lo[1]) / 2 * 1.08
	if half == 0 {
		half = 1
	}
	return box{(lo[0] + hi[0]) / 2, (lo[1] + hi[1]) / 2, half}
}

func (b box) holds(x, y float32) bool {
	return math.Abs(float64(x)-b.x) <= b.half && math.Abs(float64(y)-b.y) <= b.half
}

func (b box) rectangle() Box { return Box{b.x - b.half, b.x + b.half, b.y - b.half, b.y + b.half} }
