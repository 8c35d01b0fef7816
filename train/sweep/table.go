package sweep

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/langevin-go/langevin/train/config"
)

// Row is a setting with what came of it over the seeds.
type Row struct {
	Settings Point
	Runs     []Result // a seed each
	Diverged int      // of them
	Figures  map[string]Spread
}

// Spread is a figure of several runs.
type Spread struct {
	Mean   float64
	SD     float64   // standard deviation of a single run, of n−1 degrees of freedom; NaN of a single one
	Values []float64 // of the runs that have the figure, by seed
}

// spread is the mean and standard deviation of values, of which there is at least one.
func spread(values []float64) Spread {
	s := Spread{SD: math.NaN(), Values: values}
	for _, v := range values {
		s.Mean += v / float64(len(values))
	}
	if n := len(values); n > 1 {
		sum := 0.0
		for _, v := range values {
			sum += (v - s.Mean) * (v - s.Mean)
		}
		s.SD = math.Sqrt(sum / float64(n-1))
	}
	return s
}

// Table sums results up: a row for each setting.
type Table struct {
	Keys    []string // that vary
	Figures []string // the columns
	Rows    []Row
}

// Table sums up the results of a job.
func (p *Plan) Table(results []Result) *Table {
	t := &Table{Figures: p.Figures}
	for _, s := range p.Points[0] {
		t.Keys = append(t.Keys, s.Key)
	}
	have := make(map[string]bool)
	for i, point := range p.Points {
		row := Row{Settings: point, Figures: make(map[string]Spread)}
		values := make(map[string][]float64)
		for k := i; k < len(results); k += len(p.Points) {
			r := results[k]
			row.Runs = append(row.Runs, r)
			if r.Diverged != "" {
				row.Diverged++
			}
			for name, v := range r.Figures {
				values[name] = append(values[name], v)
				have[name] = true
			}
		}
		for name, v := range values {
			row.Figures[name] = spread(v)
		}
		t.Rows = append(t.Rows, row)
	}
	var all []string
	for _, name := range slices.Concat(recorded, measured) {
		if have[name] {
			all = append(all, name)
		}
	}
	if len(t.Figures) == 0 {
		t.Figures = all
	}
	return t
}

// plain is a value as tables show it.
func plain(v config.Value) string {
	if s, err := strconv.Unquote(string(v)); err == nil {
		return s
	}
	return string(v)
}

// Text writes the table for people: figures as mean ± standard deviation.
func (t *Table) Text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	diverged := slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Diverged > 0 })
	head := append(slices.Clone(t.Keys), "runs")
	if diverged {
		head = append(head, "diverged")
	}
	fmt.Fprintln(tw, strings.Join(append(head, t.Figures...), "\t"))
	for _, r := range t.Rows {
		var line []string
		for _, s := range r.Settings {
			line = append(line, plain(s.Value))
		}
		line = append(line, fmt.Sprint(len(r.Runs)))
		if diverged {
			line = append(line, fmt.Sprint(r.Diverged))
		}
		for _, name := range t.Figures {
			cell := "–"
			if f, ok := r.Figures[name]; ok {
				if cell = fmt.Sprintf("%.4g", f.Mean); len(f.Values) > 1 {
					cell += fmt.Sprintf(" ± %.2g", f.SD)
				}
			}
			line = append(line, cell)
		}
		fmt.Fprintln(tw, strings.Join(line, "\t"))
	}
	return tw.Flush()
}

// CSV writes the table for programs: of each figure mean and standard deviation, empty where there is none.
func (t *Table) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	head := append(slices.Clone(t.Keys), "runs", "diverged")
	for _, name := range t.Figures {
		head = append(head, name, name+" sd")
	}
	if err := c.Write(head); err != nil {
		return err
	}
	number := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	for _, r := range t.Rows {
		var line []string
		for _, s := range r.Settings {
			line = append(line, plain(s.Value))
		}
		line = append(line, fmt.Sprint(len(r.Runs)), fmt.Sprint(r.Diverged))
		for _, name := range t.Figures {
			f, ok := r.Figures[name]
			if !ok {
				f = Spread{Mean: math.NaN(), SD: math.NaN()}
			}
			line = append(line, number(f.Mean), number(f.SD))
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// JSON writes a line for each setting: its values, its runs and its figures.
func (t *Table) JSON(w io.Writer) error {
	type figure struct {
		Mean   *float64  `json:"mean"`
		SD     *float64  `json:"sd"` // null of a single run
		Values []float64 `json:"values"`
	}
	type run struct {
		Run      string             `json:"run"`
		Seed     uint64             `json:"seed"`
		Step     int64              `json:"step"`
		Diverged string             `json:"diverged,omitempty"`
		Figures  map[string]float64 `json:"figures"`
	}
	orNull := func(v float64) *float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	enc := json.NewEncoder(w)
	for _, r := range t.Rows {
		line := struct {
			Settings map[string]string `json:"settings"`
			Runs     []run             `json:"runs"`
			Figures  map[string]figure `json:"figures"`
		}{make(map[string]string), nil, make(map[string]figure)}
		for _, s := range r.Settings {
			line.Settings[s.Key] = plain(s.Value)
		}
		for _, x := range r.Runs {
			figures := make(map[string]float64)
			for name, v := range x.Figures {
				if orNull(v) != nil {
					figures[name] = v
				}
			}
			line.Runs = append(line.Runs, run{x.Dir, x.Seed, x.Step, x.Diverged, figures})
		}
		for _, name := range t.Figures {
			f, ok := r.Figures[name]
			if ok && !slices.ContainsFunc(f.Values, func(v float64) bool { return orNull(v) == nil }) {
				line.Figures[name] = figure{orNull(f.Mean), orNull(f.SD), f.Values}
			}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
