package nn

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
)

func TestOptionsBlameTheirField(t *testing.T) {
	var r ResidualMLPOptions
	var p MLPOptions
	var d DiTOptions
	var u UNetOptions
	for _, o := range []interface {
		SetDefaults()
		Validate() error
	}{&r, &p, &d, &u} {
		o.SetDefaults()
		if err := o.Validate(); err != nil {
			t.Errorf("%T: its defaults do not validate: %v", o, err)
		}
	}
	r.Dim, p.Dim, d.InChannels, u.InChannels = 2, 2, 3, 3
	blank := func() *Init { return NewBlankInit(cpu.Default()) }
	mlp := func(f func(o *ResidualMLPOptions)) error {
		o := r
		f(&o)
		_, err := NewResidualMLP(blank(), o)
		return err
	}
	plain := func(f func(o *MLPOptions)) error { o := p; f(&o); _, err := NewMLP(blank(), o); return err }
	dit := func(f func(o *DiTOptions)) error { o := d; f(&o); _, err := NewDiT(blank(), o); return err }
	unet := func(f func(o *UNetOptions)) error { o := u; f(&o); _, err := NewUNet(blank(), o); return err }
	for i, c := range []struct {
		field string
		err   error
	}{
		{"dim", mlp(func(o *ResidualMLPOptions) { o.Dim = 0 })},
		{"dim", mlp(func(o *ResidualMLPOptions) { o.Dim = -1 })},
		{"out_dim", mlp(func(o *ResidualMLPOptions) { o.OutDim = -1 })},
		{"width", mlp(func(o *ResidualMLPOptions) { o.Width = 0 })},
		{"depth", mlp(func(o *ResidualMLPOptions) { o.Depth = -1 })},
		{"activation", mlp(func(o *ResidualMLPOptions) { o.Activation = "x" })},
		{"dropout", mlp(func(o *ResidualMLPOptions) { o.Dropout = 1 })},
		{"time_dim", mlp(func(o *ResidualMLPOptions) { o.TimeDim = 2 })},
		{"time_scale", mlp(func(o *ResidualMLPOptions) { o.TimeScale = 0 })},
		{"max_period", mlp(func(o *ResidualMLPOptions) { o.MaxPeriod = 1 })},
		{"classes", mlp(func(o *ResidualMLPOptions) { o.Classes = -1 })},
		{"vector", mlp(func(o *ResidualMLPOptions) { o.Vector = -1 })},
		{"vector_embed", mlp(func(o *ResidualMLPOptions) { o.VectorEmbed = "x" })},
		{"vector", mlp(func(o *ResidualMLPOptions) { o.Vector, o.VectorEmbed = 2, "time" })},
		{"vector", mlp(func(o *ResidualMLPOptions) { o.Vector, o.VectorEmbed = 2, "identity" })},
		{"depth", plain(func(o *MLPOptions) { o.Depth = 0 })},
		{"dim", plain(func(o *MLPOptions) { o.Dim = 0 })},
		{"vector_embed", plain(func(o *MLPOptions) { o.Vector, o.VectorEmbed = 1, "time" })},
		{"in_channels", dit(func(o *DiTOptions) { o.InChannels = 0 })},
		{"out_channels", dit(func(o *DiTOptions) { o.OutChannels = -1 })},
		{"patch", dit(func(o *DiTOptions) { o.Patch = 0 })},
		{"sample_size", dit(func(o *DiTOptions) { o.SampleSize = 1 })},
		{"width", dit(func(o *DiTOptions) { o.Width = 6 })},
		{"heads", dit(func(o *DiTOptions) { o.Heads = 3 })},
		{"depth", dit(func(o *DiTOptions) { o.Depth = 0 })},
		{"mlp_ratio", dit(func(o *DiTOptions) { o.MLPRatio = 0.001 })},
		{"activation", dit(func(o *DiTOptions) { o.Activation = "relu" })},
		{"time_shift", dit(func(o *DiTOptions) { o.TimeShift = 128 })},
		{"norm_eps", dit(func(o *DiTOptions) { o.NormEps = 0 })},
		{"in_channels", unet(func(o *UNetOptions) { o.InChannels = 0 })},
		{"channels", unet(func(o *UNetOptions) { o.Channels = nil })},
		{"channels", unet(func(o *UNetOptions) { o.Channels = []int{8, 0} })},
		{"layers", unet(func(o *UNetOptions) { o.Layers = 0 })},
		{"layers", unet(func(o *UNetOptions) { o.Layers = 200 })},
		{"down_blocks", unet(func(o *UNetOptions) { o.DownBlocks = []string{"DownBlock2D"} })},
		{"down_blocks", unet(func(o *UNetOptions) { o.DownBlocks = []string{"DownBlock2D", "UpBlock2D", "DownBlock2D"} })},
		{"down_blocks", unet(func(o *UNetOptions) { o.DownBlocks = []string{"DownBlock2D", "SkipDownBlock2D", "DownBlock2D"} })},
		{"up_blocks", unet(func(o *UNetOptions) { o.UpBlocks = []string{"UpBlock2D"} })},
		{"up_blocks", unet(func(o *UNetOptions) { o.UpBlocks = []string{"UpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"} })},
		{"up_blocks", unet(func(o *UNetOptions) { o.UpBlocks = []string{"SkipUpBlock2D", "UpBlock2D", "SkipUpBlock2D"} })},
		{"groups", unet(func(o *UNetOptions) { o.Groups = 3 })},
		{"head_dim", unet(func(o *UNetOptions) { o.HeadDim = 100 })},
		{"activation", unet(func(o *UNetOptions) { o.Activation = "x" })},
		{"downsample", unet(func(o *UNetOptions) { o.Downsample = "x" })},
		{"upsample", unet(func(o *UNetOptions) { o.Upsample = "x" })},
		{"downsample_padding", unet(func(o *UNetOptions) { o.DownPad = 2 })},
		{"mid_attention_groups", unet(func(o *UNetOptions) { o.MidAttentionGroups = -2 })},
		{"mid_scale", unet(func(o *UNetOptions) { o.MidScale = 0 })},
		{"time_embedding", unet(func(o *UNetOptions) { o.TimeEmbedding = "x" })},
		{"time_steps", unet(func(o *UNetOptions) { o.TimeEmbedding = "learned" })},
		{"time_shift", unet(func(o *UNetOptions) { o.TimeShift = 16 })},
		{"vector", unet(func(o *UNetOptions) { o.Vector, o.VectorEmbed = 2, "identity" })},
	} {
		var e *invalid.Error
		if !errors.As(c.err, &e) || e.Name != c.field {
			t.Errorf("case %d: got %v, want %s to be blamed", i, c.err, c.field)
		}
	}
}

// Every option has a yaml name and says what it is.
func TestOptionsAreDocumented(t *testing.T) {
	var walk func(v reflect.Type)
	walk = func(v reflect.Type) {
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Anonymous {
				walk(f.Type)
			} else if f.Tag.Get("yaml") == "" || len(f.Tag.Get("doc")) < 8 {
				t.Errorf("%v.%s has no name or no explanation", v, f.Name)
			}
		}
	}
	for _, o := range []any{ResidualMLPOptions{}, MLPOptions{}, DiTOptions{}, UNetOptions{}} {
		walk(reflect.TypeOf(o))
	}
}

func TestMisusePanics(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	d, u := ditVariants(), unetVariants()
	dit, bare := must(NewDiT(newInit(), d[0])), must(NewDiT(newInit(), d[1]))
	unet := must(NewUNet(newInit(), u[0]))
	noNull := must(NewCondEmbedding(newInit(), CondOptions{Classes: 2, Vector: 2, VectorEmbed: "mlp"}, 4, 1, nil))
	x, one := s.Zeros(2, 8, 8, 3), s.Ones(1)
	for want, f := range map[string]func(){
		"sides that are multiples of 2":  func() { unet.Forward(s.Zeros(1, 7, 8, 3), one, Cond{}) },
		"want (N,H,W,3)":                 func() { unet.Forward(s.Zeros(1, 8, 8, 1), one, Cond{}) },
		"in_channels":                    func() { dit.Forward(s.Zeros(1, 8, 8, 1), one, Cond{}) },
		"labels for a network without":   func() { bare.Forward(x, one, Cond{Labels: s.Ints([]int32{0, 0}, 2)}) },
		"a vector for a network without": func() { bare.Forward(x, one, Cond{Vector: s.Zeros(2, 5)}) },
		"no null class: it needs labels": func() { noNull.Forward(s, Cond{Vector: s.Zeros(2, 2)}) },
		"no null vector: it needs the":   func() { noNull.Forward(s, Cond{Labels: s.Ints([]int32{0, 0}, 2)}) },
		"no activation x":                func() { NewFeedForward(newInit(), 1, 1, "x", 0) },
	} {
		func() {
			defer func() {
				err, _ := recover().(error)
				var e *tensor.UsageError
				if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}()
			f()
		}()
	}
}

// full is a device without memory to spare.
type full struct{ *cpu.Device }

func (full) Alloc(n int) (backend.Memory, error) {
	return backend.Memory{}, &backend.AllocError{Device: "full", Bytes: n}
}

func TestConstructorsReportThatMemoryRanOut(t *testing.T) {
	var o ResidualMLPOptions
	o.SetDefaults()
	o.Dim = 2
	_, err := NewResidualMLP(NewBlankInit(full{cpu.Default()}), o)
	var e *backend.AllocError
	if !errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

func TestActivationsByName(t *testing.T) {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	x := s.Tensor([]float32{-1, 0.5}, 2)
	for name, want := range map[string]*tensor.Tensor{
		"silu": x.SiLU(), "swish": x.SiLU(), "mish": x.Mish(), "gelu": x.GELU(), "gelu_tanh": x.GELUTanh(), "relu": x.ReLU(), "selu": x.SELU(),
		"tanh": x.Tanh(), "sigmoid": x.Sigmoid(), "softplus": x.Softplus(), "identity": x,
	} {
		a, err := ActivationByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := a(x).Float32s(); got[0] != want.Float32s()[0] || got[1] != want.Float32s()[1] {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if _, err := ActivationByName("sillu"); err == nil || !strings.Contains(err.Error(), "softplus") {
		t.Errorf("got %v", err)
	}
}
