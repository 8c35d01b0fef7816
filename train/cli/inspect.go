package cli

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/train"
)

func (a *app) inspect() *cobra.Command {
	var params bool
	var choice train.Choice
	c := &cobra.Command{
		Use:   "inspect RUN|DIR [key=value ...]",
		Short: "Describe a run, a checkpoint or a diffusers folder, and check how it is sampled",
		Long: `Describe a run, a checkpoint or a diffusers folder, and warn of what people trip over
when sampling: shifts made twice, signal that is left at the end of a schedule or none where
the prediction needs some, a prediction type that the network's answers do not fit, steps that
go nowhere, spacing that never reaches the last entry, noise levels outside of training.

With --sampler, --steps or keys of the sample section, the table of that sampling run's steps, too.`,
		Example: fmt.Sprintf("  %[1]s inspect runs/digits\n  %[1]s inspect runs/digits --sampler ddim --steps 10\n  %[1]s inspect runs/digits grid=logsnr\n  %[1]s inspect pipeline/ --params", a.Name),
		Args: func(_ *cobra.Command, args []string) error {
			if err := first("a run, a checkpoint or a diffusers folder")(nil, args); err != nil {
				return err
			}
			for _, v := range args[1:] {
				if !strings.Contains(v, "=") {
					return fmt.Errorf("%q is one argument too many", v)
				}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("steps") && choice.Steps < 1 {
				return usagef("--steps must be at least 1, is %d", choice.Steps)
			}
			choice.Overrides = args[1:]
			steps := choice.Sampler != "" || choice.Steps > 0 || len(choice.Overrides) > 0
			return a.runInspect(args[0], choice, params, steps)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&params, "params", false, "list every parameter with its shape")
	fl.StringVar(&choice.Sampler, "sampler", "", "sampler whose steps to list")
	fl.IntVar(&choice.Steps, "steps", 0, "sampling steps to list")
	a.completeSampler(c)
	return c
}

func (a *app) runInspect(path string, choice train.Choice, params, steps bool) error {
	t, err := train.Open(path, a.warn)
	if err != nil {
		return err
	}
	if err := t.Choose(choice); err != nil {
		return err
	}
	for _, r := range t.Facts() {
		fmt.Fprintf(a.Stdout, "%-12s %s\n", r[0], r[1])
	}
	rows, warnings, err := t.Checkup()
	if err != nil {
		return err
	}
	if steps {
		fmt.Fprint(a.Stdout, "\n", stepTable(rows))
	}
	for i, w := range warnings {
		if i == 0 {
			fmt.Fprintln(a.Stdout)
		}
		fmt.Fprintf(a.Stdout, "warning      %v\n", w)
	}
	if params {
		fmt.Fprintln(a.Stdout)
		for _, p := range t.Params {
			fmt.Fprintf(a.Stdout, "%-48s %v\n", p.Name, p.Shape())
		}
	}
	return nil
}

// stepTable has a line for each time of a grid.
func stepTable(rows []sampler.Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%5s%12s%12s%12s%14s%10s%12s%10s\n", "step", "t", "alpha", "sigma", "sigma/alpha", "log-SNR", "Δt", "Δlog-SNR")
	for _, r := range rows {
		step, by := fmt.Sprint(r.Step), fmt.Sprintf("%12.5g%10.3f", r.DT, r.DLogSNR)
		if math.IsNaN(r.DT) {
			step, by = "end", ""
		}
		fmt.Fprintf(&b, "%5s%12.6g%12.6f%12.6g%14.6g%10.3f%s\n", step, r.T, r.Alpha, r.Sigma, r.NoiseLevel, r.LogSNR, by)
	}
	return b.String()
}
