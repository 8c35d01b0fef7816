package train

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/manifold"
	"github.com/langevin-go/langevin/internal/invalid"
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

// placed is how many samples of a source are looked at before training: enough to see that they
// are of another manifold, or in degrees.
const placed = 256

// onManifold sees that data, and the source, are on the model's manifold, as far as the first samples show.
func (t *Trainer) onManifold() error {
	m := manifoldOf(t.model)
	if m == nil {
		return nil
	}
	for _, part := range []struct {
		key, name string
		of        *Dataset
	}{{"data", "sample", t.data}, {"objective.source", "sample", t.source}} {
		x, _, err := takeSamples(part.of.Train, placed)
		if err != nil {
			return t.exp.at(part.key, err)
		}
		if err := checkPoints(m, x); err != nil {
			return t.exp.places.Errorf(part.key, "does not fit objective.manifold: %v", err)
		}
	}
	return nil
}

// checkPoints says which of the points x is off the manifold, if one is.
func checkPoints(m manifold.Manifold, x []float32) error {
	row := make([]float64, m.Ambient())
	for i := range len(x) / len(row) {
		for j := range row {
			row[j] = float64(x[i*len(row)+j])
		}
		if err := m.Check(row); err != nil {
			return fmt.Errorf("sample %d is off %v: %w", i, m, err)
		}
	}
	return nil
}

// checkSampling refuses what means nothing on a manifold.
func (d *Drawer) checkSampling() error {
	m := manifoldOf(d.Model)
	if m == nil {
		return nil
	}
	if d.How.Sampler.Kind != "geodesic" {
		return invalid.Field("sampler", "must be geodesic on %v, is %s, whose steps would leave it", m, d.How.Sampler.Kind)
	}
	h := &d.How
	for _, o := range []struct {
		key string
		on  bool
	}{
		{"clip", h.Clip.On()},
		{"eps_scaling", h.Scaling.On()},
		{"classifier_guidance", h.Classifier != nil},
		{"cost", h.Cost != nil},
		{"constraints", len(h.Constraints) > 0},
	} {
		if o.on {
			return invalid.Field(o.key, "acts on an estimate of data or noise, and a flow on %v has none", m)
		}
	}
	return nil
}

// checkStarts sees that what a request starts from is on the model's manifold.
func (d *Drawer) checkStarts(q Request) error {
	if err := d.checkData(q.Init); err != nil {
		return fmt.Errorf("data to edit: %w", err)
	}
	if err := d.checkData(q.Noise); err != nil {
		return fmt.Errorf("starts: %w", err)
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

// checkData sees that data to measure are on the model's manifold.
func (d *Drawer) checkData(x []float32) error {
	if m := manifoldOf(d.Model); m != nil {
		return checkPoints(m, x)
	}
	return nil
}
