package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
)

func (a *app) inspect() *cobra.Command {
	var params bool
	c := &cobra.Command{
		Use:     "inspect RUN|DIR",
		Short:   "Describe a run, a checkpoint or a diffusers folder",
		Example: fmt.Sprintf("  %[1]s inspect runs/digits\n  %[1]s inspect pipeline/ --params", a.Name),
		Args:    only("a run, a checkpoint or a diffusers folder"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := train.Open(args[0], a.warn)
			if err != nil {
				return err
			}
			if err := t.Choose(train.Choice{}); err != nil {
				return err
			}
			for _, r := range t.Facts() {
				fmt.Fprintf(a.Stdout, "%-12s %s\n", r[0], r[1])
			}
			if params {
				fmt.Fprintln(a.Stdout)
				for _, p := range t.Params {
					fmt.Fprintf(a.Stdout, "%-48s %v\n", p.Name, p.Shape())
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&params, "params", false, "list every parameter with its shape")
	return c
}
