package interop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func pipelines(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(golden + "/pipelines/*/model_index.json")
	if err != nil || len(found) < 8 {
		t.Fatalf("%d pipelines, %v", len(found), err)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

// A network that is loaded and exported again is the same file, tensor by tensor and
// bit by bit, and the same configuration.
func TestExportInvertsLoad(t *testing.T) {
	for _, dir := range pipelines(t) {
		f, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if f.Pipeline == "" || f.SchedulerClass == "" || !strings.Contains(string(f.Scheduler), f.SchedulerClass) || filepath.Base(f.SchedulerPath) != "scheduler_config.json" {
			t.Errorf("%s: pipeline %q, scheduler %q of class %q", dir, f.Pipeline, f.SchedulerPath, f.SchedulerClass)
		}
		m, err := f.Load(cpu.Default())
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "model")
		if err := Export(out, m, f.Config.Height, f.Config.Width); err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig(filepath.Join(out, configName))
		if err != nil {
			t.Fatal(err)
		}
		want := *f.Config
		want.Path = c.Path
		if want.UNet != nil && want.UNet.TimeDim == 0 { // written out
			want.UNet.TimeDim = 4 * want.UNet.Channels[0]
		}
		if !reflect.DeepEqual(*c, want) {
			t.Errorf("%s: the configuration became %+v %+v", dir, c, c.UNet)
		}
		compareFiles(t, filepath.Join(f.ModelDir, weightsName), filepath.Join(out, weightsName))
	}
}

func compareFiles(t *testing.T, old, now string) {
	t.Helper()
	a, err := safetensors.Open(old)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := safetensors.Open(now)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if len(a.Names()) != len(b.Names()) {
		t.Errorf("%s: %d tensors became %d", old, len(a.Names()), len(b.Names()))
	}
	modern := strings.NewReplacer(".query.", ".to_q.", ".key.", ".to_k.", ".value.", ".to_v.", ".proj_attn.", ".to_out.0.")
	for _, name := range a.Names() {
		x, y := get(t, a, name), get(t, b, modern.Replace(name))
		if !slices.Equal(x.Shape, y.Shape) || !slices.Equal(f32(t, a, name), f32(t, b, y.Name)) {
			t.Errorf("%s: %s changed", old, name)
		}
	}
}

// Names of the old attention are taken, and only there.
func TestOldNames(t *testing.T) {
	dir := filepath.Join(golden, "pipelines/unet-legacy/unet")
	f, err := safetensors.Open(filepath.Join(dir, weightsName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !slices.ContainsFunc(f.Names(), func(n string) bool { return strings.Contains(n, ".query.") }) {
		t.Fatal("the file has no old names")
	}
	m, c, err := Load(dir, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	if c.UNet.HeadDim != 0 || c.UNet.DownPad != 0 || c.UNet.TimeShift != 1 || !c.UNet.TimeSinFirst {
		t.Errorf("got %+v", c.UNet)
	}
	if _, ok := m.(*nn.UNet); !ok {
		t.Errorf("got a %T", m)
	}
}

// What the caller changes in a configuration holds for the network.
func TestLoadTakesTheChangedConfiguration(t *testing.T) {
	f, err := Open(golden + "/pipelines/unet-ddim")
	if err != nil {
		t.Fatal(err)
	}
	as, err := f.Load(cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	f.Config.UNet.TimeScale = 1000
	scaled, err := f.Load(cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	x := s.Normal(rng.Key{}, 0, 2, 8, 8, 1)
	// 0.5·1000 is exact.
	a, b := as.Forward(x, s.Full(500, 1), nn.Cond{}), scaled.Forward(x, s.Full(0.5, 1), nn.Cond{})
	if !slices.Equal(a.Float32s(), b.Float32s()) {
		t.Error("the time is not scaled")
	}
}

// copyFolder copies the golden model into a folder of its own and lets edit change its files.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWrongTensorsAreNamed(t *testing.T) {
	dir := copyFolder(t, golden+"/pipelines/unet-ddim/unet")
	path := filepath.Join(dir, weightsName)
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var es []safetensors.Entry
	for _, n := range f.Names() {
		v, shape := f32(t, f, n), get(t, f, n).Shape
		switch n {
		case "conv_in.bias":
			n = "conv_inn.bias"
		case "conv_out.weight":
			shape = []int{shape[1], shape[0], shape[2], shape[3]}
		}
		es = append(es, safetensors.Float32(n, shape, v))
	}
	f.Close()
	if err := safetensors.WriteFile(path, es, nil); err != nil {
		t.Fatal(err)
	}
	_, _, err = Load(dir, cpu.Default())
	var e *nn.LoadError
	if !errors.As(err, &e) || !slices.Equal(e.Missing, []string{"conv_in.bias"}) || !slices.Equal(e.Surplus, []string{"conv_inn.bias"}) || !slices.Equal(e.Misshapen, []string{"conv_out.weight is [4 1 3 3], want [1 4 3 3]"}) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "conv_inn.bias") {
		t.Errorf("message %q", err)
	}
}

func TestWrongFolders(t *testing.T) {
	write := func(dir, name, text string) {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const index = `{"_class_name":"P","unet":["diffusers","UNet2DModel"],"scheduler":["diffusers","S"]}`
	for name, c := range map[string]struct {
		make func(dir string)
		want []string
	}{
		"empty": {func(string) {}, []string{"neither model_index.json nor config.json"}},
		"vae": {func(d string) {
			write(d, indexName, strings.Replace(index, `"unet"`, `"vae":["diffusers","AutoencoderKL"],"unet"`, 1))
		}, []string{`field "vae"`, "AutoencoderKL", "byte"}},
		"other network": {func(d string) { write(d, indexName, strings.Replace(index, "UNet2DModel", "UNet2DConditionModel", 1)) }, []string{`field "unet"`, "must be a UNet2DModel", "UNet2DConditionModel"}},
		"no network": {func(d string) {
			write(d, indexName, `{"_class_name":"P","scheduler":["diffusers","S"],"vae":[null,null]}`)
		}, []string{`field "unet"`, "missing"}},
		"two networks": {func(d string) {
			write(d, indexName, strings.Replace(index, `"scheduler"`, `"transformer":["diffusers","DiTTransformer2DModel"],"scheduler"`, 1))
		}, []string{`field "transformer"`, "only network"}},
		"unknown field":    {func(d string) { write(d, indexName, strings.Replace(index, `"scheduler"`, `"x":1,"scheduler"`, 1)) }, []string{`field "x"`}},
		"no network files": {func(d string) { write(d, indexName, index); write(d+"/scheduler", schedulerName, "{}") }, []string{"unet/config.json", "no such file"}},
		"no scheduler":     {func(d string) { write(d, indexName, index) }, []string{"scheduler/scheduler_config.json", "no such file"}},
		"truncated":        {func(d string) { write(d, configName, `{"_class_name":`) }, []string{"config.json", "JSON"}},
		"long":             {func(d string) { write(d, configName, strings.Repeat(" ", maxConfig+1)) }, []string{"not a configuration"}},
	} {
		dir := t.TempDir()
		c.make(dir)
		_, err := Open(dir)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range append(c.want, dir) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", name, err, want)
			}
		}
		var e *badfile.Error
		if !errors.As(err, &e) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %T %q", name, err, err)
		}
	}
}

func TestWeightsInOtherFormsAreExplained(t *testing.T) {
	for _, other := range []string{"diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model-00001-of-00002.safetensors"} {
		dir := copyFolder(t, golden+"/pipelines/unet-ddim/unet")
		if err := os.Rename(filepath.Join(dir, weightsName), filepath.Join(dir, other)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(dir, cpu.Default()); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), other) {
			t.Errorf("%s: got %v", other, err)
		}
	}
	dir := copyFolder(t, golden+"/pipelines/unet-ddim/unet")
	if err := os.Remove(filepath.Join(dir, weightsName)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir, cpu.Default()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// Networks of ours, with what diffusers has no layer for in another form: one embedding
// for all blocks, which is written for each, and a null class, which is a row.
func TestExportOfOurOwn(t *testing.T) {
	var d nn.DiTOptions
	d.SetDefaults()
	d.InChannels, d.Width, d.Depth, d.Heads, d.Classes = 1, 16, 2, 2, 3
	var u nn.UNetOptions
	u.SetDefaults()
	u.InChannels, u.Channels, u.Groups, u.HeadDim, u.Classes = 1, []int{8, 8}, 4, 4, 3
	in := nn.NewInit(cpu.Default(), rng.Key{Seed: 4})
	dit, err := nn.NewDiT(in, d)
	if err != nil {
		t.Fatal(err)
	}
	unet, err := nn.NewUNet(in, u)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []nn.Model{dit, unet} {
		for i, p := range nn.Params(m) { // zeros would hide mistakes
			v := make([]float32, p.Elems())
			rng.Normal(v, rng.Key{Seed: 3}, uint64(i))
			for k := range v {
				v[k] *= 0.3
			}
			if err := p.Set(v); err != nil {
				t.Fatal(err)
			}
		}
		dir := t.TempDir()
		if err := Export(dir, m, 8, 8); err != nil {
			t.Fatal(err)
		}
		back, _, err := Load(dir, cpu.Default())
		if err != nil {
			t.Fatal(err)
		}
		nn.Convert(m, tensor.Float64)
		nn.Convert(back, tensor.Float64)
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		x, labels := s.Normal(rng.Key{Seed: 1}, 0, 4, 8, 8, 1), s.Ints([]int32{0, 1, 2, 3}, 4)
		times := s.Tensor([]float32{0.125, 0.25, 0.5, 1}, 4)
		want := m.Forward(x, times, nn.Cond{Labels: labels}).Float64s()
		got := back.Forward(x, times.Scale(1000), nn.Cond{Labels: labels}).Float64s()
		// The factor 1000 stands in the frequencies there and in the time here: angles up to
		// 1000 that are rounded differently, by 1000·2⁻⁵³ ≈ 1e-13, in networks that amplify it tenfold.
		if e := distance(got, want); !(e <= 1e-11*norm(want)) || norm(want) == 0 {
			t.Errorf("%T: exported and read again it differs by %g of %g", m, e, norm(want))
		}
		s.Close()
	}
}

func TestExportRefusesByName(t *testing.T) {
	var u nn.UNetOptions
	u.SetDefaults()
	u.InChannels, u.Channels, u.Groups, u.HeadDim = 3, []int{8, 8}, 4, 4
	unet := func(f func(o *nn.UNetOptions)) func() (nn.Model, error) {
		o := u
		f(&o)
		return func() (nn.Model, error) { return nn.NewUNet(nn.NewBlankInit(cpu.Default()), o) }
	}
	var d nn.DiTOptions
	d.SetDefaults()
	d.InChannels, d.Width, d.Depth, d.Heads, d.Classes = 1, 16, 1, 2, 3
	dit := func(f func(o *nn.DiTOptions)) func() (nn.Model, error) {
		o := d
		f(&o)
		return func() (nn.Model, error) { return nn.NewDiT(nn.NewBlankInit(cpu.Default()), o) }
	}
	for want, make := range map[string]func() (nn.Model, error){
		"time_embedding":       unet(func(o *nn.UNetOptions) { o.TimeEmbedding = "fourier" }),
		"divide_by_time":       unet(func(o *nn.UNetOptions) { o.DivideByTime = true }),
		"vector_embed":         unet(func(o *nn.UNetOptions) { o.Vector, o.Null = 2, false }),
		"vector":               unet(func(o *nn.UNetOptions) { o.Vector, o.Classes = 2, 2 }),
		"mid_attention_groups": unet(func(o *nn.UNetOptions) { o.ScaleShift, o.MidAttentionGroups = false, -1 }),
		"groups":               unet(func(o *nn.UNetOptions) { o.Groups = 0 }),
		"mlp_ratio":            dit(func(o *nn.DiTOptions) { o.MLPRatio = 2 }),
		"time_shift":           dit(func(o *nn.DiTOptions) { o.TimeShift = 0 }),
		"vector ":              dit(func(o *nn.DiTOptions) { o.Vector = 3 }),
		"jump":                 dit(func(o *nn.DiTOptions) { o.Jump = true }),
		"guidance_scale":       unet(func(o *nn.UNetOptions) { o.Scale = true }),
	} {
		m, err := make()
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "x")
		for _, write := range []func() error{
			func() error { return Export(dir, m, 8, 8) },
			func() error { return ExportPipeline(dir, m, 8, 8, Pipeline{Class: OwnPipeline, SchedulerClass: "S"}) },
		} {
			if err := write(); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.HasSuffix(err.Error(), "diffusers") {
				t.Errorf("%s: got %v", want, err)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s: something was written", want)
			}
		}
	}
	mlp, err := nn.NewMLP(nn.NewBlankInit(cpu.Default()), nn.MLPOptions{Dim: 2, Width: 4, Depth: 1, Activation: "selu", CondOptions: nn.CondOptions{VectorEmbed: "mlp"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Export(t.TempDir(), mlp, 0, 0); err == nil || !strings.Contains(err.Error(), "MLP") {
		t.Errorf("got %v", err)
	}
}
