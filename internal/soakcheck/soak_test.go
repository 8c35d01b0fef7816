package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// A few cycles: what is counted is no more after any than after the first, and the heap is the same but for what the runtime keeps.
func TestSoak(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("needs Linux's /proc")
	}
	cycles := 5
	if testing.Short() {
		cycles = 3
	}
	var said bytes.Buffer
	s, err := soak(context.Background(), options{dir: t.TempDir(), length: time.Hour, cycle: 150 * time.Millisecond, cycles: cycles, progress: &said})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + said.String())
	for _, p := range s[1:] {
		if p.goroutines > s[0].goroutines || p.files > s[0].files {
			t.Errorf("after %s: %.0f goroutines, %.0f files; after the first cycle %.0f and %.0f", p.at, p.goroutines, p.files, s[0].goroutines, s[0].files)
		}
		if p.heap > s[0].heap+0.25 {
			t.Errorf("after %s: a heap of %.2f MiB; after the first cycle %.2f", p.at, p.heap, s[0].heap)
		}
	}
}

// What leaks is seen, and noise is not.
func TestTrends(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	flat := func() series {
		var s series
		for i := range 40 {
			warming := 30 / float64(1+i) // caches fill
			s = append(s, point{time.Duration(20*(i+1)) * time.Second, 80 + 3*r.NormFloat64() - warming, 90 + 3*r.NormFloat64(), 6 + 0.05*r.NormFloat64(), 4, 9})
		}
		return s
	}
	if report, err := flat().report(); err != nil {
		t.Errorf("%v\n%s", err, report)
	}
	for what, leak := range map[string]func(p *point, i float64){
		"resident memory, MiB": func(p *point, i float64) { p.resident += 0.5 * i },
		"highest resident":     func(p *point, i float64) { p.highest += 0.5 * i },
		"live heap":            func(p *point, i float64) { p.heap += 0.03 * i },
		"goroutines":           func(p *point, i float64) { p.goroutines += float64(int(i / 10)) },
		"open files":           func(p *point, i float64) { p.files += i },
	} {
		s := flat()
		for i := range s {
			leak(&s[i], float64(i))
		}
		if _, err := s.report(); err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), ";") {
			t.Errorf("a leak of %s: %v", what, err)
		}
	}
	if _, err := flat()[:7].report(); err == nil {
		t.Error("seven cycles tell a trend")
	}
}
