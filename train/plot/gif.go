package plot

import (
	"errors"
	"image"
	"image/color"
	"image/gif"
	"io"
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
