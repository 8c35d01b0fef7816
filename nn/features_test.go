package nn

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Features are of FeatureWidth, know of the sample, the time and the condition, and leave nothing else in memory. Of perceptrons, the last layer makes the output
// of them, bit for bit.
func TestFeatures(t *testing.T) {
	in := func() *Init { return NewInit(cpu.Default(), rng.Key{Seed: 7}) }
	var mlp ResidualMLPOptions
	mlp.SetDefaults()
	mlp.Dim, mlp.Width, mlp.Depth, mlp.Classes = 3, 8, 2, 2
	var plain MLPOptions
	plain.SetDefaults()
	plain.Dim, plain.Width, plain.Classes = 3, 8, 2
	var dit DiTOptions
	dit.SetDefaults()
	dit.InChannels, dit.Patch, dit.Width, dit.Depth, dit.Heads, dit.Classes = 1, 2, 8, 1, 2, 2
	var unet UNetOptions
	unet.SetDefaults()
	unet.InChannels, unet.Channels, unet.Layers, unet.Groups, unet.HeadDim, unet.Classes, unet.ZeroInit = 1, []int{8, 12}, 1, 2, 4, 2, false
	residual, err := NewResidualMLP(in(), mlp)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := NewMLP(in(), plain)
	if err != nil {
		t.Fatal(err)
	}
	transformer, err := NewDiT(in(), dit)
	if err != nil {
		t.Fatal(err)
	}
	conv, err := NewUNet(in(), unet)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Params(transformer.Blocks[0].AdaLN) { // adaLN-Zero: blocks begin as nothing
		v := make([]float32, p.Elems())
		rng.Normal(v, rng.Key{Seed: 9}, 0)
		if err := p.Set(v); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		net   Model
		shape []int
		out   *Linear
		want  []int
	}{
		"residual":    {residual, []int{2, 3}, residual.Out, []int{2, 8}},
		"plain":       {layers, []int{2, 3}, layers.Layers[len(layers.Layers)-1], []int{2, 8}},
		"transformer": {transformer, []int{2, 4, 4, 1}, nil, []int{2, 4, 8}},
		"unet":        {conv, []int{2, 4, 4, 1}, nil, []int{2, 2, 2, 12}},
	} {
		net := FeaturesOf(c.net)
		if net == nil || net.FeatureWidth() != c.want[len(c.want)-1] {
			t.Fatalf("%s: no features, or of another width", name)
		}
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		defer s.Close()
		x := s.Normal(rng.Key{Seed: 3}, 0, c.shape...)
		at := s.Tensor([]float32{0.3, 0.6}, 2)
		ask := func(x, at *tensor.Tensor, labels ...int32) *tensor.Tensor {
			return net.Features(x, at, Cond{Labels: s.Ints(labels, 2)})
		}
		before := s.MemoryInUse()
		f := ask(x, at, 0, 1)
		if got := f.Shape(); !slices.Equal(got, c.want) {
			t.Errorf("%s: features have shape %v, want %v", name, got, c.want)
		}
		if used := s.MemoryInUse() - before; used > 4*f.Elems()+1024 { // labels, and rounding to what memory is handed out in
			t.Errorf("%s: %d bytes are left in use by %d features", name, used, f.Elems())
		}
		base := f.Float32s()
		for what, other := range map[string]*tensor.Tensor{"sample": ask(x.AddScalar(0.5), at, 0, 1), "time": ask(x, at.AddScalar(0.2), 0, 1), "condition": ask(x, at, 1, 0)} {
			if slices.Equal(base, other.Float32s()) {
				t.Errorf("%s: features do not depend on the %s", name, what)
			}
		}
		if c.out != nil {
			want := c.net.Forward(x, at, Cond{Labels: s.Ints([]int32{0, 1}, 2)}).Float32s()
			if got := c.out.Forward(f).Float32s(); !slices.Equal(got, want) {
				t.Errorf("%s: the last layer makes %v of the features, the network says %v", name, got, want)
			}
		}
		h := NewHead(in(), net.FeatureWidth())
		got := h.Forward(f).Float64s()
		w1, b1, w2, b2 := h.Fc1.Weight.Float32s(), h.Fc1.Bias.Float32s(), h.Fc2.Weight.Float32s(), h.Fc2.Bias.Float32s()
		width := net.FeatureWidth()
		places := f.Elems() / 2 / width
		for i := range 2 {
			sum := float64(b2[0])
			for p := range places {
				for k := range width {
					v := float64(b1[k])
					for j := range width {
						v += float64(base[(i*places+p)*width+j]) * float64(w1[j*width+k])
					}
					sum += v / (1 + math.Exp(-v)) * float64(w2[k]) / float64(places)
				}
			}
			// float32 sums of a dozen products of numbers of order 1
			if math.Abs(got[i]-sum) > 1e-5*(1+math.Abs(sum)) {
				t.Errorf("%s: the head says %g, want %g", name, got[i], sum)
			}
		}
	}
}
