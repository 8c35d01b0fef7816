package nn

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// promptNets are networks with a text encoder before them, all weights away from special values.
func promptNets(t *testing.T) map[string]*Prompted {
	t.Helper()
	var d DiTOptions
	d.SetDefaults()
	d.InChannels, d.Width, d.Depth, d.Heads, d.TextWidth = 1, 8, 2, 2, 6
	var m ResidualMLPOptions
	m.SetDefaults()
	m.Dim, m.Width, m.Depth, m.TimeDim, m.TextWidth, m.Classes = 4, 8, 2, 8, 6, 3
	var plain MLPOptions
	plain.SetDefaults()
	plain.Dim, plain.Width, plain.Depth, plain.TextWidth, plain.Activation = 4, 8, 2, 6, "silu"
	in := NewInit(cpu.Default(), rng.Key{Seed: 5})
	nets := map[string]*Prompted{}
	add := func(name string, net Model, err error) {
		if err != nil {
			t.Fatal(name, err)
		}
		var o TextOptions
		o.SetDefaults()
		o.Vocab, o.Length, o.Width, o.Heads, o.Depth, o.End, o.Causal = 11, 6, 6, 2, 1, 10, name == "pooled"
		if name == "both" {
			o.Pool = "largest"
		}
		enc, err := NewTextEncoder(in, o)
		if err != nil {
			t.Fatal(name, err)
		}
		p := &Prompted{Model: net, Text: enc}
		for i, w := range Params(p) {
			v := make([]float32, w.Elems())
			rng.Normal(v, rng.Key{Seed: 8}, uint64(i))
			for k := range v {
				v[k] *= 0.4
			}
			if err := w.Set(v); err != nil {
				t.Fatal(err)
			}
		}
		nets[name] = p
	}
	for _, how := range []string{"attention", "pooled", "both"} {
		d.Prompt = how
		net, err := NewDiT(in, d)
		add(how, net, err)
	}
	var u UNetOptions
	u.SetDefaults()
	u.InChannels, u.Channels, u.Layers, u.Groups, u.TextWidth, u.Transformer.Heads = 1, []int{4, 8}, 1, 2, 6, []int{2}
	unet, err := NewUNet(in, u)
	add("unet", unet, err)
	u.Prompt, u.HeadDim, u.ScaleShift = "pooled", 4, false
	unet, err = NewUNet(in, u)
	add("unet pooled", unet, err)
	mlp, err := NewResidualMLP(in, m)
	add("mlp", mlp, err)
	simple, err := NewMLP(in, plain)
	add("plain mlp", simple, err)
	return nets
}

// promptInput is three samples with prompts of two, four and five tokens of six.
func promptInput(s *tensor.Scope, p *Prompted) (x, t *tensor.Tensor, c Cond) {
	x = s.Normal(rng.Key{Seed: 1}, 0, 3, 4, 4, 1)
	switch p.Model.(type) {
	case *MLP, *ResidualMLP:
		x = s.Normal(rng.Key{Seed: 1}, 0, 3, 4)
	}
	c.Tokens = s.Ints([]int32{9, 10, 10, 10, 10, 10, 9, 3, 4, 10, 10, 10, 9, 5, 1, 3, 10, 10}, 3, 6)
	c.TextMask = s.Tensor([]float32{1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0}, 3, 6)
	return x, s.Tensor([]float32{0.2, 0.5, 0.9}, 3), c
}

// Every parameter's gradient, the encoder's among them, against a central difference along a random direction.
func TestPromptGradients(t *testing.T) {
	for name, p := range promptNets(t) {
		Convert(p, tensor.Float64)
		s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
		loss := func() *tensor.Tensor {
			x, at, c := promptInput(s, p)
			return p.Forward(x, at, c).Square().Mean()
		}
		params := Params(p)
		grads := s.Grad(loss(), params)
		var all [][]float64
		for _, g := range grads {
			all = append(all, g.Float64s())
		}
		for i, w := range params {
			old := w.Float64s()
			dir := make([]float32, len(old))
			rng.Normal(dir, rng.Key{Seed: 3}, uint64(i))
			for k := range dir { // of length 1 or so
				dir[k] /= float32(math.Sqrt(float64(len(dir))))
			}
			moved := func(h float64) float64 {
				v := slices.Clone(old)
				for k := range v {
					v[k] += h * float64(dir[k])
				}
				if err := w.Set64(v); err != nil {
					t.Fatal(err)
				}
				s.Reset()
				return loss().Item()
			}
			const h = 1e-5
			diff := (moved(h) - moved(-h)) / (2 * h)
			if err := w.Set64(old); err != nil {
				t.Fatal(err)
			}
			slope := 0.0
			for k, d := range dir {
				slope += all[i][k] * float64(d)
			}
			// The difference is off by h²/6 of a third derivative, and by rounding, 2⁻⁵³·loss/h ≈ 1e-11 of losses near 1.
			if math.Abs(diff-slope) > 1e-7*(1+math.Abs(slope)) {
				t.Errorf("%s: %s has slope %g, the difference is %g", name, w.Name, slope, diff)
			}
			// The keys' bias alone cannot change a softmax; all else must matter, somewhere.
			if slope == 0 && diff == 0 {
				t.Errorf("%s: %s does not matter", name, w.Name)
			}
		}
		s.Close()
	}
}

// What stands in the padding changes nothing where it is masked, bit for bit, and something where it is not.
func TestPaddingIsNotSeen(t *testing.T) {
	for name, p := range promptNets(t) {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		x, at, c := promptInput(s, p)
		filled := c
		filled.Tokens = s.Ints([]int32{9, 10, 1, 2, 3, 4, 9, 3, 4, 10, 5, 6, 9, 5, 1, 3, 10, 7}, 3, 6)
		want := p.Forward(x, at, c).Float32s()
		if got := p.Forward(x, at, filled).Float32s(); !slices.Equal(got, want) {
			t.Errorf("%s: padding is seen", name)
		}
		c.TextMask, filled.TextMask = nil, nil
		seen := !slices.Equal(p.Forward(x, at, c).Float32s(), p.Forward(x, at, filled).Float32s())
		// Behind the end token of a causal encoder nothing is seen by what stands for the whole prompt.
		if causal := p.Text.Options().Causal; seen == causal {
			t.Errorf("%s: without a mask, padding is seen: %v", name, seen)
		}
		s.Close()
	}
}

// A prompt matters, alone or in a batch the same, and encoded beforehand as well.
func TestPromptsByThemselves(t *testing.T) {
	for name, p := range promptNets(t) {
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		x, at, c := promptInput(s, p)
		all := p.Forward(x, at, c).Float32s()
		if got := p.Model.Forward(x, at, p.Encode(c)).Float32s(); !slices.Equal(got, all) {
			t.Errorf("%s: encoded beforehand it is another", name)
		}
		size := len(all) / 3
		for i := range 3 {
			one := Cond{Tokens: c.Tokens.Slice(0, i, i+1), TextMask: c.TextMask.Slice(0, i, i+1)}
			if got := p.Forward(x.Slice(0, i, i+1), at.Slice(0, i, i+1), one).Float32s(); !slices.Equal(got, all[i*size:(i+1)*size]) {
				t.Errorf("%s: sample %d is another alone", name, i)
			}
			other := Cond{Tokens: c.Tokens.Slice(0, (i+1)%3, (i+1)%3+1), TextMask: c.TextMask.Slice(0, (i+1)%3, (i+1)%3+1)}
			if got := p.Forward(x.Slice(0, i, i+1), at.Slice(0, i, i+1), other).Float32s(); slices.Equal(got, all[i*size:(i+1)*size]) {
				t.Errorf("%s: the prompt of sample %d does not matter", name, i)
			}
		}
		s.Close()
	}
}

// The encoder's vector for a prompt is that of the token it is said to be.
func TestPooledToken(t *testing.T) {
	for _, pool := range []string{"end", "largest"} {
		var o TextOptions
		o.SetDefaults()
		o.Vocab, o.Length, o.Width, o.Heads, o.Depth, o.Pool, o.End = 12, 5, 4, 1, 0, pool, 7
		e, err := NewTextEncoder(NewInit(cpu.Default(), rng.Key{Seed: 2}), o)
		if err != nil {
			t.Fatal(err)
		}
		s := tensor.NewScope(cpu.Default(), tensor.Inference)
		tokens, pooled := e.Forward(s.Ints([]int32{1, 7, 9, 7, 9, 11, 7, 11, 3, 7}, 2, 5), nil)
		all, got := tokens.Float32s(), pooled.Float32s()
		for i, place := range map[string][]int{"end": {1, 1}, "largest": {2, 0}}[pool] {
			if want := all[(i*5+place)*4 : (i*5+place+1)*4]; !slices.Equal(got[i*4:(i+1)*4], want) {
				t.Errorf("%s: prompt %d is %v, want %v", pool, i, got[i*4:(i+1)*4], want)
			}
		}
		s.Close()
	}
}

func TestPromptMisuse(t *testing.T) {
	nets := promptNets(t)
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	x, at, c := promptInput(s, nets["both"])
	var d DiTOptions
	d.SetDefaults()
	d.InChannels, d.Width, d.Depth, d.Heads = 1, 8, 1, 2
	bare, err := NewDiT(NewInit(cpu.Default(), rng.Key{}), d)
	if err != nil {
		t.Fatal(err)
	}
	encoded := nets["both"].Encode(c)
	for name, f := range map[string]func(){
		"no prompt":            func() { nets["attention"].Forward(x, at, Cond{}) },
		"no pooled prompt":     func() { nets["pooled"].Forward(x, at, Cond{}) },
		"tokens, no encoder":   func() { nets["both"].Model.Forward(x, at, c) },
		"a prompt, no use":     func() { bare.Forward(x, at, encoded) },
		"another width":        func() { nets["attention"].Forward(x, at, Cond{Text: s.Zeros(3, 6, 5), Pooled: s.Zeros(3, 5)}) },
		"too long a prompt":    func() { nets["both"].Text.Forward(s.Ints(make([]int32, 7), 1, 7), nil) },
		"tokens without batch": func() { nets["both"].Text.Forward(s.Ints(make([]int32, 6), 6), nil) },
	} {
		func() {
			defer func() {
				var u *tensor.UsageError
				if err, ok := recover().(error); !ok || !errors.As(err, &u) {
					t.Errorf("%s: no error of usage", name)
				}
			}()
			f()
		}()
	}
}

func TestTextOptions(t *testing.T) {
	for field, f := range map[string]func(o *TextOptions){
		"vocab": func(o *TextOptions) { o.Vocab = -1 }, "length": func(o *TextOptions) { o.Length = 1 }, "width": func(o *TextOptions) { o.Width = 0 },
		"depth": func(o *TextOptions) { o.Depth = -1 }, "hidden": func(o *TextOptions) { o.Hidden = -1 }, "norm_eps": func(o *TextOptions) { o.NormEps = 0 },
		"pool": func(o *TextOptions) { o.Pool = "mean" }, "end": func(o *TextOptions) { o.Vocab, o.End = 5, 5 }, "activation": func(o *TextOptions) { o.Activation = "x" },
		"heads": func(o *TextOptions) { o.Heads = 3 },
	} {
		var o TextOptions
		o.SetDefaults()
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		f(&o)
		var e interface{ ConfigField() string }
		if err := o.Validate(); !errors.As(err, &e) || e.ConfigField() != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for field, f := range map[string]func(o *TextOptions){"vocab": func(o *TextOptions) { o.End = 3 }, "end": func(o *TextOptions) { o.Vocab = 9 }} {
		var o TextOptions
		o.SetDefaults()
		f(&o)
		var e interface{ ConfigField() string }
		if _, err := NewTextEncoder(NewBlankInit(cpu.Default()), o); !errors.As(err, &e) || e.ConfigField() != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for field, f := range map[string]func(o *ResidualMLPOptions){
		"prompt": func(o *ResidualMLPOptions) { o.TextWidth, o.Prompt = 4, "attention" }, "text_width": func(o *ResidualMLPOptions) { o.TextWidth = -1 },
	} {
		var o ResidualMLPOptions
		o.SetDefaults()
		f(&o)
		var e interface{ ConfigField() string }
		if err := o.Validate(); !errors.As(err, &e) || e.ConfigField() != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// Blocks that attend and prompts go together.
func TestUNetPromptOptions(t *testing.T) {
	for field, f := range map[string]func(o *UNetOptions){
		"down_blocks":        func(o *UNetOptions) { o.DownBlocks = []string{"DownBlock2D", "CrossAttnDownBlock2D"} },
		"up_blocks":          func(o *UNetOptions) { o.UpBlocks = []string{"CrossAttnUpBlock2D", "UpBlock2D"} },
		"transformer.heads":  func(o *UNetOptions) { o.Transformer.Heads = []int{1, 2, 3} },
		"transformer.layers": func(o *UNetOptions) { o.Transformer.Layers = []int{0} },
		"transformer":        func(o *UNetOptions) { o.TextWidth, o.Transformer = 4, TransformerOptions{} },
		"prompt":             func(o *UNetOptions) { o.TextWidth, o.Prompt = 4, "x" },
	} {
		var o UNetOptions
		o.SetDefaults()
		o.InChannels, o.Channels, o.Groups, o.HeadDim = 1, []int{4, 8}, 2, 4
		f(&o)
		var e interface{ ConfigField() string }
		if _, err := NewUNet(NewBlankInit(cpu.Default()), o); !errors.As(err, &e) || e.ConfigField() != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	var o UNetOptions
	o.SetDefaults()
	o.InChannels, o.Channels, o.Groups, o.TextWidth, o.MidAttention = 1, []int{4, 8}, 2, 4, false
	o.DownBlocks, o.UpBlocks = []string{"DownBlock2D", "DownBlock2D"}, []string{"UpBlock2D", "UpBlock2D"}
	if _, err := NewUNet(NewBlankInit(cpu.Default()), o); err == nil {
		t.Error("prompts that no block attends to")
	}
}
