package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/langevin-go/langevin/diffusion/likelihood"
	"github.com/langevin-go/langevin/train"
)

// likelihoodFlags are those of eval --likelihood.
type likelihoodFlags struct {
	on, bits bool
	ode      likelihood.ODE
	times    int
}

func (l *likelihoodFlags) add(fl *pflag.FlagSet) {
	l.ode.SetDefaults()
	l.ode.RTol = 1e-4 // what it adds is far below the error over samples
	fl.BoolVar(&l.on, "likelihood", false, "measure the likelihood of the data instead of samples")
	fl.BoolVar(&l.bits, "bits", false, "likelihood in bits for each number instead of nats for each sample")
	fl.StringVar(&l.ode.Divergence, "divergence", l.ode.Divergence, "of the likelihood: exact, rademacher, gaussian, or auto: exact up to 16 dimensions, rademacher above")
	fl.IntVar(&l.ode.Probes, "probes", l.ode.Probes, "random probes of the divergence for each sample")
	fl.Float64Var(&l.ode.RTol, "tolerance", l.ode.RTol, "of the likelihood's ODE, relative and absolute")
	fl.IntVar(&l.times, "bound-times", 100, "times that the variational bound of a ddpm or discrete_flow objective asks each sample at; 0: all, of discrete_flow 100")
}

// check refuses flags of one kind of measurement with the other.
func (l *likelihoodFlags) check(c *cobra.Command) error {
	if !l.on {
		for _, f := range []string{"bits", "divergence", "probes", "tolerance", "bound-times"} {
			if c.Flags().Changed(f) {
				return usagef("--%s is for --likelihood", f)
			}
		}
		return nil
	}
	for _, f := range append([]string{"samples", "steps", "sampler", "guidance"}, measured...) {
		if c.Flags().Changed(f) {
			return usagef("--likelihood and --%s exclude each other: nothing is drawn", f)
		}
	}
	if l.times < 0 {
		return usagef("--bound-times must not be negative, is %d", l.times)
	}
	l.ode.ATol = l.ode.RTol
	if err := l.ode.Validate(); err != nil {
		var field interface{ ConfigField() string }
		if errors.As(err, &field) && field.ConfigField() == "rtol" {
			return usagef("--tolerance must be above 0 and below 1, is %g", l.ode.RTol)
		}
		return usagef("--%v", err)
	}
	return nil
}

func (a *app) runLikelihood(ctx context.Context, path string, choice train.Choice, o train.EvalOptions, l likelihoodFlags, asJSON bool) error {
	t, err := train.Open(path, a.warn)
	if err != nil {
		return err
	}
	if err := t.Choose(choice); err != nil {
		return err
	}
	progress := newStages(a)
	r, err := train.MeasureLikelihood(ctx, t, train.LikelihoodOptions{N: o.N, Seed: o.Seed, ODE: l.ode, Times: l.times, Progress: progress.at})
	progress.finish()
	if err != nil {
		return a.stopped(err)
	}
	if asJSON {
		return json.NewEncoder(a.Stdout).Encode(r)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s, step %d\n\n%s", t.Path, t.Step, r.Table(l.bits))
	return err
}
