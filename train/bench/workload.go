package bench

import (
	"context"
	"fmt"
	"strings"
)

// Workload is something to measure.
type Workload interface {
	// Name is the workload in results.
	Name() string
	// Measure runs it and hands every result to emit as soon as it is there.
	Measure(ctx context.Context, e *Env, emit func(Result) error) error
}

// Standard are the workloads of the comparison with PyTorch, in its sizes.
func Standard() []Workload {
	return []Workload{
		&GEMM{Shapes: [][3]int{{256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048},
			{6272, 384, 384}, {6272, 1536, 384}, {6272, 384, 1536}}, Operations: 2e10},
		builtin("mlp", 200),
		builtin("unet", 6),
		builtin("dit", 6),
		&Latency{Steps: 10, Cases: []LatencyCase{
			{Net: "mlp", Batch: 1, Warm: 10, Runs: 10_000},
			{Net: "mlp", Batch: 64, Warm: 10, Runs: 10_000},
			{Net: "dit", Batch: 1, Warm: 3, Runs: 10},
		}},
		&Coupling{Cases: []CouplingCase{
			{Coupling: "icfm", Batch: 256, Runs: 300}, {Coupling: "icfm", Batch: 1024, Runs: 40},
			{Coupling: "otcfm", Batch: 256, Runs: 300}, {Coupling: "otcfm", Batch: 1024, Runs: 40},
		}},
	}
}

// Names are the names of the standard workloads.
func Names() []string {
	var names []string
	for _, w := range Standard() {
		names = append(names, w.Name())
	}
	return names
}

// Find is the standard workload of a name.
func Find(name string) (Workload, error) {
	for _, w := range Standard() {
		if w.Name() == name {
			return w, nil
		}
	}
	return nil, fmt.Errorf("unknown workload %q: want %s, or a YAML file", name, strings.Join(Names(), ", "))
}
