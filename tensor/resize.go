package tensor

import "math"

// Interpolation is how Resize finds values between pixels.
type Interpolation uint8

// The interpolations, with what PyTorch's interpolate calls them. Pixels are
// squares with their centres at half-integers, except for LinearAligned and CubicAligned, which map the first
// and the last centre to each other.
const (
	Nearest         Interpolation = iota // "nearest": pixel ⌊i·in/out⌋
	NearestExact                         // "nearest-exact": pixel ⌊(i+½)·in/out⌋
	Linear                               // "linear", "bilinear", "trilinear"
	LinearAligned                        // the same with align_corners
	LinearAntialias                      // the same with antialias: wider where the result is smaller
	Cubic                                // "bicubic" (Keys 1981, a = −¾)
	CubicAligned                         // the same with align_corners
	CubicAntialias                       // the same with antialias (a = −½)
)

// Resize brings the one to three spatial axes of t (N, spatial…, C) to the given sizes.
func (t *Tensor) Resize(by Interpolation, size ...int) *Tensor {
	const op = "Resize"
	if len(size) != t.spatial(op) || by > CubicAntialias {
		usagePanic(op, "%d sizes for shape %v by interpolation %d", len(size), append([]int(nil), t.Shape()...), by)
	}
	for i, out := range size {
		in := t.v.Shape[i+1]
		if out < 1 || in < 1 {
			usagePanic(op, "size %d from %d along axis %d", out, in, i+1)
		}
		if in != out {
			t = t.resample(i+1, by, out)
		}
	}
	return t
}

// resample is Resize along one axis: Σ over taps of a weight times the pixel that it falls on.
func (t *Tensor) resample(axis int, by Interpolation, out int) *Tensor {
	in := t.v.Shape[axis]
	switch by {
	case Nearest:
		if out%in == 0 {
			return t.Repeat(axis, out/in)
		}
		return t.pick(axis, out, func(i int) int { return i * in / out })
	case NearestExact:
		return t.pick(axis, out, func(i int) int { return (2*i + 1) * in / (2 * out) })
	}
	f := filterOf(by, in, out)
	column := [MaxRank]int{out, 1, 1, 1, 1, 1, 1, 1}
	var sum *Tensor
	for tap := range f.taps() {
		w := t.s.TensorOf(func(i int) float64 { return f.weight(i, tap) }, column[:t.v.Rank-axis]...)
		x := t.pick(axis, out, func(i int) int { return f.at(i, tap) })
		if sum == nil {
			sum = x.Mul(w)
		} else {
			sum = x.MulAdd(w, sum)
		}
	}
	return sum
}

// filter is an interpolation along an axis of given sizes.
type filter struct {
	in, out int
	scale   float64 // input pixels an output pixel
	aligned bool
	clamp   bool    // positions are limited to the image
	radius  float64 // of the kernel, in input pixels
	stretch float64 // of the kernel; 0: its weights add up to 1 by themselves
	kernel  func(x float64) float64
}

func filterOf(by Interpolation, in, out int) filter {
	f := filter{in: in, out: out, scale: float64(in) / float64(out), radius: 1, kernel: triangle}
	switch by {
	case LinearAligned, CubicAligned:
		f.aligned, f.scale = true, 0
		if out > 1 {
			f.scale = float64(in-1) / float64(out-1)
		}
	case LinearAntialias, CubicAntialias:
		f.stretch = max(1, f.scale)
	}
	switch by {
	case Linear, LinearAligned:
		f.clamp = true
	case Cubic, CubicAligned:
		f.radius, f.kernel = 2, func(x float64) float64 { return keys(x, -0.75) }
	case CubicAntialias:
		f.radius, f.kernel = 2, func(x float64) float64 { return keys(x, -0.5) }
	}
	if f.stretch > 0 {
		f.radius *= f.stretch
	}
	return f
}

// taps is the number of pixels that a result is made of.
func (f *filter) taps() int {
	if f.stretch > 0 {
		return int(2*f.radius) + 2
	}
	return int(2 * f.radius)
}

// centre is the position of output i among the input's pixels, whose centres are whole numbers here.
func (f *filter) centre(i int) float64 {
	if f.aligned {
		return f.scale * float64(i)
	}
	c := (float64(i)+0.5)*f.scale - 0.5
	if f.clamp {
		return max(0, c)
	}
	return c
}

// first is the first pixel of output i's taps, which may lie outside.
func (f *filter) first(i int) int {
	if f.stretch > 0 {
		return int(math.Floor(f.centre(i)-f.radius)) + 1
	}
	return int(math.Floor(f.centre(i))) + 1 - int(f.radius)
}

// at is the pixel that a tap reads: the nearest one where it lies outside.
func (f *filter) at(i, tap int) int { return min(max(f.first(i)+tap, 0), f.in-1) }

// weight is a tap's. An antialiasing kernel is cut off at the borders, and the rest has sum 1.
func (f *filter) weight(i, tap int) float64 {
	c, first := f.centre(i), f.first(i)
	if f.stretch == 0 {
		return f.kernel(float64(first+tap) - c)
	}
	value := func(tap int) float64 {
		if at := first + tap; at >= 0 && at < f.in {
			return f.kernel((float64(at) - c) / f.stretch)
		}
		return 0
	}
	sum := 0.0
	for k := range f.taps() {
		sum += value(k)
	}
	return value(tap) / sum
}

// triangle is linear interpolation.
func triangle(x float64) float64 { return max(0, 1-math.Abs(x)) }

// keys is cubic convolution (Keys 1981, eq. 4, whose a = −½).
func keys(x, a float64) float64 {
	switch x = math.Abs(x); {
	case x <= 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((a*x-5*a)*x+8*a)*x - 4*a
	}
	return 0
}
