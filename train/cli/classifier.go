package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/classify"
)

func (a *app) classifier() *cobra.Command {
	var cfg classify.Config
	cfg.SetDefaults()
	var out string
	c := &cobra.Command{
		Use:   "classifier RUN",
		Short: "Train a classifier of noisy samples, to guide by",
		Long: `Train a classifier on a run's data at all noise levels, and write it. Its gradient guides
any model of these data, with or without classes of its own, on any path:
classifier_guidance in a run's sample section (Dhariwal and Nichol 2021).`,
		Example: fmt.Sprintf(`  %[1]s classifier runs/digits --updates 200 --out classifier.safetensors
  %[1]s sample runs/digits --guidance 1 --class 7 'classifier_guidance={file: classifier.safetensors, scale: 2}'`, a.Name),
		Args: only("a run or a checkpoint"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case cfg.Updates < 1:
				return usagef("--updates must be at least 1, is %d", cfg.Updates)
			case cfg.Batch < 1:
				return usagef("--batch must be at least 1, is %d", cfg.Batch)
			case cfg.Width < 4 || cfg.Width > 512:
				return usagef("--width must be in 4…512, is %d", cfg.Width)
			case !(cfg.Rate > 0) || math.IsInf(cfg.Rate, 0):
				return usagef("--lr must be positive, is %g", cfg.Rate)
			case filepath.Ext(out) != ".safetensors":
				return usagef("--out must name a .safetensors file, is %s", out)
			}
			return a.runClassifier(c.Context(), args[0], cfg, out)
		},
	}
	fl := c.Flags()
	fl.StringVar(&out, "out", "classifier.safetensors", "file to write")
	fl.IntVar(&cfg.Updates, "updates", cfg.Updates, "updates of the weights")
	fl.IntVar(&cfg.Batch, "batch", cfg.Batch, "samples an update")
	fl.IntVar(&cfg.Width, "width", cfg.Width, "width of the layers")
	fl.Float64Var(&cfg.Rate, "lr", cfg.Rate, "peak learning rate")
	fl.Uint64Var(&cfg.Seed, "seed", 0, "seed of all random numbers")
	return c
}

func (a *app) runClassifier(ctx context.Context, path string, cfg classify.Config, out string) error {
	t, err := train.Open(path, a.warn)
	if err != nil {
		return err
	}
	if err := t.CheckOutput(out); err != nil {
		return err
	}
	progress := newStages(a)
	k, found, err := train.TrainClassifier(ctx, t, cfg, func(done, total int) { progress.at("training the classifier", done, total) })
	progress.finish()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.Stderr, "Stopped; nothing was written.")
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if err := k.Save(out); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s: %d classes\n", out, k.Classes)
	for i, f := range found {
		if i == 0 {
			fmt.Fprintf(a.Stdout, "\nsigma/alpha  held-out samples recognised\n")
		}
		fmt.Fprintf(a.Stdout, "%11.3g  %.1f %%\n", math.Tan(f.Time*math.Pi/2), 100*f.Accuracy)
	}
	return nil
}
