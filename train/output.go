package train

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/gorgonia"
	"github.com/langevin-go/langevin/train/plot"
)

// CheckOutput says whether samples can be written to path: .png
// (images, points in the plane, on the sphere S², on the torus T²), .npy or .safetensors, into a folder that is
// there. It is asked before the work.
func (d *Drawer) CheckOutput(path string) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".npy", ".safetensors":
	case ".png":
		if d.view() == unseen {
			return fmt.Errorf("%s: samples of shape %v make no picture: write .npy or .safetensors", path, d.Shape)
		}
	default:
		return fmt.Errorf("%s: unknown kind of file %q: want .png, .npy or .safetensors", path, ext)
	}
	return CheckPlace(path)
}

// CheckPlace says whether a file can be made at path: in a folder that is there.
func CheckPlace(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file to write", path)
	}
	switch info, err := os.Stat(filepath.Dir(path)); {
	case err != nil:
		return noRead(filepath.Dir(path), err, fmt.Sprintf("a folder to write %s in", filepath.Base(path)))
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: %s cannot be written there", filepath.Dir(path), filepath.Base(path))
	}
	return nil
}

// WriteSamples writes samples (N,shape…), row-major: a PNG of all of them in a
// grid, each row columns long; an .npy array, channels last; or a safetensors
// file with the tensor "samples", raw and unclamped, images as (N,C,H,W).
func (d *Drawer) WriteSamples(path string, x []float32, labels []int32, columns int) error {
	shape := d.Shape
	n := len(x) / volume(shape)
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		if d.view() == gridView {
			return plot.WriteGrid(path, x, shape, plot.GridOptions{Columns: columns})
		}
		return d.view().scatter(path, x, plot.ScatterOptions{Title: fmt.Sprintf("%d samples", n), Labels: labels})
	case ".npy":
		return gorgonia.WriteNPY(path, gorgonia.Dense(append([]int{n}, shape...), x))
	}
	if len(shape) == 3 {
		x = channelsFirst(x, n, shape)
	}
	dims := append([]int{n}, channelsFirstShape(shape)...)
	return safetensors.WriteFile(path, []safetensors.Entry{safetensors.Float32("samples", dims, x)}, nil)
}

// WriteRows writes samples that [Drawer.Between] has asked for, rows of so many from one to another, as WriteSamples does; a PNG
// of points in the plane has a line for each row.
func (d *Drawer) WriteRows(path string, x []float32, labels []int32, columns int) error {
	if strings.ToLower(filepath.Ext(path)) != ".png" || d.view() != planeView {
		return d.WriteSamples(path, x, labels, columns)
	}
	var rows [][]float32
	var ends []float32
	for len(x) > 0 {
		row := x[:2*columns]
		rows, ends, x = append(rows, row), append(append(ends, row[:2]...), row[len(row)-2:]...), x[len(row):]
	}
	all := slices.Concat(rows...)
	fig := plot.Figure{Title: fmt.Sprintf("%d rows between samples", len(rows)), Width: 5, Entries: []plot.Entry{{Name: "samples", Color: plot.Samples}, {Name: "between", Color: plot.Noise}},
		Areas: []plot.Area{{Box: plot.Around(all), Equal: true, Layers: []plot.Layer{
			&plot.Lines{Paths: rows, Color: plot.Fade(plot.Ink, 0.4), Width: 0.7},
			&plot.Points{XY: all, Color: plot.Noise, Radius: 1.6},
			&plot.Points{XY: ends, Color: plot.Samples, Radius: 2.4},
		}}}}
	return fig.Write(path)
}

// channelsFirst reorders (N,H,W,C) to (N,C,H,W).
func channelsFirst(x []float32, n int, shape []int) []float32 {
	h, w, c := shape[0], shape[1], shape[2]
	out := make([]float32, len(x))
	for i := range n {
		for p := range h * w {
			for k := range c {
				out[(i*c+k)*h*w+p] = x[(i*h*w+p)*c+k]
			}
		}
	}
	return out
}

// channelsLast reorders (N,C,H,W) to (N,H,W,C).
func channelsLast(x []float32, n int, shape []int) []float32 {
	h, w, c := shape[0], shape[1], shape[2]
	out := make([]float32, len(x))
	for i := range n {
		for k := range c {
			for p := range h * w {
				out[(i*h*w+p)*c+k] = x[(i*c+k)*h*w+p]
			}
		}
	}
	return out
}

// NoiseFile is the randomness of a sampling run, from a file.
type NoiseFile struct {
	N      int
	Start  []float32 // (N,shape…), channels last
	noises []float32 // (steps,N,shape…); nil: not in the file
	steps  int
	path   string
	size   int
}

// ReadNoise reads a safetensors file with the tensor "noise", (N,C,H,W) for
// images and (N,shape…) else, and perhaps "noises", the same with the step first.
func ReadNoise(path string, shape []int) (*NoiseFile, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := f.Tensor("noise")
	if err != nil {
		return nil, err
	}
	dims := channelsFirstShape(shape)
	if len(t.Shape) != len(dims)+1 || !equalShape(t.Shape[1:], dims) || t.Shape[0] < 1 {
		return nil, fmt.Errorf("%s: tensor noise has shape %v, want (N, %s)", path, t.Shape, joinInts(dims))
	}
	q := &NoiseFile{N: t.Shape[0], path: path}
	q.size = q.N * volume(shape)
	if q.Start, err = t.Float32s(); err != nil {
		return nil, err
	}
	if len(shape) == 3 {
		q.Start = channelsLast(q.Start, q.N, shape)
	}
	if !f.Has("noises") {
		return q, nil
	}
	if t, err = f.Tensor("noises"); err != nil {
		return nil, err
	}
	if len(t.Shape) != len(dims)+2 || !equalShape(t.Shape[2:], dims) || t.Shape[1] != q.N {
		return nil, fmt.Errorf("%s: tensor noises has shape %v, want (steps, %d, %s)", path, t.Shape, q.N, joinInts(dims))
	}
	q.steps = t.Shape[0]
	if q.noises, err = t.Float32s(); err != nil {
		return nil, err
	}
	if len(shape) == 3 {
		q.noises = channelsLast(q.noises, q.steps*q.N, shape)
	}
	return q, nil
}

// WriteNoise writes noise (N,shape…), row-major, as [ReadNoise] reads it: the safetensors tensor
// "noise", images as (N,C,H,W).
func WriteNoise(path string, x []float32, shape []int) error {
	n := len(x) / volume(shape)
	if len(shape) == 3 {
		x = channelsFirst(x, n, shape)
	}
	dims := append([]int{n}, channelsFirstShape(shape)...)
	return safetensors.WriteFile(path, []safetensors.Entry{safetensors.Float32("noise", dims, x)}, nil)
}

// Use puts the file's randomness into a request of as many samples.
func (q *NoiseFile) Use(r *Request) {
	r.N, r.Noise = q.N, q.Start
	if q.noises != nil {
		r.Noises = func(step int) ([]float32, error) {
			if step >= q.steps {
				return nil, fmt.Errorf("%s: tensor noises has %d steps, the sampler wants noise for step %d", q.path, q.steps, step+1)
			}
			return q.noises[step*q.size : (step+1)*q.size], nil
		}
	}
}

func joinInts(d []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(d), " ", ", "), "[]")
}
