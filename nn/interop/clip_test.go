package interop

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// Hidden states, pooled vectors and every gradient are transformers'. The bounds are those
// of the other networks: see testParity.
func TestTextParity(t *testing.T) {
	for _, name := range []string{"legacy", "eos", "masked"} {
		t.Run(name+"/float64", func(t *testing.T) { testTextParity(t, name, tensor.Float64, 1e-9) })
		t.Run(name+"/float32", func(t *testing.T) { testTextParity(t, name, tensor.Float32, 1e-4) })
	}
}

func testTextParity(t *testing.T, name string, dtype tensor.DType, tol float64) {
	f, err := safetensors.Open(golden + "/text/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e, err := LoadText(golden+"/text/"+name, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"legacy": "largest", "eos": "end", "masked": "end"}[name]; e.Options().Pool != want {
		t.Errorf("pools by %s, want %s", e.Options().Pool, want)
	}
	nn.Convert(e, dtype)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, dtype)
	defer s.Close()
	ids := get(t, f, "in/input_ids")
	long, err := ids.Int64s()
	if err != nil {
		t.Fatal(err)
	}
	small := make([]int32, len(long))
	for i, id := range long {
		small[i] = int32(id)
	}
	var mask *tensor.Tensor
	if f.Has("in/attention_mask") {
		mask = s.Tensor(f64(t, f, "in/attention_mask"), ids.Shape...)
	}
	tokens, pooled := e.Forward(s.Ints(small, ids.Shape...), mask)
	for what, got := range map[string]*tensor.Tensor{"last_hidden_state": tokens, "pooler_output": pooled} {
		if want := f64(t, f, "out/"+what); !(distance(got.Float64s(), want) <= tol*norm(want)) {
			t.Errorf("%s differs by %.3g of %.3g", what, distance(got.Float64s(), want), norm(want))
		}
	}
	up := func(what string, like *tensor.Tensor) *tensor.Tensor {
		return like.Mul(s.Tensor(f64(t, f, "in/grad_"+what), like.Shape()...)).Sum()
	}
	loss := up("last_hidden_state", tokens).Add(up("pooler_output", pooled))
	ss, err := clipSlots(e)
	if err != nil {
		t.Fatal(err)
	}
	params := make([]*tensor.Param, len(ss))
	for i, sl := range ss {
		params[i] = sl.param
	}
	total, got := 0.0, map[string][]float64{}
	for i, g := range s.Grad(loss, params) {
		parts, err := split(ss[i], g.Float64s())
		if err != nil {
			t.Fatal(err)
		}
		for n, v := range parts {
			got["grad/"+strings.TrimPrefix(n, "text_model.")] = v
			total += norm(v) * norm(v)
		}
	}
	total = math.Sqrt(total)
	count := 0
	for _, n := range f.Names() {
		if !strings.HasPrefix(n, "grad/") {
			continue
		}
		count++
		want := f64(t, f, n)
		if d := distance(got[n], want); len(got[n]) != len(want) || !(d <= tol*(norm(want)+1e-3*total)) {
			t.Errorf("%s differs by %.3g of %.3g", n, d, norm(want))
		}
	}
	if count != len(got) {
		t.Errorf("%d gradients, transformers has %d", len(got), count)
	}
}

// The names that transformers 4 wrote, a whole CLIPModel's file and its configuration, are read as well.
func TestOlderTextFolders(t *testing.T) {
	from := golden + "/text/eos"
	f, err := safetensors.Open(filepath.Join(from, clipWeights))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	es := []safetensors.Entry{safetensors.Float32("vision_model.x", []int{1}, []float32{3}), safetensors.Float32("text_projection.weight", []int{1}, []float32{3})}
	for _, n := range f.Names() {
		es = append(es, safetensors.Float32("text_model."+n, get(t, f, n).Shape, f32(t, f, n)))
	}
	save := func(es []safetensors.Entry) {
		t.Helper()
		if err := safetensors.WriteFile(filepath.Join(dir, clipWeights), es, nil); err != nil {
			t.Fatal(err)
		}
	}
	config, err := os.ReadFile(filepath.Join(from, configName))
	if err != nil {
		t.Fatal(err)
	}
	whole := `{"architectures":["CLIPModel"],"model_type":"clip","vision_config":{},"text_config":` + string(config) + `}`
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(whole), 0o666); err != nil {
		t.Fatal(err)
	}
	save(es)
	a, err := LoadText(dir, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	b, err := LoadText(from, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	pa, pb := nn.NamedParams(a), nn.NamedParams(b)
	for i := range pa {
		if !slices.Equal(pa[i].Param.Float32s(), pb[i].Param.Float32s()) {
			t.Errorf("%s differs", pa[i].Name)
		}
	}
	var e *nn.LoadError
	save(append(es[:3:3], append(es[4:], safetensors.Float32("text_model.more", []int{1}, []float32{3}))...))
	if _, err := LoadText(dir, cpu.Default()); !errors.As(err, &e) || len(e.Missing) != 1 || !slices.Equal(e.Surplus, []string{"text_model.more"}) {
		t.Errorf("got %v", err)
	}
	if err := LoadTextInto(from, a); err != nil {
		t.Error(err)
	}
	if err := LoadTextInto(golden+"/text/legacy", a); !errors.As(err, &e) || len(e.Misshapen) == 0 {
		t.Errorf("got %v", err)
	}
}

func TestTextConfigErrors(t *testing.T) {
	for text, want := range map[string][]string{
		`{"model_type":"bert"}`:                       {`"model_type"`, "clip_text_model"},
		`{"architectures":["T5EncoderModel"]}`:        {`"architectures"`, "CLIPTextModel"},
		`{"hidden_act":"relu"}`:                       {`"hidden_act"`, "quick_gelu"},
		`{"num_attention_heads":3}`:                   {"heads", "width 512"},
		`{"vocab_size":0}`:                            {`"vocab_size"`, "1 to"},
		`{"vocab_size":100}`:                          {`"eos_token_id"`, "below vocab_size 100"},
		`{"layer_norm_eps":"x"}`:                      {`"layer_norm_eps"`, "a number"},
		`{"text_config":{"num_hidden_layers":99999}}`: {`"num_hidden_layers"`},
		`{"text_config":3}`:                           {"JSON object"},
		`[]`:                                          {"JSON object"},
	} {
		_, err := ParseTextConfig("c.json", []byte(text))
		for _, w := range append(want, "c.json") {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v, want %q in it", text, err, w)
			}
		}
	}
	if o, err := ParseTextConfig("c.json", []byte(`{"projection_dim":3,"any":"other"}`)); err != nil || o.Length != 77 || o.Width != 512 || o.Activation != "quick_gelu" || !o.Causal || o.End != 49407 {
		t.Errorf("defaults %+v, %v", o, err)
	}
}

func FuzzTextConfig(f *testing.F) {
	f.Add([]byte(`{"vocab_size":30,"hidden_size":8,"num_attention_heads":2,"eos_token_id":2}`))
	f.Add([]byte(`{"text_config":{"hidden_act":"gelu"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseTextConfig("c", b)
		if err != nil {
			return
		}
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
	})
}
