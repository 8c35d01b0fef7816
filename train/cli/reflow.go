package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train/distill"
)

func (a *app) reflow() *cobra.Command {
	r := distill.Reflow{Steps: []int{1, 2, 4, 8}, Samples: 1000, Paths: 256}
	var guidance float64
	var asJSON bool
	c := &cobra.Command{
		Use:   "reflow RUN [key=value ...]",
		Short: "Straighten a flow by rounds of rectification",
		Long: `Straighten the flow of a run (rectified flow, Liu et al. 2023). Each round makes pairs of
noise and samples with the model so far and trains the next one, from its weights, on
straight lines between them. The settings of training are the run's; keys can be
overridden behind it. After each round, how straight the flow is and how good samples of
few steps are is measured, beside the run itself.

Everything is kept in one folder. After Ctrl-C, the same command goes on.`,
		Example: fmt.Sprintf(`  %[1]s reflow runs/digits
  %[1]s reflow runs/digits --rounds 2 --pairs 50000 --run runs/straight steps=10000 optim.lr=1e-3
  %[1]s reflow runs/digits --pairs 10000 --real 1437 --sampler heun --steps 50 --run runs/real
  %[1]s reflow runs/digits --guidance 1.5 --run runs/guided objective.huber=0.00054 objective.times=u_shaped`, a.Name),
		Args: first("a run"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Teacher, r.Overrides = args[0], args[1:]
			var err error
			if r.Choice.Guidance, err = scale(c, guidance); err != nil {
				return err
			}
			if r.Choice.Guidance == nil {
				one := 1.0
				r.Choice.Guidance = &one
			}
			for _, k := range r.Steps {
				if k < 1 {
					return usagef("--measure must be numbers of steps from 1 on, has %d", k)
				}
			}
			if r.Samples < 10 || r.Paths < 1 {
				return usagef("--n must be at least 10 and --ways at least 1, are %d and %d", r.Samples, r.Paths)
			}
			if r.Dir == "" {
				r.Dir = filepath.Clean(r.Teacher) + "-reflow"
			}
			return a.runReflow(c.Context(), &r, asJSON)
		},
	}
	fl := c.Flags()
	fl.IntVar(&r.Rounds, "rounds", 1, "rounds of rectification")
	fl.IntVar(&r.Pairs, "pairs", 20000, "pairs that each round makes")
	fl.IntVar(&r.Real, "real", 0, "of these, made backwards: training samples that the model leads back to their noise, by a --sampler that can, such as heun (Lee et al. 2024)")
	fl.StringVar(&r.Dir, "run", "", "folder of the job (default RUN-reflow)")
	fl.StringVar(&r.Choice.Sampler, "sampler", "dopri5", "how pairs are made: a deterministic sampler")
	fl.IntVar(&r.Choice.Steps, "steps", 1, "its steps; dopri5 chooses its own within each")
	fl.Float64Var(&guidance, "guidance", 1, "scale of classifier-free guidance in the first round's pairs, which the student then has built in")
	fl.Uint64Var(&r.Seed, "seed", 0, "seed of the pairs")
	fl.IntSliceVar(&r.Steps, "measure", r.Steps, "numbers of Euler steps with which samples are measured")
	fl.IntVar(&r.Samples, "n", r.Samples, "samples of each measurement")
	fl.IntVar(&r.Paths, "ways", r.Paths, "ways whose straightness is measured")
	fl.BoolVar(&asJSON, "json", false, "print a line of JSON for each round")
	a.completeSampler(c)
	return c
}

func (a *app) runReflow(ctx context.Context, r *distill.Reflow, asJSON bool) error {
	r.Progress, r.Warn = a.progress, a.warn
	r.Say = func(format string, args ...any) { fmt.Fprintf(a.Stderr, format+"\n", args...) }
	rounds, err := r.Run(ctx)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.Stderr, "\nStopped; the same command goes on in %s.\n", r.Dir)
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(a.Stdout)
		for _, k := range rounds {
			if err := enc.Encode(k); err != nil {
				return err
			}
		}
		return nil
	}
	if err := a.printRounds(rounds); err != nil {
		return err
	}
	last := rounds[len(rounds)-1].Run
	fmt.Fprintf(a.Stdout, "\nNext:\n  %s sample %s --sampler euler --steps 1 --out samples.png\n", a.Name, last)
	return nil
}

// printRounds is a table: a row a round, its shape and its quality by steps.
func (a *app) printRounds(rounds []distill.Round) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := []string{"round", "straightness", "curvature", "transport"}
	for _, q := range rounds[0].Quality {
		head = append(head, fmt.Sprintf("%d %s", q.Steps, plural(q.Steps, "step")))
	}
	fmt.Fprintln(w, strings.Join(head, "\t")+"\t")
	classes := false
	for _, k := range rounds {
		row := []string{fmt.Sprint(k.Round), fmt.Sprintf("%.4f", k.Shape.Straightness), fmt.Sprintf("%.4f", k.Shape.Curvature), fmt.Sprintf("%.2f", k.Shape.Transport)}
		for _, q := range k.Quality {
			switch {
			case q.W2 != 0:
				row = append(row, fmt.Sprintf("W2 %.4f", q.W2))
			case q.Correct > 0:
				classes = true
				row = append(row, fmt.Sprintf("%.3f (%.1f %%)", q.Frechet, 100*q.Correct))
			default:
				row = append(row, fmt.Sprintf("%.3f", q.Frechet))
			}
		}
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	note := "round 1 is the run itself"
	if classes {
		note += "; by steps of Euler's method: Fréchet distance (part recognised as the class asked for)"
	}
	_, err := fmt.Fprintln(a.Stdout, note)
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
