package cli

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/figure"
	"github.com/langevin-go/langevin/train/plot"
)

// drawing is a kind of picture of a model.
type drawing struct {
	name, short, long string
	example           string   // arguments
	guided            bool     // --guidance has a part in it
	settings          []string // keys of the sample section that have
	flags             func(c *cobra.Command)
	choice            func() (train.Choice, error) // of the flags; nil: they choose nothing
	// draw makes the picture: one image, or several in turn.
	draw func(ctx context.Context, c *cobra.Command, s *figure.Scene) (*shot, error)
}

// shot is what a drawing made: figures, of which there are several in an animation, or a picture.
type shot struct {
	figures []*plot.Figure
	picture image.Image // instead
}

// figureOf is a shot of one figure.
func figureOf(f *plot.Figure, err error) (*shot, error) {
	return &shot{figures: []*plot.Figure{f}}, err
}

func (a *app) plot() *cobra.Command {
	c := &cobra.Command{
		Use:   "plot KIND",
		Short: "Draw pictures of a model, or of how runs compare",
		Long: `Draw the pictures that papers show: of a trained model, of the perfect model of a mixture of
Gaussians (--mixture), for which nothing need be trained, or of the figures that runs and evaluations have left.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown kind of picture %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var examples []string
	for _, d := range a.drawings() {
		sub := a.drawing(d)
		examples = append(examples, sub.Example)
		c.AddCommand(sub)
	}
	for _, sub := range []*cobra.Command{a.plotCurves(), a.plotQuality()} {
		examples = append(examples, sub.Example)
		c.AddCommand(sub)
	}
	c.Example = strings.Join(examples, "\n")
	return c
}

// sceneFlags say what is drawn.
type sceneFlags struct {
	mixture, class, out string
	guidance, off       float64
	seed                uint64
	dpi                 int
}

// drawing is the command of a kind of picture.
func (a *app) drawing(d drawing) *cobra.Command {
	var f sceneFlags
	c := &cobra.Command{
		Use:   d.name + " RUN|--mixture NAME|FILE.yaml [key=value ...]",
		Short: d.short,
		Long: d.long + fmt.Sprintf(`

Of a run or a checkpoint, key=value are settings of its sample section. With --mixture, the perfect model
of a mixture takes the place of a trained one: one of %s, or the YAML
file of an experiment whose data are a mixture; key=value are then settings of the experiment,
such as objective=edm.`, strings.Join(train.Mixtures(), ", ")),
		Example: fmt.Sprintf("  %s plot %s %s", a.Name, d.name, d.example),
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case c.Flags().Changed("mixture") && len(args) > 0 && !strings.Contains(args[0], "="):
				return fmt.Errorf("%q and --mixture exclude each other: want a run, or the perfect model of a mixture", args[0])
			case !c.Flags().Changed("mixture"):
				return first("a run or a checkpoint, or --mixture")(nil, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.runDrawing(c.Context(), c, d, f, args) },
	}
	fl := c.Flags()
	fl.StringVar(&f.mixture, "mixture", "", "a mixture of Gaussians by name, or an experiment with one: its perfect model is drawn")
	fl.Float64Var(&f.off, "error", 0, "with --mixture: how far off the model is, as a preconditioned network of data of variance 1 would be, root mean square")
	fl.StringVar(&f.class, "class", "", "class that the model is asked for, a number (default: none)")
	if d.guided {
		fl.Float64Var(&f.guidance, "guidance", 1, "with --class: scale of classifier-free guidance (default: as the config says)")
	}
	ending := ".png"
	if d.name == "flow" {
		ending = ".gif"
	}
	fl.StringVar(&f.out, "out", d.name+ending, "file to write, "+ending)
	fl.Uint64Var(&f.seed, "seed", 0, "seed of all random numbers")
	fl.IntVar(&f.dpi, "dpi", 144, "dots an inch, 36 to 600; what is written and drawn has the same size in inches")
	d.flags(c)
	return c
}

func (a *app) runDrawing(ctx context.Context, c *cobra.Command, d drawing, f sceneFlags, args []string) error {
	ending := filepath.Ext(c.Flags().Lookup("out").DefValue)
	if err := checkPicture(f.out, ending); err != nil {
		return err
	}
	if f.dpi < 36 || f.dpi > 600 {
		return usagef("--dpi must be from 36 to 600, is %d", f.dpi)
	}
	switch {
	case !(f.off >= 0) || math.IsInf(f.off, 0):
		return usagef("--error must be finite and not negative, is %g", f.off)
	case f.off != 0 && f.mixture == "":
		return usagef("--error is for --mixture, whose model is perfect otherwise")
	}
	var choice train.Choice
	var err error
	if d.choice != nil {
		if choice, err = d.choice(); err != nil {
			return err
		}
	}
	if choice.Guidance, err = scale(c, f.guidance); err != nil {
		return err
	}
	if choice.Guidance != nil && f.class == "" {
		return usagef("--guidance is towards a class: it needs --class")
	}
	if err := d.checkSettings(c, f.mixture != "", args); err != nil {
		return err
	}
	if !c.Flags().Changed("steps") && saysSteps(args) {
		choice.Steps = 0
	}
	t, err := a.openScene(ctx, f, args, choice)
	if err != nil {
		return err
	}
	class := -1
	if f.class != "" {
		if class, err = strconv.Atoi(f.class); err != nil || t.Classes == 0 || class < 0 || class >= t.Classes {
			if t.Classes == 0 {
				return fmt.Errorf("--class %s: the model has no classes", f.class)
			}
			return fmt.Errorf("--class %s: want a class from 0 to %d", f.class, t.Classes-1)
		}
	} else if t.Classes > 0 && t.Null < 0 {
		return fmt.Errorf("%s: the model has no null class: name one with --class", t.Path)
	}
	s, err := figure.NewScene(ctx, t, class, f.seed)
	if err != nil {
		return err
	}
	made, err := d.draw(ctx, c, s)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.Stderr, "Stopped; nothing was written.")
		return errInterrupted
	}
	if err != nil {
		return err
	}
	var frames []image.Image
	for _, fig := range made.figures {
		fig.DPI = f.dpi
		frames = append(frames, fig.Draw())
	}
	switch {
	case ending == ".gif":
		err = plot.WriteGIF(f.out, frames, 60*time.Millisecond, 2*time.Second)
	case made.picture == nil:
		err = plot.WritePNG(f.out, plot.Compact(frames[0]))
	case c.Flags().Changed("dpi"):
		return usagef("--dpi is for what is drawn: images are shown pixel by pixel")
	default:
		err = plot.WritePNG(f.out, made.picture)
	}
	if err == nil {
		fmt.Fprintf(a.Stdout, "%s: %s\n", f.out, d.short)
	}
	return err
}

// openScene opens the model to draw.
func (a *app) openScene(ctx context.Context, f sceneFlags, args []string, choice train.Choice) (*train.Trained, error) {
	if f.mixture != "" {
		t, err := train.OpenOracle(ctx, f.mixture, args)
		if err != nil {
			return nil, err
		}
		t.Model = &diffusion.Imperfect{Of: t.Model, Error: f.off, Key: rng.Key{Seed: f.seed}}
		return t, t.Choose(choice)
	}
	t, err := train.Open(args[0], a.warn)
	if err != nil {
		return nil, err
	}
	choice.Overrides = args[1:]
	return t, t.Choose(choice)
}

// ofMixture are the settings of an experiment that have a part in its perfect model, besides those of its sample section.
var ofMixture = []string{"data", "objective", "conditional", "device", "name", "seed"}

// checkSettings refuses key=value settings that have no part in the picture. Those that are none, or unknown, are left to be refused where they are read.
func (d *drawing) checkSettings(c *cobra.Command, mixture bool, args []string) error {
	if !mixture {
		args = args[1:]
	}
	for _, arg := range args {
		key, _, _ := strings.Cut(arg, "=")
		top, below, inside := strings.Cut(strings.TrimSpace(key), ".")
		if mixture {
			if top != "sample" {
				if !slices.Contains(ofMixture, top) && isKey(new(train.Experiment), top) {
					return usagef("%s: %s has no part in the perfect model of a mixture: want one of %s, or a setting of sample, such as sample.%s", arg, top, strings.Join(ofMixture, ", "), d.settings[0])
				}
				continue
			}
			if !inside {
				return usagef("%s: name settings of the sample section one by one, such as sample.%s", arg, d.settings[0])
			}
			top, _, _ = strings.Cut(below, ".")
		}
		counts := slices.ContainsFunc(d.settings, func(s string) bool { return top == s || s == "guidance" && strings.HasPrefix(top, "guidance_") })
		if !counts && isKey(new(train.Sampling), top) {
			return usagef("%s: %s has no part in this picture: of the sample section, these have: %s", arg, top, strings.Join(d.settings, ", "))
		}
		if f := c.Flags().Lookup(top); f != nil && f.Changed {
			return usagef("%s and --%s exclude each other", arg, top)
		}
	}
	return nil
}

// isKey reports whether a section has a key of that name.
func isKey(section any, name string) bool { return slices.Contains(config.Keys(section), name) }

// saysSteps reports whether settings have the number of steps.
func saysSteps(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		return strings.HasPrefix(a, "steps=") || strings.HasPrefix(a, "sample.steps=")
	})
}

// checkPicture says whether a picture can be written to path.
func checkPicture(path string, endings ...string) error {
	if !slices.Contains(endings, strings.ToLower(filepath.Ext(path))) {
		return usagef("--out %s: this picture is written as %s", path, strings.Join(endings, " or "))
	}
	return train.CheckPlace(path)
}
