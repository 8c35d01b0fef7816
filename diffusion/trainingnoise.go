package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// TrainingNoise changes the noise that a network is trained on. The zero value does not.
type TrainingNoise struct {
	// Offset adds to ε a normal number for each sample and channel, the same at
	// all positions, of this standard deviation: the network then learns to change a
	// picture's mean (Guttenberg 2023, "Diffusion with offset noise").
	Offset float64 `yaml:"offset_noise" doc:"standard deviation of a part of the noise that is the same at all positions of a channel" range:"[0,inf)"`
	// Perturbation makes x_t with ε+γ·ξ while ε stays the target: the errors that a
	// sampler meets are then part of training (Ning et al. 2023).
	Perturbation float64 `yaml:"input_perturbation" doc:"standard deviation of noise on the network's input that is not part of the target, against exposure bias (0.1 in the paper)" range:"[0,inf)"`
}

// Validate checks the ranges.
func (n *TrainingNoise) Validate() error {
	switch {
	case !(n.Offset >= 0) || math.IsInf(n.Offset, 0):
		return invalid.Field("offset_noise", "must not be negative, is %g", n.Offset)
	case !(n.Perturbation >= 0) || math.IsInf(n.Perturbation, 0):
		return invalid.Field("input_perturbation", "must not be negative, is %g", n.Perturbation)
	}
	return nil
}

// Streams of these; see StreamNoise.
const (
	streamOffset uint32 = 0xf0 + iota
	streamPerturbation
)

// offset is the noise ε of a draw.
func (n TrainingNoise) offset(s *tensor.Scope, d *Draw) *tensor.Tensor {
	eps := d.Eps(s)
	if n.Offset == 0 {
		return eps
	}
	var ones [tensor.MaxRank]int
	shape := ones[:eps.Rank()]
	for i := range shape {
		shape[i] = 1
	}
	shape[0], shape[len(shape)-1] = eps.Dim(0), eps.Dim(-1)
	return eps.Axpby(1, s.Normal(d.NoiseKey.WithStream(streamOffset), d.First, shape...), n.Offset)
}

// perturbed is the noise that goes into x_t.
func (n TrainingNoise) perturbed(s *tensor.Scope, d *Draw, eps *tensor.Tensor) *tensor.Tensor {
	if n.Perturbation == 0 {
		return eps
	}
	return eps.Axpby(1, s.Normal(d.NoiseKey.WithStream(streamPerturbation), d.First, eps.Shape()...), n.Perturbation)
}
