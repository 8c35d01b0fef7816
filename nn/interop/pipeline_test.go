package interop

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// randomised gives every parameter normal values: zeros would hide mistakes.
func randomised(t *testing.T, m nn.Model) nn.Model {
	t.Helper()
	for i, p := range nn.Params(m) {
		v := make([]float32, p.Elems())
		rng.Normal(v, rng.Key{Seed: 3}, uint64(i))
		for k := range v {
			v[k] *= 0.3
		}
		if err := p.Set(v); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func smallDiT(t *testing.T, change func(o *nn.DiTOptions)) nn.Model {
	t.Helper()
	var o nn.DiTOptions
	o.SetDefaults()
	o.InChannels, o.Width, o.Depth, o.Heads = 1, 16, 2, 2
	change(&o)
	m, err := nn.NewDiT(nn.NewInit(cpu.Default(), rng.Key{Seed: 4}), o)
	if err != nil {
		t.Fatal(err)
	}
	return randomised(t, m)
}

func smallUNet(t *testing.T, change func(o *nn.UNetOptions)) nn.Model {
	t.Helper()
	var o nn.UNetOptions
	o.SetDefaults()
	o.InChannels, o.Channels, o.Groups, o.HeadDim = 1, []int{8, 8}, 4, 4
	change(&o)
	m, err := nn.NewUNet(nn.NewInit(cpu.Default(), rng.Key{Seed: 4}), o)
	if err != nil {
		t.Fatal(err)
	}
	return randomised(t, m)
}

// A pipeline's folder is read back: the same network, with the same null class, what a call begins with, and the scheduler's text.
func TestPipelineRoundTrip(t *testing.T) {
	int1 := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		net    nn.Model
		labels []int32 // that ours takes; nil: none
		theirs []int32 // what they are there
		null   *int
		cond   nn.CondOptions // Classes and Null as read back
	}{
		"dit":              {smallDiT(t, func(o *nn.DiTOptions) { o.Classes = 3 }), []int32{0, 2, 3, 1}, []int32{0, 2, 3, 1}, int1(3), nn.CondOptions{Classes: 3, Null: true}},
		"dit, no null":     {smallDiT(t, func(o *nn.DiTOptions) { o.Classes, o.Null = 3, false }), []int32{0, 2, 1, 1}, []int32{0, 2, 1, 1}, nil, nn.CondOptions{Classes: 3, Null: true}},
		"dit, no classes":  {smallDiT(t, func(o *nn.DiTOptions) {}), nil, []int32{0, 1, 0, 1}, int1(0), nn.CondOptions{Classes: 1, Null: true}},
		"dit, own embeds":  {smallDiT(t, func(o *nn.DiTOptions) { o.EmbedPerBlock = true }), nil, []int32{0, 0, 1, 1}, int1(0), nn.CondOptions{Classes: 1, Null: true}},
		"unet":             {smallUNet(t, func(o *nn.UNetOptions) { o.Classes = 3 }), []int32{0, 2, 3, 1}, []int32{0, 2, 3, 1}, int1(3), nn.CondOptions{Classes: 3, Null: true}},
		"unet, no null":    {smallUNet(t, func(o *nn.UNetOptions) { o.Classes, o.Null = 3, false }), []int32{0, 2, 1, 1}, []int32{0, 2, 1, 1}, nil, nn.CondOptions{Classes: 3}},
		"unet, no classes": {smallUNet(t, func(o *nn.UNetOptions) {}), nil, nil, nil, nn.CondOptions{}},
	} {
		dir := t.TempDir()
		p := Pipeline{Class: OwnPipeline, SchedulerClass: "SomeScheduler", Scheduler: []byte(`{"a": 1}`),
			Call: Call{Steps: 7, Guidance: 1.5, Eta: 0.25, Rederive: true, Even: true, StartScale: 1.01}}
		if err := ExportPipeline(dir, c.net, 8, 8, p); err != nil {
			t.Fatal(err)
		}
		f, err := Open(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := p.Call
		want.Null = c.null
		if f.Pipeline != OwnPipeline || f.SchedulerClass != "SomeScheduler" || string(f.Scheduler) != `{"a": 1}` || !reflect.DeepEqual(*f.Call, want) {
			t.Errorf("%s: got %+v, %+v", name, f, f.Call)
		}
		if f.Config.Height != 8 || f.Config.Width != 8 {
			t.Errorf("%s: size %d×%d", name, f.Config.Height, f.Config.Width)
		}
		code, err := os.ReadFile(filepath.Join(dir, "pipeline.py"))
		if err != nil || !strings.Contains(string(code), "class LangevinPipeline(DiffusionPipeline)") {
			t.Errorf("%s: code %v", name, err)
		}
		back, err := f.Load(cpu.Default())
		if err != nil {
			t.Fatal(err)
		}
		if got := back.Conditions(); got.Classes != c.cond.Classes || got.Null != c.cond.Null {
			t.Errorf("%s: conditions %+v, want %+v", name, got, c.cond)
		}
		sameThere(t, name, c.net, back, c.labels, c.theirs)
	}
}

// sameThere compares a network with one that was exported and read again, whose time counts a thousand steps.
func sameThere(t *testing.T, name string, m, back nn.Model, labels, theirs []int32) {
	t.Helper()
	nn.Convert(m, tensor.Float64)
	nn.Convert(back, tensor.Float64)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	x, times := s.Normal(rng.Key{Seed: 1}, 0, 4, 8, 8, 1), s.Tensor([]float32{0.125, 0.25, 0.5, 1}, 4)
	cond := func(v []int32) (c nn.Cond) {
		if v != nil {
			c.Labels = s.Ints(v, 4)
		}
		return c
	}
	want, got := m.Forward(x, times, cond(labels)).Float64s(), back.Forward(x, times.Scale(1000), cond(theirs)).Float64s()
	// As in TestExportOfOurOwn: angles up to 1000, rounded differently.
	if e := distance(got, want); !(e <= 1e-11*norm(want)) || norm(want) == 0 {
		t.Errorf("%s: read again it differs by %g of %g", name, e, norm(want))
	}
}

// The index of a class of diffusers has nothing of ours, and no code beside it.
func TestStockPipeline(t *testing.T) {
	dir := t.TempDir()
	net := smallUNet(t, func(o *nn.UNetOptions) {})
	if err := ExportPipeline(dir, net, 8, 16, Pipeline{Class: "DDIMPipeline", SchedulerClass: "DDIMScheduler", Scheduler: []byte("{}\n")}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]any
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"_class_name": "DDIMPipeline", "_diffusers_version": Version, "unet": []any{"diffusers", "UNet2DModel"}, "scheduler": []any{"diffusers", "DDIMScheduler"}}
	if !reflect.DeepEqual(index, want) {
		t.Errorf("got %v", index)
	}
	f, err := Open(dir)
	if err != nil || f.Call != nil || f.Pipeline != "DDIMPipeline" || f.Config.Height != 8 || f.Config.Width != 16 {
		t.Errorf("got %+v, %v", f, err)
	}
	if exists(filepath.Join(dir, "pipeline.py")) {
		t.Error("there is code")
	}
}

// The configuration of a small DiT, byte by byte.
func TestExportedConfig(t *testing.T) {
	dir := t.TempDir()
	if err := Export(dir, smallDiT(t, func(o *nn.DiTOptions) { o.Classes = 3 }), 8, 8); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, configName))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "_class_name": "DiTTransformer2DModel",
  "_diffusers_version": "0.42.1",
  "activation_fn": "gelu-approximate",
  "attention_bias": true,
  "attention_head_dim": 8,
  "dropout": 0,
  "in_channels": 1,
  "norm_elementwise_affine": false,
  "norm_eps": 0.000001,
  "norm_num_groups": 32,
  "norm_type": "ada_norm_zero",
  "num_attention_heads": 2,
  "num_embeds_ada_norm": 3,
  "num_layers": 2,
  "out_channels": 1,
  "patch_size": 2,
  "sample_size": 8,
  "upcast_attention": false
}
`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}

func TestWrongIndex(t *testing.T) {
	dir := t.TempDir()
	if err := ExportPipeline(dir, smallUNet(t, func(o *nn.UNetOptions) { o.Classes = 3 }), 8, 8, Pipeline{Class: OwnPipeline, SchedulerClass: "S", Call: Call{Steps: 1, StartScale: 1}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, indexName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, now, want string }{
		{`"pipeline",`, `"evil",`, "programs in the folder are not run here"},
		{`"LangevinPipeline"`, `"LangevinPipeline", 3`, "list of strings"},
		{`"steps": 1`, `"steps": 0`, `field "steps"`},
		{`"steps": 1`, `"steps": "1"`, `field "steps"`},
		{`"guidance_scale": 0`, `"guidance_scale": -1`, `must not be negative`},
		{`"eta": 0`, `"eta": -1`, `field "eta"`},
		{`"start_scale": 1`, `"start_scale": 0`, `must be positive`},
		{`"even_times": false`, `"even_times": 1`, `field "even_times"`},
		{`"null_label": 3`, `"null_label": 2`, `must be num_class_embeds-1=3, is 2`},
		{`"null_label": 3`, `"null_label": -1`, `field "null_label"`},
		{`"null_label": 3`, `"null_labels": 3`, `field "null_labels"`},
	} {
		if !strings.Contains(string(whole), c.old) {
			t.Fatalf("no %s in\n%s", c.old, whole)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(whole), c.old, c.now, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		var e *badfile.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q in it", c.now, err, c.want)
		}
	}
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err != nil {
		t.Error(err)
	}
}

// FuzzOpenIndex reads any text as the index of a folder that is otherwise whole.
func FuzzOpenIndex(f *testing.F) {
	for _, pattern := range []string{golden + "/pipelines/unet-ddim/" + indexName, golden + "/pipelines/dit-heun/" + indexName} {
		text, err := os.ReadFile(pattern)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"_class_name":["pipeline","LangevinPipeline"],"unet":["diffusers","UNet2DModel"],"steps":3,"null_label":1,"start_scale":1.5}`))
	f.Add([]byte(`{"_class_name":["pipeline"],"unet":[null,null],"unet":1}`))
	dir := f.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "unet"), os.DirFS(golden+"/pipelines/unet-ddim/unet")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, indexName), text, 0o666); err != nil {
			t.Fatal(err)
		}
		folder, err := Open(dir)
		var e *badfile.Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("untyped error %v", err)
		case err == nil && folder.Call != nil && (folder.Call.Steps < 1 || !(folder.Call.StartScale > 0)):
			t.Fatalf("accepted %+v", folder.Call)
		}
	})
}
