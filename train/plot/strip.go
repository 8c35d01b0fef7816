package plot

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
)

// StripOptions say how a strip is shown.
type StripOptions struct {
	Title  string
	Scale  int      // as in GridOptions
	Labels []string // a name for each column
}

const (
	stripGap   = 2  // pixels between images
	stripTitle = 40 // pixels of the line with the title
	stripNames = 30 // pixels of the line with the columns' names
	stripSide  = 8  // pixels left and right, that names may reach into
)

// Strip shows how images of shape (H,W,C) change: a column of rows images, one after another, for each moment;
// an empty column is left empty.
func Strip(columns [][]float32, shape []int, rows int, opt StripOptions) image.Image {
	size := shape[0] * shape[1] * shape[2]
	if len(columns) == 0 || len(opt.Labels) != len(columns) {
		panic(fmt.Sprintf("plot.Strip: %d columns with %d names", len(columns), len(opt.Labels)))
	}
	x := make([]float32, 0, rows*len(columns)*size)
	blank := make([]float32, size)
	for i := range rows {
		for _, c := range columns {
			switch len(c) {
			case 0:
				x = append(x, blank...)
			case rows * size:
				x = append(x, c[i*size:(i+1)*size]...)
			default:
				panic(fmt.Sprintf("plot.Strip: %d numbers are not %d images of shape %v", len(c), rows, shape))
			}
		}
	}
	grid := Grid(x, shape, GridOptions{Columns: len(columns), Scale: opt.Scale, Gap: stripGap})
	cell := (grid.Rect.Dx() - stripGap) / len(columns)
	for k, c := range columns {
		if len(c) == 0 {
			fill(grid, image.Rect(k*cell, 0, (k+1)*cell+stripGap, grid.Rect.Dy()), gapColor)
		}
	}
	top := stripTop(opt)
	const inch = 1. / dpi
	width := grid.Rect.Dx() + 2*stripSide
	canvas, c := canvas(float64(width)*inch, float64(top)*inch)
	points := func(px float64) vg.Length { return vg.Length(px*inch) * vg.Inch }
	if opt.Title != "" {
		c.FillText(textStyle(11, ink), vg.Point{X: points(stripSide), Y: points(float64(top) - stripTitle + 12)}, opt.Title)
	}
	name := textStyle(9, muted)
	name.XAlign = vgdraw.XCenter
	for k, s := range opt.Labels {
		c.FillText(name, vg.Point{X: points(stripSide + stripGap/2 + (float64(k)+0.5)*float64(cell)), Y: points(9)}, s)
	}
	out := image.NewRGBA(image.Rect(0, 0, width, top+grid.Rect.Dy()))
	fill(out, out.Rect, color.RGBA{0xff, 0xff, 0xff, 0xff})
	draw.Draw(out, image.Rect(0, 0, out.Rect.Dx(), top), pixels(canvas), image.Point{}, draw.Over)
	draw.Draw(out, grid.Rect.Add(image.Pt(stripSide, top)), grid, image.Point{}, draw.Src)
	return out
}

// stripTop is the height in pixels of what stands above the images.
func stripTop(opt StripOptions) int {
	if opt.Title != "" {
		return stripTitle + stripNames
	}
	return stripNames
}
