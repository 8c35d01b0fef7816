package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Strength says how far predictions are pushed, and at which times.
type Strength struct {
	Scale float64
	Over  Schedule // of the weight Scale−1 over the path; nil: constant

	// From and To bound the times with guidance, as fractions of the path (0 is
	// data), SigmaFrom and SigmaTo the noise levels σ/α: Kynkäänniemi et al. 2024. To=0 and
	// SigmaTo=0 stand for no bound. Outside, the scale is 1.
	From, To           float64
	SigmaFrom, SigmaTo float64
}

// at is the scale at a point of the path.
func (g *Strength) at(path diffusion.GaussianPath, p diffusion.Point) float64 {
	switch {
	case !g.inside(path, p):
		return 1
	case g.Over == nil:
		return g.Scale
	}
	return 1 + (g.Scale-1)*g.Over.Factor(path, p)
}

func (g *Strength) inside(path diffusion.GaussianPath, p diffusion.Point) bool {
	f, level := p.T/path.End(), p.NoiseLevel()
	return f >= g.From && (g.To == 0 || f <= g.To) && level >= g.SigmaFrom && (g.SigmaTo == 0 || level <= g.SigmaTo)
}

// within reports whether any sample's time is one with guidance.
func (g *Strength) within(path diffusion.GaussianPath, at diffusion.Step) bool {
	for _, t := range at.T {
		if g.inside(path, path.At(t)) {
			return true
		}
	}
	return false
}

// only is guided where there is guidance at a sample's time, and else own: a sample does not depend on which
// others, at times of their own, are in its batch.
func (g *Strength) only(guided, own *tensor.Tensor, path diffusion.GaussianPath, at diffusion.Step) *tensor.Tensor {
	for _, t := range at.T {
		if !g.inside(path, path.At(t)) {
			return diffusion.PerSample(own, path, diffusion.Step{T: at.T}, func(p, _ diffusion.Point) float64 {
				if g.inside(path, p) {
					return 1
				}
				return 0
			}).Where(guided, own)
		}
	}
	return guided
}

// uniform is the scale of the first sample, and whether it is that of all.
func (g *Strength) uniform(path diffusion.GaussianPath, at diffusion.Step) (scale float64, same bool) {
	scale = g.at(path, path.At(at.T[0]))
	for _, t := range at.T[1:] {
		if g.at(path, path.At(t)) != scale {
			return scale, false
		}
	}
	return scale, true
}

// scales is each sample's scale, (N,1,…), or that of all.
func (g *Strength) scales(x *tensor.Tensor, path diffusion.GaussianPath, at diffusion.Step) *tensor.Tensor {
	return diffusion.PerSample(x, path, diffusion.Step{T: at.T}, func(p, _ diffusion.Point) float64 { return g.at(path, p) })
}

// of is the factor of a gradient at a point of the path: the scale itself changes along the path, and
// is 0 outside of the interval.
func (g *Strength) of(path diffusion.GaussianPath, p diffusion.Point) float64 {
	switch {
	case !g.inside(path, p):
		return 0
	case g.Over == nil:
		return g.Scale
	}
	return g.Scale * g.Over.Factor(path, p)
}
