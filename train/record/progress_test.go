package record

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeClock is advanced by hand.
type fakeClock struct{ t time.Time }

func (c *fakeClock) now() time.Time          { return c.t }
func (c *fakeClock) advance(d time.Duration) { c.t = c.t.Add(d) }

func TestLines(t *testing.T) {
	c := &fakeClock{time.Unix(1000, 0)}
	var b strings.Builder
	l := newLines(&b, newMeter("train", 100, 400, c.now))
	for step := int64(101); step <= 400; step++ { // 20 steps/s: 15 s
		c.advance(50 * time.Millisecond)
		l.Update(step, V("loss", 1/float64(step)))
		if step == 250 {
			l.Message("wrote %s", "x.png")
		}
	}
	l.Finish()
	l.Finish()
	const want = `train 200/400  loss 0.005  20.0 steps/s  0:10 left
wrote x.png
train 300/400  loss 0.003333  20.0 steps/s  0:05 left
train 400/400  loss 0.0025  20.0 steps/s  0:00 left
train 400/400  loss 0.0025  20.0 steps/s  in 0:15
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// The rate follows a change within the window, and a pause does not hide it.
func TestRate(t *testing.T) {
	c := &fakeClock{time.Unix(0, 0)}
	m := newMeter("x", 0, 1e6, c.now)
	run := func(seconds int, perSecond int64) float64 {
		var r float64
		for range seconds {
			c.advance(time.Second)
			m.update(m.step+perSecond, nil)
			r = m.rate(c.now())
		}
		return r
	}
	if r := m.rate(c.now()); r != 0 {
		t.Errorf("before the first step the rate is %g", r)
	}
	if r := run(60, 100); r != 100 {
		t.Errorf("got %g, want 100", r)
	}
	if r := run(60, 10); math.Abs(r-10) > 1e-12 {
		t.Errorf("after slowing down: got %g, want 10", r)
	}
	if n := len(m.past); n > 70 {
		t.Errorf("%d marks are kept", n)
	}
	if text := m.figures(false); text != "6600/1000000  10.0 steps/s  1d03:35:40 left" {
		t.Errorf("got %s", text)
	}
}

func TestClockAndSpeed(t *testing.T) {
	for s, want := range map[float64]string{0: "0:00", 59.6: "1:00", 61: "1:01", 3600: "1:00:00", 86400 + 61: "1d00:01:01", -5: "0:00"} {
		if got := clock(time.Duration(s * 1e9)); got != want {
			t.Errorf("clock of %g s is %s, want %s", s, got, want)
		}
	}
	for r, want := range map[float64]string{1234.5: "1234 steps/s", 12.34: "12.3 steps/s", 0.25: "4.0 s/step"} {
		if got := speed(r); got != want {
			t.Errorf("speed of %g is %s, want %s", r, got, want)
		}
	}
}

// NewProgress writes lines into a file, and the interruption's line too.
func TestNewProgressOnFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := NewProgress(f, "sample", 0, 10)
	for i := range int64(4) {
		p.Update(i + 1)
	}
	p.Message("stopped")
	p.Finish()
	got := read(t, f.Name())
	if !strings.HasPrefix(got, "stopped\nsample 4/10  ") || !strings.HasSuffix(got, "in 0:00\n") || strings.ContainsAny(got, "\r\x1b") {
		t.Errorf("got %q", got)
	}
}

func ExampleSilent() {
	var p Progress = Silent{}
	p.Update(1, V("loss", 2))
	p.Message("nothing")
	p.Finish()
	fmt.Println("done")
	// Output: done
}
