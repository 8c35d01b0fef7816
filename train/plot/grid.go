// Package plot makes pictures, as PNG and GIF files: grids and strips of images, curves, and Figures, which are areas of
// the plane with layers: points, lines, vector fields, maps. A file is written whole or not at all.
package plot

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

// GridOptions say how images are laid out. The zero value chooses for itself.
type GridOptions struct {
	// Columns is the number of images in a row; 0: as many as make the grid about square.
	Columns int
	// Scale enlarges each pixel to a square of that many; 0: so that an image's
	// longer side has at least 48.
	Scale int
	// Gap is the distance of neighbouring images, and the border, in pixels; 0: 2. Negative: none.
	Gap int
}

// gapColor is quiet beside both black and white images.
var gapColor = color.RGBA{0x4a, 0x50, 0x58, 0xff}

// notANumber is the colour of pixels that are NaN, so that they cannot be overlooked.
var notANumber = color.RGBA{0xff, 0x00, 0xff, 0xff}

// Grid lays images out in rows. x has any number of images of shape (H,W,C), one
// after another, with C 1 or 3 and values from −1 (black) to 1; others are clamped.
// The last row may be incomplete. A wrong shape or size panics.
func Grid(x []float32, shape []int, opt GridOptions) *image.RGBA {
	if len(shape) != 3 || shape[0] < 1 || shape[1] < 1 || shape[2] != 1 && shape[2] != 3 {
		panic(fmt.Sprintf("plot.Grid: images of shape %v, want (H,W,1) or (H,W,3)", shape))
	}
	h, w, c := shape[0], shape[1], shape[2]
	n := len(x) / (h * w * c)
	if n == 0 || n*h*w*c != len(x) {
		panic(fmt.Sprintf("plot.Grid: %d elements are no whole number of images of shape %v", len(x), shape))
	}
	columns, scale, gap := opt.Columns, opt.Scale, opt.Gap
	if columns <= 0 {
		for columns = 1; columns*columns < n; columns++ {
		}
	}
	columns = min(columns, n)
	if scale <= 0 {
		scale = max(1, (48+max(h, w)-1)/max(h, w))
	}
	switch {
	case gap == 0:
		gap = 2
	case gap < 0:
		gap = 0
	}
	rows := (n + columns - 1) / columns
	cellW, cellH := w*scale+gap, h*scale+gap
	out := image.NewRGBA(image.Rect(0, 0, columns*cellW+gap, rows*cellH+gap))
	fill(out, out.Bounds(), gapColor)
	for i := range n {
		x0, y0 := gap+i%columns*cellW, gap+i/columns*cellH
		for p := range h * w {
			at := (i*h*w + p) * c
			px, py := x0+p%w*scale, y0+p/w*scale
			fill(out, image.Rect(px, py, px+scale, py+scale), pixel(x[at:at+c]))
		}
	}
	return out
}

// WriteGrid writes [Grid] to path.
func WriteGrid(path string, x []float32, shape []int, opt GridOptions) error {
	return WritePNG(path, Grid(x, shape, opt))
}

// pixel is the colour of 1 (grey) or 3 values in [−1,1].
func pixel(v []float32) color.RGBA {
	var b [3]uint8
	for k := range b {
		f := v[min(k, len(v)-1)]
		if f != f {
			return notANumber
		}
		b[k] = uint8((min(max(f, -1), 1)+1)*127.5 + 0.5)
	}
	return color.RGBA{b[0], b[1], b[2], 0xff}
}

func fill(m *image.RGBA, r image.Rectangle, c color.RGBA) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			m.SetRGBA(x, y, c)
		}
	}
}

// WritePNG writes a picture to path.
func WritePNG(path string, m image.Image) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		return (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(w, m)
	})
}
