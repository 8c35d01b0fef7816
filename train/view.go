package train

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/train/plot"
)

// view is how samples are seen in pictures.
type view uint8

const (
	unseen     view = iota
	gridView        // images
	planeView       // points in the plane
	torusView       // two angles, of a turn each
	sphereView      // a map of the sphere
)

// viewOf is how samples of that shape by a model are seen.
func viewOf(shape []int, model diffusion.Model) view {
	switch m := manifoldOf(model).(type) {
	case manifold.Sphere:
		if m.N == 2 {
			return sphereView
		}
		return unseen // a circle is no plane
	case manifold.Torus:
		if m.N == 2 {
			return torusView
		}
		return unseen
	}
	switch {
	case isImage(shape):
		return gridView
	case len(shape) == 1 && shape[0] == 2:
		return planeView
	}
	return unseen
}

func (d *Drawer) view() view { return viewOf(d.Shape, d.Model) }

// scatter writes a picture of points.
func (v view) scatter(path string, x []float32, opt plot.ScatterOptions) error {
	switch v {
	case sphereView:
		return plot.WriteSphere(path, x, opt)
	case torusView:
		opt.Half = math.Pi
	}
	return plot.WriteScatter(path, x, opt)
}
