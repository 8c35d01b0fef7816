package nn_test

import (
	"fmt"

	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// A layer of one's own: a struct with layers in it, and Forward.
type block struct {
	Norm *nn.LayerNorm
	Fc   []*nn.Linear
}

func (b *block) Forward(x *tensor.Tensor) *tensor.Tensor {
	h := b.Norm.Forward(x)
	for _, l := range b.Fc {
		h = l.Forward(h).SiLU()
	}
	return x.Add(h)
}

func Example() {
	in := nn.NewInit(cpu.Default(), rng.Key{Seed: 1})
	b := &block{nn.NewLayerNorm(in, 4, 1e-5), []*nn.Linear{nn.NewLinear(in, 4, 8), nn.NewLinear(in, 8, 4)}}
	for _, p := range nn.Params(b) {
		fmt.Println(p.Name, p.Shape())
	}

	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()
	loss := b.Forward(s.Normal(rng.Key{Seed: 2}, 0, 3, 4)).Square().Mean()
	grads := s.Grad(loss, nn.Params(b))
	fmt.Println("gradient of", nn.Params(b)[2].Name, "has shape", grads[2].Shape())
	// Output:
	// norm.weight [4]
	// norm.bias [4]
	// fc.0.weight [4 8]
	// fc.0.bias [8]
	// fc.1.weight [8 4]
	// fc.1.bias [4]
	// gradient of fc.0.weight has shape [4 8]
}

func ExampleNewDiT() {
	var o nn.DiTOptions
	o.SetDefaults()
	o.InChannels, o.Width, o.Depth, o.Heads, o.Classes = 1, 64, 2, 2, 10
	net, err := nn.NewDiT(nn.NewInit(cpu.Default(), rng.Key{Seed: 1}), o)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	null, _ := net.Conditions().NullLabel()
	x := s.Normal(rng.Key{Seed: 2}, 0, 2, 8, 8, 1)           // two images
	t := s.Full(0.5, 1)                                      // one time for both
	c := nn.Cond{Labels: s.Ints([]int32{3, int32(null)}, 2)} // a three, and anything
	fmt.Println(net.Forward(x, t, c).Shape(), nn.Count(net), "parameters")
	// Output: [2 8 8 1] 179588 parameters
}

func ExampleNewUNet() {
	var o nn.UNetOptions
	o.SetDefaults()
	o.InChannels, o.Channels = 1, []int{16, 32}
	o.DownBlocks, o.UpBlocks = []string{"DownBlock2D", "AttnDownBlock2D"}, []string{"AttnUpBlock2D", "UpBlock2D"}
	net, err := nn.NewUNet(nn.NewInit(cpu.Default(), rng.Key{Seed: 1}), o)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	y := net.Forward(s.Normal(rng.Key{Seed: 2}, 0, 1, 8, 8, 1), s.Full(0.5, 1), nn.Cond{})
	fmt.Println(y.Shape())
	// Output: [1 8 8 1]
}

func ExampleNewResidualMLP() {
	var o nn.ResidualMLPOptions
	o.SetDefaults()
	o.Dim = 2
	net, err := nn.NewResidualMLP(nn.NewInit(cpu.Default(), rng.Key{Seed: 1}), o)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	y := net.Forward(s.Normal(rng.Key{Seed: 2}, 0, 5, 2), s.Uniform(rng.Key{Seed: 3}, 0, 5), nn.Cond{})
	fmt.Println(y.Shape(), nn.Count(net))
	// Output: [5 2] 346882
}

func ExampleMatch() {
	in := nn.NewInit(cpu.Default(), rng.Key{})
	net := struct{ Head, Body *nn.Linear }{nn.NewLinear(in, 2, 2), nn.NewLinear(in, 2, 2)}
	weights, err := nn.Match(net, "*.weight")
	fmt.Println(len(weights), weights[0].Name, err)
	_, err = nn.Match(net, "bdy.*")
	fmt.Println(err)
	// Output:
	// 2 head.weight <nil>
	// parameter pattern "bdy.*" matches none of the 4 parameters (the first is head.weight)
}
