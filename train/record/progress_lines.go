package record

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// linesEvery is the time between two lines where there is no terminal.
const linesEvery = 5 * time.Second

// lines shows progress in a log file or a pipe.
type lines struct {
	mu       sync.Mutex
	w        io.Writer
	meter    *meter
	shown    time.Time
	finished bool
}

func newLines(w io.Writer, m *meter) *lines { return &lines{w: w, meter: m, shown: m.began} }

func (l *lines) Update(step int64, values ...Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meter.update(step, values)
	if now := l.meter.now(); !l.finished && now.Sub(l.shown) >= linesEvery {
		l.shown = now
		l.show(false)
	}
}

// show ignores a failed write, as the bar does: a lost log must not end a run.
func (l *lines) show(done bool) {
	fmt.Fprintf(l.w, "%s %s\n", l.meter.label, l.meter.figures(done))
}

func (l *lines) Message(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, format+"\n", args...)
}

func (l *lines) Finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.finished {
		l.finished = true
		l.show(true)
	}
}
