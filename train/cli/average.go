package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
)

func (a *app) average() *cobra.Command {
	var sigma float64
	var updates, last int
	var out string
	c := &cobra.Command{
		Use:   "average RUN --sigma-rel WIDTH | average RUN|CHECKPOINT ...",
		Short: "Make an average of weights after training",
		Long: `With --sigma-rel: put the moving average of a run's weights together that has the width asked for,
from snapshots that training with post_hoc has stored (Karras et al. 2024). Widths are relative to the length of training.

Without it: the mean of the weights of several checkpoints, of the moving averages where they have them; a run
stands for its newest checkpoints.

Both write a checkpoint.`,
		Example: fmt.Sprintf(`  %[1]s train my.yaml post_hoc.every=500 --run runs/averaged
  %[1]s average runs/averaged --sigma-rel 0.08 --out averaged.safetensors
  %[1]s sample averaged.safetensors --n 16 --out samples.png
  %[1]s average averaged.safetensors runs/averaged --last 1 --out mean.safetensors`, a.Name),
		Args: first("a run, or checkpoints"),
		RunE: func(c *cobra.Command, args []string) error {
			changed := c.Flags().Changed
			if !changed("sigma-rel") {
				switch {
				case changed("updates"):
					return usagef("--updates belongs to --sigma-rel, the width of a moving average")
				case last < 1:
					return usagef("--last must be at least 1, is %d", last)
				}
				n, err := train.Average(args, last, out, a.warn)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.Stdout, "%s: the mean of %d checkpoints\n", out, n)
				return nil
			}
			switch {
			case len(args) > 1:
				return usagef("%q is one argument too many: --sigma-rel takes one run", args[1])
			case changed("last"):
				return usagef("--last and --sigma-rel exclude each other")
			case changed("updates") && updates < 1:
				return usagef("--updates must be at least 1, is %d", updates)
			}
			if err := train.Reconstruct(args[0], sigma, updates, out, a.warn); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "%s\n", out)
			return nil
		},
	}
	c.Flags().Float64Var(&sigma, "sigma-rel", 0, "width of the average, as a part of training")
	c.Flags().IntVar(&updates, "updates", 0, "with --sigma-rel: updates of the weights that the average ends with (default all)")
	c.Flags().IntVar(&last, "last", 2, "without --sigma-rel: newest checkpoints of each run")
	c.Flags().StringVar(&out, "out", "averaged.safetensors", "checkpoint to write")
	return c
}
