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

// clipWeights is the name of the weights in folders of transformers.
const clipWeights = "model.safetensors"

// ReadTextConfig reads the config.json of a CLIPTextModel that transformers has
// written, as in the folder text_encoder of a Stable Diffusion pipeline. Of a whole
// CLIPModel's configuration, the part text_config is meant.
func ReadTextConfig(dir string) (*nn.TextOptions, error) {
	path := filepath.Join(dir, configName)
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return ParseTextConfig(path, text)
}

// ParseTextConfig is ReadTextConfig from a text; path names it in errors.
func ParseTextConfig(path string, text []byte) (*nn.TextOptions, error) {
	f, err := parseFields(path, text)
	if err != nil {
		return nil, err
	}
	if f.m["text_config"] != nil {
		inner := f.m["text_config"].raw
		if f, err = parseFields(path, inner); err != nil {
			return nil, err
		}
	}
	return textOptions(f)
}

// clipClasses are the classes whose text part is the same network.
var clipClasses = []string{"CLIPTextModel", "CLIPTextModelWithProjection", "CLIPModel"}

// textOptions maps the fields of a CLIPTextConfig (transformers 5.24).
func textOptions(f *fields) (*nn.TextOptions, error) {
	o := &nn.TextOptions{Causal: true}
	f.oneOf("model_type", "clip_text_model", "clip_text_model", "clip")
	for _, class := range f.strings("architectures", clipClasses[:1]) {
		if !slices.Contains(clipClasses, class) {
			f.refuse("architectures", "must be %s", list(clipClasses))
		}
	}
	o.Vocab = f.int("vocab_size", 49408, 1, maxRows)
	o.Width = f.int("hidden_size", 512, 1, maxChannels)
	o.Hidden = f.int("intermediate_size", 2048, 1, maxChannels)
	o.Depth = f.int("num_hidden_layers", 12, 0, maxLayers)
	o.Heads = f.int("num_attention_heads", 8, 1, maxLayers)
	o.Length = f.int("max_position_embeddings", 77, 2, maxSteps)
	o.NormEps = f.float("layer_norm_eps", 1e-5)
	switch act := f.string("hidden_act", "quick_gelu"); act {
	case "quick_gelu", "gelu":
		o.Activation = act
	case "gelu_new", "gelu_pytorch_tanh":
		o.Activation = "gelu_tanh"
	default:
		f.refuse("hidden_act", `must be "quick_gelu", "gelu", "gelu_new" or "gelu_pytorch_tanh"`)
	}
	// Until transformers 4.31 all configurations had 2 here, and the token of the largest id was meant.
	o.Pool, o.End = "end", f.int("eos_token_id", 49407, 0, maxRows)
	if o.End == 2 {
		o.Pool, o.End = "largest", -1
	}
	if o.End >= o.Vocab {
		f.fail("eos_token_id", ErrConfig, "must be below vocab_size %d, is %d", o.Vocab, o.End)
	}
	if f.err != nil {
		return nil, f.err
	}
	// Other fields say how the network was trained, or about the file: that of a text model
	// has all of the library's common ones.
	if err := o.Validate(); err != nil {
		return nil, badfile.New(f.path, ErrConfig, "makes no network: %v", err)
	}
	return o, nil
}

// clipRules is the table of names of a CLIPTextModel. Its position_ids are counted here.
var clipRules = append([]rule{
	{"token", []string{"text_model.embeddings.token_embedding"}, same},
	{"position", []string{"text_model.embeddings.position_embedding.weight"}, same},
	{"norm", []string{"text_model.final_layer_norm"}, same},
}, under("blocks.#", "text_model.encoder.layers.#", []rule{
	{"norm1", []string{"layer_norm1"}, same},
	{"attn.qkv", []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, linear},
	{"attn.out", []string{"self_attn.out_proj"}, linear},
	{"norm2", []string{"layer_norm2"}, same},
	{"mlp.fc1", []string{"mlp.fc1"}, linear},
	{"mlp.fc2", []string{"mlp.fc2"}, linear},
})...)

// clipSlots maps every parameter of a text encoder.
func clipSlots(e *nn.TextEncoder) ([]slot, error) {
	var out []slot
	for _, n := range nn.NamedParams(e) {
		s := slot{name: n.Name, param: n.Param}
		for _, r := range clipRules {
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

// LoadText makes the text encoder of a folder with a config.json and a
// model.safetensors, on dev. The weights of a whole CLIPModel do as well. Tensors of
// the encoder that are missing, surplus or of a wrong shape are a *nn.LoadError.
func LoadText(dir string, dev backend.Device) (*nn.TextEncoder, error) {
	o, err := ReadTextConfig(dir)
	if err != nil {
		return nil, err
	}
	w, err := safetensors.Open(filepath.Join(dir, clipWeights))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := compareText(w, *o); err != nil {
		return nil, err
	}
	e, err := nn.NewTextEncoder(nn.NewBlankInit(dev), *o)
	if err != nil {
		return nil, err
	}
	return e, loadText(w, e)
}

// LoadTextInto sets the weights of an encoder that is there already from a folder.
func LoadTextInto(dir string, e *nn.TextEncoder) error {
	w, err := safetensors.Open(filepath.Join(dir, clipWeights))
	if err != nil {
		return err
	}
	defer w.Close()
	if err := compareText(w, e.Options()); err != nil {
		return err
	}
	return loadText(w, e)
}

// textTensors maps the names that CLIPTextModel has now to those in a file: transformers
// writes them with and without the name of the part.
func textTensors(w *safetensors.File) map[string]string {
	names := map[string]string{}
	for _, n := range w.Names() {
		now := n
		for _, part := range []string{"embeddings.", "encoder.", "final_layer_norm."} {
			if strings.HasPrefix(n, part) {
				now = "text_model." + n
			}
		}
		names[now] = n
	}
	return names
}

// compareText compares the file's tensors with an encoder's that has no memory.
func compareText(w *safetensors.File, o nn.TextOptions) error {
	e, err := nn.NewTextEncoder(nn.NewBlankInit(shapesOnly{}), o)
	if err != nil {
		return err
	}
	ss, err := clipSlots(e)
	if err != nil {
		return err
	}
	names := textTensors(w)
	wrong := &nn.LoadError{Path: w.Path()}
	known := map[string]bool{"text_model.embeddings.position_ids": true}
	for _, s := range ss {
		want := s.shape()
		for _, name := range s.theirs {
			known[name] = true
			switch t, err := w.Tensor(names[name]); {
			case err != nil:
				wrong.Missing = append(wrong.Missing, name)
			case !slices.Equal(t.Shape, want):
				wrong.Misshapen = append(wrong.Misshapen, fmt.Sprintf("%s is %v, want %v", name, t.Shape, want))
			}
		}
	}
	for now, name := range names {
		if strings.HasPrefix(now, "text_model.") && !known[now] {
			wrong.Surplus = append(wrong.Surplus, name)
		}
	}
	slices.Sort(wrong.Surplus)
	return wrong.OrNil()
}

func loadText(w *safetensors.File, e *nn.TextEncoder) error {
	ss, err := clipSlots(e)
	if err != nil {
		return err
	}
	names := textTensors(w)
	for _, s := range ss {
		values, err := join(s, func(name string) ([]float32, error) {
			t, err := w.Tensor(names[name])
			if err != nil {
				return nil, err
			}
			return t.Float32s()
		})
		if err != nil {
			return err
		}
		if err := s.param.Set(values); err != nil {
			return err
		}
	}
	return nil
}
