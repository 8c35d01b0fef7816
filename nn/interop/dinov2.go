package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor/backend"
)

// ReadVisionConfig reads the config.json of a Dinov2Model that transformers has written.
func ReadVisionConfig(dir string) (*nn.VisionOptions, error) {
	path := filepath.Join(dir, configName)
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return ParseVisionConfig(path, text)
}

// dinov2Classes are the classes that have this network, perhaps beside a head.
var dinov2Classes = []string{"Dinov2Model", "Dinov2ForImageClassification", "Dinov2Backbone"}

// ParseVisionConfig is ReadVisionConfig from a text; path names it in errors.
func ParseVisionConfig(path string, text []byte) (*nn.VisionOptions, error) {
	f, err := parseFields(path, text)
	if err != nil {
		return nil, err
	}
	f.oneOf("model_type", "dinov2", "dinov2")
	for _, class := range f.strings("architectures", dinov2Classes[:1]) {
		if !slices.Contains(dinov2Classes, class) {
			f.refuse("architectures", "must be %s", list(dinov2Classes))
		}
	}
	o := &nn.VisionOptions{
		Channels: f.int("num_channels", 3, 1, maxChannels),
		Side:     f.int("image_size", 224, 1, maxSize),
		Patch:    f.int("patch_size", 14, 1, maxSize),
		Width:    f.int("hidden_size", 768, 1, maxChannels),
		Depth:    f.int("num_hidden_layers", 12, 0, maxLayers),
		Heads:    f.int("num_attention_heads", 12, 1, maxLayers),
		NormEps:  f.float("layer_norm_eps", 1e-6),
		QKVBias:  f.bool("qkv_bias", true),
	}
	hidden := float64(o.Width) * f.float("mlp_ratio", 4)
	if f.err == nil && !(hidden >= 1 && hidden <= maxChannels) {
		f.fail("mlp_ratio", ErrConfig, "must give the MLP a width from 1 to %d, is %s", maxChannels, f.show("mlp_ratio"))
		hidden = 1
	}
	o.Hidden = int(hidden)
	act := f.string("hidden_act", "gelu")
	if f.bool("use_swiglu_ffn", false) { // two thirds of the width, rounded up to a multiple of 8
		o.Activation, o.Hidden = "swiglu", (int(float64(o.Hidden)*2/3)+7)/8*8
	} else {
		switch act {
		case "gelu", "quick_gelu", "silu":
			o.Activation = act
		case "gelu_new", "gelu_pytorch_tanh":
			o.Activation = "gelu_tanh"
		default:
			f.refuse("hidden_act", `must be "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu" or "silu"`)
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	// Other fields say how the network was trained, or about the file: see textOptions.
	if err := o.Validate(); err != nil {
		return nil, badfile.New(f.path, ErrConfig, "makes no network: %v", err)
	}
	return o, nil
}

// dinov2Rules is the table of names of a Dinov2Model of transformers 5.
func dinov2Rules(o nn.VisionOptions) []rule {
	mlp := []rule{
		{"mlp.fc1", []string{"mlp.fc1"}, linear},
		{"mlp.fc2", []string{"mlp.fc2"}, linear},
	}
	if o.Activation == "swiglu" {
		mlp = []rule{
			{"mlp.fc1", []string{"mlp.up_proj", "mlp.gate_proj"}, linear}, // the gate is the second half
			{"mlp.fc2", []string{"mlp.down_proj"}, linear},
		}
	}
	return append([]rule{
		{"patch", []string{"embeddings.patch_embeddings.projection"}, patch},
		{"class", []string{"embeddings.cls_token"}, same},
		{"position", []string{"embeddings.position_embeddings"}, same},
		{"norm", []string{"layernorm"}, same},
	}, under("blocks.#", "encoder.layer.#", append([]rule{
		{"norm1", []string{"norm1"}, same},
		{"attn.qkv", []string{"attention.q_proj", "attention.k_proj", "attention.v_proj"}, linear},
		{"attn.out", []string{"attention.o_proj"}, linear},
		{"scale1", []string{"layer_scale1.lambda1"}, same},
		{"norm2", []string{"norm2"}, same},
		{"scale2", []string{"layer_scale2.lambda1"}, same},
	}, mlp...))...)
}

func dinov2Slots(v *nn.VisionTransformer) ([]slot, error) {
	rules := dinov2Rules(v.Options())
	var out []slot
	for _, n := range nn.NamedParams(v) {
		s := slot{name: n.Name, param: n.Param, side: v.Options().Patch}
		for _, r := range rules {
			if theirs, ok := r.match(n.Name); ok {
				s.theirs, s.layout = theirs, r.layout
				break
			}
		}
		if s.theirs == nil {
			return nil, fmt.Errorf("parameter %s has no counterpart in transformers", n.Name)
		}
		if len(n.Param.Shape()) == 1 {
			s.layout = same
		}
		out = append(out, s)
	}
	return out, nil
}

// visionTensor is a tensor of a file, or one half of its rows.
type visionTensor struct {
	*safetensors.Tensor
	half int // 1 or 2; 0: all of it
}

// shape is as the network has it: what stands there for a batch of one is left out.
func (t visionTensor) shape(want []int) []int {
	d := slices.Clone(t.Shape)
	if len(d) == len(want)+1 && d[0] == 1 {
		d = d[1:]
	}
	if t.half > 0 && len(d) > 0 && d[0]%2 == 0 {
		d[0] /= 2
	}
	return d
}

func (t visionTensor) values() ([]float32, error) {
	v, err := t.Float32s()
	if err != nil || t.half == 0 {
		return v, err
	}
	n := len(v) / 2
	return v[(t.half-1)*n : t.half*n], nil
}

// visionOlder are names of transformers 4, and what they are called now.
var visionOlder = strings.NewReplacer(
	"attention.attention.query", "attention.q_proj", "attention.attention.key", "attention.k_proj", "attention.attention.value", "attention.v_proj",
	"attention.output.dense", "attention.o_proj", "mlp.weights_out", "mlp.down_proj")

// visionTensors are a file's tensors by the names that Dinov2Model has for them now. Those of a classifier's
// head, and of masked patches, which only training has, are left out.
func visionTensors(w *safetensors.File) (map[string]visionTensor, error) {
	all := map[string]visionTensor{}
	for _, name := range w.Names() {
		t, err := w.Tensor(name)
		if err != nil {
			return nil, err
		}
		now := visionOlder.Replace(strings.TrimPrefix(name, "dinov2."))
		if strings.HasPrefix(now, "classifier.") || now == "embeddings.mask_token" {
			continue
		}
		if before, end, ok := strings.Cut(now, "mlp.weights_in"); ok {
			all[before+"mlp.gate_proj"+end] = visionTensor{t, 1}
			all[before+"mlp.up_proj"+end] = visionTensor{t, 2}
			continue
		}
		all[now] = visionTensor{t, 0}
	}
	return all, nil
}

// LoadVision makes the network of a folder with a config.json and a model.safetensors, as transformers 4 and 5
// write them of a DINOv2, on dev. Tensors that are missing, surplus or of a wrong shape are a *nn.LoadError.
func LoadVision(dir string, dev backend.Device) (*nn.VisionTransformer, error) {
	o, err := ReadVisionConfig(dir)
	if err != nil {
		return nil, err
	}
	w, err := safetensors.Open(filepath.Join(dir, clipWeights))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return readVision(w, *o, dev)
}

func readVision(w *safetensors.File, o nn.VisionOptions, dev backend.Device) (*nn.VisionTransformer, error) {
	tensors, err := visionTensors(w)
	if err != nil {
		return nil, err
	}
	if err := compareVision(w.Path(), tensors, o); err != nil {
		return nil, err
	}
	v, err := nn.NewVisionTransformer(nn.NewBlankInit(dev), o)
	if err != nil {
		return nil, err
	}
	ss, err := dinov2Slots(v)
	if err != nil {
		return nil, err
	}
	for _, s := range ss {
		values, err := join(s, func(name string) ([]float32, error) { return tensors[name].values() })
		if err != nil {
			return nil, err
		}
		if err := s.param.Set(values); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// compareVision compares a file's tensors with those of a network that has no memory.
func compareVision(path string, tensors map[string]visionTensor, o nn.VisionOptions) error {
	v, err := nn.NewVisionTransformer(nn.NewBlankInit(shapesOnly{}), o)
	if err != nil {
		return err
	}
	ss, err := dinov2Slots(v)
	if err != nil {
		return err
	}
	wrong := &nn.LoadError{Path: path}
	known := map[string]bool{}
	for _, s := range ss {
		want := s.shape()
		for _, name := range s.theirs {
			known[name] = true
			switch t, ok := tensors[name]; {
			case !ok:
				wrong.Missing = append(wrong.Missing, name)
			case !slices.Equal(t.shape(want), want):
				wrong.Misshapen = append(wrong.Misshapen, fmt.Sprintf("%s is %v, want %v", t.Name, t.Shape, want))
			}
		}
	}
	for name, t := range tensors {
		if !known[name] {
			wrong.Surplus = append(wrong.Surplus, t.Name)
		}
	}
	slices.Sort(wrong.Surplus)
	wrong.Surplus = slices.Compact(wrong.Surplus)
	return wrong.OrNil()
}
