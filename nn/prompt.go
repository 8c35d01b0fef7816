package nn

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// attends reports whether blocks look at the tokens of prompts, pools whether the
// embedding of time and class has prompts added.
func (o CondOptions) attends() bool { return o.TextWidth > 0 && o.Prompt != "pooled" }
func (o CondOptions) pools() bool   { return o.TextWidth > 0 && o.Prompt != "attention" }

// validatePooled is Validate for networks without tokens of their own that could attend.
func (o *CondOptions) validatePooled() error {
	if o.attends() {
		return invalid.Field("prompt", "must be pooled: this network has no attention, is %q", o.Prompt)
	}
	return o.Validate()
}

// prompt is what blocks attend to.
type prompt struct {
	text *tensor.Tensor // (N,L,C)
	mask *tensor.Tensor // (N,1,1,L), −Inf at padding; nil: none
}

// prompt of a network with these options; without text if it does not attend.
func (o CondOptions) prompt(op string, c Cond) (p prompt) {
	switch {
	case c.Tokens != nil:
		misuse(op, "prompts as token ids for a network without a text encoder: see Prompted")
	case c.Text != nil && o.TextWidth == 0:
		misuse(op, "a prompt for a network that is not conditioned on prompts")
	case !o.attends():
		return p
	case c.Text == nil:
		misuse(op, "the network needs a prompt of every sample")
	case c.Text.Rank() != 3 || c.Text.Dim(2) != o.TextWidth:
		misuse(op, "want encoded prompts of shape (N,L,text_width)")
	}
	p.text = c.Text
	if c.TextMask != nil {
		p.mask = keyMask(c.TextMask)
	}
	return p
}

// keyMask makes flags (N,L) a mask of keys for attention.
func keyMask(flags *tensor.Tensor) *tensor.Tensor {
	return flags.AsMask().Reshape(flags.Dim(0), 1, 1, flags.Dim(1))
}

// TextProjection maps encoded prompts to a network's width: Linear, GELU, Linear, as
// PixArt-α has it (Chen et al. 2023).
type TextProjection struct{ Fc1, Fc2 *Linear }

// NewTextProjection maps vectors of one width to another.
func NewTextProjection(in *Init, from, to int) *TextProjection {
	return &TextProjection{NewXavierLinear(in, from, to), NewXavierLinear(in, to, to)}
}

// Forward maps (…, from) to (…, to).
func (p *TextProjection) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	m := s.Mark()
	return s.Release(m, p.Fc2.Forward(p.Fc1.Forward(x).GELUTanh().Recompute()))
}

// Prompted is a network with the text encoder that its prompts go through. The
// network's parameters keep their names; the encoder's are below text.
type Prompted struct {
	Model
	Text *TextEncoder
}

// Forward encodes c.Tokens, if there are any, and runs the network. Prompts that are
// encoded already (see Encode) go straight to it.
func (p *Prompted) Forward(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	return p.Model.Forward(x, t, p.Encode(c))
}

// Encode replaces token ids by what the text encoder makes of them: for sampling, in
// which many steps share a prompt.
func (p *Prompted) Encode(c Cond) Cond {
	if c.Tokens != nil {
		c.Text, c.Pooled = p.Text.Forward(c.Tokens, c.TextMask)
		c.Tokens = nil
	}
	return c
}
