package cli

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train/figure"
	"github.com/langevin-go/langevin/train/plot"
)

func (a *app) plotCurves() *cobra.Command {
	var metrics []string
	var out string
	opt := plot.CurveOptions{XLabel: "training step"}
	c := &cobra.Command{
		Use:   "curves RUN [RUN ...]",
		Short: "Metrics of runs over the training steps",
		Long: `Draw metrics of one or several runs over the training steps. A long curve is the average of neighbouring values,
over a band that has four fifths of them.`,
		Example: fmt.Sprintf("  %[1]s plot curves runs/digits --metric train/loss --metric train/grad_norm --log", a.Name),
		Args:    first("a run, or several"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkPicture(out, ".png", ".svg"); err != nil {
				return err
			}
			series, err := figure.Curves(args, metrics)
			if err != nil {
				return err
			}
			if len(metrics) == 1 {
				opt.YLabel = metrics[0]
			}
			if err := plot.WriteCurve(out, series, opt); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "%s: %d curves\n", out, len(series))
			return nil
		},
	}
	fl := c.Flags()
	fl.StringArrayVar(&metrics, "metric", []string{"train/loss"}, "metric to draw, as metrics.jsonl names it; more than one: a curve each")
	fl.BoolVar(&opt.Log, "log", false, "logarithmic values")
	fl.BoolVar(&opt.LogX, "logx", false, "logarithmic steps")
	fl.StringVar(&opt.Title, "title", "", "title of the picture")
	fl.StringVar(&out, "out", "curves.png", "file to write, .png or .svg")
	return c
}

func (a *app) plotQuality() *cobra.Command {
	var o figure.QualityOptions
	var out string
	opt := plot.CurveOptions{Points: true, ReferenceName: "held-out data"}
	c := &cobra.Command{
		Use:   "quality FILE.jsonl [FILE.jsonl ...]",
		Short: "Quality of samples against guidance, evaluations or another setting",
		Long: `Draw one figure of evaluations against another, from files of lines that eval --json has written: against guidance,
evaluations (of the model a sample), steps, or any setting that was given as key=value, such as
guidance_sigma_to. Evaluations at one place are shown each, and the curve goes through their mean; the broken line
is the figure of held-out data.`,
		Example: fmt.Sprintf("  %[1]s eval runs/digits --guidance 1 --json >> q.jsonl\n  %[1]s eval runs/digits --guidance 3 --json >> q.jsonl\n  %[1]s plot quality q.jsonl --x guidance --y frechet", a.Name),
		Args:    first("a file of lines that eval --json has written"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkPicture(out, ".png", ".svg"); err != nil {
				return err
			}
			for _, w := range o.Where {
				if !strings.Contains(w, "=") {
					return usagef("--where %s: want key=value", w)
				}
			}
			series, reference, err := figure.Quality(args, o)
			if err != nil {
				return err
			}
			if !math.IsNaN(reference) {
				opt.Reference = &reference
			}
			opt.XLabel, opt.YLabel = o.X, o.Y
			if err := plot.WriteCurve(out, series, opt); err != nil {
				return err
			}
			n := 0
			for _, s := range series {
				n += len(s.X)
			}
			fmt.Fprintf(a.Stdout, "%s: %d evaluations, %d curves\n", out, n, len(series))
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.X, "x", "guidance", "what is varied, as the lines name it")
	fl.StringVar(&o.Y, "y", "frechet", "what is measured")
	fl.StringVar(&o.By, "by", "", "key whose values have a curve each, such as sampler")
	fl.StringArrayVar(&o.Where, "where", nil, "key=value that evaluations must have to count; more than one: all of them")
	fl.BoolVar(&opt.Log, "log", false, "logarithmic figures")
	fl.BoolVar(&opt.LogX, "logx", false, "logarithmic settings")
	fl.StringVar(&opt.Title, "title", "", "title of the picture")
	fl.StringVar(&out, "out", "quality.png", "file to write, .png or .svg")
	return c
}
