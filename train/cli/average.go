package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
)

func (a *app) average() *cobra.Command {
	var sigma float64
	var updates int
	var out string
	c := &cobra.Command{
		Use:   "average RUN",
		Short: "Make a moving average of any width after training",
		Long: `Put the moving average of a run's weights together that has the width asked for,
from snapshots that training with post_hoc has stored (Karras et al. 2024), and write a checkpoint
with it. Widths are relative to the length of training.`,
		Example: fmt.Sprintf(`  %[1]s train my.yaml post_hoc.every=500 --run runs/averaged
  %[1]s average runs/averaged --sigma-rel 0.08 --out averaged.safetensors
  %[1]s sample averaged.safetensors --n 16 --out samples.png`, a.Name),
		Args: only("a run"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case !c.Flags().Changed("sigma-rel"):
				return usagef("missing: the width, as in --sigma-rel 0.08")
			case c.Flags().Changed("updates") && updates < 1:
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
	c.Flags().IntVar(&updates, "updates", 0, "updates of the weights that the average ends with (default all)")
	c.Flags().StringVar(&out, "out", "averaged.safetensors", "checkpoint to write")
	return c
}
