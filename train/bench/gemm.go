package bench

import (
	"cmp"
	"context"
	"fmt"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train"
)

// GEMM times matrix products (M,K)·(K,N) of N(0,1).
type GEMM struct {
	Shapes     [][3]int // M, N, K
	Operations float64  // floating-point operations of a measurement, about
}

// Name is gemm.
func (*GEMM) Name() string { return "gemm" }

// Measure times every shape.
func (g *GEMM) Measure(ctx context.Context, e *Env, emit func(Result) error) error {
	dev, err := train.OpenDevice(cmp.Or(e.Device, "auto"))
	if err != nil {
		return err
	}
	if e.Precision != "" {
		if dev, err = train.AtPrecision(dev, e.Precision); err != nil {
			return err
		}
	}
	for _, shape := range g.Shapes {
		r, err := g.product(ctx, e, dev, shape)
		if err != nil {
			return err
		}
		if err := emit(r); err != nil {
			return err
		}
	}
	return nil
}

func (g *GEMM) product(ctx context.Context, e *Env, dev backend.Device, shape [3]int) (Result, error) {
	m, n, k := shape[0], shape[1], shape[2]
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	a := s.Keep(s.Normal(rng.Key{Seed: 1}, 0, m, k))
	defer a.Drop()
	b := s.Keep(s.Normal(rng.Key{Seed: 2}, 0, k, n))
	defer b.Drop()
	operations := 2 * float64(m) * float64(n) * float64(k)
	plan := measurement{label: fmt.Sprintf("gemm %d×%d×%d", m, n, k), warm: 3, runs: max(5, int(g.Operations/operations))}
	var peak float64
	if p, ok := dev.(peaker); ok {
		dtype := backend.Float32
		if e.Precision == train.BF16 {
			dtype = backend.BFloat16
		}
		peak = p.Peak(dtype, p.Threads()) / 1e9
	}
	r, err := e.measure(ctx, plan, func() error {
		s.Reset()
		a.Tensor(s).MatMul(b)
		return dev.Sync()
	})
	r.heldBy(dev)
	r.Workload, r.Shape = g.Name(), shape[:]
	if r.Median > 0 {
		r.GFLOPS, r.BestGFLOPS = operations/r.Median/1e6, operations/r.Min/1e6
		r.PeakGFLOPS, r.PeakShare = peak, share(r.GFLOPS, peak)
	}
	return r, err
}
