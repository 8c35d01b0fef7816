package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train/bench"
)

func (a *app) bench() *cobra.Command {
	var asJSON bool
	var precision string
	c := &cobra.Command{
		Use:   "bench [WORKLOAD ... | FILE.yaml [key=value ...]]",
		Short: "Time matrix products, training steps and sampling",
		Long: `Time standard workloads, all of them unless some are named, each in a process
of its own; or the training step of an experiment.

  gemm     matrix products
  mlp      a training step of a residual MLP: 0.35 M parameters, batch 256
  unet     of a U-Net for 28×28 images: 6.5 M parameters, batch 64
  dit      of a diffusion transformer on 196 patches: 20 M parameters, batch 32
  latency  ten Euler steps of sampling, small batches
  otcfm    flow matching between two distributions, pairs independent and optimal

A training step is everything: drawing data, noise and times, forward and
backward pass, clipping, AdamW, moving average. Times are medians after warm-up.
Peak MiB is the highest resident memory minus that before the first step.

With --precision bf16, gemm, mlp, unet and dit compute matrix products,
convolutions and attention in bfloat16; latency and otcfm are left out.

GOMAXPROCS sets the number of threads, LANGEVIN_SIMD the instruction set.
Figures mean something on an otherwise idle machine only.`,
		Example: fmt.Sprintf(`  %[1]s bench
  %[1]s bench gemm unet --json
  %[1]s bench --precision bf16 dit
  %[1]s bench examples/digits.yaml batch=256`, a.Name),
		Args:      cobra.ArbitraryArgs,
		ValidArgs: bench.Names(),
		RunE: func(c *cobra.Command, args []string) error {
			return a.runBench(c.Context(), args, precision, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each measurement")
	c.Flags().StringVar(&precision, "precision", "", "float32 or bf16 (default float32, or what the file says)")
	return c
}

func (a *app) runBench(ctx context.Context, args []string, precision string, asJSON bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = bench.Run(ctx, bench.Options{Args: args, Precision: precision, JSON: asJSON, Stdout: a.Stdout, Stderr: os.Stderr, Child: []string{self, "bench", "--json"}})
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.Stderr, "Stopped.")
		return errInterrupted
	}
	return err
}
