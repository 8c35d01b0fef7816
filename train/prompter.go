package train

import (
	"bytes"
	"sync"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn/text"
	"github.com/langevin-go/langevin/train/data"
)

// prompter turns prompts into rows of token ids of one length.
type prompter struct {
	tok    *text.Tokenizer
	length int
	mask   bool // padding is not attended to

	mu    sync.Mutex
	known map[string]promptRow
}

// promptRow is an encoded prompt: its ids, filled up, and how many are its own.
type promptRow struct {
	ids   []int32
	n     int
	whole bool // nothing was cut off
}

// maxKnown bounds the rows that are kept: captions mostly come again.
const maxKnown = 1 << 16

func newPrompter(tok *text.Tokenizer, length int, mask bool) *prompter {
	return &prompter{tok: tok, length: length, mask: mask, known: map[string]promptRow{}}
}

// same reports whether prompts come to the same tokens.
func (p *prompter) same(as *prompter) bool {
	return p.length == as.length && p.mask == as.mask && bytes.Equal(p.tok.JSON(), as.tok.JSON())
}

func (p *prompter) row(s string) promptRow {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.known[s]
	if !ok {
		r.ids, r.n, r.whole = p.tok.Fit(s, p.length)
		if len(p.known) < maxKnown {
			p.known[s] = r
		}
	}
	return r
}

// put writes a prompt to row i of tokens and flags.
func (p *prompter) put(tokens []int32, flags []float32, i int, s string) {
	r := p.row(s)
	copy(tokens[i*p.length:(i+1)*p.length], r.ids)
	for k := range p.length {
		flags[i*p.length+k] = 0
		if k < r.n || !p.mask {
			flags[i*p.length+k] = 1
		}
	}
}

// null is the empty prompt, which stands for no prompt in training and sampling alike.
func (p *prompter) null() *diffusion.Prompt {
	if p == nil {
		return nil
	}
	n := &diffusion.Prompt{Tokens: make([]int32, p.length), Mask: make([]float32, p.length)}
	p.put(n.Tokens, n.Mask, 0, "")
	return n
}

// room makes space for the prompts of a batch.
func (p *prompter) room(b *diffusion.Batch, n int) {
	if p != nil {
		b.Tokens, b.TextMask = make([]int32, n*p.length), make([]float32, n*p.length)
	}
}

// part is the space of the first n prompts of a batch.
func (p *prompter) part(b *diffusion.Batch, n int) {
	if p != nil {
		b.Tokens, b.TextMask = b.Tokens[:n*p.length], b.TextMask[:n*p.length]
	}
}

// captions puts the captions of the samples from a position on into a batch.
func (p *prompter) captions(b *diffusion.Batch, l *data.Loader, cursor uint64) {
	if p == nil {
		return
	}
	for k := range b.N {
		p.put(b.Tokens, b.TextMask, k, l.Caption(cursor+uint64(k)))
	}
}
