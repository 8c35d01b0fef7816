package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

type sampleFlags struct {
	n        int
	class    string
	steps    int
	sampler  string
	guidance float64
	seed     uint64
	noise    string
	init     string
	strength float64
	invert   string
	between  int
	peek     string
	out      string
	text     promptFlags
	vectors  conditionFlags
}

func (a *app) sample() *cobra.Command {
	var f sampleFlags
	c := &cobra.Command{
		Use:   "sample RUN|DIR [key=value ...]",
		Short: "Draw samples from a trained model",
		Long: `Draw samples from a run, a checkpoint file, or a folder that diffusers has
written (a pipeline, or a single model). What is not said on the command line is
as the run's config says; keys of its sample section can be overridden behind the run.
Of a diffusers folder, so can sampler.* (as eta), clip.* and the guidance keys; all else is
as its scheduler's config says, a sampler of another name taking that config over as diffusers does.

With --init, samples are edits of what is in a file (SDEdit, Meng et al. 2022): they start from it with
the noise of the time at which the last steps, a part of --strength, begin.

With --invert, samples go the other way, to the noise that the sampler makes them of. It takes
a sampler that adds no noise and keeps to the grid, such as heun, dpm_multistep, or ddim with eta=0.

With --interpolate, there are rows between pairs of samples that are drawn as without it.
It takes a sampler that adds no noise.

The noise of sample i depends on the seed and on i alone.`,
		Example: fmt.Sprintf(`  %[1]s sample runs/digits --class 7 --n 16 --out sevens.png
  %[1]s sample runs/digits --steps 50 --guidance 2 --out digits.npy
  %[1]s sample runs/digits --sampler ddim sampler.eta=0.5
  %[1]s sample runs/digits --guidance 3 guidance_rule=apg guidance_sigma_to=5
  %[1]s sample runs/digits --init digits.npy --strength 0.4 --class 1
  %[1]s sample runs/digits --invert digits.npy --steps 50 --out n2.safetensors
  %[1]s sample runs/digits --invert pictures/ --out n3.safetensors
  %[1]s sample runs/digits --noise n2.safetensors --steps 50 --out again.png
  %[1]s sample runs/digits --n 8 --class 3 --interpolate 9 --out threes.png
  %[1]s sample runs/digits --n 8 --peek strip.png
  %[1]s sample runs/digits --n 16 --steps 50 --peek digits.gif
  %[1]s sample runs/digits-prompts --prompt "a handwritten seven" --negative one --guidance 2
  %[1]s sample pipeline/ --sampler ddim --steps 10 --class 3 --noise n.safetensors --out x.safetensors`, a.Name),
		Args: first("a run, a checkpoint or a diffusers folder"),
		RunE: func(c *cobra.Command, args []string) error {
			choice := train.Choice{Sampler: f.sampler, Steps: f.steps, Overrides: args[1:]}
			if c.Flags().Changed("steps") && f.steps < 1 {
				return usagef("--steps must be at least 1, is %d", f.steps)
			}
			var err error
			if choice.Guidance, err = scale(c, f.guidance); err != nil {
				return err
			}
			if f.noise != "" && c.Flags().Changed("n") {
				return usagef("--n and --noise exclude each other: the noise file says how many samples there are")
			}
			if c.Flags().Changed("strength") && f.init == "" {
				return usagef("--strength says how much of --init is changed: it needs --init FILE")
			}
			if !(f.strength > 0 && f.strength <= 1) {
				return usagef("--strength must be above 0 and at most 1, is %g", f.strength)
			}
			if f.invert != "" {
				for _, other := range []string{"n", "noise", "init"} {
					if c.Flags().Changed(other) {
						return usagef("--invert and --%s exclude each other: the file to invert says what the samples are", other)
					}
				}
				for _, other := range []string{"peek", "interpolate"} {
					if c.Flags().Changed(other) {
						return usagef("--invert and --%s exclude each other: no samples are drawn", other)
					}
				}
				return a.runInvert(c.Context(), args[0], choice, f)
			}
			if c.Flags().Changed("interpolate") {
				switch {
				case f.between < 3:
					return usagef("--interpolate must be at least 3, the two samples included, is %d", f.between)
				case f.init != "":
					return usagef("--interpolate and --init exclude each other: it goes between starts of noise alone")
				case f.noise == "" && f.n%2 != 0:
					return usagef("--interpolate takes samples two by two: --n must be even, is %d", f.n)
				}
			}
			if f.init != "" && f.noise == "" && !c.Flags().Changed("n") {
				f.n = 0 // as many as the file has
			}
			return a.runSample(c.Context(), args[0], choice, f)
		},
	}
	fl := c.Flags()
	fl.IntVar(&f.n, "n", 16, "number of samples")
	fl.StringVar(&f.class, "class", "", "class to draw: a number, none, or all in turn (default all)")
	fl.IntVar(&f.steps, "steps", 0, "sampling steps")
	fl.StringVar(&f.sampler, "sampler", "", "sampler, such as heun, dpm_multistep, unipc, euler, ddim or ddpm")
	fl.Float64Var(&f.guidance, "guidance", 1, "scale s of classifier-free guidance, u+s·(c−u); 1: none")
	fl.Uint64Var(&f.seed, "seed", 0, "seed of all random numbers")
	fl.StringVar(&f.noise, "noise", "", "safetensors file with the tensor noise (N,C,H,W) to start from, and perhaps noises, step first")
	fl.StringVar(&f.init, "init", "", "samples to start from, .safetensors (tensor samples), .npy, a picture or a folder of pictures: noise is added to them and taken off again")
	fl.Float64Var(&f.strength, "strength", 0.5, "with --init: the part of the sampling steps that is gone through, above 0 (hardly a change) to 1")
	fl.StringVar(&f.invert, "invert", "", "samples, .safetensors (tensor samples), .npy, a picture or a folder of pictures, to lead back to the noise that they come of, which --noise reads (default file: noise.safetensors)")
	fl.IntVar(&f.between, "interpolate", 0, "go from the first sample to the second, from the third to the fourth, …, in so many pictures each, the two included, by spherical interpolation of their noise: a row for each pair, of one class")
	fl.StringVar(&f.peek, "peek", "", "picture to write of how the samples come about, the model's estimates of them step by step: .png for a strip, .gif for an animation")
	fl.StringVar(&f.out, "out", "", "file to write: .png, .npy or .safetensors (default samples.png, or samples.npy)")
	f.text.add(c)
	f.vectors.add(c)
	a.completeSampler(c)
	return c
}

// completeSampler has shells offer the samplers' names.
func (a *app) completeSampler(c *cobra.Command) {
	err := c.RegisterFlagCompletionFunc("sampler", cobra.FixedCompletions(train.Samplers.Kinds(), cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // there is no such flag
	}
}

func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.Stderr, a.Name+": warning: "+format+"\n", args...)
}

// progress shows how far work is where Stderr is a file, such as a terminal.
func (a *app) progress(label string, start, total int64) record.Progress {
	if f, ok := a.Stderr.(*os.File); ok {
		return record.NewProgress(f, label, start, total)
	}
	return record.Silent{}
}

func (a *app) runSample(ctx context.Context, path string, choice train.Choice, f sampleFlags) error {
	t, err := train.Open(path, a.warn)
	if err != nil {
		return err
	}
	if err := t.Choose(choice); err != nil {
		return err
	}
	q := train.Request{N: f.n, Seed: f.seed}
	var own []int32
	if f.noise != "" {
		noise, err := train.ReadNoise(f.noise, t.Shape)
		if err != nil {
			return err
		}
		noise.Use(&q)
	}
	if f.init != "" {
		init, err := train.ReadInit(ctx, f.init, t.Shape, t.Classes, a.warn)
		if err != nil {
			return err
		}
		own = init.Labels
		q.Init, q.Strength = init.X, f.strength
		if q.N == 0 {
			q.N = init.N
		}
	}
	if q.N < 1 {
		return usagef("--n must be at least 1, is %d", q.N)
	}
	if err := t.CheckCount(q.N); err != nil {
		return err
	}
	if q.Labels, err = labelsOf(t, f.class, q.N, own); err != nil {
		return err
	}
	columns, err := f.text.use(a, t, &q)
	if err != nil {
		return err
	}
	if err := f.vectors.use(t, &q); err != nil {
		return err
	}
	if f.between > 0 {
		if q, err = t.Between(q, f.between); err != nil {
			return err
		}
		columns = f.between
	}
	out := f.out
	if out == "" {
		out = "samples.png"
		if t.CheckOutput(out) != nil {
			out = "samples.npy"
		}
	}
	if err := t.CheckOutput(out); err != nil {
		return err
	}
	for _, note := range t.Notes {
		fmt.Fprintln(a.Stderr, note)
	}
	var peek *train.Peek
	if f.peek != "" {
		if f.peek == out {
			return usagef("--peek and --out are both %s", out)
		}
		if peek, err = t.NewPeek(f.peek, &q); err != nil {
			return fmt.Errorf("--peek: %w", err)
		}
	}
	progress := newStages(a)
	q.Progress = func(done, total int) { progress.at("sampling", done, total) }
	kept := violations{}
	q.Violated = kept.add
	started := time.Now()
	x, err := t.Draw(ctx, q)
	progress.finish()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			fmt.Fprintln(a.Stderr, "Stopped; nothing was written.")
			return errInterrupted
		}
		return err
	}
	write := t.WriteSamples
	if f.between > 0 {
		write = t.WriteRows
	}
	if err := write(out, x, q.Labels, columns); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s: %d samples, %s, in %s\n", out, q.N, t.DescribeSampling(), time.Since(started).Round(time.Millisecond))
	fmt.Fprint(a.Stdout, kept)
	if peek == nil {
		return nil
	}
	if err := peek.Write(x); err != nil {
		return err
	}
	what := "the samples"
	if peek.Kept() < q.N {
		what = fmt.Sprintf("the first %d of them", peek.Kept())
	}
	fmt.Fprintf(a.Stdout, "%s: how %s came about\n", f.peek, what)
	return nil
}

// violations are the largest distances from the constraints, by step; the last is that of the samples.
type violations []float64

func (v *violations) add(step, steps int, violation []float64) {
	for len(*v) <= steps {
		*v = append(*v, 0)
	}
	for _, d := range violation {
		(*v)[step] = max((*v)[step], d)
	}
}

func (v violations) String() string {
	if len(v) < 2 {
		return ""
	}
	return fmt.Sprintf("constraints: the model was off by up to %.3g in the first step and %.3g in the last; the samples are by %.3g\n", v[0], v[len(v)-2], v[len(v)-1])
}

// labelsOf reads --class; without it, samples to begin with may have classes of their own.
func labelsOf(t *train.Trained, class string, n int, own []int32) ([]int32, error) {
	if class != "" || own == nil {
		return labelsFor(t, class, n)
	}
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = own[i%len(own)]
	}
	return labels, nil
}

// labelsFor reads --class.
func labelsFor(t *train.Trained, class string, n int) ([]int32, error) {
	if t.Net != nil { // a mixture's perfect model knows classes alone
		if c := t.Net.Conditions(); t.Vector == 0 && c.Vector > 0 && !c.Null && !t.Number {
			return nil, fmt.Errorf("%s: the network wants a vector of %d numbers with every sample (class_embed_type identity), which sample cannot give: use the package nn from a program of your own", t.Path, c.Vector)
		}
	}
	if t.Number {
		k, err := strconv.ParseInt(class, 10, 32)
		if err != nil || k < 0 {
			return nil, fmt.Errorf("--class %q: the model is conditioned on a number (class_embed_type timestep): want one from 0 on", class)
		}
		return slices.Repeat([]int32{int32(k)}, n), nil
	}
	classes, err := t.AskedClasses()
	if err != nil {
		return nil, err
	}
	if classes == 0 {
		if class != "" && class != "none" {
			return nil, fmt.Errorf("--class %s: the model has no classes", class)
		}
		return nil, nil
	}
	labels := make([]int32, n)
	switch class {
	case "none":
		if t.Classes > 0 && t.Null < 0 {
			return nil, fmt.Errorf("--class none: the model has no null class; want a class from 0 to %d, or all", classes-1)
		}
		return nil, nil
	case "", "all":
		if class == "" && t.Null >= 0 && t.TakesPrompts() { // the prompt says it all
			return nil, nil
		}
		for i := range labels {
			labels[i] = int32(i % classes)
		}
	default:
		k, err := strconv.Atoi(class)
		if err != nil || k < 0 || k >= classes {
			return nil, fmt.Errorf("--class %s: want a class from 0 to %d, none, or all", class, classes-1)
		}
		for i := range labels {
			labels[i] = int32(k)
		}
	}
	return labels, nil
}

// stages shows the progress of work that has several parts.
type stages struct {
	a    *app
	name string
	bar  record.Progress
}

func newStages(a *app) *stages { return &stages{a: a} }

// at says that done of total steps of a part are done.
func (s *stages) at(name string, done, total int) {
	if s.bar == nil || s.name != name {
		s.finish()
		s.name, s.bar = name, s.a.progress(name, 0, int64(total))
	}
	s.bar.Update(int64(done))
}

func (s *stages) finish() {
	if s.bar != nil {
		s.bar.Finish()
		s.bar = nil
	}
}
