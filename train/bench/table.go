package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// column is a column of the table: numbers stand right, the first ones left.
type column struct {
	title string
	width int
	left  bool
	cell  func(*Result) string
}

var columns = []column{
	{"workload", 8, true, func(r *Result) string { return r.Workload }},
	{"case", 22, true, (*Result).describe},
	{"median ms", 10, false, func(r *Result) string { return number(r.Median) }},
	{"min ms", 10, false, func(r *Result) string { return number(r.Min) }},
	{"p99 ms", 10, false, func(r *Result) string { return number(r.P99) }},
	{"max ms", 10, false, func(r *Result) string { return number(r.Max) }},
	{"runs", 5, false, func(r *Result) string { return strconv.Itoa(r.Runs) }},
	{"GFLOP/s", 8, false, func(r *Result) string { return unlessZero(r.GFLOPS, "%.0f") }},
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

// table writes results as aligned rows, each as soon as it is there.
type table struct {
	w     io.Writer
	began bool
}

func (t *table) add(r Result) error {
	if !t.began {
		t.began = true
		if _, err := fmt.Fprintf(t.w, "%s, %d threads\n\n%s\n", r.Mode, r.Threads, row(func(c *column) string { return c.title })); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(t.w, row(func(c *column) string { return c.cell(&r) }))
	return err
}

// row sets a cell of each column.
func row(cell func(*column) string) string {
	var b strings.Builder
	for i := range columns {
		c := &columns[i]
		text := cell(c)
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
	return strings.TrimRight(b.String(), " ")
}
