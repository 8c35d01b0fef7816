package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"
)

// point is what the process holds after a cycle, memory in MiB.
type point struct {
	at         time.Duration
	resident   float64
	highest    float64 // resident in the cycle
	heap       float64 // live, after a collection
	goroutines float64
	files      float64 // open
}

func (p point) String() string {
	return fmt.Sprintf("%8s  resident %.1f MiB, highest %.1f, heap %.2f, %.0f goroutines, %.0f files", p.at.Round(time.Second), p.resident, p.highest, p.heap, p.goroutines, p.files)
}

// resetHighest makes the present resident memory the highest so far.
func resetHighest() error {
	const highWaterMark = "5" // proc(5), /proc/pid/clear_refs
	return os.WriteFile("/proc/self/clear_refs", []byte(highWaterMark), 0)
}

// take looks at this process; it needs Linux's /proc.
func take() (p point, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return p, err
	}
	for key, to := range map[string]*float64{"VmRSS": &p.resident, "VmHWM": &p.highest} {
		_, text, _ := strings.Cut(string(status), "\n"+key+":")
		if _, err := fmt.Sscanf(text, "%g", to); err != nil {
			return p, fmt.Errorf("/proc/self/status has no %s", key)
		}
		*to /= 1 << 10
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return p, err
	}
	p.files = float64(len(open) - 1) // but for the folder's own
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.heap = float64(m.HeapAlloc) / (1 << 20)
	p.goroutines = float64(runtime.NumGoroutine())
	return p, nil
}

type series []point

// watched are the figures that must not grow, with what they may drift by over the whole time for other reasons than a
// leak: memory, by how the collector and the arenas fill it; what is counted, by nothing.
var watched = []struct {
	name  string
	of    func(point) float64
	drift func(mean float64) float64
}{
	{"resident memory, MiB", func(p point) float64 { return p.resident }, func(mean float64) float64 { return 0.03 * mean }},
	{"highest resident memory in a cycle, MiB", func(p point) float64 { return p.highest }, func(mean float64) float64 { return 0.03 * mean }},
	{"live heap, MiB", func(p point) float64 { return p.heap }, func(float64) float64 { return 0.25 }},
	{"goroutines", func(p point) float64 { return p.goroutines }, func(float64) float64 { return 0.5 }},
	{"open files", func(p point) float64 { return p.files }, func(float64) float64 { return 0.5 }},
}

// trend is a line through what a figure was, by least squares.
type trend struct {
	mean, growth float64 // growth: over all the time that is looked at
	error        float64 // standard error of growth
}

// warm is the share of the time in which caches and arenas fill, and that trends leave out.
const warm = 0.25

// trend fits a line.
func (s series) trend(of func(point) float64) (t trend) {
	s = s[int(warm*float64(len(s))):]
	var x, y []float64
	for _, p := range s {
		x, y = append(x, p.at.Seconds()), append(y, of(p))
	}
	t.mean = stat.Mean(y, nil)
	n := len(x)
	if n < 3 {
		return t
	}
	a, b := stat.LinearRegression(x, y, nil, false)
	rest := 0.0
	for i := range x {
		rest += math.Pow(y[i]-a-b*x[i], 2)
	}
	span := x[n-1] - x[0]
	t.growth = b * span
	t.error = span * math.Sqrt(rest/float64(n-2)/(stat.Variance(x, nil)*float64(n-1)))
	return t
}

// grows tells whether a trend is above what may be, by more than three standard errors.
func (t trend) grows(drift float64) bool { return t.growth-3*t.error > drift }

// report is a table, and an error that names what grows.
func (s series) report() (string, error) {
	if len(s) < 8 {
		return "", fmt.Errorf("%d cycles are too few to tell a trend: want at least 8", len(s))
	}
	var b strings.Builder
	began := s[int(warm*float64(len(s)))].at
	span := s[len(s)-1].at - began
	fmt.Fprintf(&b, "%d cycles in %s; trends of the last %s\n\n| | first | last | mean | growth | ± | may be |\n|---|---|---|---|---|---|---|\n", len(s), s[len(s)-1].at.Round(time.Second), span.Round(time.Second))
	var grows []string
	for _, w := range watched {
		t := s.trend(w.of)
		drift := w.drift(t.mean)
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.3f | %.3f | %.3f |\n", w.name, w.of(s[0]), w.of(s[len(s)-1]), t.mean, t.growth, t.error, drift)
		if t.grows(drift) {
			grows = append(grows, w.name)
		}
	}
	if len(grows) > 0 {
		return b.String(), fmt.Errorf("grows: %s", strings.Join(grows, "; "))
	}
	return b.String(), nil
}

// csv writes all points.
func (s series) csv(w io.Writer) error {
	if _, err := fmt.Fprintln(w, "seconds,resident_mib,highest_mib,heap_mib,goroutines,files"); err != nil {
		return err
	}
	for _, p := range s {
		if _, err := fmt.Fprintf(w, "%.1f,%.2f,%.2f,%.3f,%.0f,%.0f\n", p.at.Seconds(), p.resident, p.highest, p.heap, p.goroutines, p.files); err != nil {
			return err
		}
	}
	return nil
}
