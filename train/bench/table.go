package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// column is a column of a table of R: numbers stand right, text left.
type column[R any] struct {
	title string
	width int // at least; tables are written row by row
	left  bool
	cell  func(*R) string
}

// page is where tables go: aligned for people, or Markdown.
type page struct {
	w        io.Writer
	markdown bool
}

// head writes the titles of columns, line a row of cells.
func head[R any](p *page, cols []column[R]) error {
	if err := line(p, cols, func(c *column[R]) string { return c.title }); err != nil || !p.markdown {
		return err
	}
	rule := "|"
	for i := range cols {
		if rule += "---:|"; cols[i].left {
			rule = strings.TrimSuffix(rule, ":|") + "|"
		}
	}
	_, err := fmt.Fprintln(p.w, rule)
	return err
}

func line[R any](p *page, cols []column[R], cell func(*column[R]) string) error {
	var b strings.Builder
	for i := range cols {
		c := &cols[i]
		text := cell(c)
		if p.markdown {
			b.WriteString("| " + text + " ")
			continue
		}
		pad := strings.Repeat(" ", max(0, c.width-utf8.RuneCountInString(text)))
		if i > 0 {
			b.WriteString("  ")
		}
		if c.left {
			b.WriteString(text + pad)
		} else {
			b.WriteString(pad + text)
		}
	}
	if p.markdown {
		b.WriteString("|")
	}
	_, err := fmt.Fprintln(p.w, strings.TrimRight(b.String(), " "))
	return err
}

func rows[R any](p *page, cols []column[R], all []R) error {
	for i := range all {
		if err := line(p, cols, func(c *column[R]) string { return c.cell(&all[i]) }); err != nil {
			return err
		}
	}
	return nil
}

var columns = []column[Result]{
	{"workload", 8, true, func(r *Result) string { return r.Workload }},
	{"case", 22, true, (*Result).describe},
	{"median ms", 10, false, func(r *Result) string { return number(r.Median) }},
	{"min ms", 10, false, func(r *Result) string { return number(r.Min) }},
	{"p99 ms", 10, false, func(r *Result) string { return number(r.P99) }},
	{"max ms", 10, false, func(r *Result) string { return number(r.Max) }},
	{"runs", 5, false, func(r *Result) string { return strconv.Itoa(r.Runs) }},
	{"GFLOP/s", 8, false, func(r *Result) string { return unlessZero(r.GFLOPS, "%.0f") }},
	{"of peak", 7, false, func(r *Result) string { return percent(r.PeakShare) }},
	{"parameters", 11, false, func(r *Result) string { return unlessZero(float64(r.Params), "%.0f") }},
	{"peak MiB", 9, false, func(r *Result) string { return fmt.Sprintf("%.1f", r.PeakMiB) }},
}

// describe tells results of one workload apart.
func (r *Result) describe() string {
	switch {
	case r.Shape != nil:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Shape), " ", "×"), "[]")
	case r.Net != "":
		return fmt.Sprintf("%s, batch %d, %d steps", r.Net, r.Batch, r.Steps)
	case r.Coupling != "":
		return fmt.Sprintf("%s, batch %d", r.Coupling, r.Batch)
	case r.Sampler != "":
		return fmt.Sprintf("%s, batch %d, %d steps", r.Sampler, r.Batch, r.Steps)
	}
	return fmt.Sprintf("batch %d", r.Batch)
}

// number has three digits that count, and no exponent.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

func unlessZero(x float64, format string) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf(format, x)
}

// percent is a share, empty where it is not known.
func percent(x float64) string { return unlessZero(100*x, "%.0f %%") }

// table writes results as rows, each as soon as it is there.
type table struct {
	page
	began bool
}

func (t *table) add(r Result) error {
	if !t.began {
		t.began = true
		on := ""
		if r.Device != "" {
			on = ", " + r.Device
		}
		if _, err := fmt.Fprintf(t.w, "%s, %d threads%s\n\n", r.Mode, r.Threads, on); err != nil {
			return err
		}
		if err := head(&t.page, columns); err != nil {
			return err
		}
	}
	if err := rows(&t.page, columns, []Result{r}); err != nil || r.Breakdown == nil {
		return err
	}
	t.began = false // what follows has a head of its own
	return t.breakdown(&r)
}

// Columns of a breakdown, but the first.
var opColumns = []column[OpTime]{
	{"calls", 6, false, func(o *OpTime) string { return fmt.Sprintf("%.4g", o.Calls) }},
	{"ms", 8, false, func(o *OpTime) string { return number(o.Ms) }},
	{"of step", 7, false, func(o *OpTime) string { return fmt.Sprintf("%.1f %%", 100*o.Share) }},
	{"GFLOP/s", 8, false, func(o *OpTime) string { return unlessZero(o.GFLOPS, "%.1f") }},
	{"of peak", 7, false, func(o *OpTime) string { return percent(o.PeakShare) }},
	{"MiB", 8, false, func(o *OpTime) string { return unlessZero(o.MiB, "%.4g") }},
	{"GB/s", 7, false, func(o *OpTime) string { return unlessZero(o.GBps, "%.1f") }},
	{"of bandwidth", 12, false, func(o *OpTime) string { return percent(o.BandwidthShare) }},
	{"of limit", 8, false, func(o *OpTime) string { return percent(o.LimitShare) }},
}

// breakdown writes where a step's time and memory go.
func (t *table) breakdown(r *Result) error {
	b := r.Breakdown
	name := func(o *OpTime) string {
		if o.Detail == "" {
			return o.Op
		}
		return o.Op + ": " + o.Detail
	}
	width := len("outside kernels")
	for i := range b.Ops {
		width = max(width, utf8.RuneCountInString(name(&b.Ops[i])))
	}
	cols := append([]column[OpTime]{{"operation", width, true, name}}, opColumns...)
	fmt.Fprintf(t.w, "\nA step, of %d recorded: %.4g GFLOP in %.4g calls\n\n", b.Steps, b.GFLOP, b.Calls)
	if err := head(&t.page, cols); err != nil {
		return err
	}
	if err := rows(&t.page, cols, b.Ops); err != nil {
		return err
	}
	outside := OpTime{Op: "outside kernels", Ms: b.OutsideMs, Share: share(b.OutsideMs, b.StepMs)}
	last := line(&t.page, cols, func(c *column[OpTime]) string {
		if c.title == "calls" {
			return ""
		}
		return c.cell(&outside)
	})
	if last != nil {
		return last
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\nOutside kernels: %s µs a call.", number(1e3*share(b.OutsideMs, b.Calls)))
	if b.PeakGFLOPS > 0 {
		fmt.Fprintf(&text, " Peak: %.0f GFLOP/s of the innermost kernel.", b.PeakGFLOPS)
	}
	fmt.Fprintf(&text, " Bandwidth: %.0f GB/s.\n", b.GBps)
	if m := b.Memory; m != nil {
		fmt.Fprintf(&text, "\nMemory in MiB: weights %s, optimiser %s, average %s; left by the forward pass %s,\n"+
			"tensors of a step at most %s, in %s that it holds; highest resident %s above that before the first step.\n",
			number(m.Weights), number(m.State), number(m.Average), number(m.Saved), number(m.Live), number(m.Held), number(r.PeakMiB))
	}
	_, err := io.WriteString(t.w, text.String())
	return err
}
