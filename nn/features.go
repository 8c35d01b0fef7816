package nn

import "github.com/langevin-go/langevin/tensor"

// Featured is a network that shows what it knows of a sample, for heads that learn something else of it than its output.
type Featured interface {
	Model
	// Features are (N, …, FeatureWidth), of the last layer but one or of the middle of the network. What comes after is not run.
	Features(x, t *tensor.Tensor, c Cond) *tensor.Tensor
	FeatureWidth() int
}

// FeaturesOf is a network that shows its features, through a text encoder before it; nil: it shows none.
func FeaturesOf(m Model) Featured {
	if p, ok := m.(*Prompted); ok {
		if f, ok := p.Model.(Featured); ok {
			return promptedFeatures{p, f}
		}
		return nil
	}
	f, _ := m.(Featured)
	return f
}

// promptedFeatures are those of the network behind a text encoder.
type promptedFeatures struct {
	*Prompted
	of Featured
}

func (p promptedFeatures) Features(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	return p.of.Features(x, t, p.Encode(c))
}

func (p promptedFeatures) FeatureWidth() int { return p.of.FeatureWidth() }

// Head is one number a sample of a network's features: a layer at each position, SiLU, the mean over positions, and a layer.
type Head struct {
	Fc1, Fc2 *Linear
}

// NewHead is for features of a width, with PyTorch's default initialisation.
func NewHead(in *Init, width int) *Head {
	return &Head{NewLinear(in, width, width), NewLinear(in, width, 1)}
}

// Forward maps (N, …, width) to (N).
func (h *Head) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	n := x.Dim(0)
	y := h.Fc1.Forward(x).SiLU()
	if y.Rank() > 2 {
		y = y.Reshape(n, -1, y.Dim(-1)).Mean(1)
	}
	return s.Release(m, h.Fc2.Forward(y).Reshape(n))
}
