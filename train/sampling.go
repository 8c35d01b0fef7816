package train

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/config"
)

// SamplerArg is empty: a sampler needs nothing but its config.
type SamplerArg struct{}

// Samplers is the registry of samplers. A program of one's own adds to it before cli.Main.
var Samplers = config.NewRegistry[SamplerArg, sampler.Sampler]("sampler", "How noise is turned into samples.")

// GridArg is empty: a time grid needs nothing but its config.
type GridArg struct{}

// Grids is the registry of time grids.
var Grids = config.NewRegistry[GridArg, sampler.Grid]("time grid", "The times that a sampler goes through.")

// autoGrid is what fits the path.
type autoGrid struct{}

// Times gives trailing entries of a discrete table, Karras's levels where time is
// the noise level, and equal steps in time elsewhere.
func (autoGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	switch path.(type) {
	case *diffusion.Table:
		return (&sampler.TableGrid{Spacing: sampler.Trailing}).Times(path, n)
	case diffusion.EDM:
		g := new(sampler.KarrasGrid)
		g.SetDefaults()
		g.SigmaMax = path.End()
		return g.Times(path, n)
	}
	return (&sampler.UniformGrid{Shift: 1}).Times(path, n)
}

func init() {
	for _, e := range sampler.Samplers {
		config.RegisterOptions(Samplers, e.Name, e.Doc, e.New())
	}
	config.RegisterOptions(Grids, "auto", "what fits the path: trailing entries of a discrete table, Karras's levels for edm, equal steps in time elsewhere", sampler.Grid(new(autoGrid)))
	for _, e := range sampler.Grids {
		config.RegisterOptions(Grids, e.Name, e.Doc, e.New())
	}
}

// Sampling says how samples are drawn.
type Sampling struct {
	Sampler   config.Variant[SamplerArg, sampler.Sampler] `yaml:"sampler" doc:"how noise is turned into samples"`
	Steps     int                                         `yaml:"steps" doc:"sampling steps" range:"[1,100000]"`
	Grid      config.Variant[GridArg, sampler.Grid]       `yaml:"grid" doc:"times of the steps"`
	Guidance  `yaml:",inline"`
	Clip      sampler.Clip `yaml:"clip" doc:"limits of the estimate of the data"`
	Precision string       `yaml:"precision" doc:"what the network computes in; train: what it was trained in, so that it is the same function" oneof:"train float32 bf16"`
	Every     int64        `yaml:"every" doc:"training steps between pictures; 0: none" range:"[0,inf)"`
	Prompts   []string     `yaml:"prompts" doc:"prompts of the pictures, a row each, and of the sample command; empty: a caption of each class, or those of the first samples; the sample command then has no prompt"`
	Negative  string       `yaml:"negative" doc:"prompt to be guided away from, in place of none"`
	Rows      int          `yaml:"rows" doc:"samples of each class in a picture; without classes, a picture has rows² samples" range:"[1,100]"`
	Batch     int          `yaml:"batch" doc:"samples that are drawn at a time; it does not change them" range:"[1,100000]"`
}

func (s *Sampling) SetDefaults() {
	s.Sampler, s.Grid = Samplers.Default("heun"), Grids.Default("auto")
	s.Steps, s.Every, s.Rows, s.Batch = 20, 1000, 10, 100
	s.Precision = AsTrained
	s.Guidance.SetDefaults()
	s.Clip.SetDefaults()
}

// Request is what is to be sampled.
type Request struct {
	N        int
	Labels   []int32                           // (N) classes; nil: unconditional
	Prompts  []string                          // (N); nil: none
	Negative string                            // prompt to be guided away from; "": none
	Seed     uint64                            // sample i is a function of the seed and i
	Noise    []float32                         // (N,Shape…) standard normal start, row-major; nil: drawn
	Noises   func(step int) ([]float32, error) // standard normal noise of stochastic samplers, likewise; nil: drawn
	Scale    float64                           // standard deviation that the start is multiplied with; 0: the path's
	Progress func(done, total int)             // in model-step units; nil: nobody asks
}

// streamStart numbers the starting noise of samples, streamSampler the noise of their steps.
const (
	streamStart   = diffusion.StreamFree + 0x1000
	streamSampler = diffusion.StreamFree + 0x1001
)

// Drawer draws samples from a model.
type Drawer struct {
	Device  backend.Device
	Model   diffusion.Model
	Shape   []int // of a sample
	Classes int   // that the model is conditioned on
	Null    int   // the label of no class; −1: the model has none
	Number  bool  // the condition is a number, embedded like a time: labels give it
	How     Sampling

	Precision string          // float32 or bf16: what the network was trained in
	Sampler   sampler.Sampler // nil: what How says
	Times     []float64       // grid; nil: what How says
	InitScale float64         // standard deviation of the start; 0: the path's

	prompts *prompter    // nil: the model takes no prompts
	encoder *nn.Prompted // that they go through
}

// maxSamples bounds the numbers in all samples of a request: 8 GiB.
const maxSamples = 1 << 31

// CheckCount says whether n samples can be drawn at a time.
func (d *Drawer) CheckCount(n int) error {
	if most := maxSamples / volume(d.Shape); n < 1 || n > most {
		return fmt.Errorf("cannot draw %d samples of shape %v at a time: want 1 to %d", n, d.Shape, most)
	}
	return nil
}

// Draw draws samples, row-major (N,Shape…).
func (d *Drawer) Draw(ctx context.Context, q Request) ([]float32, error) {
	size := volume(d.Shape)
	switch {
	case d.CheckCount(q.N) != nil:
		return nil, d.CheckCount(q.N)
	case q.Labels != nil && len(q.Labels) != q.N:
		return nil, fmt.Errorf("%d labels for %d samples", len(q.Labels), q.N)
	}
	how, err := d.Sampler, error(nil)
	if how == nil {
		if how, err = d.How.Sampler.Build(SamplerArg{}); err != nil {
			return nil, err
		}
	}
	grid := d.Times
	if grid == nil {
		g, err := d.How.Grid.Build(GridArg{})
		if err != nil {
			return nil, err
		}
		if grid, err = g.Times(d.Model.Path(), d.How.Steps); err != nil {
			return nil, err
		}
	}
	dev, err := d.compute()
	if err != nil {
		return nil, err
	}
	prompts, err := d.encode(dev, q)
	if err != nil {
		return nil, err
	}
	defer prompts.close()
	model, err := d.guided(q, prompts)
	if err != nil {
		return nil, err
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	out := make([]float32, q.N*size)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	steps := len(grid) - 1
	batches := (q.N + d.How.Batch - 1) / d.How.Batch
	for b := range batches {
		from := b * d.How.Batch
		n := min(d.How.Batch, q.N-from)
		s.Reset()
		o := sampler.Options{
			Clip:  d.How.Clip,
			Key:   rng.Key{Seed: q.Seed, Stream: streamSampler},
			First: uint64(from),
		}
		if o.Cond, err = d.condition(q, prompts, from, n); err != nil {
			return nil, err
		}
		shape := append([]int{n}, d.Shape...)
		var noiseErr error
		if q.Noises != nil {
			o.Noise = func(s *tensor.Scope, i int) *tensor.Tensor {
				z, err := q.Noises(i)
				if err != nil {
					if noiseErr == nil {
						noiseErr = err
						stop() // before the next step
					}
					return s.Zeros(shape...)
				}
				return s.Tensor(z[from*size:(from+n)*size], shape...)
			}
		}
		if q.Progress != nil {
			o.Progress = func(i, _ int, _ *tensor.Tensor) { q.Progress(b*steps+i+1, batches*steps) }
		}
		x, err := sampler.Sample(ctx, s, model, how, grid, d.start(s, q, grid[0], from, shape), o)
		if noiseErr != nil {
			return nil, noiseErr
		}
		if err != nil {
			return nil, err
		}
		x.CopyTo(out[from*size : (from+n)*size])
	}
	return out, nil
}

// condition is what samples from to from+n are to be like.
func (d *Drawer) condition(q Request, e *encoded, from, n int) (func(s *tensor.Scope) diffusion.Cond, error) {
	switch {
	case d.Number && q.Labels == nil:
		return nil, fmt.Errorf("the model is conditioned on a number: it needs one for every sample")
	case d.Number:
		v := make([]float32, n)
		for i, l := range q.Labels[from : from+n] {
			v[i] = float32(l)
		}
		return func(s *tensor.Scope) diffusion.Cond { return diffusion.Cond{Vector: s.Tensor(v, n, 1)} }, nil
	case d.Classes == 0 && e != nil:
		return func(s *tensor.Scope) (c diffusion.Cond) {
			e.put(s, &c, e.of[from:from+n])
			return c
		}, nil
	case d.Classes == 0:
		return nil, nil
	case q.Labels == nil && d.Null < 0:
		return nil, fmt.Errorf("the model has no null class: it needs a class for every sample")
	}
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(d.Null)
		if q.Labels != nil {
			labels[i] = q.Labels[from+i]
		}
	}
	return func(s *tensor.Scope) diffusion.Cond {
		c := diffusion.Cond{Labels: s.Ints(labels, n)}
		if e != nil {
			e.put(s, &c, e.of[from:from+n])
		}
		return c
	}, nil
}

// start is the state that sampling starts from.
func (d *Drawer) start(s *tensor.Scope, q Request, t float64, from int, shape []int) *tensor.Tensor {
	var x *tensor.Tensor
	if size := volume(d.Shape); q.Noise != nil {
		x = s.Tensor(q.Noise[from*size:(from+shape[0])*size], shape...)
	} else {
		x = s.Normal(rng.Key{Seed: q.Seed, Stream: streamStart}, uint64(from), shape...)
	}
	if d.InitScale != 0 {
		return x.Scale(d.InitScale)
	}
	return x.Scale(diffusion.PriorStd(d.Model.Path().At(t)))
}
