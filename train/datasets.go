package train

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// DataArg is what a data source is opened with.
type DataArg struct {
	Ctx  context.Context
	Dir  string // relative paths are taken from here
	Seed uint64
	Warn func(format string, args ...any) // of samples that are passed over; nil: nobody hears of them
}

// Path resolves a path of a config.
func (a DataArg) Path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.Dir, p)
}

// Dataset is training data and, where there is some, data held out.
type Dataset struct {
	Train   data.Source
	Heldout data.Source // nil: none
}

// Datasets is the registry of data sources. A program of one's own adds to it before cli.Main.
var Datasets = config.NewRegistry[DataArg, *Dataset]("data source", "Where the training data come from.")

// holdout splits n samples off, n 0: none.
func holdout(s data.Source, n int) (*Dataset, error) {
	if n == 0 {
		return &Dataset{Train: s}, nil
	}
	if n >= s.Len() {
		return nil, invalid.Field("heldout", "must leave samples to train on: %d of %d", n, s.Len())
	}
	train, held, err := data.Holdout(s, n)
	return &Dataset{train, held}, err
}

type digitsConfig struct {
	Captions bool `yaml:"captions" doc:"give the digits captions, such as a handwritten seven: several for each class"`
}

type moonsConfig struct {
	Noise float64 `yaml:"noise" doc:"standard deviation of normal noise, in units of the radius" range:"[0,inf)"`
}

func (c *moonsConfig) SetDefaults() { c.Noise = 0.05 }

type torchCFMMoonsConfig struct {
	Even int `yaml:"even" doc:"space the points evenly along the moons over each block of so many samples, as torchcfm does with each batch: gradients of batches of that size are less noisy; 0: draw them independently" range:"[0,1048576]"`
}

func (c *torchCFMMoonsConfig) Validate() error {
	if c.Even != 0 && c.Even < 4 {
		return invalid.Field("even", "must be 0 or at least 4, is %d", c.Even)
	}
	return nil
}

type gaussians8Config struct {
	Radius float64 `yaml:"radius" doc:"distance of the centres from the origin" range:"(0,inf)"`
	Std    float64 `yaml:"std" doc:"standard deviation of each" range:"(0,inf)"`
}

func (c *gaussians8Config) SetDefaults() { c.Radius, c.Std = 5, 0.562341325190349 }

type noPoints struct{}

type ringsConfig struct {
	Radii []float64 `yaml:"radii" doc:"radius of each ring" range:"[0,inf)"`
	Noise float64   `yaml:"noise" doc:"standard deviation of the noise" range:"(0,inf)"`
}

func (c *ringsConfig) SetDefaults() {
	d := data.FFJORDRings()
	c.Radii, c.Noise = d.Radii, d.Noise
}

func (c *ringsConfig) Validate() error {
	if len(c.Radii) == 0 {
		return invalid.Field("radii", "must have at least one radius")
	}
	return nil
}

type mixtureConfig struct {
	Components []mixtureComponent `yaml:"components,required" doc:"the Gaussians"`
}

type mixtureComponent struct {
	Weight float64   `yaml:"weight" doc:"share; shares need not add up to 1" range:"(0,inf)"`
	Mean   []float64 `yaml:"mean,required" doc:"a number for each coordinate"`
	Std    []float64 `yaml:"std,required" doc:"one for all coordinates, or one each" range:"(0,inf)"`
}

func (c *mixtureComponent) SetDefaults() { c.Weight = 1 }

type vonMisesFisherConfig struct {
	Components []vonMisesFisherComponent `yaml:"components,required" doc:"the distributions"`
}

type vonMisesFisherComponent struct {
	Weight        float64   `yaml:"weight" doc:"share; shares need not add up to 1" range:"(0,inf)"`
	Mean          []float64 `yaml:"mean,required" doc:"direction, three numbers of any length"`
	Concentration float64   `yaml:"concentration,required" doc:"κ: the density falls as exp(κ·cos of the angle from the mean); 0: uniform" range:"[0,inf)"`
}

func (c *vonMisesFisherComponent) SetDefaults() { c.Weight = 1 }

type wrappedNormalConfig struct {
	Components []wrappedNormalComponent `yaml:"components,required" doc:"the distributions"`
}

type wrappedNormalComponent struct {
	Weight float64   `yaml:"weight" doc:"share; shares need not add up to 1" range:"(0,inf)"`
	Mean   []float64 `yaml:"mean,required" doc:"an angle for each coordinate, in radians"`
	Std    []float64 `yaml:"std,required" doc:"one for all angles, or one each" range:"(0,inf)"`
}

func (c *wrappedNormalComponent) SetDefaults() { c.Weight = 1 }

type rotationsConfig struct {
	Components []rotationsComponent `yaml:"components,required" doc:"the distributions"`
}

type rotationsComponent struct {
	Weight float64   `yaml:"weight" doc:"share; shares need not add up to 1" range:"(0,inf)"`
	Mean   []float64 `yaml:"mean,required" doc:"a rotation vector: three numbers, along the axis, as long as the angle in radians"`
	Std    float64   `yaml:"std,required" doc:"of each number of the rotation vector from the mean, in radians" range:"(0,2]"`
}

func (c *rotationsComponent) SetDefaults() { c.Weight = 1 }

type noiseConfig struct {
	Shape   []int `yaml:"shape,required" doc:"of a sample, channels last" range:"[1,inf)"`
	Classes int   `yaml:"classes" doc:"number of classes, equally likely; 0: none" range:"[0,inf)"`
}

func (c *noiseConfig) Validate() error {
	if len(c.Shape) == 0 || len(c.Shape) > 4 {
		return invalid.Field("shape", "must have 1 to 4 sizes, has %d", len(c.Shape))
	}
	const most = 1 << 24
	for i, n := 0, 1; i < len(c.Shape); i++ {
		if n *= min(max(c.Shape[i], 1), most+1); n > most {
			return invalid.Field("shape", "%v has more than %d numbers", c.Shape, most)
		}
	}
	return nil
}

// noise is an endless source of N(0,1).
type noise struct {
	noiseConfig
	key rng.Key
}

func (n *noise) Len() int     { return data.Infinite }
func (n *noise) Shape() []int { return n.noiseConfig.Shape }
func (n *noise) Classes() int { return n.noiseConfig.Classes }
func (n *noise) Sample(i uint64, x []float32) (int, error) {
	rng.Normal(x, n.key, i)
	if n.noiseConfig.Classes == 0 {
		return 0, nil
	}
	return rng.Intn(n.key.WithStream(1), i, 0, n.noiseConfig.Classes), nil
}

func init() {
	config.Register(Datasets, "noise", "Normal noise of a given shape: for benchmarks and tests.",
		func(c *noiseConfig, a DataArg) (*Dataset, error) {
			return &Dataset{Train: &noise{*c, rng.Key{Seed: a.Seed}}}, nil
		})
	config.Register(Datasets, "digits", "1,797 handwritten digits of 8×8 pixels in 10 classes, part of the program (UCI Optical Recognition of Handwritten Digits); 360 are held out.",
		func(c *digitsConfig, _ DataArg) (*Dataset, error) {
			t, h := data.Digits()
			if c.Captions {
				t, h = data.CaptionedDigits()
			}
			return &Dataset{t, h}, nil
		})
	points := func(d data.Distribution, a DataArg) (*Dataset, error) {
		return &Dataset{data.Draw(d, a.Seed, false), data.Draw(d, a.Seed, true)}, nil
	}
	config.Register(Datasets, "moons", "Two interleaved half circles in the plane, a class each.",
		func(c *moonsConfig, a DataArg) (*Dataset, error) {
			return points(data.Moons{Noise: c.Noise, Scale: 1, Shift: 0}, a)
		})
	config.Register(Datasets, "torchcfm_moons", "The moons of torchcfm: noise along the diagonal, scaled by 3 and moved by −1.",
		func(c *torchCFMMoonsConfig, a DataArg) (*Dataset, error) {
			d := data.TorchCFMMoons()
			d.Even = c.Even
			return points(d, a)
		})
	config.Register(Datasets, "8gaussians", "Eight equal Gaussians on a circle, a class each; the defaults are torchcfm's.",
		func(c *gaussians8Config, a DataArg) (*Dataset, error) {
			d, err := data.EightGaussians(c.Radius, c.Std)
			if err != nil {
				return nil, err
			}
			return points(d, a)
		})
	config.Register(Datasets, "checkerboard", "Uniform on eight squares of a 4×4 board.",
		func(_ *noPoints, a DataArg) (*Dataset, error) { return points(data.Checkerboard{}, a) })
	config.Register(Datasets, "swissroll", "A spiral in the plane.",
		func(_ *noPoints, a DataArg) (*Dataset, error) { return points(data.FFJORDSwissRoll(), a) })
	config.Register(Datasets, "pinwheel", "Five bent arms, a class each.",
		func(_ *noPoints, a DataArg) (*Dataset, error) { return points(data.FFJORDPinwheel(), a) })
	config.Register(Datasets, "rings", "Circles about the origin, a class each.",
		func(c *ringsConfig, a DataArg) (*Dataset, error) {
			return points(data.Rings{Radii: c.Radii, Noise: c.Noise}, a)
		})
	config.Register(Datasets, "mixture", "A mixture of Gaussians of any dimension, a class each.",
		func(c *mixtureConfig, a DataArg) (*Dataset, error) {
			var g []data.Gaussian
			for _, k := range c.Components {
				g = append(g, data.Gaussian{Weight: k.Weight, Mean: k.Mean, Std: k.Std})
			}
			d, err := data.NewMixture(g)
			if err != nil {
				return nil, invalid.Field("components", "%v", err)
			}
			return points(d, a)
		})
	config.Register(Datasets, "von_mises_fisher", "A mixture of von Mises–Fisher distributions on the sphere S², a class each: unit vectors of three numbers.",
		func(c *vonMisesFisherConfig, a DataArg) (*Dataset, error) {
			var parts []data.VonMisesFisher
			for _, k := range c.Components {
				parts = append(parts, data.VonMisesFisher(k))
			}
			d, err := data.NewVonMisesFisherMixture(parts)
			if err != nil {
				return nil, invalid.Field("components", "%v", err)
			}
			return points(d, a)
		})
	config.Register(Datasets, "wrapped_normal", "A mixture of normal distributions wrapped around a torus of any dimension, a class each: angles in [−π, π].",
		func(c *wrappedNormalConfig, a DataArg) (*Dataset, error) {
			var parts []data.WrappedNormal
			for _, k := range c.Components {
				parts = append(parts, data.WrappedNormal(k))
			}
			d, err := data.NewWrappedNormalMixture(parts)
			if err != nil {
				return nil, invalid.Field("components", "%v", err)
			}
			return points(d, a)
		})
	config.Register(Datasets, "rotations", "A mixture of isotropic normal distributions wrapped onto the rotations SO(3), a class each: matrices of nine numbers, by rows.",
		func(c *rotationsConfig, a DataArg) (*Dataset, error) {
			var parts []data.RotationNormal
			for _, k := range c.Components {
				parts = append(parts, data.RotationNormal(k))
			}
			d, err := data.NewRotationMixture(parts)
			if err != nil {
				return nil, invalid.Field("components", "%v", err)
			}
			return points(d, a)
		})
}

// corrupt is the number of corrupt samples that have been met so far; some is false where there may be none.
func (d *Dataset) corrupt() (n int, some bool) {
	met, some := data.CorruptSamples(d.Train)
	if d.Heldout != nil {
		held, _ := data.CorruptSamples(d.Heldout)
		met = append(met, held...)
	}
	return len(met), some
}

// isImage reports whether samples of that shape are pictures.
func isImage(shape []int) bool { return len(shape) == 3 && (shape[2] == 1 || shape[2] == 3) }

// describe says in a few words what a data set holds.
func (d *Dataset) describe() string {
	n := "endless"
	if d.Train.Len() != data.Infinite {
		n = fmt.Sprint(d.Train.Len())
	}
	s := fmt.Sprintf("%s samples of shape %v", n, d.Train.Shape())
	if c := d.Train.Classes(); c > 0 {
		s += fmt.Sprintf(" in %d classes", c)
	}
	if v := data.VectorSize(d.Train); v > 0 {
		s += fmt.Sprintf(", each with a vector of %d numbers", v)
	}
	return s
}
