package train

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/tensor"
)

// manifoldOf is where samples of a model live; nil: in Euclidean space.
func manifoldOf(m diffusion.Model) manifold.Manifold {
	if m != nil {
		if p, ok := m.Path().(*flow.GeodesicPath); ok {
			return p.Manifold
		}
	}
	return nil
}

// embedded are points as their distances are measured: on manifolds, as networks see them, so that
// angles a turn apart are one.
func (d *Drawer) embedded(x []float32) (y []float32, dim int, err error) {
	m := manifoldOf(d.Model)
	if m == nil || len(x) == 0 {
		return x, volume(d.Shape), nil
	}
	dev, err := d.compute()
	if err != nil {
		return nil, 0, err
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	return m.Embed(s.Tensor(x, len(x)/m.Ambient(), m.Ambient())).Float32s(), m.Width(), nil
}

// dimensions is that of the space that samples live in.
func (d *Drawer) dimensions() int {
	if m := manifoldOf(d.Model); m != nil {
		return m.Dim()
	}
	return volume(d.Shape)
}
