package nn

import (
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Networks of each kind know strengths of guidance: they begin as if they did not, and learn to.
func TestGuidanceScale(t *testing.T) {
	in := NewInit(cpu.Default(), rng.Key{Seed: 1})
	cond := CondOptions{VectorEmbed: "mlp", Null: true, Classes: 3, Scale: true, Prompt: "attention"}
	mlp := ResidualMLPOptions{}
	mlp.SetDefaults()
	mlp.Dim, mlp.Width, mlp.Depth, mlp.CondOptions = 2, 8, 1, cond
	plain := MLPOptions{}
	plain.SetDefaults()
	plain.Dim, plain.Width, plain.CondOptions = 2, 8, cond
	dit := DiTOptions{}
	dit.SetDefaults()
	dit.InChannels, dit.Patch, dit.Width, dit.Depth, dit.Heads, dit.CondOptions = 1, 2, 8, 1, 2, cond
	unet := UNetOptions{}
	unet.SetDefaults()
	unet.InChannels, unet.Channels, unet.Groups, unet.HeadDim, unet.Layers, unet.CondOptions = 1, []int{4, 8}, 2, 4, 1, cond
	unet.DownBlocks, unet.UpBlocks = []string{"DownBlock2D", "DownBlock2D"}, []string{"UpBlock2D", "UpBlock2D"}
	makers := map[string]func() (Model, error){
		"mlp":   func() (Model, error) { return NewResidualMLP(in, mlp) },
		"plain": func() (Model, error) { return NewMLP(in, plain) },
		"dit":   func() (Model, error) { return NewDiT(in, dit) },
		"unet":  func() (Model, error) { return NewUNet(in, unet) },
	}
	for name, make := range makers {
		m, err := make()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		shape := []int{2, 2}
		if name == "dit" || name == "unet" {
			shape = []int{2, 4, 4, 1}
		}
		for _, p := range Params(m) { // some begin at 0, and nothing would come through
			v := p.Float32s()
			if slices.Max(v) == 0 && slices.Min(v) == 0 && !slices.Contains(Additions(m), p) {
				for i := range v {
					v[i] = float32(i%5)/10 - 0.2
				}
				if err := p.Set(v); err != nil {
					t.Fatal(err)
				}
			}
		}
		answer := func(scale ...float64) []float32 {
			s := tensor.NewScope(cpu.Default(), tensor.Inference)
			defer s.Close()
			c := Cond{Labels: s.Ints([]int32{1, 2}, 2)}
			if len(scale) > 0 {
				c.Scale = s.Tensor(scale, len(scale))
			}
			return m.Forward(s.Ones(shape...), s.Full(0.3, 1), c).Float32s()
		}
		plain := answer()
		if !slices.Equal(answer(0.5), plain) || !slices.Equal(answer(0.1, 1), plain) {
			t.Errorf("%s: a new network answers by the strength of guidance", name)
		}
		added := Additions(m)
		if len(added) != 4 {
			t.Fatalf("%s: %d additions, want the weights and biases of two layers", name, len(added))
		}
		for _, p := range added {
			v := p.Float32s()
			for i := range v {
				v[i] += 0.3
			}
			if err := p.Set(v); err != nil {
				t.Fatal(err)
			}
		}
		one, other := answer(0.2), answer(0.9)
		if slices.Equal(one, other) || !slices.Equal(answer(0.2, 0.2), one) {
			t.Errorf("%s: the strength of guidance makes no difference, or one among equal samples", name)
		}
	}
	without, err := NewResidualMLP(in, ResidualMLPOptions{Dim: 2, Width: 8, Activation: "silu", TimeDim: 4, TimeScale: 1, MaxPeriod: 10, CondOptions: CondOptions{VectorEmbed: "mlp", Prompt: "pooled"}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(Additions(without)); n != 0 {
		t.Errorf("%d additions of a network that is told nothing", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("a strength of guidance is taken by a network that knows none")
		}
	}()
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	without.Forward(s.Ones(1, 2), s.Full(0.3, 1), Cond{Scale: s.Ones(1)})
}
