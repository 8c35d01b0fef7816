package metrics

import (
	"math"

	"github.com/langevin-go/langevin/tensor/rng"
)

// augmentation bends training pictures a little, so that the classifier learns
// shapes and not the pictures by heart.
type augmentation struct {
	shift  float64 // up to this part of the side, either way
	rotate float64 // up to this angle in radians, either way
	zoom   float64 // by up to this factor, in or out, less 1
	noise  float64 // standard deviation of pixel noise
}

// apply writes the picture src (H,W,C), bent at random, to dst. Its randomness is
// that of (key, sample). Where the bent picture looks past the border, it sees
// the border's pixels.
func (a augmentation) apply(dst, src []float32, h, w, c int, key rng.Key, sample uint64) {
	u := func(i int) float64 { return 2*rng.Float64(key, sample, i) - 1 }
	angle, zoom := a.rotate*u(0), math.Exp(math.Log1p(a.zoom)*u(1))
	dy, dx := a.shift*float64(h)*u(2), a.shift*float64(w)*u(3)
	sin, cos := math.Sincos(angle)
	sin, cos = sin*zoom, cos*zoom
	my, mx := float64(h-1)/2, float64(w-1)/2
	if a.noise > 0 {
		rng.Normal(dst, key.WithStream(key.Stream+1), sample)
	} else {
		clear(dst)
	}
	for y := range h {
		for x := range w {
			py, px := float64(y)-my, float64(x)-mx
			y0, fy := cell(cos*py+sin*px+my+dy, h)
			x0, fx := cell(cos*px-sin*py+mx+dx, w)
			y1, x1 := min(y0+1, h-1), min(x0+1, w-1)
			for k := range c {
				top := lerp(src[(y0*w+x0)*c+k], src[(y0*w+x1)*c+k], fx)
				low := lerp(src[(y1*w+x0)*c+k], src[(y1*w+x1)*c+k], fx)
				at := &dst[(y*w+x)*c+k]
				*at = lerp(top, low, fy) + float32(*at*float32(a.noise))
			}
		}
	}
}

// cell is the pixel before position p, kept to 0…n−1, and how far behind it p lies.
func cell(p float64, n int) (int, float32) {
	p = min(max(p, 0), float64(n-1))
	i := math.Floor(p)
	return int(i), float32(p - i)
}

// lerp rounds each product, so that the same binary gives the same bits on machines that fuse.
func lerp(a, b, f float32) float32 { return a + float32(float32(b-a)*f) }
