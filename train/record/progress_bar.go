package record

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	redrawEvery = 100 * time.Millisecond
	barWidth    = 24 // at most; the library narrows it to fit
	barMargin   = 10 // of the line, for the percentage and the ends of an empty bar
)

// bar shows progress on a terminal. The library draws the bar; the figures
// behind it are the meter's, so that both displays say the same.
type bar struct {
	mu       sync.Mutex
	f        *os.File
	meter    *meter
	bar      *progressbar.ProgressBar
	shown    time.Time
	finished bool
}

func newBar(f *os.File, m *meter) *bar {
	b := &bar{f: f, meter: m}
	b.bar = progressbar.NewOptions64(max(m.total, 1),
		progressbar.OptionSetWriter(f),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionUseANSICodes(runtime.GOOS != "windows"),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
	)
	b.draw(false)
	return b
}

func (b *bar) Update(step int64, values ...Value) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.meter.update(step, values)
	if now := b.meter.now(); !b.finished && now.Sub(b.shown) >= redrawEvery {
		b.shown = now
		b.draw(false)
	}
}

// draw shows the present state. The library ends its drawing with the last
// step, so until Finish it is told at most the one before.
func (b *bar) draw(done bool) {
	text := b.fit(b.meter.label + " " + b.meter.figures(done))
	step := b.meter.step
	if !done {
		step = min(step, b.meter.total-1)
	} else { // its last drawing is final: the text must be there before
		b.bar.Describe(text)
	}
	_ = b.bar.Set64(min(max(step, 0), max(b.meter.total, 1))) // fails only as the terminal does
	if !done {
		b.bar.Describe(text)
	}
}

// fit cuts the text to the terminal, which would otherwise wrap and scroll.
func (b *bar) fit(text string) string {
	width, _, err := term.GetSize(int(b.f.Fd()))
	if err != nil || width <= barMargin {
		return text
	}
	if r := []rune(text); len(r) > width-barMargin {
		return string(r[:width-barMargin])
	}
	return text
}

func (b *bar) Message(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.finished {
		_ = b.bar.Clear()
	}
	fmt.Fprintf(b.f, format+"\n", args...)
	if !b.finished {
		b.draw(false)
	}
}

func (b *bar) Finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return
	}
	b.finished = true
	b.draw(true)
	fmt.Fprintln(b.f)
}
