package cuda

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/internal/emulate"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// A task is a network with the shape of its inputs.
type task struct {
	name  string
	build func(in *nn.Init) (nn.Model, error)
	shape []int
}

var tasks = []task{
	{"mlp", func(in *nn.Init) (nn.Model, error) {
		var o nn.MLPOptions
		o.SetDefaults()
		o.Dim, o.Width, o.Depth = 5, 24, 2
		return nn.NewMLP(in, o)
	}, []int{7, 5}},
	{"dit", func(in *nn.Init) (nn.Model, error) {
		var o nn.DiTOptions
		o.SetDefaults()
		o.InChannels, o.Width, o.Depth, o.Heads, o.Classes = 3, 24, 2, 2, 4
		return nn.NewDiT(in, o)
	}, []int{3, 6, 6, 3}},
	{"unet", func(in *nn.Init) (nn.Model, error) {
		var o nn.UNetOptions
		o.SetDefaults()
		o.InChannels, o.Channels, o.Layers, o.HeadDim = 3, []int{8, 16}, 1, 8
		return nn.NewUNet(in, o)
	}, []int{2, 8, 8, 3}},
}

// outcome is what some training steps leave behind.
type outcome struct {
	loss, norm []float64 // of each step
	grads      [][]float64
	params     [][]float64
}

// train makes steps of AdamW on a regression to noise, all gradients clipped together.
func train(t *testing.T, dev backend.Device, k task, dtype tensor.DType, steps int) (o outcome) {
	t.Helper()
	net, err := k.build(nn.NewInit(dev, rng.Key{Seed: 3}))
	if err != nil {
		t.Fatal(err)
	}
	params := nn.Params(net)
	for i, p := range params {
		// Zero layers would hide what comes before them.
		values := make([]float32, p.Elems())
		rng.Normal(values, rng.Key{Seed: 4}, uint64(i))
		was := p.Float64s()
		for j := range values {
			values[j] = float32(was[j]) + 0.05*values[j]
		}
		if err := p.Set(values); err != nil {
			t.Fatal(err)
		}
		p.Convert(dtype)
	}
	adam := optim.NewAdamW(params, optim.AdamConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.01})
	s := tensor.NewScopeOf(dev, tensor.Recording, dtype)
	defer s.Close()
	n := k.shape[0]
	for step := range steps {
		at := rng.Key{Seed: 5, Step: uint64(step)}
		x, noise := s.Normal(at, 0, k.shape...), s.Normal(at.WithStream(1), 0, k.shape...)
		times, classes := make([]float32, n), make([]int32, n)
		for i := range times {
			times[i], classes[i] = float32(i+1)/float32(n+1), int32(i%4)
		}
		var c nn.Cond
		if net.Conditions().Classes > 0 {
			c.Labels = s.Ints(classes, n)
		}
		loss := net.Forward(x, s.Tensor(times, n), c).Sub(noise).Square().Mean()
		grads := s.Grad(loss, params)
		norm := optim.GlobalNorm(s, grads)
		o.loss, o.norm = append(o.loss, loss.Item()), append(o.norm, norm)
		if step == 0 {
			for _, g := range grads {
				o.grads = append(o.grads, g.Float64s())
			}
		}
		adam.Step(s, grads, 1e-3, optim.ClipScale(norm, 1))
		s.Reset()
	}
	for _, p := range params {
		o.params = append(o.params, p.Float64s())
	}
	return o
}

// distance is the norm of a−b over that of b.
func distance(a, b [][]float64) float64 {
	var d, n float64
	for i := range b {
		for j, y := range b[i] {
			d += (a[i][j] - y) * (a[i][j] - y)
			n += y * y
		}
	}
	return math.Sqrt(d / n)
}

// TestTraining: steps on the device are those of the CPU. Both are float32, so each is off from
// float64 by roundings; the device may be off by four times as much as the CPU,
// both being sums of many roundings of one size, in different orders.
func TestTraining(t *testing.T) {
	steps := 3
	for _, k := range tasks {
		t.Run(k.name, func(t *testing.T) {
			d := emulated(t, Options{})
			truth := train(t, cpu.Default(), k, tensor.Float64, steps)
			host, dev := train(t, cpu.Default(), k, tensor.Float32, steps), train(t, d, k, tensor.Float32, steps)
			for i := range steps {
				compare(t, "loss", dev.loss[i]/truth.loss[i]-1, host.loss[i]/truth.loss[i]-1)
				compare(t, "norm of the gradient", dev.norm[i]/truth.norm[i]-1, host.norm[i]/truth.norm[i]-1)
			}
			compare(t, "gradient", distance(dev.grads, truth.grads), distance(host.grads, truth.grads))
			compare(t, "parameters", distance(dev.params, truth.params), distance(host.params, truth.params))
			launches := emulate.Count(t).Launches
			if again := train(t, d, k, tensor.Float32, steps); distance(again.params, dev.params) != 0 || distance(again.grads, dev.grads) != 0 {
				t.Error("the same steps give other bits the second time")
			}
			t.Logf("%d launches a step", (emulate.Count(t).Launches-launches)/steps)
		})
	}
}

func compare(t *testing.T, what string, dev, host float64) {
	t.Helper()
	t.Logf("%s: off by %.2g on the device, %.2g on the CPU", what, math.Abs(dev), math.Abs(host))
	if limit := 4 * max(math.Abs(host), 0x1p-24); !(math.Abs(dev) <= limit) {
		t.Errorf("%s: off by %.3g, %.3g on the CPU", what, dev, host)
	}
}
