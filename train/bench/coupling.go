package bench

import (
	"context"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/data"
)

// Coupling times training steps of flow matching from eight Gaussians to two
// moons, with independent pairs (icfm) and pairs from the exact optimal-transport
// plan of each batch (otcfm): the example of torchcfm (Tong et al. 2024), drawing
// both sets included.
type Coupling struct {
	Cases []CouplingCase
}

// CouplingCase is one way of pairing at a batch size.
type CouplingCase struct {
	Coupling string // "icfm" or "otcfm"
	Batch    int
	Runs     int
}

// Name is otcfm.
func (*Coupling) Name() string { return "otcfm" }

// Measure times every case.
func (w *Coupling) Measure(ctx context.Context, e *Env, emit func(Result) error) error {
	for _, c := range w.Cases {
		b, err := newBridge(c)
		if err != nil {
			return err
		}
		plan := measurement{label: fmt.Sprintf("%s, batch %d", c.Coupling, c.Batch), warm: 3, runs: c.Runs}
		r, err := e.measure(ctx, plan, b.step)
		b.scope.Close()
		if err != nil {
			return err
		}
		r.Workload, r.Coupling, r.Batch, r.Params = w.Name(), c.Coupling, c.Batch, nn.Count(b.net)
		if err := emit(r); err != nil {
			return err
		}
	}
	return nil
}

// bridge learns the flow from one distribution to another.
type bridge struct {
	from, to *data.Loader
	pairing  flow.Coupling
	net      *nn.MLP
	params   []*tensor.Param
	opt      optim.Optimizer
	scope    *tensor.Scope

	steps  uint64
	x0, x1 []float32 // (batch, 2)
	labels []int32
	draw   diffusion.Draw
}

const (
	bridgeSigma = 0.1 // noise on the lines between pairs
	bridgeRate  = 1e-3
)

// Streams of a step's random numbers.
const (
	streamPairs uint32 = iota
	streamTimes
	streamNoise
)

func newBridge(c CouplingCase) (*bridge, error) {
	b := &bridge{x0: make([]float32, 2*c.Batch), x1: make([]float32, 2*c.Batch), labels: make([]int32, c.Batch)}
	switch c.Coupling {
	case "icfm":
		b.pairing = flow.Independent{}
	case "otcfm":
		b.pairing = &flow.OT{Replace: true}
	default:
		return nil, fmt.Errorf("unknown coupling %q: want icfm or otcfm", c.Coupling)
	}
	gaussians, err := data.EightGaussians(5, math.Sqrt(math.Sqrt(0.1)))
	if err != nil {
		return nil, err
	}
	if b.from, err = data.NewLoader(data.Draw(gaussians, 1, false), data.Options{}); err != nil {
		return nil, err
	}
	if b.to, err = data.NewLoader(data.Draw(data.TorchCFMMoons(), 2, false), data.Options{}); err != nil {
		return nil, err
	}
	dev, err := train.OpenDevice("auto")
	if err != nil {
		return nil, err
	}
	var o nn.MLPOptions
	o.SetDefaults() // torchcfm's network
	o.Dim = 2
	if b.net, err = nn.NewMLP(nn.NewInit(dev, rng.Key{}), o); err != nil {
		return nil, err
	}
	b.params = nn.Params(b.net)
	var adam optim.AdamConfig
	adam.SetDefaults()
	b.opt = optim.NewAdam(b.params, adam)
	b.scope = tensor.NewScope(dev, tensor.Recording)
	return b, nil
}

// bridgeAt is (1−t)·x0 + t·x1 + σ·ε, of t, x0, x1, ε.
var bridgeAt = tensor.NewPointwise("bridge", 4, 1, func(in, sc []tensor.Expr) tensor.Expr {
	t, x0, x1, eps := in[0], in[1], in[2], in[3]
	return x0.Add(t.Mul(x1.Sub(x0))).Add(eps.Mul(sc[0]))
})

// step regresses on x1 − x0 at a random point of the line between the two, give
// or take σ.
func (b *bridge) step() error {
	n := len(b.labels)
	cursor := b.steps * uint64(n)
	if err := b.from.Batch(cursor, b.x0, b.labels); err != nil {
		return err
	}
	if err := b.to.Batch(cursor, b.x1, b.labels); err != nil {
		return err
	}
	key := rng.Key{Step: b.steps}
	b.steps++
	b.draw.N, b.draw.X, b.draw.Noise = n, b.x1, b.x0
	if err := b.pairing.Couple(key.WithStream(streamPairs), &b.draw); err != nil {
		return err
	}

	s := b.scope
	s.Reset()
	x0, x1 := s.Tensor(b.draw.Noise, n, 2), s.Tensor(b.draw.X, n, 2)
	t := s.Uniform(key.WithStream(streamTimes), 0, n, 1)
	sigma := [1]float64{bridgeSigma}
	xt := bridgeAt.Apply(sigma[:], t, x0, x1, s.Normal(key.WithStream(streamNoise), 0, n, 2))
	loss := b.net.Forward(xt, t.Reshape(n), nn.Cond{}).MSE(x1.Sub(x0))
	b.opt.Step(s, s.Grad(loss, b.params), bridgeRate, 1)
	return s.Device().Sync()
}
