package nn

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func newInit() *Init { return NewInit(cpu.Default(), rng.Key{Seed: 1}) }

func must[T any](m T, err error) T {
	if err != nil {
		panic(err)
	}
	return m
}

// scramble gives every parameter new N(0, std²) values about its own, so that no zero hides a path.
func scramble(model any, std float64) {
	for i, p := range Params(model) {
		v := make([]float32, p.Elems())
		rng.Normal(v, rng.Key{Seed: 99}, uint64(i))
		for k, old := range p.Float32s() {
			v[k] = old + float32(std)*v[k]
		}
		if err := p.Set(v); err != nil {
			panic(err)
		}
	}
}

// network is a model with an input for the tests that every model must pass.
type network struct {
	name  string
	model Model
	shape []int // of a sample
	cond  bool  // labels and a vector
}

func networks() []network {
	var r ResidualMLPOptions
	r.SetDefaults()
	r.Dim, r.Width, r.Depth, r.Classes, r.Vector = 3, 32, 2, 4, 5
	var p MLPOptions
	p.SetDefaults()
	p.Dim, p.Classes, p.Vector = 6, 4, 5
	p.Activation = "mish" // smooth, unlike SELU: for finite differences
	all := []network{
		{"residual mlp", must(NewResidualMLP(newInit(), r)), []int{3}, true},
		{"mlp", must(NewMLP(newInit(), p)), []int{2, 3}, true},
	}
	for _, o := range ditVariants() {
		all = append(all, network{"dit " + o.Activation, must(NewDiT(newInit(), o)), []int{6, 4, 3}, o.Classes > 0})
	}
	for i, o := range unetVariants() {
		all = append(all, network{fmt.Sprintf("unet %d", i), must(NewUNet(newInit(), o)), []int{8, 4, 3}, o.Classes > 0})
	}
	for _, n := range all {
		scramble(n.model, 0.05)
	}
	for i, o := range temporalVariants() {
		m := must(NewTemporalUNet(newInit(), o))
		scramble(m, 0.3) // norms of what is small, one behind the other, have large higher derivatives
		all = append(all, network{fmt.Sprintf("temporal unet %d", i), m, []int{8, 3}, o.Classes > 0})
	}
	return all
}

func ditVariants() []DiTOptions {
	var a DiTOptions
	a.SetDefaults()
	a.InChannels, a.Width, a.Depth, a.Heads, a.Classes, a.Vector, a.SampleSize = 3, 16, 2, 2, 4, 5, 8
	b := a
	b.Activation, b.EmbedPerBlock, b.AffineNorm, b.AttentionBias, b.Patch = "geglu", true, true, false, 1
	b.Classes, b.Vector, b.SampleSize = 0, 0, 0
	return []DiTOptions{a, b}
}

func unetVariants() []UNetOptions {
	var a UNetOptions
	a.SetDefaults()
	a.InChannels, a.Channels, a.Groups, a.HeadDim, a.Layers, a.Classes, a.Vector = 3, []int{8, 16}, 4, 8, 1, 4, 5
	b := a
	b.DownBlocks = []string{"SkipDownBlock2D", "SkipDownBlock2D"}
	b.UpBlocks = []string{"SkipUpBlock2D", "SkipUpBlock2D"}
	b.Groups, b.ScaleShift, b.TimeEmbedding, b.DivideByTime, b.TimeScale, b.FourierScale = 0, false, "log_fourier", true, 1, 1
	b.Classes, b.Vector = 0, 0
	c := a
	c.DownBlocks = []string{"ResnetDownsampleBlock2D", "AttnDownBlock2D"}
	c.UpBlocks = []string{"AttnUpBlock2D", "UpBlock2D"}
	c.Activation, c.ScaleShift, c.Upsample, c.DownPad, c.CenterInput = "mish", false, "resnet", 0, true
	return []UNetOptions{a, b, c}
}

func temporalVariants() []TemporalUNetOptions {
	var a TemporalUNetOptions
	a.SetDefaults()
	a.InChannels, a.Channels, a.Groups, a.TimeDim, a.Classes, a.Vector = 3, []int{8, 16}, 4, 8, 4, 5
	b := a
	b.VectorEmbed, b.ScaleShift, b.Activation, b.Channels = "mlp", false, "silu", []int{8, 8, 8}
	c := b
	c.Classes, c.Vector = 0, 0
	return []TemporalUNetOptions{a, b, c}
}

// batch makes n samples, equal in their first ones whatever n is.
func (n network) batch(s *tensor.Scope, first, size int) (x, t *tensor.Tensor, c Cond) {
	x = s.Normal(rng.Key{Seed: 5}, uint64(first), append([]int{size}, n.shape...)...)
	times, labels, drop := make([]float32, size), make([]int32, size), make([]float32, size)
	for i := range size {
		times[i] = float32(first+i+1) / 16
		labels[i] = int32((first + i) % 5)
		drop[i] = float32((first + i) % 2)
	}
	t = s.Tensor(times, size)
	if n.cond {
		c = Cond{Labels: s.Ints(labels, size), Vector: s.Normal(rng.Key{Seed: 6}, uint64(first), size, 5), Drop: s.Tensor(drop, size)}
	}
	return x, t, c
}

func TestBatchOfOneEqualsBatchOfMany(t *testing.T) {
	for _, n := range networks() {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		const size = 7
		x, tt, c := n.batch(s, 0, size)
		all := n.model.Forward(x, tt, c).Float32s()
		each := len(all) / size
		for i := range size {
			s.Reset()
			x, tt, c := n.batch(s, i, 1)
			if one := n.model.Forward(x, tt, c).Float32s(); !slices.Equal(one, all[i*each:(i+1)*each]) {
				t.Errorf("%s: sample %d alone gives other bits than in a batch", n.name, i)
			}
		}
		s.Close()
	}
}

func TestSharedTimeEqualsATimeEach(t *testing.T) {
	for _, n := range networks() {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		x, _, c := n.batch(s, 0, 3)
		for _, cond := range []Cond{c, {Labels: c.Labels}, {}} {
			if !n.cond && cond.Labels != nil {
				continue
			}
			each := n.model.Forward(x, s.Full(0.375, 3), cond).Float32s()
			shared := n.model.Forward(x, s.Full(0.375, 1), cond).Float32s()
			if !slices.Equal(each, shared) {
				t.Errorf("%s: a shared time gives other bits", n.name)
			}
		}
		s.Close()
	}
}

func TestDroppedConditionEqualsNone(t *testing.T) {
	for _, n := range networks() {
		if !n.cond {
			continue
		}
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		x, tt, c := n.batch(s, 0, 4)
		with := n.model.Forward(x, tt, c).Float32s()
		null, _ := n.model.Conditions().NullLabel()
		label := int32(null)
		c.Labels, c.Drop = s.Ints([]int32{label, label, label, label}, 4), s.Ones(4)
		dropped := n.model.Forward(x, tt, c).Float32s()
		none := n.model.Forward(x, tt, Cond{}).Float32s()
		if !slices.Equal(dropped, none) {
			t.Errorf("%s: null class and dropped vector differ from no condition", n.name)
		}
		if slices.Equal(with, none) {
			t.Errorf("%s: the condition changes nothing", n.name)
		}
		s.Close()
	}
}

func TestConcurrentForward(t *testing.T) {
	for _, n := range networks() {
		run := func() []float32 {
			s := tensor.NewScope(cpu.Default(), tensor.Recording)
			defer s.Close()
			x, tt, c := n.batch(s, 0, 3)
			y := n.model.Forward(x, tt, c)
			out := y.Float32s()
			s.Grad(y.Square().Mean(), Params(n.model))
			return out
		}
		want := run()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if !slices.Equal(run(), want) {
					t.Errorf("%s: goroutines disagree", n.name)
				}
			})
		}
		wg.Wait()
	}
}

// Releasing temporaries must not take anything that a gradient is computed from: a
// kept tensor in the wrong place panics, or gives a wrong gradient, which the
// finite difference along a random direction shows.
func TestGradientAlongADirection(t *testing.T) {
	for _, n := range networks() {
		alongDirection(t, n.name, Params(n.model), func(s *tensor.Scope) *tensor.Tensor {
			x, tt, c := n.batch(s, 0, 5)
			return n.model.Forward(x, tt, c)
		})
	}
}

// alongDirection checks the gradient of mean(f²) for parameters that it makes float64.
func alongDirection(t *testing.T, name string, params []*tensor.Param, f func(s *tensor.Scope) *tensor.Tensor) {
	t.Helper()
	for _, p := range params {
		p.Convert(tensor.Float64)
	}
	params = slices.DeleteFunc(slices.Clone(params), func(p *tensor.Param) bool { return p.Frozen })
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	base, dir := make([][]float64, len(params)), make([][]float32, len(params))
	for i, p := range params {
		base[i] = p.Float64s()
		dir[i] = make([]float32, p.Elems())
		rng.Normal(dir[i], rng.Key{Seed: 8}, uint64(i))
	}
	loss := func(h float64) *tensor.Tensor {
		s.Reset()
		for i, p := range params {
			v := slices.Clone(base[i])
			for k := range v {
				v[k] += h * float64(dir[i][k])
			}
			if err := p.Set64(v); err != nil {
				t.Fatal(err)
			}
		}
		return f(s).Square().Mean()
	}
	var got, size float64
	for i, g := range s.Grad(loss(0), params) {
		if g == nil {
			t.Errorf("%s: no gradient for %s", name, params[i].Name)
			continue
		}
		for k, v := range g.Float64s() {
			got += v * float64(dir[i][k])
			size += v * v
		}
	}
	// Fourth-order central difference: its error is h⁴·f⁽⁵⁾/30 ≈ 3e-18·f⁽⁵⁾ by
	// truncation, and 2·2⁻⁵³·|f|/h ≈ 2e-12·|f| by rounding, where steps of 1e-4 along
	// a direction of length √params keep the fifth derivative moderate.
	const h = 1e-4
	want := (8*(loss(h).Item()-loss(-h).Item()) - (loss(2*h).Item() - loss(-2*h).Item())) / (12 * h)
	if !(math.Abs(got-want) <= 1e-7*(math.Abs(want)+math.Sqrt(size))) || size == 0 {
		t.Errorf("%s: derivative %.12g along a direction, finite difference %.12g", name, got, want)
	}
}

// An evaluation leaves its result and gives everything else back, and what it needs at
// a time does not grow with the depth.
func TestInferenceMemory(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	for _, n := range networks() {
		s.Reset()
		x, tt, c := n.batch(s, 0, 4)
		n.model.Forward(x, tt, c) // binds parameters, and makes position tables
		before := s.MemoryInUse()
		y := n.model.Forward(x, tt, c)
		// Blocks are whole multiples of 64 bytes; DiTs with an embedding a block hold one till the Reset, Skip U-Nets two images.
		if grown, most := s.MemoryInUse()-before, 4*y.Elems()+64; grown > most+2*4*4*96 {
			t.Errorf("%s: %d bytes stay behind, the output has %d", n.name, grown, 4*y.Elems())
		}
	}
	peak := func(depth int) int {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		defer s.Close()
		d := ditVariants()[0]
		d.Depth = depth
		x := s.Normal(rng.Key{}, 0, 16, 8, 8, 3)
		must(NewDiT(newInit(), d)).Forward(x, s.Ones(1), Cond{})
		r := 4 * 16 * 16 * d.Width // bytes of the tokens
		return s.MemoryPeak() / r
	}
	if few, many := peak(1), peak(8); many > few {
		t.Errorf("a DiT needs %d times its tokens at depth 1, %d times at depth 8", few, many)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	for _, n := range networks() {
		s := tensor.NewScope(cpu.Default(), tensor.Recording)
		params := Params(n.model)
		fixed := tensor.NewScope(cpu.Default(), tensor.Inference)
		x, tt, c := n.batch(fixed, 0, 4)
		kx, kt := fixed.Keep(x), fixed.Keep(tt)
		var ky, kv, kd *tensor.Kept
		if n.cond {
			ky, kv, kd = fixed.Keep(c.Labels), fixed.Keep(c.Vector), fixed.Keep(c.Drop)
		}
		step := func() {
			s.Reset()
			var c Cond
			if n.cond {
				c = Cond{Labels: ky.Tensor(s), Vector: kv.Tensor(s), Drop: kd.Tensor(s)}
			}
			s.Grad(n.model.Forward(kx.Tensor(s), kt.Tensor(s), c).Square().Mean(), params)
		}
		for range 12 {
			step()
		}
		held := s.MemoryHeld()
		if a := testenv.Allocs(t, step); a != 0 {
			t.Errorf("%s: %g allocations a step", n.name, a)
		}
		if s.MemoryHeld() != held {
			t.Errorf("%s: memory grew from %d to %d", n.name, held, s.MemoryHeld())
		}
		s.Close()
		fixed.Close()
	}
}
