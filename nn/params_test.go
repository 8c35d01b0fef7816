package nn

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

type inner struct {
	QKV, AdaLN *Linear
	hidden     *tensor.Param //lint:ignore U1000 reflection must pass it over
	Tied       *tensor.Param
}

type Base struct{ Shared *tensor.Param }

type outer struct {
	Base
	ConvIn  *Conv2D
	Blocks  []*inner
	Grid    [2][]any
	Missing *Linear
	Kind    string
	Sizes   []int
	Up      TimeFeatures
	Self    *outer
	Tied    *tensor.Param
}

func TestNames(t *testing.T) {
	in := newInit()
	tied := in.Zeros(1)
	m := &outer{
		Base: Base{in.Zeros(1)}, ConvIn: NewConv2D(in, 1, 1, 1, 1, 0), Tied: tied,
		Blocks: []*inner{nil, {NewLinear(in, 1, 1), NewLinearNoBias(in, 1, 1), in.Zeros(1), tied}},
		Grid:   [2][]any{{in.Zeros(2)}, {NewLinearNoBias(in, 1, 1)}},
		Up:     NewFourier(in, 2, 1, false),
	}
	m.Self = m
	var names []string
	for _, p := range Params(m) {
		names = append(names, p.Name)
	}
	want := []string{
		"shared", "conv_in.weight", "conv_in.bias",
		"blocks.1.qkv.weight", "blocks.1.qkv.bias", "blocks.1.ada_ln.weight", "blocks.1.tied",
		"grid.0.0", "grid.1.0.weight", "up.weight",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if Count(m) != 1+2+3+1+2+1+1 {
		t.Errorf("count %d", Count(m))
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), `"ab"`) {
			t.Errorf("two parameters of one name: %v", r)
		}
	}()
	Params(struct{ AB, Ab *Linear }{AB: NewLinear(in, 1, 1)}) // the other is nil: nothing to name
	Params(struct{ AB, Ab *tensor.Param }{in.Zeros(1), in.Zeros(1)})
}

func TestMatchAndFreeze(t *testing.T) {
	var o ResidualMLPOptions
	o.SetDefaults()
	o.Dim, o.Width, o.Depth = 2, 4, 2
	m := must(NewResidualMLP(newInit(), o))
	if err := Freeze(m, "time.*", "hidden.?.bias"); err != nil {
		t.Fatal(err)
	}
	for _, p := range Params(m) {
		if want := strings.HasPrefix(p.Name, "time.") || strings.HasPrefix(p.Name, "hidden.") && strings.HasSuffix(p.Name, "bias"); p.Frozen != want {
			t.Errorf("%s: frozen is %v", p.Name, p.Frozen)
		}
	}
	for pattern, want := range map[string]string{"hiden.*": "matches none", "[": "syntax error"} {
		if _, err := Match(m, "time.*", pattern); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), pattern) {
			t.Errorf("%s: got %v", pattern, err)
		}
	}
}

// The moments of the initial values: PyTorch's default is uniform within 1/√fanIn.
func TestInitialValues(t *testing.T) {
	moments := func(p *tensor.Param) (mean, std, largest float64) {
		v := p.Float64s()
		for _, x := range v {
			mean += x / float64(len(v))
			largest = max(largest, math.Abs(x))
		}
		for _, x := range v {
			std += (x - mean) * (x - mean) / float64(len(v))
		}
		return mean, math.Sqrt(std), largest
	}
	in := newInit()
	for _, c := range []struct {
		name       string
		p          *tensor.Param
		std, bound float64
	}{
		{"linear weight", NewLinear(in, 100, 200).Weight, 0.1 / math.Sqrt(3), 0.1},
		{"linear bias", NewLinear(in, 100, 20000).Bias, 0.1 / math.Sqrt(3), 0.1},
		{"convolution weight", NewConv2D(in, 16, 100, 3, 1, 1).Weight, 1 / math.Sqrt(3*144), 1. / 12},
		{"convolution in groups", NewConv2DOf(in, 16, 1600, 3, tensor.Conv{Groups: 4}).Weight, 1 / math.Sqrt(3*36), 1. / 6},
		{"xavier", NewXavierLinear(in, 100, 200).Weight, math.Sqrt(2. / 300), math.Sqrt(6. / 300)},
		{"embedding", NewEmbedding(in, 200, 100, 0.02).Weight, 0.02, 0.02 * 6},
	} {
		mean, std, largest := moments(c.p)
		// Of n ≥ 14400 values the mean has standard deviation std/√n, the deviation at most
		// std/√(2n) (a normal's; a uniform's is smaller): five of them.
		n := float64(c.p.Elems())
		if math.Abs(mean) > 5*c.std/math.Sqrt(n) || math.Abs(std-c.std) > 5*c.std/math.Sqrt(2*n) || largest > c.bound {
			t.Errorf("%s: mean %g, deviation %g (want %g), largest %g (at most %g)", c.name, mean, std, c.std, largest, c.bound)
		}
	}
	for name, p := range map[string]*tensor.Param{"xavier bias": NewXavierLinear(in, 3, 4).Bias, "zero linear": NewZeroLinear(in, 3, 4).Weight, "adaLN-Zero": NewAdaLNZero(in, 3, 4).Proj.Weight} {
		if _, _, largest := moments(p); largest != 0 {
			t.Errorf("%s: %g, want 0", name, largest)
		}
	}
	// A parameter's values depend on its number and shape, not on the others'.
	a, b := newInit(), newInit()
	a.Zeros(7)
	b.Normal(1, 3, 3)
	x, y := a.Uniform(1, 5), b.Uniform(1, 5)
	if !slices.Equal(x.Float32s(), y.Float32s()) || slices.Equal(x.Float32s(), a.Uniform(1, 5).Float32s()) {
		t.Error("draws depend on what they should not")
	}
	if NewInit(cpu.Default(), rng.Key{Seed: 2}).Uniform(1, 5).Float32s()[0] == newInit().Uniform(1, 5).Float32s()[0] {
		t.Error("the key changes nothing")
	}
	if v := NewBlankInit(cpu.Default()).Ones(3).Float32s(); !slices.Equal(v, []float32{0, 0, 0}) {
		t.Errorf("blank: %v", v)
	}
}

// adaLN-Zero and zero initialisation: an untrained network gives zero, its blocks the identity.
func TestNetworksThatStartAtZero(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	d, u := ditVariants()[0], unetVariants()[0]
	for _, m := range []Model{must(NewDiT(newInit(), d)), must(NewUNet(newInit(), u))} {
		for _, v := range m.Forward(s.Normal(rng.Key{}, 0, 1, 8, 8, 3), s.Ones(1), Cond{}).Float32s() {
			if v != 0 {
				t.Fatalf("%T gives %g", m, v)
			}
		}
	}
	h := s.Normal(rng.Key{}, 0, 2, 3, 16)
	if got := newDiTBlock(newInit(), &d).Forward(h, s.Ones(2, 16)); !slices.Equal(got.Float32s(), h.Float32s()) {
		t.Error("a new block is not the identity")
	}
}
