package figure

import (
	"fmt"
	"math"
	"path/filepath"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
)

// Compared writes the picture of a comparison to a .png or .svg file: the quality of samples against the evaluations and, where it was
// measured, against the latency, a curve a model, of each the best solver, and the front of what no other is better than at less cost.
func Compared(path string, rows []train.Compared) error {
	if len(rows) == 0 {
		return fmt.Errorf("%s: there are no measurements to draw", path)
	}
	_, held, name := rows[0].Headline()
	var byCalls, byTime []plot.Series
	at := map[string]int{}
	timed := false
	for _, r := range rows {
		if !r.Best {
			continue
		}
		i, ok := at[r.Run]
		if !ok {
			i = len(byCalls)
			at[r.Run] = i
			byCalls, byTime = append(byCalls, plot.Series{Name: Called(r)}), append(byTime, plot.Series{Name: Called(r)})
		}
		y, _, _ := r.Headline()
		byCalls[i].X, byCalls[i].Y = append(byCalls[i].X, float64(r.Evaluations)), append(byCalls[i].Y, y)
		if r.Latency != nil {
			timed = true
			byTime[i].X, byTime[i].Y = append(byTime[i].X, r.Latency.Median), append(byTime[i].Y, y)
		}
	}
	o := plot.CurveOptions{YLabel: name, Log: true, LogX: true, Points: true, Front: true, ReferenceName: "held-out data"}
	if !math.IsNaN(held) {
		o.Reference = &held
	}
	o.XLabel = "evaluations a sample"
	panels := []plot.CurvePanel{{Series: byCalls, CurveOptions: o}}
	if timed {
		o.XLabel = "median latency, ms"
		panels = append(panels, plot.CurvePanel{Series: byTime, CurveOptions: o})
	}
	return plot.WritePanels(path, "", panels)
}

// Called is what a model is called in tables and pictures: its folder, and how it was made.
func Called(r train.Compared) string {
	base := filepath.Base(r.Run)
	if parent := filepath.Base(filepath.Dir(r.Run)); r.Method == "progressive" && parent != "." && parent != "runs" { // runs/NAME/steps-1
		base = parent + "/" + base
	}
	if base == r.Method {
		return base
	}
	return base + " (" + r.Method + ")"
}
