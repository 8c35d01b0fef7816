package nn

import (
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// A temporal U-Net has PyTorch's output and gradients, by every parameter: a network written from the paper
// (internal/golden/temporal.py). Bounds are those of nn/interop's parity: relative to the norm of each, and a thousandth of that of all.
func TestTemporalUNet(t *testing.T) {
	for _, name := range []string{"film", "added"} {
		for dtype, tol := range map[tensor.DType]float64{tensor.Float64: 1e-9, tensor.Float32: 1e-4} {
			t.Run(name, func(t *testing.T) { testTemporalUNet(t, name, dtype, tol) })
		}
	}
}

func testTemporalUNet(t *testing.T, name string, dtype tensor.DType, tol float64) {
	g := golden.Open(t, "../internal/golden/testdata/temporal/"+name+".safetensors")
	var c struct {
		Inputs, Kernel, Groups, Time, Vector int
		Channels                             []int
		Scale                                bool
	}
	g.JSON("case", &c)
	var o TemporalUNetOptions
	o.SetDefaults()
	o.InChannels, o.Channels, o.Kernel, o.Groups, o.ScaleShift, o.TimeDim, o.TimeScale = c.Inputs, c.Channels, c.Kernel, c.Groups, c.Scale, c.Time, 1
	o.Vector, o.Null = c.Vector, false
	m, err := NewTemporalUNet(NewBlankInit(cpu.Default()), o)
	if err != nil {
		t.Fatal(err)
	}
	named := NamedParams(m)
	for _, p := range named {
		want := g.Floats32("param/" + p.Name)
		if err := p.Param.Set(want); err != nil {
			t.Fatal(p.Name, err)
		}
	}
	Convert(m, dtype)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, dtype)
	defer s.Close()
	in := func(name string) *tensor.Tensor { return s.Variable(g.Floats(name), g.Shape(name)...) }
	x := in("x")
	leaves := []*tensor.Tensor{x}
	names := []string{"grad/x"}
	var cond Cond
	if c.Vector > 0 {
		cond.Vector = in("vector")
		leaves, names = append(leaves, cond.Vector), append(names, "grad/vector")
	}
	y := m.Forward(x, s.Tensor(g.Floats("t"), g.Shape("t")...), cond)
	for _, p := range named {
		leaves, names = append(leaves, s.Param(p.Param)), append(names, "grad/"+p.Name)
	}
	grads := s.GradOf(y, tensor.GradOptions{Upstream: s.Tensor(g.Floats("upstream"), g.Shape("upstream")...)}, leaves...)
	total := 0.0
	for _, name := range names {
		total += math.Pow(length(g.Floats(name)), 2)
	}
	check := func(what string, got, want []float64, more float64) {
		d := make([]float64, len(want))
		for i := range got {
			d[i] = got[i] - want[i]
		}
		if e := length(d); len(got) != len(want) || !(e <= tol*(length(want)+more)) {
			t.Errorf("%v: %s differs by %.3g of %.3g", dtype, what, e, length(want))
		}
	}
	check("output", y.Float64s(), g.Floats("y"), 0)
	for i, name := range names {
		check(name, grads[i].Float64s(), g.Floats(name), 1e-3*math.Sqrt(total))
	}
}

func length(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// wave are n different numbers.
func wave(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = math.Sin(float64(7*i + 1))
	}
	return v
}

// Conditions of all kinds, each sample's its own, with some unknown; and what makes no sense is refused.
func TestTemporalUNetConditions(t *testing.T) {
	var o TemporalUNetOptions
	o.SetDefaults()
	o.InChannels, o.Channels, o.Groups, o.TimeDim, o.Vector, o.Classes, o.Jump = 2, []int{8, 16}, 4, 8, 3, 4, true
	for _, embed := range []string{"identity", "mlp"} {
		o.VectorEmbed = embed
		m, err := NewTemporalUNet(NewInit(cpu.Default(), rng.Key{Seed: 1}), o)
		if err != nil {
			t.Fatal(err)
		}
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float32)
		x, times := s.Tensor(wave(3*8*2), 3, 8, 2), s.Tensor([]float64{0.1, 0.5, 0.9}, 3)
		full := Cond{Vector: s.Tensor(wave(9), 3, 3), Labels: s.Ints([]int32{0, 3, 4}, 3), Drop: s.Tensor([]float64{0, 0, 1}, 3), Jump: s.Tensor([]float64{0.1}, 1)}
		all := m.Forward(x, times, full).Float64s()
		// One at a time: the same, but for the order of sums.
		for i := range 3 {
			c := Cond{Vector: full.Vector.Slice(0, i, i+1), Labels: full.Labels.Slice(0, i, i+1), Drop: full.Drop.Slice(0, i, i+1), Jump: full.Jump}
			for j, v := range m.Forward(x.Slice(0, i, i+1), times.Slice(0, i, i+1), c).Float64s() {
				if want := all[i*16+j]; math.Abs(v-want) > 1e-5*(1+math.Abs(want)) {
					t.Fatalf("%s: sample %d alone has %g at %d, among others %g", embed, i, v, j, want)
				}
			}
		}
		// A dropped vector is the null vector, whatever it was; nothing at all is known of the third with the null class.
		none := m.Forward(x.Slice(0, 2, 3), times.Slice(0, 2, 3), Cond{Jump: full.Jump}).Float64s()
		for j, v := range none {
			if want := all[2*16+j]; math.Abs(v-want) > 1e-5*(1+math.Abs(want)) {
				t.Fatalf("%s: without conditions %g at %d, with dropped ones %g", embed, v, j, want)
			}
		}
		s.Close()
	}
	for what, change := range map[string]func(o *TemporalUNetOptions){
		"channels":     func(o *TemporalUNetOptions) { o.Channels = []int{8} },
		"multiples":    func(o *TemporalUNetOptions) { o.Channels = []int{8, 18} },
		"odd":          func(o *TemporalUNetOptions) { o.Kernel = 4 },
		"even":         func(o *TemporalUNetOptions) { o.TimeDim = 7 },
		"identity":     func(o *TemporalUNetOptions) { o.VectorEmbed, o.Vector = "time", 1 },
		"no attention": func(o *TemporalUNetOptions) { o.TextWidth = 8 },
		"at least 1":   func(o *TemporalUNetOptions) { o.InChannels = 0 },
	} {
		bad := o
		change(&bad)
		if _, err := NewTemporalUNet(NewBlankInit(cpu.Default()), bad); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
