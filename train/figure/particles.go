package figure

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler/langevin"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/plot"
)

// ParticlesOptions say how particles move.
type ParticlesOptions struct {
	N    int
	Time float64 // of the path, whose density they move on; 0: where the noise level is a tenth of the data's deviation
	Step float64 // of dx = ½·score·dt + dW; 0: what is stable where the score changes fastest
	At   []int   // numbers of steps that are shown, rising; 0 is the start
}

// Particles shows n particles that start anywhere and follow Langevin dynamics on the score at one time, on the log-density: they
// find the nearest modes soon, and the right share of each late.
func Particles(ctx context.Context, s *Scene, o ParticlesOptions) (*plot.Figure, error) {
	if err := s.plane("particles"); err != nil {
		return nil, err
	}
	if !s.normal() {
		return nil, errors.New("particles: the model starts from other data than noise, or has noise of its own on the way: its score is not known")
	}
	asked := []float64{o.Time}
	if o.Time == 0 {
		asked = []float64{s.Model.Path().Time(-math.Log(0.1 * s.Std))}
	}
	times, err := s.times(asked, true)
	if err != nil {
		return nil, err
	}
	t := times[0]
	b, err := s.box(t)
	if err != nil {
		return nil, err
	}
	step := o.Step
	if step == 0 {
		if step, err = s.stableStep(t); err != nil {
			return nil, err
		}
	}
	states, err := s.particles(ctx, b, t, step, o)
	if err != nil {
		return nil, err
	}
	fig := &plot.Figure{
		Title: fmt.Sprintf("Langevin dynamics: %s, %s, step %.2g", s.name(), timeName(t), step),
		Width: 2.8, Columns: 4, Entries: []plot.Entry{s.densityEntry(), {Name: "particles", Color: plot.Samples}},
	}
	heat := s.heat(b, t)
	for k, x := range states {
		fig.Areas = append(fig.Areas, plot.Area{
			Title: fmt.Sprintf("step %d", o.At[k]), Box: b, Equal: true,
			Layers: []plot.Layer{heat, &plot.Points{XY: x, Color: plot.Fade(plot.Samples, 0.7), Radius: 1.2}},
		})
	}
	return fig, nil
}

// stableStep is a third of the largest step with which the discrete dynamics do not diverge, 4 over the score's Lipschitz constant, as
// it shows at the noised data.
func (s *Scene) stableStep(t float64) (float64, error) {
	q := s.request(s.Data.N)
	q.Init, q.Seed = s.Data.X, s.Seed+1
	x, err := s.Noised(q, t)
	if err != nil {
		return 0, err
	}
	ask := s.request(s.Data.N)
	here, err := s.Predict(ask, diffusion.Score, x, t)
	if err != nil {
		return 0, err
	}
	apart := float32(1e-2 * s.spread(t))
	steepest := 0.0
	for axis := range 2 {
		y := append([]float32(nil), x...)
		for i := axis; i < len(y); i += 2 {
			y[i] += apart
		}
		there, err := s.Predict(ask, diffusion.Score, y, t)
		if err != nil {
			return 0, err
		}
		for i := 0; i < len(x); i += 2 {
			steepest = max(steepest, math.Hypot(float64(there[i]-here[i]), float64(there[i+1]-here[i+1]))/float64(apart))
		}
	}
	if !(steepest > 0) || math.IsInf(steepest, 0) {
		return 0, errors.New("particles: the score is the same everywhere, or not finite: give the step")
	}
	return 4 / steepest / 3, nil
}

// streamParticles numbers the particles' starts and noise.
const streamParticles = diffusion.StreamFree + 0x2001

// particles are the states after the steps asked for, from starts spread evenly over a box.
func (s *Scene) particles(ctx context.Context, b plot.Box, t, step float64, o ParticlesOptions) ([][]float32, error) {
	a, err := s.Ask(s.request(o.N))
	if err != nil {
		return nil, err
	}
	defer a.Close()
	key := rng.Key{Seed: s.Seed, Stream: streamParticles}
	start := make([]float32, 2*o.N)
	for i := range o.N {
		start[2*i] = float32(b.X0 + (b.X1-b.X0)*rng.Float64(key, uint64(i), 0))
		start[2*i+1] = float32(b.Y0 + (b.Y1-b.Y0)*rng.Float64(key, uint64(i), 1))
	}
	var states [][]float32
	next := 0
	keep := func(step int, x []float32) {
		for next < len(o.At) && o.At[next] == step {
			states, next = append(states, x), next+1
		}
	}
	keep(0, start)
	last := o.At[len(o.At)-1]
	if last == 0 {
		return states, nil
	}
	sc := tensor.NewScope(a.Device, tensor.Inference)
	defer sc.Close()
	at := diffusion.Step{T: []float64{t}}
	target := langevin.Target{Score: func(x *tensor.Tensor) *tensor.Tensor {
		var c diffusion.Cond
		if a.Condition != nil {
			c = a.Condition(x.Scope())
		}
		return a.Model.Eval(x, at, c).As(diffusion.Score, x, a.Model.Path(), at)
	}}
	_, err = langevin.Sample(ctx, sc, target, &langevin.ULA{Step: step}, sc.Tensor(start, o.N, 2), langevin.Options{
		BurnIn: last - 1, Key: key, Progress: func(i, _ int, _ float64, x *tensor.Tensor) { keep(i+1, x.Float32s()) },
	})
	return states, err
}
