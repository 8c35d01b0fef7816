package data

import (
	"math"
	"sync"
)

// bitmap is a picture of bytes, channels last.
type bitmap struct {
	h, w, c int
	pix     []uint8
}

// box is a part of a picture, in pixels, with fractions: the left and upper edge, and the right and lower one.
type box struct{ x0, y0, x1, y1 float64 }

// Filters that pictures are scaled with. Each is antialiased: what is made smaller is
// averaged over as many pixels as it has per new one.
const (
	FilterBicubic  = "bicubic" // Keys's, a = −½ (Catmull–Rom)
	FilterBilinear = "bilinear"
	FilterLanczos  = "lanczos" // of three lobes
	FilterBox      = "box"
)

// kernel is a filter: its half width, and its value at a distance.
type kernel struct {
	support float64
	at      func(x float64) float64
}

var kernels = map[string]kernel{
	FilterBox: {0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}},
	FilterBilinear: {1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }},
	FilterBicubic: {2, func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}},
	FilterLanczos: {3, func(x float64) float64 {
		if x < -3 || x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	}},
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// weightBits are the binary places of a tap's weight. Sums of bytes times weights, whose
// absolute values add up to less than 2, stay within 32 bits.
const weightBits = 32 - 8 - 2

// taps are the weights of one axis: new pixel i is the sum of n[i] old ones from first[i] on.
type taps struct {
	first, n []int
	weight   []int32 // of new pixel i from i·most on
	most     int
}

// makeTaps computes the weights that bring lo…hi of size old pixels to out new ones, as Pillow does
// (src/libImaging/Resample.c), rounding included: the pictures are the same to the bit.
func makeTaps(k kernel, size int, lo, hi float64, out int) *taps {
	scale := float64(float32(hi)-float32(lo)) / float64(out) // Pillow's boxes are float32
	lo = float64(float32(lo))
	wide := max(1, scale)
	support := k.support * wide
	t := &taps{most: int(math.Ceil(support))*2 + 1, first: make([]int, out), n: make([]int, out)}
	t.weight = make([]int32, out*t.most)
	w := make([]float64, t.most)
	for i := range out {
		centre := lo + (float64(i)+0.5)*scale
		first := max(0, int(centre-support+0.5))
		last := min(size, int(centre+support+0.5))
		sum := 0.0
		for x := first; x < last; x++ {
			v := k.at((float64(x) - centre + 0.5) * (1 / wide))
			w[x-first] = v
			sum += v
		}
		for x := range last - first {
			v := w[x]
			if sum != 0 {
				v /= sum
			}
			v *= 1 << weightBits
			t.weight[i*t.most+x] = int32(math.Trunc(v + math.Copysign(0.5, v)))
		}
		t.first[i], t.n[i] = first, last-first
	}
	return t
}

// tapsKey names weights that are used again and again: pictures of a set are often of one size.
type tapsKey struct {
	filter string
	size   int
	lo, hi float64
	out    int
}

// scaler brings pictures to a size. It keeps what it allocates: one goroutine a scaler.
type scaler struct {
	rows []uint8
	last [2]struct {
		key  tapsKey
		taps *taps
	}
}

var scalers = sync.Pool{New: func() any { return new(scaler) }}

// taps are the weights of an axis, 0 or 1.
func (s *scaler) taps(axis int, filter string, size int, lo, hi float64, out int) *taps {
	l, key := &s.last[axis], tapsKey{filter, size, lo, hi, out}
	if l.taps == nil || l.key != key {
		l.key, l.taps = key, makeTaps(kernels[filter], size, lo, hi, out)
	}
	return l.taps
}

// resize brings the part b of src to h×w, in dst, which has h·w·src.c bytes. A part that has that size and
// lies on whole pixels is copied.
func (s *scaler) resize(dst []uint8, h, w int, src bitmap, b box, filter string) {
	c := src.c
	across := b.x0 != math.Trunc(b.x0) || b.x1-b.x0 != float64(w)
	down := b.y0 != math.Trunc(b.y0) || b.y1-b.y0 != float64(h)
	top, bottom := int(b.y0), int(math.Ceil(b.y1)) // rows of src that are needed
	var v *taps
	if down {
		v = s.taps(1, filter, src.h, b.y0, b.y1, h)
		top, bottom = v.first[0], v.first[h-1]+v.n[h-1]
	}
	rows, stride, left := src.pix[top*src.w*c:bottom*src.w*c], src.w*c, int(b.x0)*c
	if across {
		t := s.taps(0, filter, src.w, b.x0, b.x1, w)
		to := dst
		if down {
			if need := (bottom - top) * w * c; cap(s.rows) < need {
				s.rows = make([]uint8, need)
			}
			to = s.rows[:(bottom-top)*w*c]
		}
		for y := range bottom - top {
			scaleRow(to[y*w*c:(y+1)*w*c], rows[y*stride:(y+1)*stride], t, c)
		}
		rows, stride, left = to, w*c, 0
	}
	if down {
		for y := range h {
			at := (v.first[y] - top) * stride
			mixRows(dst[y*w*c:(y+1)*w*c], rows[at+left:], stride, v.weight[y*v.most:y*v.most+v.n[y]])
		}
		return
	}
	if !across {
		for y := range h {
			copy(dst[y*w*c:(y+1)*w*c], rows[y*stride+left:])
		}
	}
}

// Scale brings a whole picture src of h×w pixels and c = 1 or 3 channels, channels last, to toH×toW in dst, as Pillow's resize with the
// filter does, bit for bit.
func Scale(dst []uint8, toH, toW int, src []uint8, h, w, c int, filter string) {
	s := scalers.Get().(*scaler)
	defer scalers.Put(s)
	s.resize(dst, toH, toW, bitmap{h, w, c, src}, box{0, 0, float64(w), float64(h)}, filter)
}

const half = 1 << (weightBits - 1)

func clamp8(v int32) uint8 { return uint8(min(255, max(0, v>>weightBits))) }

// scaleRow makes a row of new pixels of one of old ones.
func scaleRow(dst, src []uint8, t *taps, c int) {
	for i, n := range t.n {
		weight := t.weight[i*t.most : i*t.most+n]
		if c == 1 {
			sum := int32(half)
			from := src[t.first[i]:][:len(weight)]
			for k, w := range weight {
				sum += int32(from[k]) * w
			}
			dst[i] = clamp8(sum)
			continue
		}
		r, g, b := int32(half), int32(half), int32(half)
		from := src[3*t.first[i]:][:3*len(weight)]
		for _, w := range weight {
			r += int32(from[0]) * w
			g += int32(from[1]) * w
			b += int32(from[2]) * w
			from = from[3:]
		}
		dst[3*i], dst[3*i+1], dst[3*i+2] = clamp8(r), clamp8(g), clamp8(b)
	}
}

// mixRows makes a new row of len(weight) old ones, which are stride apart.
func mixRows(dst, src []uint8, stride int, weight []int32) {
	var sums [64]int32 // pieces of a row, so that the sums stay in the innermost cache
	for at := 0; at < len(dst); at += len(sums) {
		part := sums[:min(len(sums), len(dst)-at)]
		for k := range part {
			part[k] = half
		}
		for j, w := range weight {
			from := src[j*stride+at:][:len(part)]
			for k, v := range from {
				part[k] += int32(v) * w
			}
		}
		for k, v := range part {
			dst[at+k] = clamp8(v)
		}
	}
}
