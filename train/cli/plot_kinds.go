package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/figure"
)

// atLeast refuses flags below a bound.
func atLeast(name string, value, least int) error {
	if value < least {
		return usagef("--%s must be at least %d, is %d", name, least, value)
	}
	return nil
}

// wayFlags are the flags of trajectories.
type wayFlags struct {
	n, steps int
	sampler  string
}

func (w *wayFlags) add(a *app, c *cobra.Command, n int, what string) {
	w.addSteps(c, n, what)
	c.Flags().StringVar(&w.sampler, "sampler", "", "sampler (default: as the config says)")
	a.completeSampler(c)
}

// addSteps is add without a sampler.
func (w *wayFlags) addSteps(c *cobra.Command, n int, what string) {
	c.Flags().IntVar(&w.n, "n", n, "number of "+what)
	c.Flags().IntVar(&w.steps, "steps", 50, "sampling steps")
}

// choice is what the flags choose.
func (w *wayFlags) choice() (train.Choice, error) {
	if err := atLeast("n", w.n, 1); err != nil {
		return train.Choice{}, err
	}
	return train.Choice{Sampler: w.sampler, Steps: w.steps}, atLeast("steps", w.steps, 1)
}

// Settings of the sample section that have a part in pictures of predictions, and in those of trajectories by a sampler that a
// flag names, or theirs.
var (
	steering     = []string{"guidance", "autoguidance", "classifier_guidance", "cost", "constraints", "eps_scaling", "precision"}
	sampledBy    = append([]string{"steps", "grid", "clip", "brownian", "float64_state"}, steering...)
	trajectories = append([]string{"sampler"}, sampledBy...)
)

// drawings are the kinds of pictures of models.
func (a *app) drawings() []drawing {
	return []drawing{a.plotScore(), a.plotField(), a.plotFan(), a.plotNoising(), a.plotParticles(), a.plotTransport(), a.plotCrossing(), a.plotFlow()}
}

// times adds --times.
func times(c *cobra.Command, to *[]float64, what string) {
	c.Flags().Float64SliceVar(to, "times", nil, "times of the path, as inspect lists them, separated by commas (default: "+what+")")
}

const byLevels = "those of noise levels 3, 1, 0.4 and 0.1 of the data's deviation"

func (a *app) plotScore() drawing {
	var at []float64
	return drawing{
		name: "score", short: "the score as arrows on the log-density, at several times",
		long: `Draw the score ∇ ln p_t of points in the plane as arrows, on the log-density of the noised data: that of the mixture
where the data are one, else of a narrow Gaussian about each of 1,000 of the data.`,
		example: "--mixture triangle --out score.png", guided: true, settings: steering,
		flags: func(c *cobra.Command) { times(c, &at, byLevels) },
		draw: func(_ context.Context, _ *cobra.Command, s *figure.Scene) (*shot, error) {
			return figureOf(figure.Score(s, at))
		},
	}
}

func (a *app) plotField() drawing {
	var at []float64
	return drawing{
		name: "field", short: "the velocity from noise to data as arrows, at several times",
		long:    "Draw the velocity with which points in the plane move from noise to data, as arrows on the noised data.",
		example: "--mixture 8gaussians --times 0.9,0.6,0.3,0.1", guided: true, settings: steering,
		flags: func(c *cobra.Command) { times(c, &at, byLevels) },
		draw: func(_ context.Context, _ *cobra.Command, s *figure.Scene) (*shot, error) {
			return figureOf(figure.Velocity(s, at))
		},
	}
}

func (a *app) plotFan() drawing {
	var o figure.FanOptions
	var w wayFlags
	return drawing{
		name: "fan", short: "trajectories of the ODE and the SDE against the time, on the density",
		long: `Draw trajectories from noise to data, one coordinate against the time, by a solver of the ODE and by a
sampler that adds noise, from the same starts, on the density of the coordinate at each time.`,
		example: "--mixture line 'objective={kind: dsm, sde: vp}'", guided: true, settings: sampledBy, choice: w.choice,
		flags: func(c *cobra.Command) {
			fl := c.Flags()
			w.addSteps(c, 30, "trajectories")
			fl.StringVar(&o.ODE, "ode", "heun", "sampler without noise; none: not shown")
			fl.StringVar(&o.SDE, "sde", "euler_maruyama", "sampler with noise; none: not shown")
			fl.IntVar(&o.Coordinate, "coordinate", 0, "coordinate of the points that is shown, from 0")
			for _, flag := range []string{"ode", "sde"} {
				if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(append([]string{"none"}, train.Samplers.Kinds()...), cobra.ShellCompDirectiveNoFileComp)); err != nil {
					panic(err) // there is no such flag
				}
			}
		},
		draw: func(ctx context.Context, _ *cobra.Command, s *figure.Scene) (*shot, error) {
			o.N = w.n
			return figureOf(figure.Fan(ctx, s, o))
		},
	}
}

func (a *app) plotNoising() drawing {
	var n, columns int
	var at []float64
	return drawing{
		name: "noising", short: "data turning into noise",
		long:    "Draw data with the noise of rising times: of images a row each, of points in the plane an area for each time.",
		example: "runs/digits --n 6", settings: []string{"grid"},
		flags: func(c *cobra.Command) {
			c.Flags().IntVar(&n, "n", 0, "number of samples of the data (default: 8 images, 1000 points)")
			c.Flags().IntVar(&columns, "columns", 0, "number of times, of the sampler's own grid (default: 10 of images, 6 of points)")
			times(c, &at, "see --columns")
		},
		draw: func(_ context.Context, c *cobra.Command, s *figure.Scene) (*shot, error) {
			points := len(s.Shape) == 1
			for flag, v := range map[string]*int{"n": &n, "columns": &columns} {
				if !c.Flags().Changed(flag) {
					*v = map[string]map[bool]int{"n": {true: 1000, false: 8}, "columns": {true: 6, false: 10}}[flag][points]
				}
			}
			if at != nil && c.Flags().Changed("columns") {
				return nil, usagef("--times and --columns exclude each other: a column is a time")
			}
			if err := atLeast("n", n, 1); err != nil {
				return nil, err
			}
			if err := atLeast("columns", columns, 2); err != nil {
				return nil, err
			}
			if points {
				return figureOf(figure.NoisingPoints(s, n, columns, at))
			}
			m, err := figure.NoisingImages(s, n, columns, at)
			return &shot{picture: m}, err
		},
	}
}

func (a *app) plotParticles() drawing {
	var o figure.ParticlesOptions
	return drawing{
		name: "particles", short: "particles under Langevin dynamics, on the log-density",
		long: `Draw particles that start anywhere in the plane and follow Langevin dynamics dx = ½·score·dt + dW on the score at
one time, after some numbers of steps, on the log-density.`,
		example: "--mixture triangle --at 0,10,100,1000", guided: true, settings: steering,
		flags: func(c *cobra.Command) {
			fl := c.Flags()
			fl.IntVar(&o.N, "n", 400, "number of particles")
			fl.Float64Var(&o.Time, "time", 0, "time of the path whose score is followed (default: that of a noise level of a tenth of the data's deviation)")
			fl.Float64Var(&o.Step, "step", 0, "step of the dynamics (default: a third of the largest that is stable)")
			fl.IntSliceVar(&o.At, "at", []int{0, 10, 100, 1000}, "numbers of steps that are shown, rising, separated by commas")
		},
		draw: func(ctx context.Context, c *cobra.Command, s *figure.Scene) (*shot, error) {
			if err := atLeast("n", o.N, 1); err != nil {
				return nil, err
			}
			if c.Flags().Changed("step") && !(o.Step > 0 && o.Step < 1e300) {
				return nil, usagef("--step must be positive, is %g", o.Step)
			}
			if c.Flags().Changed("time") && !(o.Time > 0) {
				return nil, usagef("--time must be above 0, where the score is that of the data themselves, is %g", o.Time)
			}
			if len(o.At) == 0 {
				return nil, usagef("--at must name a number of steps")
			}
			for i, k := range o.At {
				if k < 0 || i > 0 && k <= o.At[i-1] {
					return nil, usagef("--at must rise from 0 or above, is %s", strings.Trim(strings.ReplaceAll(c.Flags().Lookup("at").Value.String(), " ", ","), "[]"))
				}
			}
			return figureOf(figure.Particles(ctx, s, o))
		},
	}
}

func (a *app) plotTransport() drawing {
	var w wayFlags
	return drawing{
		name: "transport", short: "trajectories from noise to samples in the plane",
		long:    "Draw the trajectories of points in the plane from their starts to the samples.",
		example: "--mixture 8gaussians --n 200", guided: true, settings: trajectories, choice: w.choice,
		flags: func(c *cobra.Command) { w.add(a, c, 200, "trajectories") },
		draw: func(ctx context.Context, _ *cobra.Command, s *figure.Scene) (*shot, error) {
			return figureOf(figure.Transport(ctx, s, w.n))
		},
	}
}

func (a *app) plotCrossing() drawing {
	var w wayFlags
	return drawing{
		name: "crossing", short: "paths between pairs, which cross, beside the flow, which does not",
		long: `Draw the paths between starts and data that are paired without regard to each other, which cross, beside the
trajectories of the flow from the same starts, which do not: points of one coordinate against the time, of two in the plane.`,
		example: "--mixture line", guided: true, settings: trajectories, choice: w.choice,
		flags: func(c *cobra.Command) { w.add(a, c, 40, "paths and trajectories") },
		draw: func(ctx context.Context, _ *cobra.Command, s *figure.Scene) (*shot, error) {
			return figureOf(figure.Crossing(ctx, s, w.n))
		},
	}
}

func (a *app) plotFlow() drawing {
	var w wayFlags
	return drawing{
		name: "flow", short: "samples moving from noise to data, animated",
		long:    "Draw points in the plane as they move from noise to data, a frame for each step.",
		example: "--mixture 8gaussians --n 400 --steps 30", guided: true, settings: trajectories, choice: w.choice,
		flags: func(c *cobra.Command) { w.add(a, c, 500, "samples") },
		draw: func(ctx context.Context, _ *cobra.Command, s *figure.Scene) (*shot, error) {
			figures, err := figure.Flow(ctx, s, w.n)
			return &shot{figures: figures}, err
		},
	}
}
