package train

import (
	"context"
	"slices"
	"time"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/trace"
)

// Estimate is what a run would take, from steps on a few samples.
type Estimate struct {
	Data    string // what is trained on
	Params  int    // numbers in the network
	Trained int    // of them, those that are not frozen
	Steps   int64
	Batch   int
	Memory  MemoryEstimate
	FLOPs   float64       // of a step: floating-point operations of the definition, exponentials and the like not counted
	Step    time.Duration // that a step takes on this machine, as it is busy now
}

// MemoryEstimate is a run's device memory in bytes. Data on the host, and what pictures and losses on
// held-out data take while they are made, are not in it.
type MemoryEstimate struct {
	Weights int64 // of the network
	State   int64 // of the optimiser
	Others  int64 // moving averages, teachers, what the objective learns, sums of gradients
	Step    int64 // for activations and gradients, with the gaps between them
}

// Total is all of it.
func (m MemoryEstimate) Total() int64 { return m.Weights + m.State + m.Others + m.Step }

// tried is the most samples that steps are made of for an estimate.
const tried = 16

// gaps is what a scope takes from its device over what is live at most in it: a last chunk
// of up to a quarter of those before, and some percent between tensors.
const gaps = 1.2

// least is what a scope takes from its device at once, at least.
const least = 1 << 20

// timed bounds what steps are made for the time that they take: floating-point operations, and bytes.
const (
	timedFLOPs  = 40e9
	timedMemory = 1 << 30
)

// trial is what steps on a few samples took.
type trial struct {
	fixed, peak     int64 // bytes outside of the scope, and live at most in it
	flops           int64
	params, trained int
	weights, state  int64
	data            string
}

// EstimateRun makes some steps on a few samples, writes nothing, and tells what the whole run would take. Memory
// and operations of a step are a constant and a part that grows with the samples, which two trials tell apart; the time is
// that of as many samples as are made in a moment, and goes with the operations.
func (l *Loaded) EstimateRun(ctx context.Context) (*Estimate, error) {
	part := (l.Batch + l.Accumulate - 1) / l.Accumulate
	n := min(part, tried)
	few := (n + 1) / 2
	large, err := l.try(ctx, n)
	if err != nil {
		return nil, err
	}
	small := large
	if few < n {
		if small, err = l.try(ctx, few); err != nil {
			return nil, err
		}
	}
	along := func(a, b int64, at int) float64 { // the line through both trials
		if few == n {
			return float64(b) * float64(at) / float64(n)
		}
		return float64(b) + float64(b-a)*float64(at-n)/float64(n-few)
	}
	step := func(at int) int64 { return max(least, int64(gaps*along(small.peak, large.peak, at))) }
	flops := func(at int) float64 { return along(small.flops, large.flops, at) }
	e := &Estimate{Data: large.data, Params: large.params, Trained: large.trained, Steps: l.Steps, Batch: l.Batch, FLOPs: flops(l.Batch)}
	e.Memory = MemoryEstimate{Weights: large.weights, State: large.state, Others: large.fixed - large.weights - large.state, Step: step(part)}
	if l.Accumulate > 1 {
		e.Memory.Others += large.weights
	}
	many := part
	for many > n && (flops(many) > timedFLOPs || step(many) > timedMemory) {
		many = max(n, many*3/4)
	}
	took, err := l.time(ctx, many)
	e.Step = time.Duration(float64(took) * e.FLOPs / flops(many))
	return e, err
}

// of is a trainer of steps of n samples, and one step of it. dev: nil for what the experiment names.
func (l *Loaded) of(ctx context.Context, n int, dev backend.Device) (t *Trainer, step func() error, err error) {
	own := *l
	own.Batch, own.Accumulate = n, 1
	t, err = New(ctx, &own, Options{Bare: true, Device: dev})
	return t, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.Train(); err != nil {
			return err
		}
		return t.dev.Sync()
	}, err
}

// try finds out what steps of n samples need.
func (l *Loaded) try(ctx context.Context, n int) (r trial, err error) {
	dev, err := l.device()
	if err != nil {
		return r, err
	}
	tracer := trace.New(dev)
	t, step, err := l.of(ctx, n, tracer.Device())
	if err != nil {
		return r, err
	}
	defer t.Close()
	r = trial{params: t.Params(), trained: countElems(t.trained), weights: int64(bytesOf(t.params)), state: int64(bytesOf(t.opt.State())), data: t.Describe()}
	for range 2 { // after which a scope takes nothing more
		if err := step(); err != nil {
			return r, err
		}
	}
	live, _ := tracer.Memory()
	r.fixed, r.peak = live-int64(t.scope.MemoryHeld()), int64(t.scope.MemoryPeak())
	tracer.Start()
	err = step()
	tracer.Stop()
	r.flops = tracer.Total().FLOPs
	return r, err
}

// time is the median time of steps of n samples.
func (l *Loaded) time(ctx context.Context, n int) (time.Duration, error) {
	t, step, err := l.of(ctx, n, nil)
	if err != nil {
		return 0, err
	}
	defer t.Close()
	var times []time.Duration
	for began := time.Now(); len(times) < 12 && (len(times) < 3 || time.Since(began) < 2*time.Second); {
		start := time.Now()
		if err := step(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times) // the first ones are slow
	return times[len(times)/2], nil
}
