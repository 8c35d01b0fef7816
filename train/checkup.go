package train

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/diffusion/schedule"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Checkup is the table of a model's sampling run as it was chosen, and what people trip
// over in it. A diffusers folder's network is asked about pure noise once.
func (t *Trained) Checkup() (rows []sampler.Row, warnings []sampler.Warning, err error) {
	_, grid, err := t.plan()
	if err != nil {
		return nil, nil, err
	}
	path := t.Model.Path()
	if confined(t.Model) != nil { // there is no signal and no noise to be right about
		return sampler.Rows(path, grid), nil, nil
	}
	c := &sampler.Checkup{Path: path, Predicts: t.Model.Kind(), Grid: grid, Clipped: t.How.Clip.On(), NoiseSlope: math.NaN()}
	if t.scheduler != nil {
		sched, err := schedule.ForSampler(t.samplerName, t.scheduler)
		if err != nil {
			return nil, nil, err
		}
		c.Shift, c.First = schedule.Shifted(sched)
		c.Claimed = schedule.Claimed(t.scheduler)
		c.TrainedFrom, c.TrainedTo = c.First, path.End()
		if _, ok := path.(*diffusion.Table); ok {
			c.TrainedFrom = 1
		}
		if c.NoiseSlope, err = t.noiseSlope(grid[0]); err != nil {
			return nil, nil, err
		}
	} else {
		c.TrainedFrom, c.TrainedTo, c.TrainShift = trainedTimes(t.job)
		if g, ok := t.How.Grid.Config.(sampler.UniformGrid); ok {
			c.Shift = g.Factor()
		}
	}
	return sampler.Rows(path, grid), sampler.Diagnose(c), nil
}

// rare is the part of training's times, at either end, that does not count as trained on.
const rare = 1e-6

// trainedTimes are the times that an objective trains on, zeros where they are not
// known, and the factor by which they are shifted.
func trainedTimes(j *Job) (from, to, shift float64) {
	var r *diffusion.Regression
	switch o := j.Objective.(type) {
	case *diffusion.Regression:
		r = o
	case *flow.CFM:
		r = &o.Regression
	case *diffusion.Hybrid:
		r = &o.Regression
	case *diffusion.VLB:
		r = &o.Regression
	case *diffusion.ScoreMatching:
		r = &o.Regression
	default:
		return 0, 0, 1
	}
	times := r.Times
	if times == nil {
		times = &diffusion.Uniform{To: 1}
	}
	shift = 1
	if s, ok := times.(diffusion.Shifted); ok {
		shift = s.Factor
	}
	return times.Time(r.Path, rare), times.Time(r.Path, 1-rare), shift
}

// noiseSlope is what the network's answer to pure noise at a time has of that noise.
func (t *Trained) noiseSlope(at float64) (float64, error) {
	dev, err := t.compute()
	if err != nil {
		return 0, err
	}
	const n = 2
	q := Request{N: n}
	if t.Number || t.Classes > 0 && t.Null < 0 {
		q.Labels = make([]int32, n)
	} else if c := t.Net.Conditions(); c.Vector > 0 && !c.Null && t.Vector == 0 {
		return math.NaN(), nil // it wants a vector that there is none of
	}
	prompts, err := t.encode(dev, q)
	if err != nil {
		return 0, err
	}
	defer prompts.close()
	cond, err := t.condition(q, prompts, 0, n)
	if err != nil {
		return 0, err
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	var c diffusion.Cond
	if cond != nil {
		c = cond(s)
	}
	p := t.Model.Path().At(at)
	x := s.Normal(rng.Key{Stream: streamStart}, 0, append([]int{n}, t.Shape...)...).Scale(diffusion.PriorStd(p))
	says := t.Model.Eval(x, diffusion.Step{T: []float64{at}}, c).Value
	return says.Mul(x).Sum().Item() / x.Square().Sum().Item(), nil
}
