package record

import (
	"os"
	"time"

	"golang.org/x/term"
)

// Progress shows how far a long piece of work is. Its methods may be called from
// several goroutines and as often as the caller likes.
type Progress interface {
	// Update says that a step is done, and figures worth seeing, such as the loss.
	Update(step int64, values ...Value)
	// Message prints a line of its own without tearing the display.
	Message(format string, args ...any)
	// Finish shows the last state and leaves it standing. It may be called
	// again, also before the last step: after Ctrl-C, say.
	Finish()
}

// NewProgress shows the steps after start, the step that the work goes on from
// (0 for new work), up to total: as a bar on a terminal, and otherwise as a line
// every five seconds and one at the end, with the same figures: step, values,
// steps per second, time left. f is os.Stderr but for tests.
func NewProgress(f *os.File, label string, start, total int64) Progress {
	m := newMeter(label, start, total, time.Now)
	if term.IsTerminal(int(f.Fd())) {
		return newBar(f, m)
	}
	return newLines(f, m)
}

// Silent is a Progress that shows nothing.
type Silent struct{}

// Update does nothing.
func (Silent) Update(int64, ...Value) {}

// Message does nothing.
func (Silent) Message(string, ...any) {}

// Finish does nothing.
func (Silent) Finish() {}
