package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/figure"
	"github.com/langevin-go/langevin/train/metrics"
)

// compareFlags are the flags of eval --compare.
type compareFlags struct {
	on  bool
	o   train.CompareOptions
	out string
}

// compared are the names of flags that belong to --compare.
var compared = []string{"nfe", "solvers", "teacher", "teacher-steps", "requests", "request", "out"}

// measured are the names of flags that say by what samples are measured.
var measured = []string{"metrics", "features", "reference", "save-reference"}

func (f *compareFlags) add(fl *pflag.FlagSet) {
	fl.BoolVar(&f.on, "compare", false, "compare runs of the same data by the number of evaluations a sample")
	fl.IntSliceVar(&f.o.Evaluations, "nfe", []int{1, 2, 4, 8, 16, 32, 64}, "of --compare: the most evaluations that a sample may take, rising")
	fl.StringSliceVar(&f.o.Solvers, "solvers", []string{"ddim", "dpm_multistep", "unipc", "deis", "heun"}, "of --compare: samplers of runs that are no students, of which the best counts; empty: their own")
	fl.StringVar(&f.o.Teacher, "teacher", "", "of --compare: run whose samples from the same starts the others' are compared with (default: that of the students)")
	fl.IntVar(&f.o.Steps, "teacher-steps", 64, "of --compare: steps of Heun's method in which it samples")
	fl.IntVar(&f.o.Requests, "requests", 100, "of --compare: requests whose latency is measured; 0: none")
	fl.IntVar(&f.o.Request, "request", 1, "of --compare: samples a request")
	fl.StringVar(&f.out, "out", "", "of --compare: picture to write, .png or .svg")
}

// check refuses flags that do not go together.
func (f *compareFlags) check(changed func(string) bool, args []string) error {
	if !f.on {
		for _, name := range compared {
			if changed(name) {
				return usagef("--%s belongs to --compare", name)
			}
		}
		return nil
	}
	for _, name := range []string{"steps", "sampler", "samples", "likelihood"} {
		if changed(name) {
			return usagef("--compare and --%s exclude each other: every run is sampled as it was made to be", name)
		}
	}
	for _, name := range measured {
		if changed(name) {
			return usagef("--compare and --%s exclude each other: runs are compared by the usual metrics", name)
		}
	}
	for _, a := range args {
		if strings.Contains(a, "=") {
			return usagef("--compare takes runs alone, and %s is a setting", a)
		}
	}
	if ext := strings.ToLower(f.out); f.out != "" && !strings.HasSuffix(ext, ".png") && !strings.HasSuffix(ext, ".svg") {
		return usagef("--out must end in .png or .svg, is %s", f.out)
	}
	if err := f.o.Check(); err != nil {
		return usagef("%v", err)
	}
	if f.out != "" {
		return train.CheckPlace(f.out)
	}
	return nil
}

func (a *app) runCompare(ctx context.Context, runs []string, e train.EvalOptions, f compareFlags, asJSON bool) error {
	progress := newStages(a)
	f.o.N, f.o.Seed, f.o.Progress, f.o.Warn = e.N, e.Seed, progress.at, a.warn
	rows, left, err := train.Compare(ctx, runs, f.o)
	progress.finish()
	if err != nil {
		return a.stopped(err)
	}
	if len(rows) == 0 {
		return fmt.Errorf("nothing could be measured: %s by %s with %d evaluations: %s", left[0].Run, left[0].Sampler, left[0].Evaluations, left[0].Why)
	}
	if f.out != "" {
		if err := figure.Compared(f.out, rows); err != nil {
			return err
		}
	}
	if asJSON {
		enc := json.NewEncoder(a.Stdout)
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	return a.printCompared(rows, left)
}

// printCompared is a table, of each model the best solver at each number of evaluations.
func (a *app) printCompared(rows []train.Compared, left []train.Left) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	type column struct {
		name string
		of   func(r train.Compared) float64
		form string
	}
	figureOf := func(f func(r train.Compared) metrics.Figure) func(train.Compared) float64 {
		return func(r train.Compared) float64 { return float64(f(r)) }
	}
	columns := []column{{"W2", figureOf(func(r train.Compared) metrics.Figure { return r.Points.W2 }), "%.4f"}, {"-ln p", figureOf(func(r train.Compared) metrics.Figure { return r.NLL }), "%.3f"}, {"outside", figureOf(func(r train.Compared) metrics.Figure { return r.Outside }), "%.3f"},
		{"precision", figureOf(func(r train.Compared) metrics.Figure { return r.Points.Precision }), "%.3f"}, {"recall", figureOf(func(r train.Compared) metrics.Figure { return r.Points.Recall }), "%.3f"}}
	if rows[0].Images != nil {
		columns = []column{{"Fréchet", figureOf(func(r train.Compared) metrics.Figure { return r.Images.Frechet }), "%.3f"}, {"accuracy", figureOf(func(r train.Compared) metrics.Figure { return r.Images.ClassAccuracy }), "%.3f"},
			{"precision", figureOf(func(r train.Compared) metrics.Figure { return r.Images.Precision }), "%.3f"}, {"recall", figureOf(func(r train.Compared) metrics.Figure { return r.Images.Recall }), "%.3f"}}
	}
	columns = append(columns, column{"rare", figureOf(func(r train.Compared) metrics.Figure { return r.Rare }), "%.4f"},
		column{"coverage", figureOf(func(r train.Compared) metrics.Figure { return r.Coverage }), "%.3f"},
		column{"to teacher", figureOf(func(r train.Compared) metrics.Figure { return r.Distance }), "%.3f"})
	for _, ms := range []struct {
		name string
		of   func(l *train.Latency) float64
	}{{"median ms", func(l *train.Latency) float64 { return l.Median }}, {"p99", func(l *train.Latency) float64 { return l.P99 }}, {"max", func(l *train.Latency) float64 { return l.Max }}} {
		columns = append(columns, column{ms.name, func(r train.Compared) float64 {
			if r.Latency == nil {
				return math.NaN()
			}
			return ms.of(r.Latency)
		}, "%.2f"})
	}
	head, shown := "\tevaluations\tsampler\t", columns[:0:0]
	for _, c := range columns {
		for _, r := range rows { // those that say something of some model
			if !math.IsNaN(c.of(r)) {
				shown, head = append(shown, c), head+c.name+"\t"
				break
			}
		}
	}
	fmt.Fprintln(w, head)
	for _, r := range rows {
		if !r.Best {
			continue
		}
		line := fmt.Sprintf("%s\t%d\t%s\t", figure.Called(r), r.Evaluations, r.Sampler)
		for _, c := range shown {
			if v := c.of(r); math.IsNaN(v) {
				line += "–\t"
			} else {
				line += fmt.Sprintf(c.form, v) + "\t"
			}
		}
		fmt.Fprintln(w, line)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, held, name := rows[0].Headline()
	note := fmt.Sprintf("held-out data: %s %.4f", name, held)
	if r := rows[0]; !math.IsNaN(float64(r.NLLHeld)) {
		note += fmt.Sprintf(", -ln p %.3f", float64(r.NLLHeld))
	}
	if r := rows[0]; !math.IsNaN(float64(r.RareData)) {
		note += fmt.Sprintf("; the rarest mode is %.4f of the data", float64(r.RareData))
	}
	if _, err := fmt.Fprintln(a.Stdout, note); err != nil {
		return err
	}
	for _, l := range left {
		fmt.Fprintf(a.Stderr, "left out: %s by %s with %d evaluations: %s\n", l.Run, l.Sampler, l.Evaluations, l.Why)
	}
	return nil
}
