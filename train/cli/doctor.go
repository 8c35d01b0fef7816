package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/cuda"
	"github.com/langevin-go/langevin/tensor/cuda/driver"
	"github.com/langevin-go/langevin/tensor/rng"
)

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Show what this machine offers and try it",
		Long: `Show the instruction sets and devices that Langevin finds, multiply a matrix and
compare the result with the plain Go kernels, and say what is wrong.`,
		Example: fmt.Sprintf("  %[1]s doctor\n  LANGEVIN_SIMD=avx2 %[1]s doctor", a.Name),
		Args:    nothing,
		RunE:    func(c *cobra.Command, _ []string) error { return a.runDoctor() },
	}
}

func (a *app) runDoctor() error {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.Stdout, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("langevin", "%s, %s, %s/%s", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	row("processors", "%d, Go uses %d", runtime.NumCPU(), runtime.GOMAXPROCS(0))
	row("best level", "%v (of %s)", cpu.Best(), strings.Trim(fmt.Sprint(cpu.Levels()), "[]"))
	if v := os.Getenv("LANGEVIN_SIMD"); v != "" {
		row("LANGEVIN_SIMD", "%s", v)
	}
	dev, err := cpu.New(cpu.Options{})
	if err != nil {
		return err
	}
	row("device", "%s", dev.Name())
	if dev.HasBF16() {
		instructions := "AVX512_BF16"
		if dev.Level() == cpu.AMX {
			instructions = "AMX"
		}
		row("bf16", "has instructions of its own (%s)", instructions)
	} else {
		row("bf16", "no instructions for it at this level: precision: bf16 works, slower than float32")
	}

	const n = 512
	plain := cpu.Go
	ref, err := cpu.New(cpu.Options{Level: &plain})
	if err != nil {
		return err
	}
	want, _ := tryGemm(ref, n)
	got, rate := tryGemm(dev, n)
	if err := compareGemm(got, want); err != nil {
		return fmt.Errorf("the %v kernels multiply wrongly on this machine: %w; set LANGEVIN_SIMD=go and report this", dev.Level(), err)
	}
	row("matrix product", "%d³: equal to plain Go within rounding, %.0f GFLOP/s", n, rate)
	if err := a.doctorCUDA(row, n, want); err != nil {
		return err
	}

	dir, err := os.MkdirTemp(".", ".langevin-doctor-")
	if err != nil {
		row("this folder", "cannot be written to: %s", strings.TrimPrefix(err.Error(), "mkdir "))
		return nil
	}
	os.Remove(dir)
	row("this folder", "writable: runs are made in runs/")
	return nil
}

// doctorCUDA shows the driver and its devices, and tries each of these.
func (a *app) doctorCUDA(row func(name, format string, args ...any), n int, want []float32) error {
	drv, err := driver.Open("")
	var none *driver.Unavailable
	if errors.As(err, &none) {
		row("cuda", "%s", none.Reason)
		return nil
	}
	list, err := drv.Devices()
	if err != nil {
		return err
	}
	row("cuda", "driver for CUDA %d.%d (%s); no run on a GPU has been made with this version yet", drv.Version()/1000, drv.Version()%1000/10, drv.Library())
	for _, info := range list {
		name := fmt.Sprintf("cuda device %d", info.Index)
		row(name, "%s, %d multiprocessors of capability %d.%d, %.1f GiB", info.Name, info.Multiprocessors, info.Major, info.Minor, float64(info.Memory)/(1<<30))
		dev, err := cuda.New(cuda.Options{Device: info.Index, Driver: drv})
		if errors.As(err, &none) {
			row("", "cannot be used: %s", none.Reason)
			continue
		}
		if err != nil {
			return err
		}
		got, rate := tryGemm(dev, n)
		if err := compareGemm(got, want); err != nil {
			return fmt.Errorf("%s multiplies wrongly: %w; please report this", dev.Name(), err)
		}
		row("", "matrix product %d³: equal to plain Go within rounding, %.0f GFLOP/s", n, rate)
		if err := dev.Close(); err != nil {
			return err
		}
	}
	return nil
}

// compareGemm compares two products of n×n matrices. Each entry is a sum of n products of N(0,1);
// two orders of summation differ by about √n·ε·√n, of which the tolerance is some ten times.
func compareGemm(got, want []float32) error {
	tolerance := float32(10 * math.Sqrt(float64(len(want))) * 6e-8)
	for i := range want {
		if d := got[i] - want[i]; d > tolerance || d < -tolerance || d != d {
			return fmt.Errorf("element %d is %g, plain Go gives %g", i, got[i], want[i])
		}
	}
	return nil
}

// tryGemm multiplies two fixed random matrices and times it.
func tryGemm(dev backend.Device, n int) (product []float32, gflops float64) {
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	a, b := s.Normal(rng.Key{Seed: 1}, 0, n, n), s.Normal(rng.Key{Seed: 2}, 0, n, n)
	product = a.MatMul(b).Float32s()
	best := time.Duration(1 << 62)
	for range 5 {
		start := time.Now()
		a.MatMul(b)
		if dev.Sync() != nil {
			break // the next use tells
		}
		best = min(best, time.Since(start))
		if best > time.Second/4 {
			break
		}
	}
	return product, 2 * float64(n) * float64(n) * float64(n) / best.Seconds() / 1e9
}
