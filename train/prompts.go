package train

import (
	"fmt"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/train/data"
)

// encoded are the prompts of a sampling run, each of which has gone through the text
// encoder once: rows of tables on the device. Row 0 is the empty prompt, which stands for none.
type encoded struct {
	text, pooled, mask *tensor.Param // (U, L·C), (U,C), (U,L)
	length             int
	of                 []int32 // the row of each sample
	negative           int32   // the row of what is guided away from
	with               []int32 // those of what holds beside a sample's own
}

// encode makes the prompts of a request; nil, if the model takes none.
func (d *Drawer) encode(dev backend.Device, q Request) (*encoded, error) {
	if d.prompts == nil {
		if q.Prompts != nil || q.Negative != "" {
			return nil, fmt.Errorf("the model takes no prompts")
		}
		return nil, nil
	}
	if q.Prompts != nil && len(q.Prompts) != q.N {
		return nil, fmt.Errorf("%d prompts for %d samples", len(q.Prompts), q.N)
	}
	unique, row := []string{""}, map[string]int32{"": 0}
	place := func(s string) int32 {
		r, ok := row[s]
		if !ok {
			r = int32(len(unique))
			row[s] = r
			unique = append(unique, s)
		}
		return r
	}
	e := &encoded{length: d.prompts.length, of: make([]int32, q.N), negative: place(q.Negative)}
	for i, s := range q.Prompts {
		e.of[i] = place(s)
	}
	for _, c := range d.How.With {
		e.with = append(e.with, place(c.Prompt))
	}
	return e, e.fill(dev, d, unique)
}

// fill runs the text encoder on prompts, a batch at a time.
func (e *encoded) fill(dev backend.Device, d *Drawer, prompts []string) error {
	var text, pooled []float32
	tokens, flags := make([]int32, len(prompts)*e.length), make([]float32, len(prompts)*e.length)
	for i, s := range prompts {
		d.prompts.put(tokens, flags, i, s)
	}
	s := tensor.NewScope(dev, tensor.Inference)
	defer s.Close()
	for from := 0; from < len(prompts); from += d.How.Batch {
		to := min(len(prompts), from+d.How.Batch)
		s.Reset()
		c := d.encoder.Encode(nn.Cond{Tokens: s.Ints(tokens[from*e.length:to*e.length], to-from, e.length),
			TextMask: s.Tensor(flags[from*e.length:to*e.length], to-from, e.length)})
		text, pooled = append(text, c.Text.Float32s()...), append(pooled, c.Pooled.Float32s()...)
	}
	for _, t := range []struct {
		to     **tensor.Param
		values []float32
	}{{&e.text, text}, {&e.pooled, pooled}, {&e.mask, flags}} {
		p := tensor.NewParam(dev, tensor.Float32, len(prompts), len(t.values)/len(prompts))
		p.Frozen = true
		if err := p.Set(t.values); err != nil {
			return err
		}
		*t.to = p
	}
	return nil
}

// close gives the tables back.
func (e *encoded) close() {
	if e == nil {
		return
	}
	for _, p := range []*tensor.Param{e.text, e.pooled, e.mask} {
		(*tensor.Kept)(p).Drop()
	}
}

// put adds the prompts of rows to a condition.
func (e *encoded) put(s *tensor.Scope, c *diffusion.Cond, rows []int32) {
	if e == nil {
		return
	}
	idx := s.Ints(rows, len(rows))
	c.Text = s.Param(e.text).Gather(idx).Reshape(len(rows), e.length, -1)
	c.Pooled, c.TextMask = s.Param(e.pooled).Gather(idx), s.Param(e.mask).Gather(idx)
}

// standIn is the prompt of a row for all samples, and no class where the model knows that:
// of the negative prompt's row what guidance leads away from.
func (e *encoded) standIn(row int32, nullLabel int) guidance.Condition {
	return func(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond {
		null := diffusion.Cond{Labels: c.Labels}
		if nullLabel >= 0 {
			null = guidance.Null(s, null, nullLabel, n)
		}
		e.put(s, &null, slices.Repeat([]int32{row}, n))
		return null
	}
}

// SetPrompts gives the q.N samples the prompts in turn; without any, none.
func (q *Request) SetPrompts(prompts []string) {
	q.Prompts = nil
	for i := 0; len(prompts) > 0 && i < q.N; i++ {
		q.Prompts = append(q.Prompts, prompts[i%len(prompts)])
	}
}

// TakesPrompts reports whether the model is conditioned on prompts.
func (d *Drawer) TakesPrompts() bool { return d.prompts != nil }

// NoPrompt is the empty prompt, as token ids, which stands for none; nil: the model takes none.
func (d *Drawer) NoPrompt() *diffusion.Prompt { return d.prompts.null() }

// PromptFits reports whether the text encoder sees all of a prompt.
func (d *Drawer) PromptFits(prompt string) bool {
	return d.prompts == nil || d.prompts.row(prompt).whole
}

// picturePrompts are the prompts of a run's pictures: those of the config, or the
// first sample's caption of every class, or the first samples' captions.
func (t *Trainer) picturePrompts() ([]string, error) {
	if p := t.exp.Sample.Prompts; len(p) > 0 {
		return p, nil
	}
	src, _ := data.CaptionsOf(t.data.Train)
	classes, n := src.Classes(), 1000
	if src.Len() != data.Infinite {
		n = min(n, src.Len())
	}
	if classes == 0 {
		classes = t.exp.Sample.Rows
	}
	found := map[int]string{}
	x := make([]float32, volume(src.Shape()))
	for i := 0; i < n && len(found) < classes; i++ {
		label := i
		if src.Classes() > 0 {
			var err error
			if label, err = src.Sample(uint64(i), x); err != nil {
				return nil, err
			}
		}
		if _, ok := found[label]; !ok {
			found[label] = src.Captions(uint64(i))[0]
		}
	}
	var prompts []string
	for label := range max(classes, n) {
		if c, ok := found[label]; ok {
			prompts = append(prompts, c)
		}
	}
	return prompts, nil
}

// ExamplePrompt is a prompt that the run has learned of; "" without any.
func (t *Trainer) ExamplePrompt() string {
	prompts, err := t.picturePrompts()
	if err != nil || len(prompts) == 0 {
		return ""
	}
	return prompts[min(7, len(prompts)-1)]
}

// textFacts are what inspect shows of tokenizer and text encoder.
func (t *Trained) textFacts() [][2]string {
	o := t.encoder.Text.Options()
	kind := "sees whole prompts"
	if o.Causal {
		kind = "causal"
	}
	training := "trained with the network"
	if t.Exp != nil && t.Exp.Text.Frozen {
		training = "frozen"
	}
	entry := map[string]string{"attention": "attention to its tokens", "pooled": "one vector a prompt", "both": "attention to its tokens and one vector a prompt"}
	return [][2]string{
		{"tokenizer", fmt.Sprintf("%d tokens, prompts of up to %d", t.prompts.tok.Size(), o.Length)},
		{"text encoder", fmt.Sprintf("%d blocks of width %d, %d heads, %s, %s", o.Depth, o.Width, o.Heads, kind, training)},
		{"prompts", fmt.Sprintf("by %s; none is the empty prompt", entry[t.Net.Conditions().Prompt])},
	}
}
