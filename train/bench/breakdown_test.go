package bench

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor/backend/trace"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/train"
)

// tinyTraining is a training workload with a breakdown.
func tinyTraining(name string) *Training {
	return &Training{Label: name, Warm: 1, Runs: 2, Ops: true,
		Load: func() (*train.Loaded, error) { return builtinExperiment(name, tiny[name]) }}
}

// The parts of a step are all of it, and what it does follows from its shapes.
func TestBreakdown(t *testing.T) {
	env := new(Env)
	for name := range tiny {
		for _, detail := range []bool{false, true} {
			w := tinyTraining(name)
			w.Detail = detail
			err := w.Measure(t.Context(), env, func(r Result) error {
				b := r.Breakdown
				var ms, calls, shares float64
				ops := map[string]int{}
				for i, o := range b.Ops {
					ms, calls, shares = ms+o.Ms, calls+o.Calls, shares+o.Share
					ops[o.Op]++
					if i > 0 && o.Ms > b.Ops[i-1].Ms {
						t.Errorf("%s: %s comes before %s, which takes longer", name, b.Ops[i-1].Op, o.Op)
					}
					if o.GFLOPS > 0 && (o.Op == "upload" || o.Op == "random") {
						t.Errorf("%s: %s makes %g GFLOP/s", name, o.Op, o.GFLOPS)
					}
				}
				near := func(what string, got, want float64) {
					if math.Abs(got-want) > 1e-9*want {
						t.Errorf("%s: %s of all operations is %g, want %g", name, what, got, want)
					}
				}
				near("time", ms, b.KernelMs)
				near("calls", calls, b.Calls)
				near("share", shares, b.KernelMs/b.StepMs)
				if b.KernelMs+b.OutsideMs > b.StepMs*(1+1e-9) {
					t.Errorf("%s: %g ms in kernels and %g outside are more than a step's %g", name, b.KernelMs, b.OutsideMs, b.StepMs)
				}
				if many := ops["gemm"] > 1; many != detail {
					t.Errorf("%s: %d rows of products, details %t", name, ops["gemm"], detail)
				}
				m := b.Memory
				// AdamW keeps two moments a weight; the average is one.
				if m.State != 2*m.Weights || m.Average != m.Weights || m.Weights != 4*float64(r.Params)/(1<<20) {
					t.Errorf("%s: memory of %d parameters: %+v", name, r.Params, m)
				}
				if !(0 < m.Saved && m.Saved <= m.Live && m.Live <= m.Held) {
					t.Errorf("%s: memory of a step is out of order: %+v", name, m)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The operations of the MLP's step, counted by hand: every product of the forward
// pass has two more in the backward pass, but the first layers' need no gradient
// of their inputs.
func TestBreakdownCountsAnMLP(t *testing.T) {
	const batch, width, depth, features = 8, 16, 4, 64
	inner := batch * (depth*width*width + width*width + width*2) // hidden layers, second of the time's, last
	outer := batch * (features*width + 2*width)                  // first of the time's, first
	want := float64(2*(3*inner+2*outer)) / 1e9
	err := tinyTraining("mlp").Measure(t.Context(), new(Env), func(r Result) error {
		for _, o := range r.Breakdown.Ops {
			if got := o.GFLOPS * o.Ms / 1e3; o.Op == "gemm" && math.Abs(got-want) > 1e-9*want {
				t.Errorf("%g GFLOP in products, want %g", got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSampling(t *testing.T) {
	env := new(Env)
	for name := range tiny {
		w := tinyTraining(name)
		w.Sample = true
		load := w.Load
		w.Load = func() (*train.Loaded, error) {
			exp, err := load()
			exp.Sample.Batch, exp.Sample.Steps = 3, 2
			return exp, err
		}
		err := w.Measure(t.Context(), env, func(r Result) error {
			if r.Batch != 3 || r.Steps != 2 || r.Sampler != "heun" || r.Breakdown == nil || r.Breakdown.Memory != nil {
				t.Errorf("%+v", r)
			}
			for _, o := range r.Breakdown.Ops {
				if strings.Contains(o.Op, "grad") || strings.HasPrefix(o.Op, "conv d") {
					t.Errorf("%s: sampling computes %s", name, o.Op)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Being ready to record costs a step no allocation.
func TestRecordedTrainingAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	tracer := trace.New(cpu.Default())
	exp, err := builtinExperiment("unet", tiny["unet"])
	if err != nil {
		t.Fatal(err)
	}
	tr, err := train.New(t.Context(), exp, train.Options{Bare: true, Device: tracer.Device()})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	tracer.Start()
	step := func() {
		if err := tr.Train(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		step()
	}
	if n := testenv.Allocs(t, step); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}

func TestBreakdownEndsEarly(t *testing.T) {
	broken := errors.New("broken")
	n := 0
	_, err := breakdown(t.Context(), new(Machine), trace.New(cpu.Default()), false, func() error {
		if n++; n == 3 {
			return broken
		}
		return nil
	})
	if err != broken || n != 3 {
		t.Errorf("%v after %d steps", err, n)
	}
}

func TestMachine(t *testing.T) {
	m, err := MeasureMachine(cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	if m.Copy <= 0 || m.Triad <= 0 || m.Bandwidth != max(m.Copy, m.Triad) || m.Threads != cpu.Default().Threads() {
		t.Errorf("%+v", m)
	}
	if (m.FP32.All > 0) != (cpu.Default().Level() != cpu.Go) || m.FP32.All < m.FP32.Core || (m.BF16.All > 0) != cpu.Default().HasBF16() {
		t.Errorf("%+v", m)
	}
}

// The limit is what needs longer: operations at the peak, or bytes at the bandwidth.
func TestLimit(t *testing.T) {
	m := Machine{FP32: Peak{All: 100}, BF16: Peak{All: 200}, Bandwidth: 10}
	for _, c := range []struct {
		row  trace.Row
		want float64
	}{
		{trace.Row{Time: time.Second, FLOPs: 50e9, Read: 1e9}, 0.5},
		{trace.Row{Time: time.Second, FLOPs: 50e9, Read: 1e9, BF16: true}, 0.25},
		{trace.Row{Time: time.Second, FLOPs: 50e9, Read: 2e9, Written: 5e9}, 0.7},
		{trace.Row{}, 0},
	} {
		if got := m.limit(&c.row); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v: %g, want %g", c.row, got, c.want)
		}
	}
	if got := (&Machine{}).limit(&trace.Row{Time: time.Second, FLOPs: 1e9}); got != 0 {
		t.Errorf("share %g of a limit that is not known", got)
	}
}

func TestFlagsOfTrainingSteps(t *testing.T) {
	run := func(o Options) error {
		o.Stdout, o.Stderr = new(bytes.Buffer), os.Stderr
		return Run(t.Context(), o)
	}
	for want, o := range map[string]Options{
		"--ops: gemm is no training step: want mlp, unet, dit, or a YAML file":       {Args: []string{"mlp", "gemm"}, Ops: true},
		"--sample: latency is no training step: want mlp, unet, dit, or a YAML file": {Args: []string{"latency"}, Sample: true},
	} {
		if err := run(o); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	o := Options{Detail: true, Sample: true}
	if err := o.choose(Standard()); err != nil { // all of them: those that can
		t.Error(err)
	}
}

func TestBreakdownTable(t *testing.T) {
	var out bytes.Buffer
	tab := table{page: page{w: &out}}
	err := tab.add(Result{Workload: "points", Mode: mode, Threads: 2, Timing: Timing{1, 1, 1, 1, 5}, Batch: 4, Params: 100, PeakMiB: 3,
		Breakdown: &Breakdown{Steps: 5, StepMs: 1, KernelMs: 0.75, OutsideMs: 0.2, Calls: 100, GFLOP: 0.1, PeakGFLOPS: 400, GBps: 40,
			Memory: &Memory{Weights: 1, State: 2, Average: 1, Saved: 3, Live: 4, Held: 5},
			Ops: []OpTime{{Op: "gemm", Detail: "4×8×2 nn", Calls: 60, Ms: 0.5, Share: 0.5, Rates: Rates{200, 0.5, 2, 4, 0.1, 0.5}},
				{Op: "upload", Calls: 40, Ms: 0.25, Share: 0.25, Rates: Rates{MiB: 2, GBps: 8, BandwidthShare: 0.2, LimitShare: 0.2}}}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `
A step, of 5 recorded: 0.1 GFLOP in 100 calls

operation         calls        ms  of step   GFLOP/s  of peak       MiB     GB/s  of bandwidth  of limit
gemm: 4×8×2 nn       60     0.500   50.0 %     200.0     50 %         2      4.0          10 %      50 %
upload               40     0.250   25.0 %                            2      8.0          20 %      20 %
outside kernels             0.200   20.0 %

Outside kernels: 2.00 µs a call. Peak: 400 GFLOP/s of the innermost kernel. Bandwidth: 40 GB/s.

Memory in MiB: weights 1.00, optimiser 2.00, average 1.00; left by the forward pass 3.00,
tensors of a step at most 4.00, in 5.00 that it holds; highest resident 3.00 above that before the first step.
`
	if got := out.String(); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at the end\n%s", got, want)
	}
}

func TestMarkdown(t *testing.T) {
	var out bytes.Buffer
	tab := table{page: page{w: &out, markdown: true}}
	if err := tab.add(Result{Workload: "mlp", Mode: mode, Threads: 2, Timing: Timing{1, 1, 1, 1, 5}, Batch: 4, Params: 100, PeakMiB: 3}); err != nil {
		t.Fatal(err)
	}
	const want = `fp32, 2 threads

| workload | case | median ms | min ms | p99 ms | max ms | runs | GFLOP/s | of peak | parameters | peak MiB |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| mlp | batch 4 | 1.00 | 1.00 | 1.00 | 1.00 | 5 |  |  | 100 | 3.0 |
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
