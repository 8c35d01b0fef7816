package record

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newTestMetrics(t *testing.T, path string, step int64) *Metrics {
	t.Helper()
	m, err := OpenMetrics(path, step)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	m.now = func() time.Time { return time.UnixMilli(1700000000_007) }
	return m
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	m := newTestMetrics(t, path, -1)
	if err := m.Write(1, V("train/loss", 0.1), V("a\"b", 1e-7), V("big", 1e300)); err != nil {
		t.Fatal(err)
	}
	if err := m.Write(2, V("x", math.NaN()), V("y", math.Inf(1)), V("z", math.Inf(-1)), V("wall/steps_per_s", 3)); err != nil {
		t.Fatal(err)
	}
	if err := m.Write(2); err != nil {
		t.Fatal(err)
	}
	if err := m.Sync(); err != nil {
		t.Fatal(err)
	}
	const want = `{"step":1,"time":1700000000.007,"train/loss":0.1,"a\"b":1e-07,"big":1e+300}
{"step":2,"time":1700000000.007,"x":"NaN","y":"Infinity","z":"-Infinity","wall/steps_per_s":3}
{"step":2,"time":1700000000.007}
`
	if got := read(t, path); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, key := range []string{"step", "time"} {
		if err := m.Write(3, V(key, 1)); err == nil {
			t.Errorf("the key %s is accepted", key)
		}
	}
	records, err := ReadMetrics(path)
	if err != nil || len(records) != 3 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	if r := records[0]; r.Step != 1 || r.Time.UnixMilli() != 1700000000_007 || r.Values[1] != V("a\"b", 1e-7) {
		t.Errorf("got %+v", r)
	}
	if x, ok := records[1].Get("x"); !ok || !math.IsNaN(x) {
		t.Errorf("NaN is read as %g, %t", x, ok)
	}
	if y, _ := records[1].Get("y"); !math.IsInf(y, 1) {
		t.Errorf("Infinity is read as %g", y)
	}
	if _, ok := records[1].Get("w"); ok {
		t.Error("a key that is not there")
	}
}

// A resumed file equals one that never stopped, wherever the process was killed:
// at every byte of the file.
func TestTruncateAfter(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	m := newTestMetrics(t, whole, -1)
	ends := []int{0}
	for step := range int64(6) {
		if err := m.Write(step/2+1, V("v", float64(step)/3)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int(m.size))
	}
	full := read(t, whole)
	path := filepath.Join(dir, "cut")
	for cut := range len(full) + 1 {
		for step := range int64(5) {
			if err := os.WriteFile(path, []byte(full[:cut]), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := TruncateAfter(path, step); err != nil {
				t.Fatalf("cut %d, step %d: %v", cut, step, err)
			}
			want := min(ends[min(2*step, 6)], ends[wholeLines(full[:cut])])
			if got := read(t, path); got != full[:want] {
				t.Fatalf("cut %d, step %d: left %q", cut, step, got)
			}
		}
	}
	// Going on from there gives the same bytes.
	if err := os.WriteFile(path, []byte(full[:len(full)-7]), 0o600); err != nil {
		t.Fatal(err)
	}
	m = newTestMetrics(t, path, 2)
	for step := int64(4); step < 6; step++ {
		if err := m.Write(step/2+1, V("v", float64(step)/3)); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, path); got != full {
		t.Errorf("resumed\n%s\nwant\n%s", got, full)
	}
}

func wholeLines(s string) int { return strings.Count(s, "\n") }

func TestTruncateAfterOddFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	if err := TruncateAfter(path, 3); err != nil {
		t.Errorf("no file: %v", err)
	}
	const good = `{"step":1,"time":1}` + "\n"
	for _, tt := range []struct{ name, text, left, err string }{
		{"zeros after a power failure", good + "\x00\x00\x00\n", good, ""},
		{"torn with a line end", good + `{"step":2,"ti` + "\n", good, ""},
		{"not a metrics file", "optim:\n  lr: 1\n", "", ":1: is not a record"},
		{"a bad line in the middle", good + "{}\n" + good, "", ":2: has no step"},
		{"text as a value", good + `{"step":1,"a":"b"}` + "\n" + good, "", `:2: a: must be a number`},
		{"behind the cut anything goes", good + `{"step":9,"time":1}` + "\nx\ny\n", good, ""},
		{"long line", strings.Repeat(" ", maxLine+1) + "\n" + good, "", ":1: the line is longer"},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := TruncateAfter(path, 5)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want %s", tt.name, err, tt.err)
			}
			tt.left = tt.text
		} else if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := read(t, path); got != tt.left {
			t.Errorf("%s: left %q", tt.name, got)
		}
	}
}

func TestMetricsErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenMetrics(filepath.Join(dir, "no", "m"), 0); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("got %v", err)
	}
	if _, err := ReadMetrics(filepath.Join(dir, "m")); err == nil {
		t.Error("a missing file is read")
	}
}

// Writing allocates nothing but what quoting the keys costs.
func BenchmarkMetricsWrite(b *testing.B) {
	m, err := OpenMetrics(filepath.Join(b.TempDir(), "m"), -1)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	b.ReportAllocs()
	for i := range b.N {
		if err := m.Write(int64(i), V("loss", 1/float64(i+1)), V("grad_norm", 3)); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzReadMetrics: any file is read, cut or refused, and what a cut leaves is
// read whole.
func FuzzReadMetrics(f *testing.F) {
	f.Add([]byte(`{"step":1,"time":1.5,"a":"NaN"}`+"\n"), int64(1))
	f.Add([]byte(`{"step":1}{}`+"\n{\"step\":1e99}\n{"), int64(0))
	// What TruncateAfter and ReadMetrics make of a file's bytes, without the file: that would be synced each time.
	f.Fuzz(func(t *testing.T, data []byte, step int64) {
		end, err := scan(bytes.NewReader(data), "m", func(r Record) bool { return r.Step <= step })
		if err != nil {
			return
		}
		kept := data[:end]
		records := 0
		again, err := scan(bytes.NewReader(kept), "m", func(r Record) bool {
			if records++; r.Step > step {
				t.Fatalf("step %d is left after cutting to %d", r.Step, step)
			}
			return true
		})
		if lines := wholeLines(string(kept)); err != nil || again != end || records != lines {
			t.Fatalf("%d records of %d lines, to %d of %d bytes, %v", records, lines, again, end, err)
		}
	})
}
