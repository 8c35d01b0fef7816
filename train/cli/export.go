package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
)

func (a *app) export() *cobra.Command {
	var raw bool
	var out string
	c := &cobra.Command{
		Use:   "export RUN|CHECKPOINT",
		Short: "Write a model's weights alone, as safetensors",
		Long: `Write the weights of a run's newest checkpoint, or of a checkpoint, to a safetensors file in which parameters have
their own names (see inspect --params): the moving average, if there is one. What only training needs is left out. The file opens in
other programs, and can be sampled from, measured and inspected here.`,
		Example: fmt.Sprintf(`  %[1]s export runs/digits --out digits.safetensors
  %[1]s sample digits.safetensors --n 16 --out samples.png`, a.Name),
		Args: only("a run or a checkpoint"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := train.Export(args[0], raw, out, a.warn); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.Stdout, out)
			return err
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "the weights themselves, not their moving average")
	c.Flags().StringVar(&out, "out", "weights.safetensors", "file to write")
	return c
}
