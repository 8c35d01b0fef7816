package train

import (
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// What docs/inference.md says of a program of one's own: with the packages nn, diffusion and tensor alone it
// draws from a checkpoint, to the bit, what the command does.
func TestCheckpointWithoutTrain(t *testing.T) {
	dir := trained(t, moonsYAML)
	m := opened(t, dir)
	const n, scale = 5, 1.5
	labels := turns(n, m.Classes)
	want := draw(t, m, Request{N: n, Labels: labels, Seed: 9})

	var o nn.ResidualMLPOptions
	o.SetDefaults()
	o.Dim, o.Width, o.Depth, o.Classes = 2, 16, 1, 2
	net, err := nn.NewResidualMLP(nn.NewInit(cpu.Default(), rng.Key{}), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := nn.LoadPrefix(m.File, "ema.", net); err != nil {
		t.Fatal(err)
	}
	model := &guidance.CFG{
		Of: &diffusion.NetModel{
			Net:   func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond(c)) },
			Along: diffusion.CondOT{}, Predicts: diffusion.Velocity,
		},
		Strength: guidance.Strength{Scale: scale}, Classes: o.Classes,
	}
	heun, err := sampler.New(sampler.Samplers, "heun")
	if err != nil {
		t.Fatal(err)
	}
	grid, err := (&sampler.UniformGrid{Shift: 1}).Times(model.Path(), 3)
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	p, err := sampler.NewPlan(s, model, heun, grid, sampler.Options{Key: rng.Key{Seed: 9, Stream: sampler.StreamStart}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range n { // one at a time
		p.First, p.Cond = uint64(i), func(s *tensor.Scope) diffusion.Cond { return diffusion.Cond{Labels: s.Ints(labels[i:i+1], 1)} }
		x, err := p.Draw(t.Context(), 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Float32s(); !slices.Equal(got, want[2*i:2*i+2]) {
			t.Errorf("sample %d is %v, drawn by the command's way %v", i, got, want[2*i:2*i+2])
		}
	}
	if err := nn.LoadPrefix(m.File, "nothing.", net); err == nil {
		t.Error("a prefix that the file does not have was taken")
	}
}
