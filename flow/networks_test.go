package flow_test

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// The derivative that mean flows take, through the real networks, against central
// differences in float64. The error of those is of order h² times third derivatives, by time features as
// fast as TimeScale per unit of time: with h·TimeScale = 1e-4, 1e-8/6 of the derivative's scale
// TimeScale·|u|, and of rounding 1e-16/h.
func TestDerivativesOfNetworks(t *testing.T) {
	const n, timeScale, h = 2, 10, 1e-5
	in := nn.NewInit(cpu.Default(), rng.Key{Seed: 3})
	jump := nn.CondOptions{Classes: 3, Null: true, VectorEmbed: "mlp", Jump: true}
	dit := nn.DiTOptions{}
	dit.SetDefaults()
	dit.InChannels, dit.Patch, dit.Width, dit.Depth, dit.Heads, dit.TimeScale, dit.CondOptions = 2, 2, 16, 2, 2, timeScale, jump
	unet := nn.UNetOptions{}
	unet.SetDefaults()
	unet.InChannels, unet.Channels, unet.Layers, unet.TimeScale, unet.CondOptions = 2, []int{8, 8}, 1, timeScale, jump
	unet.DownBlocks, unet.UpBlocks, unet.Groups, unet.HeadDim = []string{"DownBlock2D", "AttnDownBlock2D"}, []string{"AttnUpBlock2D", "UpBlock2D"}, 4, 4
	mlp := nn.ResidualMLPOptions{}
	mlp.SetDefaults()
	mlp.Dim, mlp.Width, mlp.Depth, mlp.TimeScale, mlp.CondOptions = 32, 16, 2, timeScale, jump
	plain := nn.MLPOptions{}
	plain.SetDefaults()
	plain.Dim, plain.CondOptions = 32, jump
	made := map[string]func() (nn.Model, error){
		"dit":       func() (nn.Model, error) { return nn.NewDiT(in, dit) },
		"unet":      func() (nn.Model, error) { return nn.NewUNet(in, unet) },
		"mlp":       func() (nn.Model, error) { return nn.NewResidualMLP(in, mlp) },
		"plain mlp": func() (nn.Model, error) { return nn.NewMLP(in, plain) },
	}
	for name, build := range made {
		net, err := build()
		if err != nil {
			t.Fatal(name, err)
		}
		for i, p := range nn.Params(net) { // none zero
			v := p.Float32s()
			for j := range v {
				v[j] += float32(0.1 * math.Sin(float64(1+i+7*j)))
			}
			if err := p.Set(v); err != nil {
				t.Fatal(err)
			}
			p.Convert(tensor.Float64)
		}
		m := &diffusion.NetModel{Along: diffusion.CondOT{}, Predicts: diffusion.Velocity, Jumps: true,
			Net: func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond(c)) }}
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		x, v := s.Normal(rng.Key{Seed: 1}, 0, n, 4, 4, 2), s.Normal(rng.Key{Seed: 2}, 0, n, 4, 4, 2)
		at, by := s.Tensor([]float64{0.8, 0.45}, n), s.Tensor([]float64{0.3, 0.2}, n)
		c := diffusion.Cond{Labels: s.Ints([]int32{1, 3}, n)}
		for _, along := range []struct{ dt, dj float64 }{{1, 1}, {1, 0}, {0, 1}} {
			_, du := s.JVP(func(in []*tensor.Tensor) *tensor.Tensor { return m.Field(in[0], in[1], in[2], c) },
				[]*tensor.Tensor{x, at, by}, []*tensor.Tensor{v, s.Full(along.dt).Expand(n), s.Full(along.dj).Expand(n)})
			moved := func(h float64) []float64 {
				return m.Field(x.Axpby(1, v, h), at.AddScalar(h*along.dt), by.AddScalar(h*along.dj), c).Float64s()
			}
			plus, minus, size := moved(h), moved(-h), 0.0
			for _, u := range plus {
				size = max(size, math.Abs(u))
			}
			for i, got := range du.Float64s() {
				want := (plus[i] - minus[i]) / (2 * h)
				if tol := 1e-7 * (1 + timeScale*size); !(math.Abs(got-want) <= tol) {
					t.Fatalf("%s along %v: derivative %d is %.9g, by differences %.9g", name, along, i, got, want)
				}
			}
			if along.dj != 0 && along.dt == 0 {
				zero := m.Field(x, at, by, c).Float64s()
				still := m.Field(x, at, s.Zeros(n), c).Float64s()
				if zero[0] == still[0] {
					t.Errorf("%s: the jump changes nothing", name)
				}
			}
		}
		s.Close()
	}
}
