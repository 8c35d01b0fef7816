package main

import (
	"context"
	"fmt"
	"strings"
)

// timed is what training steps are timed of: networks of the comparison with PyTorch in its sizes, and transformers of
// usual ones (Peebles and Xie 2023) on latents of 32×32×4.
var timed = []struct{ title, args, quick string }{
	{"The workloads of the comparison", "gemm mlp unet dit latency", ""},
	{"MLP", "", "mlp --runs=2 batch=8 model.width=16"},
	{"U-Net", "", "unet --runs=2 batch=2 data.shape=[8,8,1] model.channels=[8,16,16] model.groups=4 model.head_dim=8"},
	{"DiT", "", "dit --runs=2 batch=2 data.shape=[8,8,1] model.sample_size=8 model.width=32 model.depth=2 model.heads=2 model.classes=20"},
	{"DiT-S/2, batch 256", "dit --runs=20 batch=256 data.shape=[32,32,4] model.sample_size=32 model.depth=12", ""},
	{"DiT-B/2, batch 256", "dit --runs=20 batch=256 data.shape=[32,32,4] model.sample_size=32 model.depth=12 model.width=768 model.heads=12", ""},
}

// times times training steps on the device in both precisions.
func (c *checker) times(ctx context.Context) (string, error) {
	var b strings.Builder
	for _, precision := range []string{"float32", "bf16"} {
		for _, w := range timed {
			args := w.args
			if c.quick {
				args = w.quick
			}
			if args == "" {
				continue
			}
			names := strings.Fields(args)
			if precision == "bf16" && names[len(names)-1] == "latency" {
				names = names[:len(names)-1] // measured in float32 only
			}
			table, err := c.table(ctx, c.program, append([]string{"bench", "--markdown", "--device=cuda", "--precision=" + precision}, names...)...)
			if err != nil {
				return b.String(), err
			}
			fmt.Fprintf(&b, "%s: %s\n", w.title, table)
		}
	}
	return b.String(), nil
}

// beside times PyTorch's side on the same device, in turn with Langevin's.
func (c *checker) beside(ctx context.Context) (string, error) {
	if c.peer == "" {
		return "", &notRun{"no `--peer PYTHON` was given"}
	}
	args := []string{"scripts/bench/compare.py", "--device=cuda", "--langevin", c.program, "--modes=eager,compile,bf16,compile_bf16"}
	if c.quick {
		args = append(args, "--rounds=1", "--runs=2", "mlp")
	} else {
		args = append(args, "gemm", "mlp", "unet", "dit", "latency")
	}
	return c.table(ctx, c.peer, args...)
}
