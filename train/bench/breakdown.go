package bench

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/langevin-go/langevin/tensor/backend/trace"
	"github.com/langevin-go/langevin/train"
)

// Breakdown says where the time of a step goes and where memory is. Times and
// counts are those of a step, means over the recorded ones.
type Breakdown struct {
	Steps     int     `json:"steps"`      // that were recorded
	StepMs    float64 `json:"step_ms"`    // of those; recording them costs a little
	KernelMs  float64 `json:"kernel_ms"`  // in the device
	OutsideMs float64 `json:"outside_ms"` // the rest, without what recording costs: data, draws, the tape
	Calls     float64 `json:"calls"`      // of the device
	GFLOP     float64 `json:"gflop"`      // operations, 10⁹

	// Of the machine, in this run; see Machine.
	PeakGFLOPS float64 `json:"peak_gflops,omitempty"`
	PeakBF16   float64 `json:"peak_bf16_gflops,omitempty"`
	GBps       float64 `json:"bandwidth_gbps,omitempty"`

	Ops    []OpTime `json:"ops"` // the longest first
	Memory *Memory  `json:"memory,omitempty"`
}

// OpTime is an operation's part of a step.
type OpTime struct {
	Op     string  `json:"op"`
	Detail string  `json:"detail,omitempty"` // its shape, where shapes are told apart
	Calls  float64 `json:"calls"`
	Ms     float64 `json:"ms"`
	Share  float64 `json:"share"` // of the step's time
	Rates
}

// Rates set an operation's speed beside the machine's.
type Rates struct {
	GFLOPS         float64 `json:"gflops,omitempty"`
	PeakShare      float64 `json:"peak_share,omitempty"` // of the innermost kernel's rate
	MiB            float64 `json:"mib,omitempty"`        // read and written, each operand once
	GBps           float64 `json:"gbps,omitempty"`
	BandwidthShare float64 `json:"bandwidth_share,omitempty"` // above 1: out of caches
	// LimitShare is the time that the machine needs at least, for operations or
	// for bytes, by the time taken.
	LimitShare float64 `json:"limit_share,omitempty"`
}

func (m *Machine) rates(r *trace.Row, times int) Rates {
	return Rates{
		GFLOPS: r.GFLOPS(), PeakShare: share(r.GFLOPS(), m.peak(r)),
		MiB: float64(r.Bytes()) / float64(times) / (1 << 20), GBps: r.GBps(), BandwidthShare: share(r.GBps(), m.Bandwidth),
		LimitShare: m.limit(r),
	}
}

// Memory says where a training step's memory is, in MiB.
type Memory struct {
	Weights float64 `json:"weights_mib"`
	State   float64 `json:"state_mib"`   // the optimiser's
	Average float64 `json:"average_mib"` // of the weights
	Saved   float64 `json:"saved_mib"`   // what the forward pass leaves for the gradient
	Live    float64 `json:"live_mib"`    // of a step's tensors, at most at once
	Held    float64 `json:"held_mib"`    // by a step's tensors and the gaps between them
}

func memoryOf(t *train.Trainer) *Memory {
	m := t.Memory()
	mib := func(n int) float64 { return float64(n) / (1 << 20) }
	return &Memory{Weights: mib(m.Weights), State: mib(m.State), Average: mib(m.Average),
		Saved: mib(m.Saved), Live: mib(m.Peak), Held: mib(m.Held)}
}

const (
	recordedSteps  = 50
	recordingSpan  = 5 * time.Second // after which no further step is recorded, save for a few
	fewestRecorded = 3
)

// breakdown records a step that has been warmed up.
func breakdown(ctx context.Context, m *Machine, tr *trace.Tracer, detail bool, step func() error) (*Breakdown, error) {
	cost := trace.Cost()
	tr.Start()
	defer tr.Stop()
	if err := step(); err != nil { // makes the rows
		return nil, err
	}
	tr.Reset()
	began := time.Now()
	var took time.Duration
	n := 0
	for n < recordedSteps && (n < fewestRecorded || time.Since(began) < recordingSpan) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := step(); err != nil {
			return nil, err
		}
		took += time.Since(start)
		n++
	}
	total := tr.Total()
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 / float64(n) }
	b := &Breakdown{
		Steps: n, StepMs: ms(took), KernelMs: ms(total.Time),
		OutsideMs: max(0, ms(took-total.Time-time.Duration(total.Calls)*cost)),
		Calls:     float64(total.Calls) / float64(n), GFLOP: float64(total.FLOPs) / float64(n) / 1e9,
		PeakGFLOPS: m.FP32.All, PeakBF16: m.BF16.All, GBps: m.Bandwidth,
	}
	for _, r := range summed(tr.Rows(), detail) {
		b.Ops = append(b.Ops, OpTime{
			Op: r.Kind(), Detail: r.Detail, Calls: float64(r.Calls) / float64(n), Ms: ms(r.Time),
			Share: share(ms(r.Time), b.StepMs), Rates: m.rates(&r, n),
		})
	}
	return b, nil
}

// summed adds up the rows of an operation, unless details are wanted.
func summed(rows []trace.Row, detail bool) []trace.Row {
	if detail {
		return rows
	}
	var out []trace.Row
	at := map[string]int{}
	for _, r := range rows {
		i, ok := at[r.Kind()]
		if !ok {
			i = len(out)
			at[r.Kind()] = i
			out = append(out, trace.Row{Op: r.Op, BF16: r.BF16})
		}
		out[i].Add(&r)
	}
	slices.SortStableFunc(out, func(a, b trace.Row) int { return cmp.Compare(b.Time, a.Time) })
	return out
}
