// Package trace measures what a device does: a [Tracer] stands before any
// backend.Device and records, for every kind of call and shape, how often it
// was made, how long it took, how many floating-point operations it stands for
// and how many bytes it cannot avoid to move.
//
//	tr := trace.New(cpu.Default())
//	s := tensor.NewScope(tr.Device(), tensor.Recording) // parameters on it, too
//	...
//	tr.Start()
//	step()
//	tr.Stop()
//	for _, r := range tr.Rows() {
//		fmt.Println(r.Op, r.Detail, r.Calls, r.Time, r.GFLOPS(), r.GBps())
//	}
//
// While stopped, as it is at first, a Tracer only passes calls on. Once it has
// seen every shape, recording allocates nothing.
//
// Operations and bytes are those of an operation's definition, not of the way
// it is computed: a convolution has the products of its sum however few of them
// Winograd's algorithm makes, and every operand is moved once, though a device may read
// it again or find it in a cache. So rates may exceed what the machine does.
package trace

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/langevin-go/langevin/tensor/backend"
)

// Op is a kind of call.
type Op uint8

// The kinds of calls: those of backend.Device and of its optional interfaces.
const (
	Gemm Op = iota
	ConvForward
	ConvInputGrad
	ConvWeightGrad
	Attention
	AttentionGrad
	NormForward
	NormGrad
	SoftmaxForward
	SoftmaxGrad
	Elementwise
	Reduce
	Gather
	ScatterAdd
	Random
	Upload
	Download
	Alloc
	numOps
)

var opNames = [numOps]string{"gemm", "conv", "conv dx", "conv dw", "attention", "attention grad", "norm", "norm grad",
	"softmax", "softmax grad", "elementwise", "reduce", "gather", "scatter add", "random", "upload", "download", "alloc"}

func (o Op) String() string { return opNames[o] }

// Row is what has been recorded of one kind of call on one shape.
type Row struct {
	Op     Op
	BF16   bool   // by the form of the device that computes in bfloat16
	Detail string // shapes and, of elementwise programs, the name

	Calls         int
	Time          time.Duration
	FLOPs         int64 // floating-point operations; a fused multiply-add is two, a transcendental one
	Read, Written int64 // bytes of operands and results, each counted once a call
}

// Kind names the operation, and its precision where that is bfloat16.
func (r *Row) Kind() string {
	if r.BF16 {
		return r.Op.String() + " bf16"
	}
	return r.Op.String()
}

// Bytes is what is read and written.
func (r *Row) Bytes() int64 { return r.Read + r.Written }

// GFLOPS is the rate of operations in 10⁹ a second, GBps that of bytes.
func (r *Row) GFLOPS() float64 { return rate(r.FLOPs, r.Time) }
func (r *Row) GBps() float64   { return rate(r.Bytes(), r.Time) }

func rate(n int64, t time.Duration) float64 {
	if t <= 0 {
		return 0
	}
	return float64(n) / float64(t.Nanoseconds())
}

// Add adds o's figures to r's.
func (r *Row) Add(o *Row) {
	r.Calls += o.Calls
	r.Time += o.Time
	r.FLOPs += o.FLOPs
	r.Read += o.Read
	r.Written += o.Written
}

// Tracer records the calls that go through its device. It is safe for use by
// many goroutines at once; times of calls that run side by side overlap.
type Tracer struct {
	dev backend.Device
	on  atomic.Bool

	mu   sync.Mutex
	rows map[key]*entry

	live, peak int64 // bytes that the device has handed out
}

// took notes that the device has handed out memory, or has got it back.
func (t *Tracer) took(bytes int64) {
	t.mu.Lock()
	t.live += bytes
	t.peak = max(t.peak, t.live)
	t.mu.Unlock()
}

// Memory is the bytes that the device has handed out and not got back, now and at most so far: all that
// go through Device, whether calls are recorded or not.
func (t *Tracer) Memory() (live, peak int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live, t.peak
}

// New makes a tracer before dev.
func New(dev backend.Device) *Tracer {
	t := &Tracer{rows: make(map[key]*entry)}
	t.dev = t.wrap(dev)
	return t
}

// Device computes as the device that the tracer was made for, has the same
// optional interfaces, and is recorded. It is always the same one, and another than that.
func (t *Tracer) Device() backend.Device { return t.dev }

// Start begins, Stop ends recording. What has been recorded stays.
func (t *Tracer) Start() { t.on.Store(true) }
func (t *Tracer) Stop()  { t.on.Store(false) }

// Reset forgets what has been recorded.
func (t *Tracer) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.rows {
		e.Row = Row{}
	}
}

// Rows are what has been recorded since Reset, the longest time first.
func (t *Tracer) Rows() []Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rows []Row
	for k, e := range t.rows {
		if e.Calls > 0 {
			r := e.Row
			r.Op, r.BF16, r.Detail = k.op, k.bf16, k.detail()
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Detail, b.Detail))
	})
	return rows
}

// Total is the sum of all rows, without a kind.
func (t *Tracer) Total() Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum Row
	for _, e := range t.rows {
		sum.Add(&e.Row)
	}
	return sum
}

// entry is a row in the making.
type entry struct {
	Row
	perElement int64 // operations of an elementwise program at a point
}

// record adds a call that began at start and has ended.
func (t *Tracer) record(k *key, c cost, start time.Time) {
	took := time.Since(start)
	t.mu.Lock()
	e := t.rows[*k]
	if e == nil {
		e = &entry{perElement: operations(k.prog)}
		t.rows[*k] = e
	}
	e.Calls++
	e.Time += took
	e.FLOPs += c.flops + e.perElement*c.points
	e.Read += c.read
	e.Written += c.written
	t.mu.Unlock()
}

// Cost is about what recording adds to a call, beyond the time that is recorded.
func Cost() time.Duration {
	const calls = 2000
	t := New(idle{})
	v := &backend.View{Rank: 2, Shape: [backend.MaxRank]int{1, 1}, Stride: [backend.MaxRank]int{1, 1}}
	t.Start()
	best := time.Duration(1 << 62)
	for range 5 {
		t.Reset()
		start := time.Now()
		for range calls {
			t.dev.Gemm(v, v, v, nil, 1, 0)
		}
		best = min(best, time.Since(start)-t.Total().Time)
	}
	return max(0, best/calls)
}

// idle is a device on which products take no time.
type idle struct{ backend.Device }

func (idle) Gemm(c, a, b, bias *backend.View, alpha, beta float64) {}
func (idle) Sync() error                                           { return nil }
