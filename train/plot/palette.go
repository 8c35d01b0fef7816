package plot

import (
	"image"
	"image/color"
	"math"
	"slices"
)

// Compact is a picture with a palette of at most 256 colours, which takes a fraction of the space: exactly
// the picture if it has no more, else as near as these colours come.
func Compact(m image.Image) *image.Paletted {
	pixels, count := opaque(m), map[rgb]int{}
	for _, c := range pixels {
		count[c]++
	}
	colors, index := reduce(count, 256)
	out := image.NewPaletted(image.Rectangle{Max: m.Bounds().Size()}, nil)
	for _, c := range colors {
		out.Palette = append(out.Palette, color.RGBA{c[0], c[1], c[2], 0xff})
	}
	for i, c := range pixels {
		out.Pix[i] = uint8(index[c])
	}
	return out
}

// rgb is an opaque colour.
type rgb [3]uint8

// opaque gives the colours of a picture on white, row by row.
func opaque(m image.Image) []rgb {
	b := m.Bounds()
	out := make([]rgb, 0, b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, a := m.At(x, y).RGBA()
			white := 0xffff - a
			out = append(out, rgb{uint8((r + white) >> 8), uint8((g + white) >> 8), uint8((bl + white) >> 8)})
		}
	}
	return out
}

// set is a set of colours with one that stands for all.
type set struct {
	colors []rgb
	mean   [3]float64
	axis   int     // the channel with most of the error
	error  float64 // in it: the sum of squares, over pixels
}

func newSet(colors []rgb, count map[rgb]int) set {
	s := set{colors: colors}
	var sum, square [3]float64
	total := 0.0
	for _, c := range colors {
		n := float64(count[c])
		total += n
		for k, v := range c {
			sum[k] += n * float64(v)
			square[k] += n * float64(v) * float64(v)
		}
	}
	for k := range sum {
		s.mean[k] = sum[k] / total
		if e := square[k] - sum[k]*s.mean[k]; len(colors) > 1 && e > s.error {
			s.axis, s.error = k, e
		}
	}
	return s
}

// reduce brings colours, each seen so many times, to at most n, and says which of them stands for each. The
// set of colours with the largest error is cut at its mean, across the channel with most of the error, until there
// are n (Wan, Wong and Prusinkiewicz 1988 cut likewise by variance). Where there are no more than n, each stands for itself.
func reduce(count map[rgb]int, n int) (colors []rgb, index map[rgb]int) {
	all := make([]rgb, 0, len(count))
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b rgb) int { return slices.Compare(a[:], b[:]) }) // so that maps' order has no part in it
	sets := []set{newSet(all, count)}
	for len(sets) < min(n, len(all)) {
		worst := 0
		for i := range sets {
			if sets[i].error > sets[worst].error {
				worst = i
			}
		}
		s := sets[worst]
		if s.error <= 0 {
			break
		}
		var low, high []rgb
		for _, c := range s.colors {
			if float64(c[s.axis]) <= s.mean[s.axis] {
				low = append(low, c)
			} else {
				high = append(high, c)
			}
		}
		sets[worst] = newSet(low, count)
		sets = append(sets, newSet(high, count))
	}
	index = make(map[rgb]int, len(all))
	for i, s := range sets {
		for _, c := range s.colors {
			index[c] = i
		}
		colors = append(colors, rgb{})
		for k, v := range s.mean {
			colors[i][k] = uint8(math.Round(v))
		}
	}
	return colors, index
}
