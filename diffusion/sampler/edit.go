package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Last is the part of a grid that editing with a strength in (0,1] goes through: that share
// of its steps, rounded down, at least one, from the data's end (SDEdit, Meng et al. 2022;
// diffusers counts alike).
func Last(grid []float64, strength float64) []float64 {
	steps := len(grid) - 1
	// What is short of a whole step by rounding is one: .29·100 is 28.999999999999996.
	keep := int(strength*float64(steps) + 1e-9)
	return grid[steps-min(max(keep, 1), steps):]
}

// Noised is the state at t of data with noise, or with samples of a flow's source, α·data + σ·noise:
// where editing starts from. An interpolant's own noise is z, of standard normal numbers; nil: none of it.
func Noised(data, noise, z *tensor.Tensor, path diffusion.GaussianPath, t float64) *tensor.Tensor {
	x := diffusion.Noised(data, noise, path, diffusion.Step{T: []float64{t}})
	if g := gamma(path, t); g != 0 && z != nil {
		x = x.Axpby(1, z, g)
	}
	return x
}

// Lerp sets dst to (1−u)·a + u·b, between noises or data. Of two independent noises it is too
// small in the middle, by √½: see [Slerp].
func Lerp(dst, a, b []float32, u float64) {
	for i := range dst {
		dst[i] = float32((1-u)*float64(a[i]) + u*float64(b[i]))
	}
}

// Slerp sets dst to the point at u on the great circle from a to b, whose length goes from
// that of a to that of b: what lies between two noises is then as long as noise is
// (Shoemake 1985; White 2016). Between vectors of one direction, or none, it is Lerp; opposite ones have no
// great circle of their own and are a Lerp, too. dst may be a or b.
func Slerp(dst, a, b []float32, u float64) {
	var aa, bb, ab float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		aa, bb, ab = aa+x*x, bb+y*y, ab+x*y
	}
	na, nb := math.Sqrt(aa), math.Sqrt(bb)
	angle := math.Acos(min(max(ab/(na*nb), -1), 1))
	sin := math.Sin(angle)
	if !(sin > 1e-6) {
		Lerp(dst, a, b, u)
		return
	}
	length := (1-u)*na + u*nb
	p, q := length*math.Sin((1-u)*angle)/(sin*na), length*math.Sin(u*angle)/(sin*nb)
	for i := range dst {
		dst[i] = float32(p*float64(a[i]) + q*float64(b[i]))
	}
}
