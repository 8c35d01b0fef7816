package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/distill"
)

func (a *app) distill() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "distill FILE [key=value ...]",
		Short: "Make a student of few steps from a trained model",
		Long: `Make a student that samples in few steps from a trained model, the teacher: a run, a
checkpoint or a diffusers folder. The file is an experiment with the keys teacher and method; what it
does not say (data, network, conditions, settings of training) is as the teacher has it.

The student is a run like any other: it is sampled, measured and inspected as one, without
the teacher. Progressive distillation makes a run for each halving of the steps, in a folder.

After Ctrl-C, the same command goes on.`,
		Example: fmt.Sprintf(`  %[1]s distill student.yaml
  %[1]s distill student.yaml steps=500 'method={kind: consistency-distillation, guidance: 1.5}' --run runs/guided
  %[1]s distill student.yaml steps=200 'method={kind: progressive, teacher_steps: 16, steps: 4}' --run runs/halved`, a.Name),
		Args: first("a YAML file"),
		RunE: func(c *cobra.Command, args []string) error {
			exp, err := train.LoadDistillation(args[0], args[1:], a.warn)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join("runs", exp.Name)
			}
			return a.runDistill(c.Context(), &distill.Job{Exp: exp, Dir: dir})
		},
	}
	c.Flags().StringVar(&dir, "run", "", "folder of the student, or of the rounds (default runs/NAME)")
	return c
}

func (a *app) runDistill(ctx context.Context, j *distill.Job) error {
	j.Progress, j.Warn = a.progress, a.warn
	j.Say = func(format string, args ...any) { fmt.Fprintf(a.Stderr, format+"\n", args...) }
	stages, err := j.Run(ctx)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.Stderr, "\nStopped; the same command goes on in %s.\n", j.Dir)
		return errInterrupted
	}
	var over *distill.OutOfTimeError
	if errors.As(err, &over) {
		fmt.Fprintf(a.Stdout, "\n%v; the same command goes on in %s.\n", over, j.Dir)
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range stages {
		fmt.Fprintf(a.Stdout, "%s: made for %d %s\n", s.Run, s.Steps, plural(s.Steps, "step"))
	}
	last := stages[len(stages)-1].Run
	fmt.Fprintf(a.Stdout, "\nNext:\n  %[1]s sample %[2]s --n 16\n  %[1]s eval %[2]s\n  %[1]s inspect %[2]s\n", a.Name, last)
	return nil
}
