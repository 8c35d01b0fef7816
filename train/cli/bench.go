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
	var (
		o       bench.Options
		isChild bool
	)
	c := &cobra.Command{
		Use:   "bench [WORKLOAD ... | FILE.yaml] [key=value ...]",
		Short: "Time matrix products, training steps and sampling",
		Long: `Time standard workloads, all of them unless some are named, each in a process
of its own; or the training step of an experiment, operation by operation.

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
With --device cuda all but otcfm are measured on a GPU, each step until the GPU is
done; peak MiB is then the most memory taken from it. Settings behind mlp, unet
and dit change their experiments.

A breakdown sets every operation beside what the machine does, measured in the same
run: its share of the rate of the matrix product's innermost kernel, of the
bandwidth to memory, and of the limit, which is the higher of the two. Operations
and bytes are those of the definition: Winograd's convolutions, which make
fewer, and operands in caches can be above 100 %.

GOMAXPROCS sets the number of threads, LANGEVIN_SIMD the instruction set.
Figures mean something on an otherwise idle machine only.`,
		Example: fmt.Sprintf(`  %[1]s bench
  %[1]s bench gemm unet --json
  %[1]s bench --precision bf16 dit
  %[1]s bench unet --ops
  %[1]s bench --device cuda dit batch=256
  %[1]s bench examples/digits.yaml batch=256
  %[1]s bench examples/digits.yaml --detail
  %[1]s bench examples/digits.yaml --sample sample.batch=1`, a.Name),
		Args:      cobra.ArbitraryArgs,
		ValidArgs: bench.Names(),
		RunE: func(c *cobra.Command, args []string) error {
			o.Args = args
			return a.runBench(c.Context(), o, isChild)
		},
	}
	c.Flags().BoolVar(&o.JSON, "json", false, "print a line of JSON for each measurement")
	c.Flags().BoolVar(&o.Markdown, "markdown", false, "print tables in Markdown")
	c.Flags().BoolVar(&o.Ops, "ops", false, "break training steps down by operation; a file's always is")
	c.Flags().BoolVar(&o.Detail, "detail", false, "break them down by operation and shape")
	c.Flags().BoolVar(&o.Sample, "sample", false, "time sampling, as the experiment's sample settings say, instead of training")
	c.Flags().StringVar(&o.Precision, "precision", "", "float32 or bf16 (default float32, or what the file says)")
	c.Flags().StringVar(&o.Device, "device", "", "auto, cpu or cuda (default the CPU, or what the file says)")
	c.Flags().IntVar(&o.Runs, "runs", 0, "time so many training steps (default as many as is usual)")
	c.Flags().BoolVar(&isChild, childFlag, false, "measure for another process")
	if err := c.Flags().MarkHidden(childFlag); err != nil {
		panic(err) // the flag is there
	}
	return c
}

// childFlag tells a process that another one talks to the user.
const childFlag = "child"

func (a *app) runBench(ctx context.Context, o bench.Options, isChild bool) error {
	if o.JSON && o.Markdown {
		return usagef("--json and --markdown: want one of them")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.Stdout, o.Stderr = a.Stdout, os.Stderr
	o.Child = []string{self, "bench", "--json", "--" + childFlag}
	err = bench.Run(ctx, o)
	if isChild && errors.Is(err, context.Canceled) {
		return errInterrupted // its parent says so
	}
	return a.stopped(err)
}
