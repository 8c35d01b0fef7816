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
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// A class alone has diffusers' defaults.
func TestDefaultsOfDiffusers(t *testing.T) {
	c, err := ParseConfig("c", []byte(`{"_class_name":"UNet2DModel"}`))
	if err != nil {
		t.Fatal(err)
	}
	attn := "AttnDownBlock2D"
	want := &nn.UNetOptions{
		InChannels: 3, OutChannels: 3, Channels: []int{224, 448, 672, 896}, Layers: 2,
		DownBlocks: []string{"DownBlock2D", attn, attn, attn}, UpBlocks: []string{"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"},
		MidBlock: true, MidAttention: true, MidScale: 1, HeadDim: 8, Groups: 32, NormEps: 1e-5, Activation: "silu", DownPad: 1,
		Downsample: "conv", Upsample: "conv", TimeEmbedding: "positional", TimeScale: 1, FourierScale: 16,
		Transformer: nn.TransformerOptions{Heads: []int{4}, Layers: []int{1}}, // no block has one
		CondOptions: nn.CondOptions{VectorEmbed: "mlp", Prompt: "attention"},
	}
	if !reflect.DeepEqual(c.UNet, want) {
		t.Errorf("got %+v", c.UNet)
	}
	c, err = ParseConfig("c", []byte(`{"_class_name":"DiTTransformer2DModel"}`))
	if err != nil {
		t.Fatal(err)
	}
	d := &nn.DiTOptions{
		InChannels: 4, OutChannels: 4, SampleSize: 32, Patch: 2, Width: 16 * 72, Depth: 28, Heads: 16, MLPRatio: 4, Activation: "gelu_tanh",
		AttentionBias: true, NormEps: 1e-5, TimeScale: 1, TimeShift: 1, EmbedPerBlock: true,
		CondOptions: nn.CondOptions{Classes: 1000, VectorEmbed: "mlp", Null: true, Prompt: "attention"},
	}
	if !reflect.DeepEqual(c.DiT, d) || c.Height != 32 || c.Width != 32 {
		t.Errorf("got %+v", c.DiT)
	}
}

const (
	unetText = `{"_class_name": "UNet2DModel", "_diffusers_version": "0.42.1", "block_out_channels": [8, 8], "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"], "norm_num_groups": 4`
	ditText  = `{"_class_name": "DiTTransformer2DModel", "num_layers": 1`
)

// Each value is refused, by the field's name and what is wrong, with the byte where it stands.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		text, field string
		kind        error
		want        string
	}{
		{unetText + `, "act_fn": "tanh"}`, "act_fn", ErrUnsupported, `"tanh"`},
		{unetText + `, "act_fnn": "silu"}`, "act_fnn", ErrConfig, "no field of a UNet2DModel"},
		{unetText + `, "_future": 1}`, "_future", ErrConfig, "no field"},
		{unetText + `, "in_channels": "3"}`, "in_channels", ErrConfig, `an integer`},
		{unetText + `, "in_channels": 3.0}`, "in_channels", ErrConfig, `3.0`},
		{unetText + `, "in_channels": true}`, "in_channels", ErrConfig, `true`},
		{unetText + `, "in_channels": null}`, "in_channels", ErrConfig, `null`},
		{unetText + `, "in_channels": 0}`, "in_channels", ErrConfig, `from 1`},
		{unetText + `, "in_channels": 1000000000000}`, "in_channels", ErrConfig, `65536`},
		{unetText + `, "sample_size": 0}`, "sample_size", ErrConfig, `from 1`},
		{unetText + `, "sample_size": [8]}`, "sample_size", ErrConfig, `pair`},
		{unetText + `, "layers_per_block": [1, 2]}`, "layers_per_block", ErrConfig, `an integer`},
		{unetText + `, "mid_block_type": "UNetMidBlock2DCrossAttn"}`, "mid_block_type", ErrUnsupported, `UNetMidBlock2DCrossAttn`},
		{unetText + `, "time_embedding_type": "sinus"}`, "time_embedding_type", ErrUnsupported, `"sinus"`},
		{unetText + `, "time_embedding_type": "learned"}`, "num_train_timesteps", ErrConfig, `must be given`},
		{unetText + `, "resnet_time_scale_shift": "spatial"}`, "resnet_time_scale_shift", ErrUnsupported, `"spatial"`},
		{unetText + `, "downsample_padding": 2}`, "downsample_padding", ErrConfig, `from 0 to 1`},
		{unetText + `, "downsample_type": "pool"}`, "downsample_type", ErrUnsupported, `"pool"`},
		{unetText + `, "class_embed_type": "projection"}`, "class_embed_type", ErrUnsupported, `"projection"`},
		{unetText + `, "dropout": "no"}`, "dropout", ErrConfig, `a number`},
		{unetText + `, "norm_eps": 1e300}`, "norm_eps", ErrConfig, `moderate`},
		{unetText + `, "add_attention": 1}`, "add_attention", ErrConfig, `true or false`},
		{ditText + `, "norm_type": "layer_norm"}`, "norm_type", ErrUnsupported, `"layer_norm"`},
		{ditText + `, "activation_fn": "relu"}`, "activation_fn", ErrUnsupported, `"relu"`},
		{ditText + `, "sample_size": [8, 8]}`, "sample_size", ErrConfig, `an integer`},
		{ditText + `, "num_embeds_ada_norm": null}`, "num_embeds_ada_norm", ErrConfig, `an integer`},
		{ditText + `, "act_fn": "silu"}`, "act_fn", ErrConfig, `no field of a DiTTransformer2DModel`},
		{`{"_class_name": "UNet3DConditionModel"}`, "_class_name", ErrUnsupported, "UNet3DConditionModel"},
	} {
		_, err := ParseConfig("dir/config.json", []byte(c.text))
		var e *badfile.Error
		if !errors.As(err, &e) || !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v", c.field, err)
			continue
		}
		if msg := err.Error(); !strings.Contains(msg, `field "`+c.field+`"`) || !strings.Contains(msg, c.want) || !strings.HasPrefix(msg, "dir/config.json: ") {
			t.Errorf("%s: message %q, want %q in it", c.field, msg, c.want)
		}
		if at := int64(strings.Index(c.text, `"`+c.field+`"`)); at >= 0 && e.Offset != at+int64(len(c.field))+2 {
			t.Errorf("%s: byte %d, want the end of the key", c.field, e.Offset)
		}
	}
	// What no one field is to blame for.
	for text, want := range map[string]string{
		`{}`: "_class_name",
		`{"_class_name":"UNet2DModel","block_out_channels":[8]}`:                                                                 `field "down_block_types"`,
		strings.Replace(unetText, `"UpBlock2D", "UpBlock2D"`, `"UpBlock2D", "CrossAttnUpBlock2D"`, 1) + `}`:                      "CrossAttnUpBlock2D",
		strings.Replace(unetText, `"norm_num_groups": 4`, `"norm_num_groups": null`, 1) + `}`:                                    "norm_num_groups",
		strings.Replace(unetText, `"UpBlock2D", "UpBlock2D"`, `"SkipUpBlock2D", "UpBlock2D"`, 1) + `}`:                           "Skip",
		strings.Replace(unetText, `"DownBlock2D", "DownBlock2D"`, `"SkipDownBlock2D", "DownBlock2D"`, 1) + `, "in_channels": 1}`: "in_channels",
		ditText + `, "attention_head_dim": 3, "num_attention_heads": 1}`:                                                         "width",
		ditText + `, "patch_size": 64}`:   "patch",
		`[]`:                              "object",
		`{"a":1,"a":2}`:                   "twice",
		`{"_class_name":"UNet2DModel"} x`: "behind",
		`{"_class_name":"UNet2DModel",}`:  "JSON",
		``:                                "JSON",
	} {
		if _, err := ParseConfig("c", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
	// What shows only when the layers are made: groups that do not divide, heads larger than the channels.
	for text, want := range map[string]string{
		strings.Replace(unetText, `"norm_num_groups": 4`, `"norm_num_groups": 3`, 1) + `}`: "groups",
		unetText + `, "attention_head_dim": 16}`:                                           "head_dim",
	} {
		c, err := ParseConfig("c", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.New(nn.NewBlankInit(cpu.Default())); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

// Every field of diffusers' classes is known: the golden configurations have them all.
func TestEveryFieldIsKnown(t *testing.T) {
	for class, dir := range map[string]string{UNet2DModel: "unet/deep", DiTTransformer2DModel: "dit/plain"} {
		f, err := safetensors.Open(golden + "/" + dir + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(f.Metadata()["config"]), &m); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if want := map[string]int{UNet2DModel: 30, DiTTransformer2DModel: 17}[class]; len(m) < want {
			t.Fatalf("%s: only %d fields", class, len(m))
		}
		// Each is read: another type in its place is an error that names it.
		for name := range m {
			if strings.HasPrefix(name, "_") {
				continue
			}
			other := map[string]any{}
			for k, v := range m {
				other[k] = v
			}
			other[name] = map[string]any{}
			text, _ := json.Marshal(other)
			if _, err := ParseConfig("c", text); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %s is not looked at: %v", class, name, err)
			}
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(unetText + "}"))
	f.Add([]byte(ditText + "}"))
	f.Add([]byte(`{"_class_name": "UNet2DModel", "block_out_channels": [2, 10], "down_block_types": [], "up_block_types": []}`))
	f.Add([]byte(`{"_class_name":"UNet2DModel","sample_size":[8,9],"norm_num_groups":null,"down_block_types":["SkipDownBlock2D"],"up_block_types":["SkipUpBlock2D"],"block_out_channels":[8],"attention_head_dim":null}`))
	paths, _ := filepath.Glob(golden + "/pipelines/*/*/config.json")
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig("fuzz", text)
		if err != nil {
			var e *badfile.Error
			if !errors.As(err, &e) || e.Path != "fuzz" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		// What was accepted is an option struct that validates, with one class.
		if (c.UNet == nil) == (c.DiT == nil) {
			t.Fatal("not one class")
		}
		if c.UNet != nil {
			err = c.UNet.Validate()
		} else {
			err = c.DiT.Validate()
		}
		if err != nil {
			t.Fatal(err)
		}
		// The network is refused with an error, or every parameter of it has a name there.
		m, err := c.New(nn.NewBlankInit(shapesOnly{}))
		if err != nil {
			return
		}
		if _, err := Names(m); err != nil {
			t.Fatal(err)
		}
	})
}
