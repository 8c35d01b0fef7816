package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
	"github.com/langevin-go/langevin/train/record"
)

// series is a metric over the steps.
func (r *Report) series(name, key string) plot.Series {
	s := plot.Series{Name: name}
	for i := range r.records {
		if v, ok := r.records[i].Get(key); ok {
			s.X, s.Y = append(s.X, float64(r.records[i].Step)), append(s.Y, v)
		}
	}
	return s
}

// curves draws what the metrics have.
func (r *Report) curves() {
	add := func(c chart, lines ...plot.Series) {
		for _, s := range lines {
			if len(s.X) > 0 {
				c.Lines = append(c.Lines, s)
			}
		}
		c.XLabel, c.Smooth = "training step", !c.Exact
		if len(c.Lines) > 0 && c.draw().SVG != "" {
			r.Training = append(r.Training, &c)
		}
	}
	loss, valid := r.series("training", "train/loss"), r.series("held-out", "valid/loss")
	add(chart{Title: "Loss", Log: positive(loss) && positive(valid)}, loss, valid)
	grad := chart{Title: "Gradient norm", Log: true, Note: "before clipping"}
	if c := r.exp.Optim.Clip; c > 0 {
		grad.Reference, grad.RefName = &c, fmt.Sprintf("clipped at %g", c)
	}
	add(grad, r.series("all parameters", "train/grad_norm"))
	add(chart{Title: "Update ratio", Log: true, Note: "length of a step over the norm of the weights"}, r.series("‖Δw‖ / ‖w‖", "train/update_ratio"))
	add(chart{Title: "Learning rate", Exact: true}, r.series("learning rate", "train/lr"))
	add(chart{Title: "Throughput", Note: "steps a second, wall clock"}, r.series("steps/s", record.WallPrefix+"steps_per_s"))
	add(chart{Title: "Memory of a step", Note: "MiB on the device"}, r.series("held", record.WallPrefix+"memory_mib"), r.series("live at most", record.WallPrefix+"memory_peak_mib"))
	r.levels()
}

func positive(s plot.Series) bool {
	for _, v := range s.Y {
		if v <= 0 {
			return false
		}
	}
	return true
}

// levels draws the loss by noise level in quarters of the training, early to late.
func (r *Report) levels() {
	const parts = 4
	for _, kind := range []struct{ prefix, label string }{{train.LossByNoise, "ln(σ/α): noise level, data to noise"}, {train.LossByTime, "time, data to noise"}} {
		c := chart{Title: "Loss by noise level", XLabel: kind.label, Dots: true, Shades: true, Log: true}
		for q := range parts {
			from, to := len(r.records)*q/parts, len(r.records)*(q+1)/parts
			if from == to {
				continue
			}
			var places []float64
			sum, n := map[float64]float64{}, map[float64]float64{}
			for _, rec := range r.records[from:to] {
				for _, v := range rec.Values {
					name, ok := strings.CutPrefix(v.Key, kind.prefix)
					at, err := strconv.ParseFloat(name, 64)
					if !ok || err != nil || v.V-v.V != 0 {
						continue
					}
					sum[at], n[at] = sum[at]+v.V, n[at]+1
					c.Log = c.Log && v.V > 0
				}
			}
			for k := -45; k <= 95; k++ { // all middles of parts there are, in order
				at := float64(k) / 10
				if kind.prefix == train.LossByTime {
					at = float64(k) / 100
				}
				if n[at] > 0 {
					places = append(places, at)
				}
			}
			s := plot.Series{Name: fmt.Sprintf("steps %s–%s", group(r.records[from].Step), group(r.records[to-1].Step))}
			for _, at := range places {
				s.X, s.Y = append(s.X, at), append(s.Y, sum[at]/n[at])
			}
			if len(s.X) > 0 {
				c.Lines = append(c.Lines, s)
			}
		}
		if len(c.Lines) > 0 {
			r.Levels = c.draw()
			return
		}
	}
}
