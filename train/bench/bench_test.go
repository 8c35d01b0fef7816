package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// asChild makes the test binary behave as the process of one workload.
const asChild = "LANGEVIN_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(asChild) {
	case "":
		os.Exit(m.Run())
	case "fail":
		os.Exit(3)
	case "garble":
		fmt.Println("no JSON")
	case "hang":
		time.Sleep(time.Minute)
	case "measure":
		r := Result{Side: side, Workload: os.Args[len(os.Args)-1], Mode: mode, Threads: os.Getpid(), Timing: Timing{Median: 1, Runs: 1}, Batch: 7}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			os.Exit(1)
		}
	}
}

// Sizes are those of the other side, whose counts these are: sums over
// parameters() of the networks of scripts/bench/torch_side.py.
func TestNetworksHaveTheOtherSidesSizes(t *testing.T) {
	for name, want := range map[string]struct{ params, batch int }{
		"mlp": {346882, 256}, "unet": {6469889, 64}, "dit": {20044420, 32},
	} {
		exp, err := builtinExperiment(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := train.New(t.Context(), exp, train.Options{Bare: true})
		if err != nil {
			t.Fatal(err)
		}
		if tr.Params() != want.params || exp.Batch != want.batch {
			t.Errorf("%s has %d parameters, batch %d; want %d, %d", name, tr.Params(), exp.Batch, want.params, want.batch)
		}
		tr.Close()
	}
}

func TestTiming(t *testing.T) {
	var d []time.Duration
	for i := 200; i > 0; i-- {
		d = append(d, time.Duration(i)*time.Millisecond)
	}
	if got, want := timingOf(d), (Timing{Median: 101, Min: 1, P99: 199, Max: 200, Runs: 200}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := timingOf([]time.Duration{time.Second}), (Timing{1000, 1000, 1000, 1000, 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMeasureWarmsUpAndStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	step := func() error { calls++; return nil }
	var told []int64
	e := &Env{Progress: func(label string, total int64) record.Progress {
		if label != "x" || total != 7 {
			t.Errorf("progress of %s up to %d", label, total)
		}
		return counter{&told}
	}}
	r, err := e.measure(ctx, measurement{label: "x", warm: 3, runs: 4}, step)
	if err != nil || calls != 7 || r.Runs != 4 || r.Threads != runtime.GOMAXPROCS(0) {
		t.Errorf("%d calls, %+v, %v", calls, r, err)
	}
	if !slices.Equal(told, []int64{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("progress heard %v", told)
	}

	// A budget that is spent at once leaves the least number of runs.
	e, calls = new(Env), 0
	if r, err = e.measure(ctx, measurement{warm: 1, runs: 100, budget: 1}, step); err != nil || calls != 1+minRuns || r.Runs != minRuns {
		t.Errorf("%d calls, %+v, %v", calls, r, err)
	}

	broken := errors.New("broken")
	if _, err = e.measure(ctx, measurement{runs: 3}, func() error { return broken }); err != broken {
		t.Errorf("the step's error became %v", err)
	}
	calls = 0
	_, err = e.measure(ctx, measurement{runs: 5}, func() error {
		if calls++; calls == 2 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls != 2 {
		t.Errorf("after cancelling: %d calls, %v", calls, err)
	}
}

type counter struct{ told *[]int64 }

func (c counter) Update(step int64, _ ...record.Value) { *c.told = append(*c.told, step) }
func (counter) Message(string, ...any)                 {}
func (counter) Finish()                                {}

// What a step touches shows as peak memory; what was touched and freed before does not.
func TestPeakMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems give the highest figure since the start only")
	}
	touch := func(mib int) []byte {
		b := make([]byte, mib<<20)
		for i := 0; i < len(b); i += os.Getpagesize() {
			b[i] = 1
		}
		return b
	}
	runtime.KeepAlive(touch(96))
	const mib = 48
	r, err := new(Env).measure(t.Context(), measurement{runs: 1}, func() error {
		runtime.KeepAlive(touch(mib))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Pages of the rest of the process come and go by some MiB.
	if r.PeakMiB < mib-8 || r.PeakMiB > mib+24 {
		t.Errorf("touching %d MiB shows as %g", mib, r.PeakMiB)
	}
	if r.MaxRSSMiB < r.PeakMiB {
		t.Errorf("at most %g MiB resident, less than the peak %g", r.MaxRSSMiB, r.PeakMiB)
	}
}

// tinyWorkloads is every kind of workload, small.
func tinyWorkloads() []Workload {
	var all []Workload
	for _, name := range []string{"mlp", "unet", "dit"} {
		all = append(all, &Training{Label: name, Warm: 1, Runs: 2,
			Load: func() (*train.Loaded, error) { return builtinExperiment(name, tiny[name]) }})
	}
	return append(all,
		&GEMM{Shapes: [][3]int{{8, 16, 24}, {5, 3, 7}}},
		&Latency{Steps: 3, Cases: []LatencyCase{
			{Net: "mlp", Batch: 1, Runs: 2, Overrides: tiny["mlp"]},
			{Net: "dit", Batch: 2, Runs: 2, Overrides: tiny["dit"]}}},
		&Coupling{Cases: []CouplingCase{{"icfm", 8, 2}, {"otcfm", 8, 2}}})
}

// Results have the keys of the other side, and no others but params, peak_mib and
// max_rss_mib, which it gives for training steps only.
func TestResultsHaveTheOtherSidesKeys(t *testing.T) {
	common := []string{"side", "workload", "mode", "threads", "median_ms", "min_ms", "p99_ms", "max_ms", "runs", "peak_mib", "max_rss_mib"}
	training := []string{"batch", "params"}
	own := map[string][]string{
		"mlp": training, "unet": training, "dit": training,
		"gemm":    {"shape", "gflops", "best_gflops", "peak_gflops", "peak_share"},
		"latency": {"net", "batch", "steps", "params"},
		"otcfm":   {"coupling", "batch", "params"},
	}
	seen := map[string]int{}
	for _, w := range tinyWorkloads() {
		err := w.Measure(t.Context(), new(Env), func(r Result) error {
			seen[w.Name()]++
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				return err
			}
			want := slices.Sorted(slices.Values(append(slices.Clone(common), own[w.Name()]...)))
			var got []string
			for k := range m {
				got = append(got, k)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s: keys %v, want %v", w.Name(), got, want)
			}
			if r.Side != "langevin" || r.Workload != w.Name() || r.Mode != "fp32" {
				t.Errorf("%s: %s", w.Name(), line)
			}
			if !(r.Min > 0 && r.Min <= r.Median && r.Median <= r.P99 && r.P99 <= r.Max) {
				t.Errorf("%s: times out of order: %s", w.Name(), line)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", w.Name(), err)
		}
	}
	if want := map[string]int{"mlp": 1, "unet": 1, "dit": 1, "gemm": 2, "latency": 2, "otcfm": 2}; !reflect.DeepEqual(seen, want) {
		t.Errorf("results %v, want %v", seen, want)
	}
}

func TestGemmCountsOperations(t *testing.T) {
	err := (&GEMM{Shapes: [][3]int{{30, 20, 10}}}).Measure(t.Context(), new(Env), func(r Result) error {
		// 2·30·20·10 operations in median_ms.
		if want := 12000 / (r.Median * 1e6); math.Abs(r.GFLOPS/want-1) > 1e-12 || r.BestGFLOPS < r.GFLOPS {
			t.Errorf("%g GFLOP/s (best %g) in %g ms, want %g", r.GFLOPS, r.BestGFLOPS, r.Median, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A bridge learns, and pairs as its coupling says: every pair is one of the batch,
// and optimal ones are nearer to each other.
func TestBridge(t *testing.T) {
	const n = 128
	mean := map[string]float64{}
	for _, c := range []string{"icfm", "otcfm"} {
		b, err := newBridge(CouplingCase{Coupling: c, Batch: n})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.step(); err != nil {
			t.Fatal(err)
		}
		rows := func(x []float32) (r [][2]float32) {
			for i := range n {
				r = append(r, [2]float32{x[2*i], x[2*i+1]})
			}
			return r
		}
		from, to := rows(b.x0), rows(b.x1)
		x0, x1 := rows(b.draw.Noise), rows(b.draw.X)
		for i := range n {
			if !slices.Contains(from, x0[i]) || !slices.Contains(to, x1[i]) {
				t.Fatalf("%s: pair %d, %v and %v, is none of the batch", c, i, x0[i], x1[i])
			}
			dx, dy := float64(x1[i][0]-x0[i][0]), float64(x1[i][1]-x0[i][1])
			mean[c] += (dx*dx + dy*dy) / n
		}
		before := b.params[0].Float32s()
		if err := b.step(); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(before, b.params[0].Float32s()) {
			t.Errorf("%s: a step changed no weight", c)
		}
		b.scope.Close()
	}
	// E‖x1−x0‖² of independent pairs is E‖x0‖²+E‖x1‖², since E x0 = 0: 25.6 of the
	// Gaussians and 9.6 of the moons. The mean over 128 pairs scatters by 2. A map that
	// keeps directions brings radius 5 to about 3, which takes well under half of it.
	if mean["otcfm"] > 0.5*mean["icfm"] {
		t.Errorf("mean squared distances: %v", mean)
	}
	if _, err := newBridge(CouplingCase{Coupling: "best", Batch: 1}); err == nil {
		t.Error("an unknown coupling is accepted")
	}
}

func TestUnknownWorkload(t *testing.T) {
	err := Run(t.Context(), Options{Args: []string{"gemm", "gem"}, Stdout: new(bytes.Buffer), Stderr: os.Stderr})
	want := `unknown workload "gem": want gemm, mlp, unet, dit, latency, otcfm, or a YAML file`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "points.yaml")
	if err := os.WriteFile(file, []byte("data: moons\nmodel: {kind: mlp, width: 8, depth: 1}\nbatch: 4\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Args: []string{file, "batch=16"}, JSON: true, Stdout: &out, Stderr: devNull(t)}); err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if r.Workload != "points" || r.Batch != 16 || r.Runs < minRuns || r.Params == 0 || r.Breakdown == nil {
		t.Errorf("%s", &out)
	}

	for args, want := range map[string]string{
		file + " gemm":       "gemm: behind a file, want key=value settings",
		file + " batches=16": "batches",
		"none.yaml":          "none.yaml",
	} {
		err := Run(t.Context(), Options{Args: strings.Fields(args), Stdout: &out, Stderr: devNull(t)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bench %s: %v, want an error with %q", args, err, want)
		}
	}
}

func runInChildren(t *testing.T, how string, json bool) (string, error) {
	t.Helper()
	t.Setenv(asChild, how)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if how == "hang" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
	}
	var out bytes.Buffer
	err = Run(ctx, Options{Args: []string{"mlp", "gemm", "otcfm"}, JSON: json, Stdout: &out, Stderr: devNull(t), Child: []string{self}})
	return out.String(), err
}

func TestOneProcessAWorkload(t *testing.T) {
	out, err := runInChildren(t, "measure", true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	processes := map[int]bool{os.Getpid(): true}
	for line := range strings.Lines(out) {
		var r Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		names = append(names, r.Workload)
		if processes[r.Threads] {
			t.Errorf("%s was measured in the process of another", r.Workload)
		}
		processes[r.Threads] = true
	}
	if want := []string{"mlp", "gemm", "otcfm"}; !slices.Equal(names, want) {
		t.Errorf("measured %v, want %v", names, want)
	}
}

func TestChildrenThatFail(t *testing.T) {
	for how, want := range map[string]string{"fail": "the process that measures mlp failed: exit status 3", "garble": `wrote "no JSON"`} {
		if _, err := runInChildren(t, how, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a child that does %s: %v, want an error with %q", how, err, want)
		}
	}
	if _, err := runInChildren(t, "hang", true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a child that hangs: %v", err)
	}
}

func TestTableIsAligned(t *testing.T) {
	var out bytes.Buffer
	tab := table{page: page{w: &out}}
	for _, r := range []Result{
		{Workload: "gemm", Mode: mode, Threads: 2, Timing: Timing{0.0123, 0.01, 0.2, 0.25, 596}, Shape: []int{6272, 1536, 384}, GFLOPS: 412.6, PeakGFLOPS: 480, PeakShare: 0.8596},
		{Workload: "latency", Timing: Timing{371.4, 337, 1244, 1300, 10}, Net: "dit", Batch: 1, Steps: 10, Params: 20044420, PeakMiB: 10.4},
		{Workload: "otcfm", Timing: Timing{12.3, 1.18, 12.34, 12.5, 40}, Coupling: "otcfm", Batch: 1024, Params: 8706},
		{Workload: "unet", Timing: Timing{1000, 999.6, 1200, 1200, 6}, Batch: 64, Params: 6469889, PeakMiB: 801.25},
	} {
		if err := tab.add(r); err != nil {
			t.Fatal(err)
		}
	}
	const want = `fp32, 2 threads

workload  case                     median ms      min ms      p99 ms      max ms   runs   GFLOP/s  of peak   parameters   peak MiB
gemm      6272×1536×384                0.012       0.010       0.200       0.250    596       413     86 %                     0.0
latency   dit, batch 1, 10 steps         371         337        1244        1300     10                        20044420       10.4
otcfm     otcfm, batch 1024             12.3        1.18        12.3        12.5     40                            8706        0.0
unet      batch 64                      1000        1000        1200        1200      6                         6469889      801.2
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Settings behind named training steps change them; what cannot be is an error before anything is measured.
func TestSettingsOfWorkloads(t *testing.T) {
	var out bytes.Buffer
	args := append([]string{"mlp"}, tiny["mlp"]...)
	if err := Run(t.Context(), Options{Args: args, Runs: 4, Device: "cpu", JSON: true, Stdout: &out, Stderr: devNull(t)}); err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if r.Workload != "mlp" || r.Batch != 8 || r.Runs != 4 || r.Params >= 346882 || r.Device != "" {
		t.Errorf("%s", &out)
	}
	for _, k := range []struct {
		o    Options
		want string
	}{
		{Options{Args: []string{"batch=8"}}, "batch=8: want the training steps that are to be changed before it"},
		{Options{Args: []string{"mlp", "gemm", "batch=8"}}, "batch=8: gemm has no settings: want mlp, unet, dit, or a YAML file"},
		{Options{Args: []string{"mlp", "batches=8"}}, "batches"},
		{Options{Args: []string{"gemm"}, Runs: 3}, "--runs=3: gemm is no training step"},
		{Options{Args: []string{"mlp"}, Runs: -1}, "--runs -1: want a number of steps"},
		{Options{Args: []string{"mlp"}, Device: "gpu"}, `unknown device "gpu": want auto, cpu or cuda`},
		{Options{Args: []string{"otcfm"}, Device: "cuda"}, "otcfm is measured on the CPU only"},
	} {
		k.o.Stdout, k.o.Stderr = &out, devNull(t)
		if err := Run(t.Context(), k.o); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%v: %v, want an error with %q", k.o.Args, err, k.want)
		}
	}
}

// Children are told the device, the number of steps and the settings, each what is meant for it.
func TestChildrenAreTold(t *testing.T) {
	o := Options{Args: []string{"mlp", "dit", "batch=2"}, Device: "cpu", Runs: 3, JSON: true, Stderr: devNull(t)}
	script := filepath.Join(t.TempDir(), "child.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"{\\\"workload\\\":\\\"$*\\\"}\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("there is no shell")
	}
	var out bytes.Buffer
	o.Stdout, o.Child = &out, []string{"/bin/sh", script}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(out.String()) {
		var r Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		told = append(told, r.Workload)
	}
	if want := []string{"--device cpu --runs=3 mlp batch=2", "--device cpu --runs=3 dit batch=2"}; !slices.Equal(told, want) {
		t.Errorf("children were told %q, want %q", told, want)
	}
}

// On a GPU, here an emulated one, a step says what it ran on and how much of its memory it took.
func TestOnCUDA(t *testing.T) {
	t.Setenv("LANGEVIN_LIBCUDA", emulate.Path(t))
	for _, w := range []Workload{
		&Training{Label: "mlp", Warm: 1, Runs: 2, Load: func() (*train.Loaded, error) { return builtinExperiment("mlp", tiny["mlp"]) }},
		&GEMM{Shapes: [][3]int{{8, 16, 24}}},
		&Latency{Steps: 2, Cases: []LatencyCase{{Net: "mlp", Batch: 1, Runs: 2, Overrides: tiny["mlp"]}}},
	} {
		n := 0
		err := w.Measure(t.Context(), &Env{Device: "cuda"}, func(r Result) error {
			n++
			// 5 arrays of the network's size, in float32, is what AdamW and an average take at least.
			if !strings.HasPrefix(r.Device, "cuda:0 (emulation 0") || r.PeakMiB < 5*4*float64(r.Params)/(1<<20) || r.PeakMiB == 0 || r.PeakMiB > 64 {
				t.Errorf("%s: on %q, %g MiB", w.Name(), r.Device, r.PeakMiB)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%s: %d results, %v", w.Name(), n, err)
		}
	}
}
