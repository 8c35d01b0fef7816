package nn

import "github.com/langevin-go/langevin/tensor"

// DiTBlock is attention and an MLP, each a gated residual branch on a modulated norm;
// between them, attention to a prompt, which is neither (PixArt-α, Chen et al. 2023).
type DiTBlock struct {
	Embed *DiTEmbedding // nil if the network has one for all blocks
	AdaLN *AdaLNZero
	Attn  *SelfAttention
	Cross *CrossAttention // to the prompt; nil: none
	Norm  *LayerNorm      // before the MLP; nil: without parameters of its own
	MLP   *FeedForward

	eps     float64
	dropout float64
}

func newDiTBlock(in *Init, o *DiTOptions) *DiTBlock {
	d := o.Width
	b := &DiTBlock{eps: o.NormEps, dropout: o.Dropout}
	b.AdaLN = NewAdaLNZero(in, d, d)
	qkv := &Linear{Weight: in.XavierUniform(d, d, d, 3*d)} // as three matrices
	if o.AttentionBias {
		qkv.Bias = in.Zeros(3 * d)
	}
	b.Attn = &SelfAttention{qkv, NewXavierLinear(in, d, d), o.Heads}
	if o.attends() {
		b.Cross = NewCrossAttention(in, d, d, o.Heads, d/o.Heads)
		b.Cross.Out = NewZeroLinear(in, d, d)
	}
	if o.AffineNorm {
		b.Norm = NewLayerNorm(in, d, o.NormEps)
	}
	b.MLP = NewFeedForward(in, d, o.hidden(), o.Activation, o.Dropout)
	return b
}

// Forward maps tokens h (N,T,C) under SiLU of the embedding, c (N,C) or (1,C).
func (b *DiTBlock) Forward(h, c *tensor.Tensor) *tensor.Tensor { return b.forward(h, c, prompt{}) }

func (b *DiTBlock) forward(h, c *tensor.Tensor, p prompt) *tensor.Tensor {
	s := h.Scope()
	attn, mlp := b.AdaLN.Forward(c)
	m := s.Mark()
	h = s.Release(m, attn.Residual(h, b.Attn.Forward(attn.LayerNorm(h, ditNormEps).Recompute()).Dropout(b.dropout)))
	if b.Cross != nil {
		m = s.Mark()
		h = s.Release(m, h.Add(b.Cross.Forward(h, p.text, p.mask)))
	}
	m = s.Mark()
	return s.Release(m, mlp.Residual(h, b.MLP.Forward(b.modulatedNorm(h, mlp).Recompute())))
}

func (b *DiTBlock) modulatedNorm(h *tensor.Tensor, m Modulation) *tensor.Tensor {
	if b.Norm == nil {
		return m.LayerNorm(h, b.eps)
	}
	return b.Norm.modulated(h, m.Scale, m.Shift)
}

// FeedForward is the MLP of a transformer block: Linear, activation, Linear. Gated
// kinds (Shazeer 2020, "GLU variants") multiply one half of the first output by the
// activation of the other.
type FeedForward struct {
	Fc1, Fc2 *Linear

	kind    mlpKind
	dropout float64
}

type mlpKind struct {
	act   Activation
	gated *tensor.Pointwise // of the linear half and the gate
}

var (
	quickGELU = tensor.NewPointwise("quick gelu", 1, 0, func(in, _ []tensor.Expr) tensor.Expr {
		return in[0].Mul(in[0].Scale(1.702).Sigmoid())
	})
	gegluOp = tensor.NewPointwise("geglu", 2, 0, func(in, _ []tensor.Expr) tensor.Expr {
		const sqrtHalf = 0.70710678118654752440084436210485
		g := in[1]
		return in[0].Mul(g.Scale(0.5).Mul(g.Scale(sqrtHalf).Erf().AddConst(1)))
	})
	swigluOp = tensor.NewPointwise("swiglu", 2, 0, func(in, _ []tensor.Expr) tensor.Expr {
		return in[0].Mul(in[1].Mul(in[1].Sigmoid()))
	})

	mlpKinds = map[string]mlpKind{
		"gelu_tanh":  {act: (*tensor.Tensor).GELUTanh},
		"gelu":       {act: (*tensor.Tensor).GELU},
		"quick_gelu": {act: func(x *tensor.Tensor) *tensor.Tensor { return quickGELU.Apply(nil, x) }},
		"silu":       {act: (*tensor.Tensor).SiLU},
		"geglu":      {gated: gegluOp},
		"swiglu":     {gated: swigluOp},
	}
)

// NewFeedForward has a hidden layer (of two halves, if gated) and an activation of
// [DiTOptions]; an unknown one panics.
func NewFeedForward(in *Init, dim, hidden int, activation string, dropout float64) *FeedForward {
	kind, ok := mlpKinds[activation]
	if !ok {
		misuse("NewFeedForward", "no activation "+activation)
	}
	first := hidden
	if kind.gated != nil {
		first = 2 * hidden
	}
	return &FeedForward{NewXavierLinear(in, dim, first), NewXavierLinear(in, hidden, dim), kind, dropout}
}

// Forward keeps the shape of x (…, dim).
func (f *FeedForward) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	h := f.Fc1.Forward(x)
	if f.kind.gated != nil {
		half := h.Dim(-1) / 2
		h = f.kind.gated.Apply(nil, h.Slice(-1, 0, half), h.Slice(-1, half, 2*half))
	} else {
		h = f.kind.act(h)
	}
	return s.Release(m, f.Fc2.Forward(h.Recompute().Dropout(f.dropout)))
}
