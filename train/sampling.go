package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/classify"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// SamplerArg is empty: a sampler needs nothing but its config.
type SamplerArg struct{}

// Samplers is the registry of samplers. A program of one's own adds to it before cli.Main.
var Samplers = config.NewRegistry[SamplerArg, sampler.Sampler]("sampler", "How noise is turned into samples.")

// GridArg is empty: a time grid needs nothing but its config.
type GridArg struct{}

// Grids is the registry of time grids.
var Grids = config.NewRegistry[GridArg, sampler.Grid]("time grid", "The times that a sampler goes through.")

// thinnedConfig is a grid of which some times are left.
type thinnedConfig struct {
	Of   config.Variant[GridArg, sampler.Grid] `yaml:"of" doc:"the grid of more steps"`
	From int                                   `yaml:"from" doc:"its steps, which the sampling steps divide" range:"[1,100000]"`
}

// SetDefaults is a teacher of 64 steps.
func (c *thinnedConfig) SetDefaults() { c.Of, c.From = Grids.Default("auto"), 64 }

// autoGrid is what fits the path.
type autoGrid struct{}

// startLevel is the noise level that the grid begins at where the prediction says nothing of the data at the path's end, as ε does not
// where no signal is left: the highest of Karras's levels.
const startLevel = 80

// Times gives trailing entries of a discrete table, Karras's levels where time is
// the noise level, and equal steps in time elsewhere.
func (g autoGrid) Times(path diffusion.GaussianPath, n int) ([]float64, error) {
	return g.times(path, nil, n)
}

// times are those for a prediction, if one is named.
func (autoGrid) times(path diffusion.GaussianPath, predicts diffusion.Kind, n int) ([]float64, error) {
	switch path.(type) {
	case *diffusion.Table:
		return (&sampler.TableGrid{Spacing: sampler.Trailing}).Times(path, n)
	case diffusion.EDM:
		g := new(sampler.KarrasGrid)
		g.SetDefaults()
		g.SigmaMax = path.End()
		return g.Times(path, n)
	}
	uniform := sampler.UniformGrid{Shift: 1}
	if end := path.At(path.End()); end.Alpha == 0 && predicts != nil {
		if _, ok := diffusion.TryConvert(predicts, diffusion.X0, end); !ok {
			uniform.From = path.Time(-math.Log(startLevel)) / path.End()
		}
	}
	return uniform.Times(path, n)
}

// autoKind names what fits the path, of samplers and grids.
const autoKind = "auto"

// autoSampler is what fits the path.
type autoSampler struct{}

// Sample is the usual sampler of a path whose states are not all of space, and Heun's method elsewhere.
func (autoSampler) Sample(r *sampler.Run) {
	how, err := (&Sampling{Sampler: Samplers.Default(autoKind)}).samplerOn(r.Path).Build(SamplerArg{})
	if err != nil {
		r.Fail("sampler: %w", err)
		return
	}
	how.Sample(r)
}

// samplerOn is the sampler on a path: the one that is named, or what auto stands for there.
func (s *Sampling) samplerOn(path diffusion.GaussianPath) config.Variant[SamplerArg, sampler.Sampler] {
	switch p, ok := path.(flow.Confined); {
	case s.Sampler.Kind != autoKind:
		return s.Sampler
	case ok:
		return Samplers.Default(p.Samplers()[0])
	}
	return Samplers.Default("heun")
}

// SamplerKind is what configs call the sampler: what auto stands for, where it is that.
func (d *Drawer) SamplerKind() string { return d.How.samplerOn(d.Model.Path()).Kind }

func init() {
	config.RegisterOptions(Samplers, autoKind, "what fits the path: geodesic on manifolds, ctmc for tokens, heun elsewhere", sampler.Sampler(new(autoSampler)))
	for _, e := range sampler.Samplers {
		config.RegisterOptions(Samplers, e.Name, e.Doc, e.New())
	}
	config.RegisterOptions(Grids, autoKind, "what fits the path: trailing entries of a discrete table, Karras's levels for edm, equal steps in time elsewhere, from noise level 80 where eps or score could not start at the path's end", sampler.Grid(new(autoGrid)))
	for _, e := range sampler.Grids {
		config.RegisterOptions(Grids, e.Name, e.Doc, e.New())
	}
	config.Register(Grids, "thinned", "some of the times of a grid of more steps, at equal distances: what progressive distillation leaves of its teacher's",
		func(c *thinnedConfig, _ GridArg) (sampler.Grid, error) {
			of, err := c.Of.Build(GridArg{})
			return sampler.Thinned{Of: of, From: c.From}, err
		})
}

// Sampling says how samples are drawn.
type Sampling struct {
	Sampler   config.Variant[SamplerArg, sampler.Sampler] `yaml:"sampler" doc:"how noise is turned into samples"`
	Steps     int                                         `yaml:"steps" doc:"sampling steps" range:"[1,100000]"`
	Grid      config.Variant[GridArg, sampler.Grid]       `yaml:"grid" doc:"times of the steps"`
	Guidance  `yaml:",inline"`
	Steering  `yaml:",inline"`
	Clip      sampler.Clip       `yaml:"clip" doc:"limits of the estimate of the data"`
	Brownian  bool               `yaml:"brownian" doc:"the noise of all steps is that of one Brownian motion along the path's time: more steps refine a sample, and do not exchange it"`
	Scaling   sampler.EpsScaling `yaml:"eps_scaling" doc:"scales the noise estimate, against exposure bias (Ning et al. 2024)"`
	Precision string             `yaml:"precision" doc:"what the network computes in; train: what it was trained in, so that it is the same function" oneof:"train float32 bf16"`
	Float64   bool               `yaml:"float64_state" doc:"keep the state between steps in float64 while the network computes in its precision: for many small steps"`
	Every     int64              `yaml:"every" doc:"training steps between pictures; 0: none" range:"[0,inf)"`
	Peek      bool               `yaml:"peek" doc:"beside each picture, one of how its first samples come about: what the model takes them to be, step by step"`
	Prompts   []string           `yaml:"prompts" doc:"prompts of the pictures, a row each, and of the sample command; empty: a caption of each class, or those of the first samples; the sample command then has no prompt"`
	Negative  string             `yaml:"negative" doc:"prompt to be guided away from, in place of none"`
	Rows      int                `yaml:"rows" doc:"samples of each class in a picture; without classes, a picture has rows² samples" range:"[1,100]"`
	Batch     int                `yaml:"batch" doc:"samples that are drawn at a time; it does not change them" range:"[1,100000]"`
}

func (s *Sampling) SetDefaults() {
	s.Sampler, s.Grid = Samplers.Default(autoKind), Grids.Default(autoKind)
	s.Steps, s.Every, s.Rows, s.Batch = 20, 1000, 10, 100
	s.Precision = AsTrained
	s.Guidance.SetDefaults()
	s.Clip.SetDefaults()
	s.Scaling.SetDefaults()
}

// Request is what is to be sampled.
type Request struct {
	N        int
	Labels   []int32                           // (N) classes; nil: unconditional
	Vectors  []float32                         // (N,Vector) that the model is conditioned on; nil: none
	Prompts  []string                          // (N); nil: none
	Negative string                            // prompt to be guided away from; "": none
	Seed     uint64                            // sample i is a function of the seed and i
	Noise    []float32                         // (N,Shape…) standard normal start, or samples of the source, row-major; nil: drawn
	Noises   func(step int) ([]float32, error) // standard normal noise of stochastic samplers, likewise; nil: drawn
	Scale    float64                           // standard deviation that the start is multiplied with; 0: the path's
	Init     []float32                         // (M,Shape…) data to edit: sample i starts from number i modulo M, with noise; nil: from noise alone
	Strength float64                           // in (0,1]: the part of the steps that data to edit go through
	Progress func(done, total int)             // in model-step units; nil: nobody asks

	// Peek hears, after step step of steps from 0, what the model takes samples first… to be by then, (n,Shape…) row-major,
	// valid during the call; nil where its prediction does not say. Samplers that choose their steps themselves may
	// tell of a step again, or leave it out. nil: nobody asks.
	Peek func(step, steps, first int, data []float32)

	// Trace hears the states of samples first… at the points of the grid, likewise, from the first on; nil: nobody asks.
	Trace func(p diffusion.Point, first int, x []float32)

	Still bool           // a sampler that adds noise of its own is an error
	Count *sampler.Count // is told what the batch took that took most; nil: nobody asks

	// Violated hears how far the estimates of some samples were from the constraints when the
	// model was asked in a step; in step steps, how far the samples are. nil: nobody asks.
	Violated func(step, steps int, violation []float64)
}

// streamStart numbers the starting noise of samples, streamSampler the noise of their steps.
const (
	streamStart   = sampler.StreamStart
	streamSampler = diffusion.StreamFree + 0x1001
	streamSource  = diffusion.StreamFree + 0x1002 // the draws of a flow's source
	streamLatent  = diffusion.StreamFree + 0x1003 // an interpolant's own noise on data to edit
)

// Drawer draws samples from a model.
type Drawer struct {
	Device     backend.Device
	Model      diffusion.Model
	Shape      []int // of a sample
	Classes    int   // that the model is conditioned on
	Null       int   // the label of no class; −1: the model has none
	Vector     int   // numbers of the vector that the model is conditioned on; 0: none
	NullVector bool  // it knows one that stands for none
	Number     bool  // the condition is a number, embedded like a time: labels give it
	How        Sampling

	Source    data.Source     // what samples start from; nil: normal noise
	Precision string          // float32 or bf16: what the network was trained in
	Sampler   sampler.Sampler // nil: what How says
	Times     []float64       // grid; nil: what How says
	InitScale float64         // standard deviation of the start; 0: the path's

	weaker         *Trained // of autoguidance, once opened
	classifier     *classify.Classifier
	classifierFile string
	prompts        *prompter    // nil: the model takes no prompts
	encoder        *nn.Prompted // that they go through
	student        *Student     // what the model is as one; nil: none
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

// plan is the sampler and the times of its grid.
func (d *Drawer) plan() (how sampler.Sampler, grid []float64, err error) {
	if err := d.checkSampling(); err != nil {
		return nil, nil, err
	}
	if err := d.student.checkSampler(d.How.Sampler.Kind); err != nil {
		return nil, nil, err
	}
	if how = d.Sampler; how == nil {
		if how, err = d.How.samplerOn(d.Model.Path()).Build(SamplerArg{}); err != nil {
			return nil, nil, err
		}
	}
	if grid = d.Times; grid == nil {
		g, err := d.How.Grid.Build(GridArg{})
		if err != nil {
			return nil, nil, err
		}
		path := d.Model.Path()
		_, confined := path.(flow.Confined)
		if auto, ok := g.(*autoGrid); ok && !confined && d.Source == nil {
			grid, err = auto.times(path, d.Model.Kind(), d.How.Steps)
		} else {
			grid, err = g.Times(path, d.How.Steps)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return how, grid, nil
}

// Grid are the times that samples are drawn at in so many steps.
func (d *Drawer) Grid(steps int) ([]float64, error) {
	of := *d
	of.How.Steps, of.Times = steps, nil
	_, grid, err := of.plan()
	return grid, err
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
	if err := d.checkVectors(q); err != nil {
		return nil, err
	}
	how, grid, err := d.plan()
	if err != nil {
		return nil, err
	}
	if err := d.checkStarts(q); err != nil {
		return nil, err
	}
	if q.Init != nil {
		if !(q.Strength > 0 && q.Strength <= 1) {
			return nil, fmt.Errorf("the strength of editing must be above 0 and at most 1, is %g", q.Strength)
		}
		if len(q.Init) == 0 || len(q.Init)%size != 0 {
			return nil, fmt.Errorf("%d numbers to edit are no samples of shape %v", len(q.Init), d.Shape)
		}
		grid = sampler.Last(grid, q.Strength)
	}
	dev, prompts, model, err := d.prepare(q)
	if err != nil {
		return nil, err
	}
	defer prompts.close()
	within, err := d.constraint()
	if err != nil {
		return nil, err
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	plan, err := sampler.NewPlan(s, model, how, grid, sampler.Options{
		Clip:  d.How.Clip,
		Key:   rng.Key{Seed: q.Seed, Stream: streamSampler},
		Noisy: d.addNoise(q),

		Float64:  d.How.Float64,
		Brownian: d.How.Brownian,
	})
	if err != nil {
		return nil, err
	}
	defer plan.Close()
	out := make([]float32, q.N*size)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	steps := len(grid) - 1
	batches := (q.N + d.How.Batch - 1) / d.How.Batch
	for b := range batches {
		from := b * d.How.Batch
		n := min(d.How.Batch, q.N-from)
		s.Reset()
		plan.First = uint64(from)
		if plan.Cond, err = d.condition(q, prompts, from, n); err != nil {
			return nil, err
		}
		shape := append([]int{n}, d.Shape...)
		var noiseErr error
		if q.Noises != nil {
			plan.Noise = func(s *tensor.Scope, i int) *tensor.Tensor {
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
		q.listen(plan, b, batches, steps, from, n*size)
		start, err := d.start(s, q, grid[0], from, shape)
		if err != nil {
			return nil, err
		}
		var count sampler.Count
		plan.Count = &count
		x, err := plan.Run(ctx, start)
		if q.Count != nil {
			q.Count.Evaluations, q.Count.Rejected = max(q.Count.Evaluations, count.Evaluations), max(q.Count.Rejected, count.Rejected)
		}
		if noiseErr != nil {
			return nil, noiseErr
		}
		if err != nil {
			return nil, err
		}
		x.CopyTo(out[from*size : (from+n)*size])
		if within != nil && q.Violated != nil {
			q.Violated(steps, steps, guidance.Violation(within, x))
		}
	}
	return out, nil
}

// prepare is the model as a request steers it, and its prompts, to be closed.
func (d *Drawer) prepare(q Request) (dev backend.Device, prompts *encoded, model diffusion.Model, err error) {
	if dev, err = d.compute(); err != nil {
		return nil, nil, nil, err
	}
	if prompts, err = d.encode(dev, q); err != nil {
		return nil, nil, nil, err
	}
	if model, err = d.guided(q, prompts); err == nil {
		model, err = d.steered(d.How.Scaling.Model(model), q)
	}
	if err != nil {
		prompts.close()
	}
	return dev, prompts, model, err
}

// condition is what samples from to from+n are to be like; nil: they need not be like anything.
func (d *Drawer) condition(q Request, e *encoded, from, n int) (func(s *tensor.Scope) diffusion.Cond, error) {
	other, err := d.labelled(q, e, from, n)
	return d.vectors(q, from, n, other), err
}

// labelled is the part of a condition that is no vector.
func (d *Drawer) labelled(q Request, e *encoded, from, n int) (func(s *tensor.Scope) diffusion.Cond, error) {
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
	case d.Classes == 0 && (q.Labels == nil || !d.How.Steering.classified()):
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

// start is the state that sampling starts from: noise, or samples of the source, or data
// to edit with that noise on them.
func (d *Drawer) start(s *tensor.Scope, q Request, t float64, from int, shape []int) (*tensor.Tensor, error) {
	x, err := d.far(s, q, from, shape)
	switch {
	case err != nil:
		return nil, err
	case q.Init != nil:
		key := rng.Key{Seed: q.Seed, Stream: streamLatent}
		if p := confined(d.Model); p != nil {
			return p.Between(key, uint64(from), q.init(s, from, shape), x, t), nil
		}
		z := s.Normal(key, uint64(from), shape...)
		return sampler.Noised(q.init(s, from, shape), x, z, d.Model.Path(), t), nil
	case d.Source != nil:
		return x, nil
	}
	return x.Scale(d.startScale(t)), nil
}

// startScale is what noise, or a sample of the source, is multiplied by to be the state at time t.
func (d *Drawer) startScale(t float64) float64 {
	switch {
	case d.Source != nil:
		return 1
	case d.InitScale != 0:
		return d.InitScale
	}
	return diffusion.PriorStd(d.Model.Path().At(t))
}

// far is what stands at the far end of the path: standard normal noise, or samples of the source.
func (d *Drawer) far(s *tensor.Scope, q Request, from int, shape []int) (*tensor.Tensor, error) {
	size := volume(d.Shape)
	switch {
	case q.Noise != nil:
		return s.Tensor(q.Noise[from*size:(from+shape[0])*size], shape...), nil
	case d.Source != nil:
		x := make([]float32, shape[0]*size)
		if err := startFrom(d.Source, q.Seed, uint64(from), x); err != nil {
			return nil, fmt.Errorf("the source: %w", err)
		}
		return s.Tensor(x, shape...), nil
	}
	return s.Normal(rng.Key{Seed: q.Seed, Stream: streamStart}, uint64(from), shape...), nil
}

// init is the data that samples from… are edited from.
func (q *Request) init(s *tensor.Scope, from int, shape []int) *tensor.Tensor {
	size := volume(shape[1:])
	x, m := make([]float32, 0, shape[0]*size), len(q.Init)/size
	for i := range shape[0] {
		k := (from + i) % m
		x = append(x, q.Init[k*size:(k+1)*size]...)
	}
	return s.Tensor(x, shape...)
}

// listen has the plan tell of the samples from… of batch b.
func (q *Request) listen(plan *sampler.Plan, b, batches, steps, from, size int) {
	if q.Progress != nil || q.Peek != nil {
		var seen []float32
		plan.Progress = func(i, _ int, data *tensor.Tensor) {
			if q.Progress != nil {
				q.Progress(b*steps+i+1, batches*steps)
			}
			switch {
			case q.Peek == nil:
			case data == nil:
				q.Peek(i, steps, from, nil)
			default:
				if seen == nil {
					seen = make([]float32, size)
				}
				data.CopyTo(seen)
				q.Peek(i, steps, from, seen)
			}
		}
	}
	if q.Trace != nil {
		state := make([]float32, size)
		plan.Trace = func(p diffusion.Point, x *tensor.Tensor) {
			x.CopyTo(state)
			q.Trace(p, from, state)
		}
	}
}

var errNoisy = errors.New("the sampler adds noise of its own, and what is asked for follows from the start alone: take heun, euler, dpm_multistep, unipc, or ddim with eta=0")

// addNoise says whether the sampler may add noise of its own to what a request asks for.
func (d *Drawer) addNoise(q Request) error {
	if q.Still {
		return errNoisy
	}
	return d.noisy()
}

// noisy says whether samplers may add noise, which is right only where it is what the
// path ends in.
func (d *Drawer) noisy() error {
	if d.Source != nil {
		return errors.New("the sampler adds normal noise, which the flow does not start from: take euler or heun")
	}
	if _, ok := d.Model.Path().(flow.Interpolant); ok {
		return errors.New("the sampler adds normal noise as if the interpolant had none of its own: take euler, heun or interpolant_sde")
	}
	return nil
}
