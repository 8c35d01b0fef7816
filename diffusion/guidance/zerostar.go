package guidance

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// ZeroStar is CFG-Zero* (Fan et al. 2025): u is first scaled to what of it lies along
// c, r = ⟨c,u⟩/(‖u‖²+10⁻⁸) for each sample, and the velocity is zero in the first steps, where
// a network's is further off than that.
type ZeroStar struct {
	Zero float64 `yaml:"zero" doc:"part of the sampling steps, from the first on, with velocity zero, rounded up" range:"[0,1)"`
	In   string  `yaml:"in" doc:"what is combined: the velocity, as in the paper, or what the network predicts (the zero is always the velocity's)" oneof:"velocity model"`
}

// SetDefaults takes the paper's choice.
func (z *ZeroStar) SetDefaults() { z.Zero, z.In = 0.04, "velocity" }

// Validate checks the range.
func (z *ZeroStar) Validate() error {
	if !(z.Zero >= 0 && z.Zero < 1) {
		return invalid.Field("zero", "must be in [0, 1), is %g", z.Zero)
	}
	return nil
}

// Kind is the velocity, unless told otherwise.
func (z *ZeroStar) Kind() diffusion.Kind {
	if z.In == "model" {
		return nil
	}
	return diffusion.Velocity
}

// still reports whether the step is one of the first, in which nothing moves.
func (z *ZeroStar) still(at diffusion.Step) bool {
	return at.Index < int(math.Ceil(z.Zero*float64(at.Count)))
}

var (
	dot       = tensor.NewPointwiseSum(tensor.NewPointwise("product", 2, 0, func(in, _ []tensor.Expr) tensor.Expr { return in[0].Mul(in[1]) }))
	squares   = tensor.NewPointwiseSum(tensor.NewPointwise("square", 1, 0, func(in, _ []tensor.Expr) tensor.Expr { return in[0].Square() }))
	optimised = tensor.NewPointwise("CFG-Zero*", 5, 0, func(in, _ []tensor.Expr) tensor.Expr {
		c, u, scale, along, norm := in[0], in[1], in[2], in[3], in[4]
		r := along.Div(norm.AddConst(1e-8))
		return u.Mul(r).Mul(scale.Neg().AddConst(1)).Add(c.Mul(scale))
	})
)

// Guide is r·u + s·(c − r·u).
func (z *ZeroStar) Guide(c, u, scale *tensor.Tensor, _ diffusion.Step) *tensor.Tensor {
	rows := [1]int{1}
	return optimised.Apply(nil, c, u, scale, dot.Sum(nil, rows[:], c, u), squares.Sum(nil, rows[:], u))
}
