package train

import (
	"fmt"
	"image"
	"path/filepath"
	"strings"
	"time"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/train/plot"
)

// Peek keeps what the model takes the first samples of a request to be while they are drawn, for a
// picture of how they come about: a strip, or an animation.
type Peek struct {
	path   string
	view   view
	shape  []int
	size   int   // of a sample
	n      int   // samples that are kept
	steps  []int // whose estimates are kept; the samples themselves come last
	of     int   // steps there are
	seen   [][]float32
	labels []int32
}

// Limits of what a peek keeps: moments, and samples.
const (
	stripColumns, stripRows, stripAreas = 10, 16, 6
	animationFrames, animationImages    = 40, 36
)

// NewPeek prepares a picture at path, .png or .gif, of the request's running estimates, and has the request fill
// it. An error says why there can be none; it is asked for before the work.
func (d *Drawer) NewPeek(path string, q *Request) (*Peek, error) {
	moving := strings.ToLower(filepath.Ext(path)) == ".gif"
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".png" && !moving {
		return nil, fmt.Errorf("%s: unknown kind of file %q: want .png for a strip or .gif for an animation", path, ext)
	}
	if err := CheckPlace(path); err != nil {
		return nil, err
	}
	if p := confined(d.Model); p != nil {
		return nil, fmt.Errorf("%s: a flow on %v has no estimate of the data on its way", path, p)
	}
	p := &Peek{path: path, view: d.view(), shape: d.Shape, size: volume(d.Shape), n: q.N, labels: q.Labels}
	columns := stripColumns
	switch {
	case p.view == unseen:
		return nil, fmt.Errorf("%s: samples of shape %v make no picture", path, d.Shape)
	case p.view == gridView && moving:
		p.n = min(p.n, animationImages)
	case p.view == gridView:
		p.n = min(p.n, stripRows)
	case !moving:
		columns = stripAreas
	}
	if moving {
		columns = animationFrames
	}
	_, grid, err := d.plan()
	if err != nil {
		return nil, err
	}
	if q.Init != nil {
		grid = sampler.Last(grid, q.Strength)
	}
	p.of = len(grid) - 1
	p.steps = evenly(p.of-1, columns-1)
	p.seen = make([][]float32, len(p.steps))
	q.Peek = p.add
	return p, nil
}

// evenly are up to k of the steps 0…n−1, evenly, the first and the last among them.
func evenly(n, k int) []int {
	if n <= k {
		k = n
	}
	out := make([]int, k)
	for i := range out {
		if k > 1 {
			out[i] = (i*(n-1) + (k-1)/2) / (k - 1)
		}
	}
	return out
}

// add hears of a step. What comes later stands for what has not been heard of yet.
func (p *Peek) add(step, _, first int, data []float32) {
	if first >= p.n || data == nil {
		return
	}
	for c, s := range p.steps {
		if s < step {
			continue
		}
		if p.seen[c] == nil {
			p.seen[c] = make([]float32, p.n*p.size)
		}
		copy(p.seen[c][first*p.size:], data)
	}
}

// Kept is how many samples the picture shows.
func (p *Peek) Kept() int { return p.n }

// Write draws the picture; x are the samples.
func (p *Peek) Write(x []float32) error {
	columns := append(p.seen[:len(p.seen):len(p.seen)], x[:p.n*p.size])
	names := make([]string, len(columns))
	for c, s := range p.steps {
		names[c] = fmt.Sprint(s + 1)
	}
	names[len(p.steps)] = "sample"
	if strings.ToLower(filepath.Ext(p.path)) == ".gif" {
		return p.animate(columns, names)
	}
	title := fmt.Sprintf("estimate of the data after step … of %d", p.of)
	if p.view == gridView {
		opt := plot.StripOptions{Title: title, Labels: names}
		if len(columns) < 5 { // not wide enough
			opt.Title = ""
		}
		return plot.WritePNG(p.path, plot.Strip(columns, p.shape, p.n, opt))
	}
	fig := plot.Figure{Title: title, Width: 1.7}
	for c := range columns {
		fig.Areas = append(fig.Areas, p.area(columns[c], x, names[c]))
	}
	return fig.Write(p.path)
}

// area shows the points of one moment within the box of the last.
func (p *Peek) area(at, last []float32, name string) plot.Area {
	a := plot.Area{Title: name, Box: plot.Around(last), Equal: true, Bare: true}
	if name != "sample" {
		a.Title = "step " + name
	}
	if p.labels != nil {
		a.Layers = plot.ByClass(at, p.labels)
	} else {
		a.Layers = []plot.Layer{&plot.Points{XY: at, Color: plot.Fade(plot.Samples, 0.6), Radius: 1.2}}
	}
	return a
}

// animate writes the moments one after another.
func (p *Peek) animate(columns [][]float32, names []string) error {
	var frames []image.Image
	for c, x := range columns {
		switch {
		case x == nil:
		case p.view == gridView:
			frames = append(frames, plot.Grid(x, p.shape, plot.GridOptions{}))
		default:
			fig := plot.Figure{Width: 3.2, Areas: []plot.Area{p.area(x, columns[len(columns)-1], names[c])}}
			frames = append(frames, fig.Draw())
		}
	}
	return plot.WriteGIF(p.path, frames, 100*time.Millisecond, 2*time.Second)
}
