package report

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/langevin-go/langevin/train/figure"
	"github.com/langevin-go/langevin/train/plot"
)

// measured is a line that eval has written.
type measured struct{ figure.Measurement }

// compared reports whether it is one of eval --compare.
func (m *measured) compared() bool { _, ok := m.Number("nfe"); return ok }

// Best reports whether no other solver of its model does better with as many evaluations.
func (m *measured) Best() bool { v, _ := m.Text("best"); return v == "true" }

// called is what it measures.
func (m *measured) called() string {
	run, _ := m.Text("run")
	name := filepath.Base(run)
	if method, ok := m.Text("method"); ok && method != name {
		name += " (" + method + ")"
	}
	return name
}

// headline is the figure that models are compared by.
func (m *measured) headline() (name string, v float64, held string, ok bool) {
	for _, h := range [][2]string{{"w2", "2-Wasserstein distance"}, {"frechet", "Fréchet distance"}} {
		if v, ok := m.Number(h[0]); ok {
			if x, ok := m.Number(h[0] + "_heldout"); ok {
				held = short(x)
			}
			return h[1], v, held, true
		}
	}
	return "", 0, "", false
}

// table is one of numbers, whose first columns are words.
type table struct {
	Head  []string
	Words int
	Rows  [][]string
}

// readFigures reads measurements: those of the files, or of the usual one if it is there.
func (r *Report) readFigures(files []string, usual string) error {
	if len(files) == 0 {
		if _, err := os.Stat(usual); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files = []string{usual}
	}
	for _, f := range files {
		lines, err := figure.ReadMeasurements(f)
		if err != nil {
			return err
		}
		for _, l := range lines {
			r.measurements = append(r.measurements, measured{l})
		}
	}
	return nil
}

// column is one of a table: the key of a figure, and its name.
type column struct{ key, name string }

// figureColumns are those that measurements may have.
var figureColumns = []column{{"w2", "W2"}, {"frechet", "Fréchet"}, {"class_accuracy", "accuracy"}, {"precision", "precision"}, {"recall", "recall"}, {"density", "density"},
	{"nll", "−ln p"}, {"rare_mass", "rarest mode"}, {"teacher_distance", "to teacher"}, {"latency_ms.median", "median ms"}, {"latency_ms.p99", "p99 ms"}}

// quality makes tables and charts of what was measured.
func (r *Report) quality() {
	var compared, single []*measured
	for i := range r.measurements {
		switch m := &r.measurements[i]; {
		case !m.compared():
			single = append(single, m)
		case m.Best():
			compared = append(compared, m)
		}
	}
	r.Compared = tableOf(compared)
	r.Measured = tableOf(single)
	if len(compared) == 0 {
		return
	}
	for _, by := range []struct{ key, name, short string }{{"evaluations", "evaluations of the model a sample", "evaluations"}, {"latency_ms.median", "median latency of a request, ms", "latency"}} {
		name, _, held, _ := compared[0].headline()
		c := chart{XLabel: by.name, Log: true, LogX: true, Dots: true, Title: name + " by " + by.short, Note: "lower is better"}
		at := map[string]int{}
		for _, m := range compared {
			_, y, _, ok := m.headline()
			x, okX := m.Number(by.key)
			if !ok || !okX {
				continue
			}
			i, known := at[m.called()]
			if !known {
				i = len(c.Lines)
				at[m.called()] = i
				c.Lines = append(c.Lines, plot.Series{Name: m.called()})
			}
			c.Lines[i].X, c.Lines[i].Y = append(c.Lines[i].X, x), append(c.Lines[i].Y, y)
		}
		for i := range c.Lines {
			sortByX(&c.Lines[i])
		}
		if v, ok := heldOf(compared[0]); ok && held != "" {
			c.Reference, c.RefName = &v, "held-out data"
		}
		if len(c.Lines) > 0 && c.draw().SVG != "" {
			r.Quality = append(r.Quality, &c)
		}
	}
}

func heldOf(m *measured) (float64, bool) {
	for _, k := range []string{"w2_heldout", "frechet_heldout"} {
		if v, ok := m.Number(k); ok && v > 0 {
			return v, true
		}
	}
	return 0, false
}

func sortByX(s *plot.Series) {
	order := make([]int, len(s.X))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case s.X[a] < s.X[b]:
			return -1
		case s.X[a] > s.X[b]:
			return 1
		}
		return 0
	})
	x, y := make([]float64, len(order)), make([]float64, len(order))
	for i, k := range order {
		x[i], y[i] = s.X[k], s.Y[k]
	}
	s.X, s.Y = x, y
}

// tableOf has a row for each measurement and the columns that some of them have; the figures of held-out data close it.
func tableOf(of []*measured) (t table) {
	if len(of) == 0 {
		return t
	}
	t.Head, t.Words = []string{"model", "sampler", "steps", "evaluations", "guidance"}, 2
	var shown []column
	for _, c := range figureColumns {
		for _, m := range of {
			if _, ok := m.Number(c.key); ok {
				shown = append(shown, c)
				t.Head = append(t.Head, c.name)
				break
			}
		}
	}
	number := func(m *measured, key string) string {
		v, ok := m.Number(key)
		if !ok {
			return "–"
		}
		if v == math.Trunc(v) && math.Abs(v) < 1e9 {
			return group(int64(v))
		}
		return short(v)
	}
	for _, m := range of {
		sampler, ok := m.Text("sampler")
		if !ok {
			sampler = "–"
		}
		row := []string{m.called(), sampler, number(m, "steps"), number(m, "evaluations"), number(m, "guidance")}
		for _, c := range shown {
			if v, ok := m.Number(c.key); ok {
				row = append(row, short4(v))
			} else {
				row = append(row, "–")
			}
		}
		t.Rows = append(t.Rows, row)
	}
	held, some := []string{"held-out data", "", "", "", ""}, false
	for _, c := range shown {
		if v, ok := of[0].Number(c.key + "_heldout"); ok {
			held, some = append(held, short4(v)), true
		} else {
			held = append(held, "")
		}
	}
	if some {
		t.Rows = append(t.Rows, held)
	}
	return t
}

// short4 has as many decimals for all numbers of a column's kind, so that they align.
func short4(v float64) string {
	s := fmt.Sprintf("%.4f", math.Abs(v))
	if v < 0 {
		return "−" + s
	}
	return s
}

// rare is what measurements say of rare modes.
func (r *Report) rare() (out []string) {
	for i := range r.measurements {
		m := &r.measurements[i]
		if m.compared() && !m.Best() {
			continue
		}
		how := ""
		if n, ok := m.Number("evaluations"); ok {
			how = fmt.Sprintf(" with %g evaluations", n)
		}
		if v, ok := m.Number("rare_mass"); ok {
			d, _ := m.Number("rare_mass_data")
			out = append(out, fmt.Sprintf("%s%s: the rarest mode has %.4f of the samples, %.4f of the data.", m.called(), how, v, d))
		} else if v, ok := m.Number("recall"); ok {
			held := ""
			if h, ok := m.Number("recall_heldout"); ok {
				held = fmt.Sprintf(" (held-out data %.3f)", h)
			}
			out = append(out, fmt.Sprintf("%s%s: recall %.3f%s. It is a mean over the data and does not see single rare modes.", m.called(), how, v, held))
		}
	}
	if len(out) > 6 {
		out = append(out[:6], "More in the table of measurements.")
	}
	return out
}

// headlines are the quality of samples that was measured.
func (r *Report) headlines() (out []string) {
	for i := range r.measurements {
		m := &r.measurements[i]
		if name, v, held, ok := m.headline(); ok && !m.compared() {
			s := fmt.Sprintf("%s: %s %s", m.called(), name, short(v))
			if held != "" {
				s += ", of held-out data " + held
			}
			out = append(out, s+".")
		}
	}
	if len(out) == 0 && len(r.Compared.Rows) > 0 {
		out = append(out, "See the table of measurements.")
	}
	return out
}
