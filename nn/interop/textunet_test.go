package interop

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

func textGoldens(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(golden + "/textunet/*.safetensors")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	return paths
}

// A network that is exported and read again is the same, weights and configuration.
func TestExportOfTextUNets(t *testing.T) {
	for _, path := range textGoldens(t) {
		g := openGolden(t, path)
		dir := t.TempDir()
		if err := Export(dir, g.model, g.config.Height, g.config.Width); err != nil {
			t.Fatal(path, err)
		}
		back, c, err := Load(dir, cpu.Default())
		if err != nil {
			t.Fatal(path, err)
		}
		want := *g.config
		want.Path = c.Path
		if want.UNet.TimeDim == 0 {
			want.UNet.TimeDim = 4 * want.UNet.Channels[0]
		}
		if !reflect.DeepEqual(*c, want) {
			t.Errorf("%s: the configuration became %+v, was %+v", path, c.UNet, want.UNet)
		}
		old, now := nn.NamedParams(g.model), nn.NamedParams(back)
		for i := range old {
			if old[i].Name != now[i].Name || !slices.Equal(old[i].Param.Float32s(), now[i].Param.Float32s()) {
				t.Errorf("%s: %s changed", path, old[i].Name)
			}
		}
	}
}

// Masked tokens are not seen: the mask is what the golden files test it to be, and not by chance.
func TestMaskMatters(t *testing.T) {
	g := openGolden(t, golden+"/textunet/sd2.safetensors")
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	var c nn.Cond
	g.text(t, s, &c)
	x, times := image(t, s, g.f, "in/sample"), s.Tensor(f64(t, g.f, "in/timestep"), 3)
	masked := g.model.Forward(x, times, c).Float32s()
	c.TextMask = nil
	if slices.Equal(g.model.Forward(x, times, c).Float32s(), masked) {
		t.Error("the mask does not matter")
	}
}

func TestTextUNetFieldsAreRefusedByName(t *testing.T) {
	for field, value := range map[string]string{
		"mid_block_type": `"UNetMidBlock2D"`, "act_fn": `"mish"`, "down_block_types": `["AttnDownBlock2D","DownBlock2D"]`, "up_block_types": `["UpBlock2D"]`,
		"cross_attention_dim": `[4,8]`, "attention_head_dim": `[1,2,3]`, "transformer_layers_per_block": `[[1,2],[1,2]]`, "num_attention_heads": `4`, "addition_embed_type": `"text"`,
		"only_cross_attention": `true`, "dual_cross_attention": `true`, "conv_in_kernel": `1`, "resnet_out_scale_factor": `2`, "attention_type": `"gated"`,
		"class_embed_type": `"projection"`, "time_embedding_type": `"fourier"`, "norm_num_groups": `null`, "encoder_hid_dim": `3`, "made_up": `1`, "layers_per_block": `[1,2]`,
	} {
		text := `{"_class_name":"UNet2DConditionModel","block_out_channels":[32,64],"down_block_types":["CrossAttnDownBlock2D","DownBlock2D"],"up_block_types":["UpBlock2D","CrossAttnUpBlock2D"]}`
		if field == "down_block_types" || field == "up_block_types" {
			text = strings.Replace(text, `"`+field+`":[`, `"`+field+`":`+value+`,"x":[`, 1)
		} else {
			text = strings.TrimSuffix(text, "}") + `,"` + field + `":` + value + "}"
		}
		_, err := ParseConfig("c.json", []byte(text))
		if err == nil || !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), `"`+field+`"`) {
			t.Errorf("%s %s: got %v", field, value, err)
		}
	}
	// One width at every level may be a list, and heads by level are.
	c, err := ParseConfig("c.json", []byte(`{"_class_name":"UNet2DConditionModel","block_out_channels":[32,64],"down_block_types":["CrossAttnDownBlock2D","DownBlock2D"],"up_block_types":["UpBlock2D","CrossAttnUpBlock2D"],"cross_attention_dim":[7,7],"attention_head_dim":[2,4]}`))
	if err != nil || c.UNet.TextWidth != 7 || !slices.Equal(c.UNet.Transformer.Heads, []int{2, 4}) {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestTextExportRefusesByName(t *testing.T) {
	var u nn.UNetOptions
	u.SetDefaults()
	u.InChannels, u.Channels, u.Groups, u.HeadDim, u.TextWidth, u.Transformer.Heads = 1, []int{8, 8}, 4, 4, 4, []int{2}
	for want, f := range map[string]func(o *nn.UNetOptions){
		"prompt":         func(o *nn.UNetOptions) { o.Prompt = "both" },
		"mid_attention":  func(o *nn.UNetOptions) { o.MidAttention = false },
		"time_embedding": func(o *nn.UNetOptions) { o.TimeEmbedding = "fourier" },
		"divide_by_time": func(o *nn.UNetOptions) { o.DivideByTime = true },
		"activation":     func(o *nn.UNetOptions) { o.Activation = "mish" },
		"block":          func(o *nn.UNetOptions) { o.DownBlocks = []string{"AttnDownBlock2D", "CrossAttnDownBlock2D"} },
	} {
		o := u
		f(&o)
		m, err := nn.NewUNet(nn.NewBlankInit(cpu.Default()), o)
		if err != nil {
			t.Fatal(want, err)
		}
		if err := Export(t.TempDir(), m, 8, 8); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	var d nn.DiTOptions
	d.SetDefaults()
	d.InChannels, d.Width, d.Depth, d.Heads, d.Classes, d.TextWidth = 1, 16, 1, 2, 3, 4
	m, err := nn.NewDiT(nn.NewBlankInit(cpu.Default()), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := Export(t.TempDir(), m, 8, 8); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "text_width") {
		t.Errorf("got %v", err)
	}
}
