package bench

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/train/record"
)

// Timing is what repeated runs of one step took, in milliseconds.
type Timing struct {
	Median float64 `json:"median_ms"`
	Min    float64 `json:"min_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
	Runs   int     `json:"runs"`
}

// timingOf summarises durations, of which there is at least one, and sorts them.
// The median of an even number is the upper one of the two in the middle, and
// p99 is the element at ⌊0.99·n⌋, as on the other side.
func timingOf(d []time.Duration) Timing {
	slices.Sort(d)
	ms := func(i int) float64 { return d[i].Seconds() * 1e3 }
	n := len(d)
	return Timing{Median: ms(n / 2), Min: ms(0), P99: ms(min(n-1, n*99/100)), Max: ms(n - 1), Runs: n}
}

// Env is what measurements share.
type Env struct {
	// Progress is told how far a measurement is, between two runs; nil: nobody asks.
	Progress func(label string, total int64) record.Progress
	// Precision is what matrix products and training steps compute in, float32
	// or bf16; empty: float32, and for an experiment what it says.
	Precision string
	// Device is auto, cpu or cuda; empty: the CPU, and for an experiment what it says.
	Device string

	known map[string]Machine // by the device's name
}

// machine measures what dev can do, once.
func (e *Env) machine(dev backend.Device) (Machine, error) {
	if m, ok := e.known[dev.Name()]; ok {
		return m, nil
	}
	m, err := MeasureMachine(dev)
	if err == nil {
		e.known = map[string]Machine{dev.Name(): m}
	}
	return m, err
}

// measurement says how a step is timed.
type measurement struct {
	label  string
	warm   int           // steps that are not timed
	runs   int           // steps that are
	budget time.Duration // no further step is begun after that long, save for minRuns; 0: none
}

// minRuns is how many steps are timed at least where there is a budget.
const minRuns = 5

// measure times a step and the memory that it takes. It ends early, with the
// context's error, when ctx is cancelled.
func (e *Env) measure(ctx context.Context, m measurement, step func() error) (Result, error) {
	progress := record.Progress(record.Silent{})
	if e.Progress != nil {
		progress = e.Progress(m.label, int64(m.warm+m.runs))
	}
	defer progress.Finish()
	durations := make([]time.Duration, 0, m.runs)
	memory := watchMemory()
	began := time.Now()
	for i := range m.warm + m.runs {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		if m.budget > 0 && len(durations) >= minRuns && time.Since(began) > m.budget {
			break
		}
		start := time.Now()
		err := step()
		took := time.Since(start)
		if err != nil {
			return Result{}, err
		}
		if i >= m.warm {
			durations = append(durations, took)
		}
		progress.Update(int64(i+1), record.V("ms", took.Seconds()*1e3))
	}
	r := Result{Side: side, Mode: modeOf(e.Precision), Threads: runtime.GOMAXPROCS(0), Timing: timingOf(durations)}
	r.PeakMiB, r.MaxRSSMiB = memory.peak()
	return r, nil
}

// holder is a device with memory of its own, and knows the most that it has taken.
type holder interface{ PeakMemory() int64 }

// heldBy adds to a result what it was measured on, and its memory, where that is not the host's.
func (r *Result) heldBy(dev backend.Device) {
	if h, ok := dev.(holder); ok {
		r.Device, r.PeakMiB = dev.Name(), float64(h.PeakMemory())/(1<<20)
	}
}
