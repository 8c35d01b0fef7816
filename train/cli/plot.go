package cli

import (
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/figure"
	"github.com/langevin-go/langevin/train/plot"
)

// drawing is a kind of picture of a model.
type drawing struct {
	name, short, long string
	example           string // arguments
	flags             func(c *cobra.Command)
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
	guidance            float64
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
	fl.StringVar(&f.class, "class", "", "class that the model is asked for, a number (default: none)")
	fl.Float64Var(&f.guidance, "guidance", 1, "with --class: scale of classifier-free guidance (default: as the config says)")
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
	guidance, err := scale(c, f.guidance)
	if err != nil {
		return err
	}
	if guidance != nil && f.class == "" {
		return usagef("--guidance is towards a class: it needs --class")
	}
	t, err := a.openScene(ctx, f, args, guidance)
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
func (a *app) openScene(ctx context.Context, f sceneFlags, args []string, guidance *float64) (*train.Trained, error) {
	if f.mixture != "" {
		t, err := train.OpenOracle(ctx, f.mixture, args)
		if err != nil {
			return nil, err
		}
		return t, t.Choose(train.Choice{Guidance: guidance})
	}
	t, err := train.Open(args[0], a.warn)
	if err != nil {
		return nil, err
	}
	return t, t.Choose(train.Choice{Guidance: guidance, Overrides: args[1:]})
}

// checkPicture says whether a picture can be written to path.
func checkPicture(path, ending string) error {
	if strings.ToLower(filepath.Ext(path)) != ending {
		return usagef("--out %s: this picture is written as %s", path, ending)
	}
	return train.CheckPlace(path)
}
