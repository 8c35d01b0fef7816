package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// joinText puts the encoded prompts of b behind those of a.
func joinText(to *diffusion.Cond, a, b diffusion.Cond) {
	if a.Text == nil {
		return
	}
	to.Text, to.Pooled = tensor.Concat(0, a.Text, b.Text), tensor.Concat(0, a.Pooled, b.Pooled)
	if a.TextMask != nil {
		to.TextMask = tensor.Concat(0, a.TextMask, b.TextMask)
	}
}

// checkText panics where there is no null condition to be found for prompts: what
// stands for no prompt is the text encoder's to say.
func checkText(c diffusion.Cond) {
	if c.Text != nil || c.Tokens != nil {
		panic("guidance: prompts need None, which gives the encoded empty prompt, or Away")
	}
}
