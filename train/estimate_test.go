package train

import (
	"context"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor/backend/trace"
)

// estimated are experiments with what a run's memory may hold.
var estimated = map[string][]string{
	"transformer":      {"model={kind: dit, patch: 2, width: 32, depth: 2, heads: 2}", "batch=100"},
	"network of convs": {"model={kind: unet, channels: [16, 32], head_dim: 8}", "batch=48"},
	"in parts":         {"model={kind: dit, patch: 2, width: 32, depth: 2, heads: 2}", "batch=100", "accumulate=3", "post_hoc={every: 9}"},
	"few samples":      {"model={kind: unet, channels: [16, 32], head_dim: 8}", "batch=6", "optim.rule=muon", "ema=null"},
	"one sample":       {"model={kind: dit, patch: 2, width: 32, depth: 1, heads: 2}", "batch=1"},
}

const estimatedYAML = "data: digits\nmodel: dit\nsample: {every: 0}\n"

// What is estimated from a few samples is what the whole batch takes: memory to a factor of 1.25, of which a scope's last
// chunk alone may be as much, and operations to 1 % (which are linear in the samples, but for products that
// fuse differently).
func TestEstimate(t *testing.T) {
	for name, set := range estimated {
		if testing.Short() && name != "in parts" && name != "one sample" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			exp := experiment(t, estimatedYAML, set...)
			e, err := exp.EstimateRun(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			dev, err := exp.device()
			if err != nil {
				t.Fatal(err)
			}
			tracer := trace.New(dev)
			tr, err := New(context.Background(), exp, Options{Bare: true, Device: tracer.Device()})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			for i := range 3 {
				if i == 2 {
					tracer.Start()
				}
				if err := tr.Train(); err != nil {
					t.Fatal(err)
				}
			}
			_, peak := tracer.Memory()
			if off := float64(e.Memory.Total()) / float64(peak); !(off > 1/1.25 && off < 1.25) {
				t.Errorf("memory estimated as %d, is %d: %.3f times", e.Memory.Total(), peak, off)
			}
			if off := e.FLOPs / float64(tracer.Total().FLOPs); math.Abs(off-1) > 0.01 {
				t.Errorf("operations estimated as %.4g, are %d: %.4f times", e.FLOPs, tracer.Total().FLOPs, off)
			}
			t.Logf("memory %.3f, operations %.4f times", float64(e.Memory.Total())/float64(peak), e.FLOPs/float64(tracer.Total().FLOPs))
			if e.Params != tr.Params() || e.Batch != exp.Batch || e.Steps != exp.Steps || e.Step <= 0 || e.Memory.Weights != int64(4*tr.Params()) {
				t.Errorf("got %+v", e)
			}
		})
	}
}
