package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train/sweep"
)

func (a *app) sweep() *cobra.Command {
	var dir string
	var asJSON, asCSV, dry bool
	c := &cobra.Command{
		Use:   "sweep FILE [key=value ...]",
		Short: "Train an experiment over lists of settings and seeds",
		Long: `Train an experiment with every combination of the settings that a file lists, each with every
seed, and sum up what came of it: means and standard deviations over the seeds.

  experiment: digits.yaml           # beside this file
  set: {steps: 2000}                # in all runs
  seeds: [0, 1, 2]
  grid:                             # every combination
    optim.lr: [1e-3, 3e-4]
    optim.rule: [adamw, lion]
  zip:                              # first values together, second values together, ...
    model.width: [128, 256]
    batch: [256, 128]
  eval: 1000                        # samples that each run is measured by; 0: none
  figures: [frechet, train/loss]    # columns of the table; empty: all

Every run is a folder like any other. After Ctrl-C, the same command goes on; when all runs are
finished, it prints the table. A run that diverges is counted, and the others go on.
Settings behind the file are those of all runs.`,
		Example: fmt.Sprintf(`  %[1]s sweep sweep.yaml
  %[1]s sweep sweep.yaml steps=500 --run runs/short
  %[1]s sweep sweep.yaml --dry-run
  %[1]s sweep sweep.yaml --csv`, a.Name),
		Args: first("a YAML file"),
		RunE: func(c *cobra.Command, args []string) error {
			if asJSON && asCSV {
				return usagef("--json and --csv: want one of them")
			}
			plan, err := sweep.Load(args[0], args[1:], dir)
			if err != nil {
				return err
			}
			if dry {
				return a.printPlan(plan)
			}
			table, err := a.runSweep(c.Context(), plan)
			if err != nil || table == nil {
				return err
			}
			switch {
			case asJSON:
				return table.JSON(a.Stdout)
			case asCSV:
				return table.CSV(a.Stdout)
			}
			return table.Text(a.Stdout)
		},
	}
	fl := c.Flags()
	fl.StringVar(&dir, "run", "", "folder of the runs (default runs/NAME)")
	fl.BoolVar(&asJSON, "json", false, "print a line of JSON for each setting")
	fl.BoolVar(&asCSV, "csv", false, "print the table as CSV")
	fl.BoolVar(&dry, "dry-run", false, "list the runs, and train none")
	return c
}

// runSweep gives no table when the time of a run is over.
func (a *app) runSweep(ctx context.Context, plan *sweep.Plan) (*sweep.Table, error) {
	stages := newStages(a)
	j := &sweep.Job{Plan: plan, Progress: a.progress, Warn: a.warn, Stage: stages.at,
		Say: func(format string, args ...any) { stages.finish(); fmt.Fprintf(a.Stderr, format+"\n", args...) }}
	results, err := j.Run(ctx)
	stages.finish()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.Stderr, "\nStopped; the same command goes on in %s.\n", filepath.Dir(plan.Runs[0].Dir))
		return nil, errInterrupted
	}
	var over *sweep.OutOfTimeError
	if errors.As(err, &over) {
		fmt.Fprintf(a.Stdout, "\n%v; the same command goes on.\n", over)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return plan.Table(results), nil
}

// printPlan lists the runs.
func (a *app) printPlan(plan *sweep.Plan) error {
	for _, r := range plan.Runs {
		var settings []string
		for _, s := range r.Point {
			settings = append(settings, s.Key+"="+string(s.Value))
		}
		if _, err := fmt.Fprintf(a.Stdout, "%s: %s\n", r.Dir, strings.Join(append(settings, fmt.Sprintf("seed=%d", r.Seed)), " ")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(a.Stdout, "%d %s\n", len(plan.Runs), plural(len(plan.Runs), "run"))
	return err
}
