package interop

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	goldenfile "github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// ruled is a file of tensors whose numbers are made by the rule of internal/golden/features.py.
func ruled(t testing.TB, shapes map[string][]int) *safetensors.File {
	t.Helper()
	return written(t, goldenfile.Ruled(shapes))
}

// written is a file in memory.
func written(t testing.TB, entries []safetensors.Entry) *safetensors.File {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, entries, nil); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.New(bytes.NewReader(b.Bytes()), int64(b.Len()), "weights.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// inceptionShapes are torch-fidelity's tensors.
func inceptionShapes(t testing.TB) map[string][]int {
	var shapes map[string][]int
	goldenfile.Open(t, golden+"/features/inception.safetensors").JSON("tensors", &shapes)
	if len(shapes) != 94*6+2 {
		t.Fatalf("%d tensors", len(shapes))
	}
	return shapes
}

// Features of every layer and logits are torch-fidelity's, in float64 from a picture of 107×107 pixels.
//
// The results are stored in float32 (2⁻²⁴ of each), and weights with their batch norms multiplied in are rounded once: relative
// errors of at most 2⁻²⁴ = 6e-8 of each of 20 to 48 layers one behind the other, which ReLU and norms of gain 1 neither
// amplify nor correlate. At worst 48 of them add up to 3e-6.
func TestInceptionParity(t *testing.T) {
	if testenv.Race || testing.Short() {
		t.Skip("two and a half billion operations in float64")
	}
	g := goldenfile.Open(t, golden+"/features/inception.safetensors")
	n, err := readInception(ruled(t, inceptionShapes(t)), cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	nn.Convert(n, tensor.Float64)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	const side = 107
	x := tf1(goldenfile.Pictures("inception/small", 1, 61, 40), 61, 40, side)
	in := s.Tensor(x, 1, side, side, 3)
	check := func(layer string, got *tensor.Tensor) {
		want := g.Floats("small/" + layer)
		if d := distance(got.Float64s(), want); got.Elems() != len(want) || !(d <= 3e-6*norm(want)) {
			t.Errorf("%s differs by %.3g of %.3g", layer, d, norm(want))
		}
	}
	layers := n.Features(in, 64, 192, 768, 2048)
	for i, name := range []string{"64", "192", "768", "2048"} {
		check(name, layers[i])
	}
	check("logits", n.Logits(layers[3]))
}

// tf1 brings a picture to side×side by TensorFlow's first bilinear scaling, in float64, and to values from −1 to 1.
func tf1(pix []uint8, h, w, side int) []float64 {
	out := make([]float64, 0, side*side*3)
	at := func(i, size int) (lo, hi int, part float64) {
		p := float64(i) * float64(float32(float64(size)/float64(side)))
		lo = int(p)
		return lo, min(lo+1, size-1), p - float64(lo)
	}
	for i := range side {
		y0, y1, fy := at(i, h)
		for j := range side {
			x0, x1, fx := at(j, w)
			for c := range 3 {
				v := func(y, x int) float64 { return float64(pix[(y*w+x)*3+c]) }
				top, low := v(y0, x0)+(v(y0, x1)-v(y0, x0))*fx, v(y1, x0)+(v(y1, x1)-v(y1, x0))*fx
				out = append(out, (top+(low-top)*fy-128)/128)
			}
		}
	}
	return out
}

// What differs from the file that is wanted is named.
func TestInceptionNamesWrongTensors(t *testing.T) {
	shapes := inceptionShapes(t)
	delete(shapes, "Mixed_7c.branch3x3_2b.bn.running_var")
	shapes["fc.weight"], shapes["fc.bias"] = []int{1000, 2048}, []int{1000}
	shapes["AuxLogits.fc.bias"] = []int{3}
	var entries []safetensors.Entry // of bytes: numbers are not read before all names and shapes are right
	for name, shape := range shapes {
		n := 1
		for _, d := range shape {
			n *= d
		}
		entries = append(entries, safetensors.Bytes(name, safetensors.U8, shape, make([]byte, n)))
	}
	_, err := readInception(written(t, entries), cpu.Default())
	var e *nn.LoadError
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"weights.safetensors", "1 missing (Mixed_7c.branch3x3_2b.bn.running_var)", "1 surplus (AuxLogits.fc.bias)", "fc.weight is [1000 2048], want [1008 2048]", "fc.bias is [1000], want [1008]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// DINOv2's hidden states are transformers', in float64 and in float32: of pictures of the side that there are positions
// for, of others, whose positions are interpolated, with gates and without biases, and of ViT-S/14 at 224 of 518 pixels.
//
// transformers interpolates positions in float32 whatever the type: relative errors of a few 2⁻²⁴ of these, which blocks
// of gain about 1 carry along: 1e-6. In float32 the bound is that of the other networks: see testParity.
func TestDinov2Parity(t *testing.T) {
	for _, name := range []string{"plain", "larger", "swiglu", "vits14"} {
		t.Run(name, func(t *testing.T) {
			if (testenv.Race || testing.Short()) && name == "vits14" {
				t.Skip("eleven billion operations")
			}
			g := goldenfile.Open(t, golden+"/features/dinov2-"+name+".safetensors")
			var shapes map[string][]int
			var size []int
			var tokens int
			g.JSON("tensors", &shapes)
			g.JSON("size", &size)
			g.JSON("tokens", &tokens)
			text := g.Text("config")
			o, err := ParseVisionConfig("config.json", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			pix := goldenfile.Pictures("dinov2/"+name, 1, size[0], size[1])
			x := make([]float64, len(pix))
			for i, p := range pix {
				x[i] = (float64(p) - 128) / 64
			}
			for dtype, tol := range map[tensor.DType]float64{tensor.Float64: 1e-6, tensor.Float32: 1e-4} {
				if dtype == tensor.Float64 && name == "vits14" {
					continue // the plain kernels of float64 would take a minute
				}
				v, err := readVision(ruled(t, shapes), *o, cpu.Default())
				if err != nil {
					t.Fatal(err)
				}
				nn.Convert(v, dtype)
				s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, dtype)
				h := v.Forward(s.Tensor(x, 1, size[0], size[1], 3))
				if h.Dim(1) != tokens {
					t.Fatalf("%d tokens, want %d", h.Dim(1), tokens)
				}
				want := g.Floats("out")
				all, d := h.Float64s(), o.Width
				got := all
				if len(want) < len(all) {
					got = nil
					for _, i := range []int{0, 1, 100, tokens - 1} {
						got = append(got, all[i*d:(i+1)*d]...)
					}
				}
				if e := distance(got, want); len(got) != len(want) || !(e <= tol*norm(want)) {
					t.Errorf("%v: differs by %.3g of %.3g", dtype, e, norm(want))
				}
				s.Close()
			}
		})
	}
}

// Names of transformers 4, of a classifier's file and of gates in one matrix are the same network.
func TestOlderVisionNames(t *testing.T) {
	g := goldenfile.Open(t, golden+"/features/dinov2-swiglu.safetensors")
	var shapes map[string][]int
	g.JSON("tensors", &shapes)
	text := g.Text("config")
	o, err := ParseVisionConfig("config.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	first := ruled(t, shapes)
	want, err := readVision(first, *o, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	now, err := visionTensors(first)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.NewReplacer("attention.q_proj", "attention.attention.query", "attention.k_proj", "attention.attention.key", "attention.v_proj", "attention.attention.value",
		"attention.o_proj", "attention.output.dense", "mlp.down_proj", "mlp.weights_out")
	write := func(older bool) *safetensors.File {
		var entries []safetensors.Entry
		for name, tens := range now {
			v, err := tens.values()
			if err != nil {
				t.Fatal(err)
			}
			shape := slices.Clone(tens.Shape)
			if tens.half > 0 {
				shape[0] /= 2
			}
			if older {
				if strings.Contains(name, "up_proj") {
					continue
				}
				if before, end, ok := strings.Cut(name, "mlp.gate_proj"); ok {
					up, err := now[before+"mlp.up_proj"+end].values()
					if err != nil {
						t.Fatal(err)
					}
					v, shape[0] = append(slices.Clone(v), up...), 2*shape[0]
					name = before + "mlp.weights_in" + end
				}
				name = "dinov2." + old.Replace(name)
			}
			entries = append(entries, safetensors.Float32(name, shape, v))
		}
		if older {
			entries = append(entries, safetensors.Float32("classifier.bias", []int{2}, []float32{1, 2}))
		}
		return written(t, entries)
	}
	for _, older := range []bool{true, false} {
		got, err := readVision(write(older), *o, cpu.Default())
		if err != nil {
			t.Fatal(older, err)
		}
		a, b := nn.NamedParams(want), nn.NamedParams(got)
		for i := range a {
			if !slices.Equal(a[i].Param.Float32s(), b[i].Param.Float32s()) {
				t.Errorf("older names %v: %s differs", older, a[i].Name)
			}
		}
	}
}

func TestVisionConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"model_type":"vit"}`:                       `"model_type"`,
		`{"model_type":"dinov2_with_registers"}`:     `"model_type"`,
		`{"architectures":["ViTModel"]}`:             `"architectures"`,
		`{"image_size":[224,224]}`:                   `"image_size"`,
		`{"hidden_act":"relu"}`:                      `"hidden_act"`,
		`{"hidden_size":10,"num_attention_heads":3}`: "heads",
		`{"mlp_ratio":1e9}`:                          `"mlp_ratio"`,
		`{"patch_size":500}`:                         "side",
		`{"layer_norm_eps":0}`:                       "norm_eps",
		`[]`:                                         "object",
	} {
		_, err := ParseVisionConfig("d/config.json", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "d/config.json: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	shapes := map[string][]int{"embeddings.cls_token": {1, 1, 8}, "encoder.layer.7.norm1.bias": {8}}
	_, err := readVision(ruled(t, shapes), nn.VisionOptions{Channels: 3, Side: 4, Patch: 2, Width: 8, Heads: 1, Hidden: 8, Activation: "gelu", NormEps: 1e-6, Depth: 0}, cpu.Default())
	if err == nil || !strings.Contains(err.Error(), "embeddings.position_embeddings") || !strings.Contains(err.Error(), "1 surplus (encoder.layer.7.norm1.bias)") {
		t.Errorf("got %v", err)
	}
}

func FuzzVisionConfig(f *testing.F) {
	f.Add(`{"model_type":"dinov2","hidden_size":24,"mlp_ratio":2,"patch_size":7,"image_size":28}`)
	f.Add(`{"use_swiglu_ffn":true,"num_hidden_layers":0}`)
	f.Add(`{"mlp_ratio":0.0001}`)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseVisionConfig("c", []byte(text))
		if err == nil && o.Validate() != nil {
			t.Errorf("%s makes %+v: %v", text, o, o.Validate())
		}
	})
}
