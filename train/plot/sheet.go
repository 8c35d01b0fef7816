package plot

import (
	"fmt"
	"image/color"
	"io"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

// writeSheet writes a white figure of a width and height in inches: pixels in a .png file, lines and letters in an .svg file.
// (Letters are set in Liberation Sans, or what a viewer has of its widths, such as Arial.)
func writeSheet(path string, w, h float64, draws func(c draw.Canvas)) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".png":
		img, c := canvas(w, h)
		draws(c)
		return WritePNG(path, pixels(img))
	case ".svg":
	default:
		return fmt.Errorf("%s: unknown kind of picture %q: want .png or .svg", path, ext)
	}
	svg := vgsvg.New(vg.Length(w)*vg.Inch, vg.Length(h)*vg.Inch)
	c := draw.New(svg)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	draws(c)
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := svg.WriteTo(w)
		return err
	})
}
