package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/features"
	"github.com/langevin-go/langevin/train/metrics"
)

func (a *app) eval() *cobra.Command {
	var asJSON bool
	var o train.EvalOptions
	var choice train.Choice
	var guidance float64
	var samples string
	var l likelihoodFlags
	var cmp compareFlags
	c := &cobra.Command{
		Use:   "eval RUN [key=value ...] | eval --compare RUN RUN ...",
		Short: "Measure how good a run's samples are",
		Long: fmt.Sprintf(`Draw samples from a run and compare them with its training data, beside data
held out that are scored as if they were samples.

Images: the part that a classifier, trained on the training split, takes for the
class asked for; the Fréchet distance in its features; precision and recall; the
median distance to the nearest training image, which shows memorising.
Points: Wasserstein, energy and maximum-mean-discrepancy distances.
--metrics names others or fewer: see docs/metrics.md. Bits per dimension are --likelihood's.

With --features, pictures are compared in the features of a network whose weights you have:
%s. With Inception's, the Fréchet
distance of all samples is what other programs call FID. --reference compares with statistics from
an .npz file (mu and sigma, as pytorch-fid writes them) instead of the training data, and
--save-reference writes one.

With --samples, samples from a file are measured instead, with the same classifier
and the same data, such as another program's: the tensor samples, (N,C,H,W) for images, as
sample writes it, and perhaps labels, (N), the classes asked for.

With --likelihood, no samples are drawn: it is measured how likely the model takes the
held-out and the training data to be, each sample with its class and without guidance,
by the probability-flow ODE. Pictures are made continuous by uniform noise.
Of the ddpm objective, the variational bound with its terms, too; of discrete_flow, its bound alone.

With --compare, runs of the same data, such as students and their teacher, are measured by the number of evaluations
a sample takes: quality, the part of the samples in the rarest mode or class, the distance to the teacher's
sample from the same start, and the latency of requests. A student is sampled as it was made to
be, other runs by each of --solvers, of which the table has the best; --json has all. --out draws quality against cost.
Of points with a known density, -ln p is its mean over samples: only with the other figures does it say how good they are.`, features.Kinds),
		Example: fmt.Sprintf("  %[1]s eval runs/digits\n  %[1]s eval runs/digits --n 2000 --guidance 1.5 --json\n  %[1]s eval runs/digits --samples theirs.safetensors\n  %[1]s eval runs/pictures --features inception:inception.safetensors --reference cifar10.npz\n  %[1]s eval runs/digits --likelihood --n 50 --bits\n  %[1]s eval --compare runs/moons runs/distill-consistency --out quality.svg", a.Name),
		Args:    first("a run or a checkpoint"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := cmp.check(c.Flags().Changed, args); err != nil {
				return err
			}
			if cmp.on {
				if o.N < 10 {
					return usagef("--n must be at least 10, is %d", o.N)
				}
				var err error
				if cmp.o.Guidance, err = scale(c, guidance); err != nil {
					return err
				}
				return a.runCompare(c.Context(), args, o, cmp, asJSON)
			}
			choice.Overrides = args[1:]
			if c.Flags().Changed("steps") && choice.Steps < 1 {
				return usagef("--steps must be at least 1, is %d", choice.Steps)
			}
			var err error
			if choice.Guidance, err = scale(c, guidance); err != nil {
				return err
			}
			if samples != "" {
				for _, f := range []string{"n", "steps", "sampler", "guidance"} {
					if c.Flags().Changed(f) {
						return usagef("--samples and --%s exclude each other: nothing is drawn", f)
					}
				}
				if len(choice.Overrides) > 0 {
					return usagef("--samples and %s exclude each other: nothing is drawn", choice.Overrides[0])
				}
			}
			if o.N < 10 {
				return usagef("--n must be at least 10, is %d", o.N)
			}
			if err := l.check(c); err != nil {
				return err
			}
			if err := checkFeatures(c.Flags().Changed, o); err != nil {
				return err
			}
			if l.on {
				return a.runLikelihood(c.Context(), args[0], choice, o, l, asJSON)
			}
			return a.runEval(c.Context(), args[0], choice, o, samples, asJSON)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&asJSON, "json", false, "print one line of JSON; of --compare a line for each measurement")
	fl.IntVar(&o.N, "n", 1000, "number of samples")
	fl.Uint64Var(&o.Seed, "seed", 0, "seed of the samples")
	fl.IntVar(&choice.Steps, "steps", 0, "sampling steps (default: as in the run's config)")
	fl.StringVar(&choice.Sampler, "sampler", "", "sampler (default: as in the run's config)")
	fl.Float64Var(&guidance, "guidance", 1, "scale of classifier-free guidance, of --compare that of runs which are no students (default: as in the run's config)")
	fl.StringSliceVar(&o.Metrics, "metrics", nil, "names of the metrics to measure (default: the usual ones)")
	fl.StringVar(&o.Features, "features", "", "network whose features pictures are compared in (default: a classifier of the data)")
	fl.StringVar(&o.Reference, "reference", "", ".npz file of statistics to compare pictures with (default: the training data)")
	fl.StringVar(&o.Statistics, "save-reference", "", ".npz file to write such statistics of the training data to")
	fl.StringVar(&samples, "samples", "", "safetensors file of samples to measure instead of drawing any")
	l.add(fl)
	cmp.add(fl)
	a.completeSampler(c)
	return c
}

// checkFeatures refuses what does not go together, and a file that is of another kind.
func checkFeatures(changed func(string) bool, o train.EvalOptions) error {
	if changed("metrics") && len(o.Metrics) == 0 {
		return usagef("--metrics must name a metric")
	}
	for name, path := range map[string]string{"reference": o.Reference, "save-reference": o.Statistics} {
		if changed(name) && filepath.Ext(path) != ".npz" {
			return usagef("--%s must name an .npz file, is %q", name, path)
		}
	}
	if o.Reference != "" && o.Statistics != "" {
		return usagef("--reference and --save-reference exclude each other: there would be nothing new to keep")
	}
	return nil
}

func (a *app) runEval(ctx context.Context, path string, choice train.Choice, o train.EvalOptions, samples string, asJSON bool) error {
	t, err := train.Open(path, a.warn)
	if err != nil {
		return err
	}
	if err := t.Choose(choice); err != nil {
		return err
	}
	what := t.DescribeSampling()
	if samples != "" {
		if o.Samples, err = train.ReadSamples(samples, t.Shape, t.Classes); err != nil {
			return err
		}
		if o.Samples.N < 10 {
			return fmt.Errorf("%s: %d samples are too few to measure, want at least 10", samples, o.Samples.N)
		}
		what = "samples of " + samples
	}
	progress := newStages(a)
	o.Progress, o.Warn = progress.at, a.warn
	e, err := train.Eval(ctx, t, o)
	progress.finish()
	if err != nil {
		return a.stopped(err)
	}
	var report any = e.Images
	if e.Points != nil {
		report = e.Points
	}
	if asJSON {
		var how *drawn
		if samples == "" {
			how = &drawn{Run: t.Path, Step: t.Step, Sampler: t.SamplerName(), Steps: t.How.Steps, Guidance: t.How.EffectiveScale(), Evaluations: e.Took.Evaluations, Settings: choice.Overrides}
		}
		line := any(struct {
			*drawn
			*metrics.Report
		}{how, e.Images})
		if e.Points != nil {
			line = struct {
				*drawn
				*metrics.PointReport
			}{how, e.Points}
		}
		return json.NewEncoder(a.Stdout).Encode(line)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s, step %d, %s\n\n%v\n", t.Path, t.Step, what, report)
	return err
}

// drawn says, in a line of eval --json, what samples were measured; plot quality reads it.
type drawn struct {
	Run         string   `json:"run"`
	Step        int64    `json:"step"` // of training
	Sampler     string   `json:"sampler"`
	Steps       int      `json:"steps"`
	Guidance    float64  `json:"guidance"`    // the scale
	Evaluations int      `json:"evaluations"` // of the model, guidance included, a sample
	Settings    []string `json:"settings,omitempty"`
}
