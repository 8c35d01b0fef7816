package plot

import (
	"cmp"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"io"
	"math"
	"slices"
	"time"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

// WriteGIF writes pictures of one size to path, one after another for delay each, the last for hold, and
// again from the first. Up to 255 colours are kept exactly; of more, those that lie closest are
// brought together. Only what changes from one picture to the next is stored.
func WriteGIF(path string, frames []image.Image, delay, hold time.Duration) error {
	if len(frames) == 0 {
		return errors.New("an animation needs a picture")
	}
	pixels := make([][]rgb, len(frames))
	count := map[rgb]int{}
	size := frames[0].Bounds().Size()
	for k, f := range frames {
		if f.Bounds().Size() != size {
			return errors.New("the pictures of an animation must be of one size")
		}
		pixels[k] = opaque(f)
		for _, c := range pixels[k] {
			count[c]++
		}
	}
	colors, index := reduce(count, 255)
	palette := color.Palette{color.RGBA{}} // 0: as in the picture before
	for _, c := range colors {
		palette = append(palette, color.RGBA{c[0], c[1], c[2], 0xff})
	}
	out := &gif.GIF{Config: image.Config{ColorModel: palette, Width: size.X, Height: size.Y}}
	hundredths := func(d time.Duration) int { return max(2, int(d/(10*time.Millisecond))) } // shorter ones are played slowly
	var before []rgb
	for k, p := range pixels {
		m := image.NewPaletted(changed(before, p, size), palette)
		for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
			for x := m.Rect.Min.X; x < m.Rect.Max.X; x++ {
				if at := y*size.X + x; before == nil || before[at] != p[at] {
					m.Pix[m.PixOffset(x, y)] = uint8(1 + index[p[at]])
				}
			}
		}
		out.Image, out.Delay, out.Disposal = append(out.Image, m), append(out.Delay, hundredths(delay)), append(out.Disposal, gif.DisposalNone)
		if k == len(pixels)-1 {
			out.Delay[k] = hundredths(hold)
		}
		before = p
	}
	return atomicfile.Write(path, func(w io.Writer) error { return gif.EncodeAll(w, out) })
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

// changed is the part of a picture that differs from the one before, at least a pixel; all of it without one before.
func changed(before, now []rgb, size image.Point) image.Rectangle {
	if before == nil {
		return image.Rectangle{Max: size}
	}
	r := image.Rectangle{}
	for i := range now {
		if now[i] != before[i] {
			at := image.Pt(i%size.X, i/size.X)
			r = r.Union(image.Rectangle{at, at.Add(image.Pt(1, 1))})
		}
	}
	if r.Empty() {
		r.Max = image.Pt(1, 1)
	}
	return r
}

// reduce brings colours, each seen so many times, to at most n, and says which of them stands for each: a
// median cut (Heckbert 1982) that halves the set whose widest channel is widest, until there are n.
// Where there are no more than n, each stands for itself.
func reduce(count map[rgb]int, n int) (colors []rgb, index map[rgb]int) {
	all := make([]rgb, 0, len(count))
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b rgb) int { return slices.Compare(a[:], b[:]) })
	sets := [][]rgb{all}
	if len(all) <= n {
		sets = nil
		for i := range all {
			sets = append(sets, all[i:i+1])
		}
	}
	for len(sets) < n {
		widest, axis, width := -1, 0, 0
		for i, s := range sets {
			if a, w := spread(s); w > width {
				widest, axis, width = i, a, w
			}
		}
		if widest < 0 { // every set is one colour
			break
		}
		s := sets[widest]
		slices.SortStableFunc(s, func(a, b rgb) int { return cmp.Compare(a[axis], b[axis]) })
		low, high := s[0][axis], s[len(s)-1][axis]
		cut, middle := 0, int(low)+(int(high)-int(low)+1)/2
		for cut < len(s) && int(s[cut][axis]) < middle {
			cut++
		}
		sets[widest] = s[:cut:cut]
		sets = append(sets, s[cut:])
	}
	index = make(map[rgb]int, len(all))
	for i, s := range sets {
		var sum [3]float64
		total := 0.0
		for _, c := range s {
			for k := range c {
				sum[k] += float64(c[k]) * float64(count[c])
			}
			total += float64(count[c])
			index[c] = i
		}
		colors = append(colors, rgb{})
		for k := range sum {
			colors[i][k] = uint8(math.Round(sum[k] / total))
		}
	}
	return colors, index
}

// spread is the channel in which a set of colours is widest, and how wide.
func spread(s []rgb) (axis, width int) {
	for k := range 3 {
		lo, hi := uint8(255), uint8(0)
		for _, c := range s {
			lo, hi = min(lo, c[k]), max(hi, c[k])
		}
		if w := int(hi) - int(lo); w > width {
			axis, width = k, w
		}
	}
	return axis, width
}
