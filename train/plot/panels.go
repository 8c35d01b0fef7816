package plot

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// CurvePanel is one of several curve plots in a picture, of the same series in the same colours.
type CurvePanel struct {
	Series []Series
	CurveOptions
}

// WritePanels writes curve plots side by side, with one list of what the series are called, to a .png or .svg file.
func WritePanels(path string, title string, panels []CurvePanel) error {
	var plots []drawer
	var entries []Entry
	for _, p := range panels {
		plot, names, err := curves(p.Series, p.CurveOptions)
		if err != nil {
			return err
		}
		plots = append(plots, plot)
		for _, e := range names {
			known := false
			for _, have := range entries {
				known = known || have.Name == e.Name
			}
			if !known {
				entries = append(entries, e)
			}
		}
	}
	w, h := 4.2*float64(len(panels))+listWidth, 3.8
	return writeSheet(path, w, h, func(c draw.Canvas) {
		c = listed(c, title, entries)
		width := (c.Max.X - c.Min.X) / vg.Length(len(plots))
		for i, p := range plots {
			left := vg.Length(i) * width
			p.Draw(draw.Crop(c, left, left+width-(c.Max.X-c.Min.X)-8, 0, 0))
		}
	})
}

// drawer is a plot.
type drawer interface{ Draw(draw.Canvas) }
