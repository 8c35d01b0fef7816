package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
)

// Formats of the export command.
const (
	formatWeights   = "safetensors"
	formatDiffusers = "diffusers"
)

func (a *app) export() *cobra.Command {
	var raw bool
	var out, format string
	var guidance float64
	var choice train.Choice
	c := &cobra.Command{
		Use:   "export RUN|CHECKPOINT [key=value ...]",
		Short: "Write a model's weights alone, as safetensors, or a pipeline for diffusers",
		Long: `Write the weights of a run's newest checkpoint, or of a checkpoint, to a safetensors file in which parameters have
their own names (see inspect --params): the moving average, if there is one. What only training needs is left out. The file opens in
other programs, and can be sampled from, measured and inspected here.

With --format diffusers, write the folder of a pipeline that diffusers loads: the network (unet or dit), and the scheduler that makes
the same samples as the run from the same noise. What is not said on the command line is as the run's config says; keys of its sample section can be
overridden behind the run. What diffusers has no equivalent of is refused by name.`,
		Example: fmt.Sprintf(`  %[1]s export runs/digits --out digits.safetensors
  %[1]s sample digits.safetensors --n 16 --out samples.png
  %[1]s export runs/digits --format diffusers --out digits-pipeline
  %[1]s export runs/digits-ddpm-unet --format diffusers --sampler ddim --steps 50 --out unet-pipeline`, a.Name),
		Args: first("a run or a checkpoint"),
		RunE: func(c *cobra.Command, args []string) error {
			choice.Overrides = args[1:]
			switch {
			case format != formatWeights && format != formatDiffusers:
				return usagef("--format %s: want %s or %s", format, formatWeights, formatDiffusers)
			case format == formatDiffusers:
				if c.Flags().Changed("steps") && choice.Steps < 1 {
					return usagef("--steps must be at least 1, is %d", choice.Steps)
				}
				var err error
				if choice.Guidance, err = scale(c, guidance); err != nil {
					return err
				}
				return a.exportDiffusers(args[0], raw, out, choice)
			case len(args) > 1:
				return usagef("%q is one argument too many: settings of sampling are for --format %s", args[1], formatDiffusers)
			}
			for _, name := range []string{"sampler", "steps", "guidance"} {
				if c.Flags().Changed(name) {
					return usagef("--%s is for --format %s: weights alone say nothing of sampling", name, formatDiffusers)
				}
			}
			if out == "" {
				out = "weights.safetensors"
			}
			if err := train.Export(args[0], raw, out, a.warn); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.Stdout, out)
			return err
		},
	}
	fl := c.Flags()
	fl.BoolVar(&raw, "raw", false, "the weights themselves, not their moving average")
	fl.StringVar(&out, "out", "", "file to write (default weights.safetensors), or the new folder of a pipeline (default pipeline)")
	fl.StringVar(&format, "format", formatWeights, "safetensors: weights alone; diffusers: the folder of a pipeline")
	fl.StringVar(&choice.Sampler, "sampler", "", "with --format diffusers: sampler, such as heun, dpm_multistep, unipc, euler, ddim or ddpm")
	fl.IntVar(&choice.Steps, "steps", 0, "with --format diffusers: sampling steps")
	fl.Float64Var(&guidance, "guidance", 1, "with --format diffusers: scale s of classifier-free guidance, u+s·(c−u); 1: none")
	a.completeSampler(c)
	return c
}

func (a *app) exportDiffusers(from string, raw bool, out string, choice train.Choice) error {
	if out == "" {
		out = "pipeline"
	}
	e, err := train.ExportDiffusers(from, raw, out, choice, a.warn)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s: %s of %s and %s, %d steps\n\n%s", out, e.Pipeline, e.Network, e.Scheduler, e.Steps, e.LoadingCode(out))
	return err
}
