package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/report"
)

func (a *app) report() *cobra.Command {
	var o report.Options
	var out, card string
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Sum up a run as one HTML file, and its model as a card",
		Long: `Write what a run has left behind as one HTML file that needs nothing else and makes no request: curves, the loss by noise level, samples,
figures of eval, the resolved configuration, what it ran on, and a card of the model that says how it is sampled, what it
is conditioned on, how fast it is, and what nobody has answered.

Figures are read from lines that eval --json and eval --compare --json have written: RUN/eval.jsonl, or --figures.
What a run cannot know, such as the deployment and how the model fails, is said in RUN/card.yaml, or --card: title, summary, intended_use,
not_for, data, conditions, deployment (solver, schedule, steps, noise, latency_budget, machine), after_sampling, rare_modes,
task_metrics, failures (a list), licence, contact. What is not said is printed as unanswered.`,
		Example: fmt.Sprintf("  %[1]s report runs/digits\n  %[1]s eval runs/digits --json >> runs/digits/eval.jsonl\n  %[1]s report runs/digits --out digits.html --markdown MODEL_CARD.md --requests 50", a.Name),
		Args:    only("a run"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Requests < 0 {
				return usagef("--requests must not be negative, is %d", o.Requests)
			}
			return a.runReport(c.Context(), args[0], out, card, o)
		},
	}
	fl := c.Flags()
	fl.StringVar(&out, "out", "", "HTML file to write (default report.html in the run's folder)")
	fl.StringVar(&card, "markdown", "", "file to write the model's card to, as Markdown")
	fl.StringVar(&o.Stated, "card", "", "YAML file of what a run cannot know (default card.yaml in the run's folder, if it is there)")
	fl.StringArrayVar(&o.Figures, "figures", nil, "file of lines that eval --json has written; more than one: all (default eval.jsonl in the run's folder, if it is there)")
	fl.IntVar(&o.Requests, "requests", 20, "requests of one sample whose latency is measured, as many as fit ten seconds; 0: none")
	return c
}

func (a *app) runReport(ctx context.Context, run, out, card string, o report.Options) error {
	if out == "" {
		out = filepath.Join(run, "report.html")
	}
	for _, path := range []string{out, card} {
		if path != "" && train.IsRun(run) {
			if err := train.CheckPlace(path); err != nil {
				return err
			}
		}
	}
	o.Within, o.Warn = 10*time.Second, a.warn
	r, err := report.New(ctx, run, o)
	if err != nil {
		return a.stopped(err)
	}
	for _, f := range []struct {
		path string
		fill func(io.Writer) error
	}{{out, r.HTML}, {card, r.Markdown}} {
		if f.path == "" {
			continue
		}
		if err := atomicfile.Write(f.path, f.fill); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(a.Stdout, f.path); err != nil {
			return err
		}
	}
	return nil
}
