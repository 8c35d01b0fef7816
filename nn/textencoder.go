package nn

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// TextOptions configure a [TextEncoder]. transformers' CLIPTextModel is a
// configuration of it.
type TextOptions struct {
	Vocab      int     `yaml:"vocab" doc:"rows of the table of tokens; 0: as many as the tokenizer has tokens" range:"[0,inf)"`
	Length     int     `yaml:"length" doc:"tokens of a prompt, begin and end included: longer prompts are cut" range:"[2,100000]"`
	Width      int     `yaml:"width" doc:"width of the tokens, a multiple of heads" range:"[1,inf)"`
	Depth      int     `yaml:"depth" doc:"number of blocks; 0: tokens and their places only" range:"[0,inf)"`
	Heads      int     `yaml:"heads" doc:"number of attention heads" range:"[1,inf)"`
	Hidden     int     `yaml:"hidden" doc:"width of the MLP's hidden layer; 0: four times width" range:"[0,inf)"`
	Activation string  `yaml:"activation" doc:"activation of the MLP" oneof:"quick_gelu gelu gelu_tanh silu geglu swiglu"`
	NormEps    float64 `yaml:"norm_eps" doc:"added to the variance in the norms" range:"(0,inf)"`
	Causal     bool    `yaml:"causal" doc:"tokens see those before them only, as in CLIP; otherwise all of the prompt"`
	Pool       string  `yaml:"pool" doc:"which token's vector stands for the whole prompt: the first that is the end token, or the one with the largest id (CLIP's first releases)" oneof:"end largest"`
	End        int     `yaml:"end" doc:"id of the end token; -1: the tokenizer's" range:"[-1,inf)"`
}

// SetDefaults is a small encoder that sees whole prompts.
func (o *TextOptions) SetDefaults() {
	*o = TextOptions{Length: 32, Width: 128, Depth: 2, Heads: 4, Activation: "gelu_tanh", NormEps: 1e-5, Pool: "end", End: -1}
}

// Validate checks the fields one by one and together.
func (o *TextOptions) Validate() error {
	const most = 1 << 24
	switch {
	case o.Vocab < 0 || o.Vocab > most: // ids are compared as float32
		return invalid.Field("vocab", "must be from 0 to %d, is %d", most, o.Vocab)
	case o.Length < 2:
		return invalid.Field("length", "must be at least 2, is %d", o.Length)
	case o.Width < 1:
		return invalid.Field("width", "must be at least 1, is %d", o.Width)
	case o.Depth < 0:
		return invalid.Field("depth", "must not be negative, is %d", o.Depth)
	case o.Hidden < 0:
		return invalid.Field("hidden", "must not be negative, is %d", o.Hidden)
	case !(o.NormEps > 0):
		return invalid.Field("norm_eps", "must be positive, is %g", o.NormEps)
	case o.Pool != "end" && o.Pool != "largest":
		return invalid.Field("pool", "must be end or largest, is %q", o.Pool)
	case o.End < -1 || o.Vocab > 0 && o.End >= o.Vocab:
		return invalid.Field("end", "must be the id of a token, or -1, is %d", o.End)
	}
	if _, ok := mlpKinds[o.Activation]; !ok {
		return invalid.Field("activation", "must be quick_gelu, gelu, gelu_tanh, silu, geglu or swiglu, is %q", o.Activation)
	}
	return checkHeads("heads", o.Width, o.Heads)
}

// TextEncoder is a transformer over the tokens of prompts, with norms before
// attention and MLP and one at the end (Radford et al. 2021, "Learning transferable
// visual models from natural language supervision").
type TextEncoder struct {
	Token    *Embedding    // (vocab, width)
	Position *tensor.Param // (length, width)
	Blocks   []*TextBlock
	Norm     *LayerNorm

	opts   TextOptions
	causal constant // (length, length); used if opts.Causal
	id     constant // (vocab, 1), the number of each row
}

// TextBlock is attention and an MLP, each a residual branch on a norm.
type TextBlock struct {
	Norm1 *LayerNorm
	Attn  *SelfAttention
	Norm2 *LayerNorm
	MLP   *FeedForward
}

// NewTextEncoder makes the network; Vocab must be set, and End if Pool goes by it.
// Embeddings are drawn from N(0, 0.02²) and N(0, 0.01²), as CLIP's.
func NewTextEncoder(in *Init, o TextOptions) (e *TextEncoder, err error) {
	defer catchAlloc(&err)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	switch {
	case o.Vocab == 0:
		return nil, invalid.Field("vocab", "must be at least 1, is 0")
	case o.Pool == "end" && o.End < 0:
		return nil, invalid.Field("end", "must be the id of a token, is %d", o.End)
	}
	if o.Hidden == 0 {
		o.Hidden = 4 * o.Width
	}
	e = &TextEncoder{Token: NewEmbedding(in, o.Vocab, o.Width, 0.02), Position: in.Normal(0.01, o.Length, o.Width), opts: o}
	for range o.Depth {
		e.Blocks = append(e.Blocks, &TextBlock{
			Norm1: NewLayerNorm(in, o.Width, o.NormEps),
			Attn:  NewSelfAttention(in, o.Width, o.Heads, o.Width/o.Heads, true),
			Norm2: NewLayerNorm(in, o.Width, o.NormEps),
			MLP:   NewFeedForward(in, o.Width, o.Hidden, o.Activation, 0),
		})
	}
	e.Norm = NewLayerNorm(in, o.Width, o.NormEps)
	if o.Causal {
		e.causal = newConstant(in.Device(), causalMask(o.Length), o.Length, o.Length)
	}
	ids := make([]float64, o.Vocab)
	for i := range ids {
		ids[i] = float64(i)
	}
	e.id = newConstant(in.Device(), ids, o.Vocab, 1)
	return e, nil
}

func causalMask(n int) []float64 {
	m := make([]float64, n*n)
	for i := range n {
		for j := i + 1; j < n; j++ {
			m[i*n+j] = math.Inf(-1)
		}
	}
	return m
}

// Options are those that the network was made with, sizes filled in.
func (e *TextEncoder) Options() TextOptions { return e.opts }

// Forward maps token ids (N,L), L at most Length, to a vector a token (N,L,width)
// and one for each whole prompt (N,width). mask (N,L) is 0 at padding, which then is
// not attended to; nil: it is, as in CLIP. An id outside the table is the caller's to prevent.
func (e *TextEncoder) Forward(ids, mask *tensor.Tensor) (tokens, pooled *tensor.Tensor) {
	if ids.Rank() != 2 || ids.Dim(1) > e.opts.Length {
		misuse("TextEncoder", fmt.Sprintf("want ids of shape (N,L), L at most %d", e.opts.Length))
	}
	s, n := ids.Scope(), ids.Dim(1)
	mark := s.Mark()
	h := e.Token.Forward(ids).Add(s.Param(e.Position).Slice(0, 0, n))
	shut := e.shut(h, mask)
	hidden := s.Mark()
	for _, b := range e.Blocks {
		h = s.Release(hidden, b.Forward(h, shut))
	}
	tokens = s.Release(mark, e.Norm.Forward(h))
	return tokens, e.pool(ids, tokens)
}

// shut is the mask of attention: what comes later, and padding; nil: nothing.
func (e *TextEncoder) shut(h, mask *tensor.Tensor) (shut *tensor.Tensor) {
	if mask != nil {
		shut = keyMask(mask)
	}
	if e.opts.Causal {
		n := h.Dim(1)
		shut = addTo(e.causal.of(h).Slice(0, 0, n).Slice(1, 0, n), shut)
	}
	return shut
}

// Forward keeps the shape of h (N,L,C).
func (b *TextBlock) Forward(h, mask *tensor.Tensor) *tensor.Tensor {
	s := h.Scope()
	m := s.Mark()
	h = s.Release(m, h.Add(b.Attn.Masked(b.Norm1.Forward(h).Recompute(), mask)))
	m = s.Mark()
	return s.Release(m, h.Add(b.MLP.Forward(b.Norm2.Forward(h).Recompute())))
}

// chosen is 1 where a prompt's token is the one that is sought.
var chosen = tensor.NewPointwise("token", 2, 0, func(in, _ []tensor.Expr) tensor.Expr { return in[0].Eq(in[1]) })

// firstPlace is the place where the token is the one that is sought, and +Inf elsewhere.
var firstPlace = tensor.NewPointwise("place of token", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
	return in[0].Eq(in[1]).Select(in[2], in[2].Const(math.Inf(1)))
})

// pool picks the vector of the first end token, or of the first that has the largest id:
// a product with a row of one 1, so that the device need not be waited for.
func (e *TextEncoder) pool(ids, tokens *tensor.Tensor) *tensor.Tensor {
	s := ids.Scope()
	mark := s.Mark()
	n, l := ids.Dim(0), ids.Dim(1)
	value := e.id.of(tokens).Gather(ids).Reshape(n, l)
	var sought *tensor.Tensor
	if e.opts.Pool == "largest" {
		sought = value.MaxKeep(1)
	} else {
		sought = s.Full(float64(e.opts.End), 1, 1)
	}
	place := s.Arange(0, 1, l).Reshape(1, l)
	first := firstPlace.Apply(nil, value, sought, place).MinKeep(1)
	one := chosen.Apply(nil, place, first)
	return s.Release(mark, one.Reshape(n, 1, l).MatMul(tokens).Reshape(n, e.opts.Width))
}
