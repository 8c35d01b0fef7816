package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/discrete"
	"github.com/langevin-go/langevin/internal/invalid"
)

// confined is a model's path, if its states are not all of space; else nil.
func confined(m diffusion.Model) flow.Confined {
	if m == nil {
		return nil
	}
	p, _ := m.Path().(flow.Confined)
	return p
}

// placed is how many samples of data and source are looked at before training: enough to see that they
// are of another manifold, in degrees, or of more levels than the tokens.
const placed = 256

// fits sees that the data can be states of the model's path, and the samples of the source starts, as far as the first ones
// show, and that the sampler keeps to these states.
func (t *Trainer) fits() error {
	if err := t.Drawer().checkSampling(); err != nil {
		return t.exp.at("sample", err)
	}
	p := confined(t.model)
	if p == nil {
		return nil
	}
	for _, part := range []struct {
		key   string
		of    *Dataset
		check func(x []float32) error
	}{{"data", t.data, p.Check}, {"objective.source", t.source, p.CheckStarts}} {
		x, _, err := takeSamples(part.of.Train, placed)
		if err != nil {
			return t.exp.at(part.key, err)
		}
		if err := part.check(x); err != nil {
			return t.exp.places.Errorf(part.key, "does not fit the objective: %v", err)
		}
	}
	return nil
}

// checkSampling refuses samplers that the path is not for, and what means nothing where states are not all of space.
func (d *Drawer) checkSampling() error {
	p := confined(d.Model)
	if p == nil {
		return d.How.fits(d.Model.Path())
	}
	h := &d.How
	if names := p.Samplers(); h.Sampler.Kind != autoKind && !slices.Contains(names, h.Sampler.Kind) {
		return invalid.Field("sampler", "must be %s on %v, is %s, whose steps would leave it", strings.Join(names, " or "), p, h.Sampler.Kind)
	}
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
			return invalid.Field(o.key, "acts on an estimate of data or noise, and a flow on %v has none", p)
		}
	}
	if _, tokens := p.(*discrete.Path); tokens && (h.Guidance.Rule.Kind != "cfg" || h.Rescale != 0) {
		key := "guidance_rule"
		if h.Rescale != 0 {
			key = "guidance_rescale"
		}
		return invalid.Field(key, "is for predictions of numbers; of tokens there are probabilities, whose logarithms are guided")
	}
	return h.fits(p)
}

// fits asks a sampler that is made for some paths only whether this is one.
func (s *Sampling) fits(path diffusion.GaussianPath) error {
	how, err := s.samplerOn(path).Build(SamplerArg{})
	if err != nil {
		return invalid.Field("sampler", "%v", err)
	}
	if f, ok := how.(interface {
		Fits(diffusion.GaussianPath) error
	}); ok {
		if err := f.Fits(path); err != nil {
			return invalid.Field("sampler", "does not fit: %v", err)
		}
	}
	return nil
}

// checkStarts sees that what a request starts from can be states of the model's path.
func (d *Drawer) checkStarts(q Request) error {
	p := confined(d.Model)
	if p == nil {
		return nil
	}
	if err := p.Check(q.Init); err != nil {
		return fmt.Errorf("data to edit: %w", err)
	}
	if err := p.CheckStarts(q.Noise); err != nil {
		return fmt.Errorf("starts: %w", err)
	}
	return nil
}

// checkData sees that data to measure can be states of the model's path.
func (d *Drawer) checkData(x []float32) error {
	if p := confined(d.Model); p != nil {
		return p.Check(x)
	}
	return nil
}
