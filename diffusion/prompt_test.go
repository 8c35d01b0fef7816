package diffusion

import (
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// promptBatch has prompt i of tokens 10i+1, 10i+2, 10i+3, the last of which is padding for odd i.
func promptBatch(n int) *Batch {
	b := &Batch{N: n, Shape: []int{1}, X: make([]float32, n), Labels: make([]int32, n)}
	for i := range n {
		b.X[i] = float32(i)
		b.Labels[i] = int32(i % 7)
		for k := range 3 {
			b.Tokens = append(b.Tokens, int32(10*i+k+1))
			b.TextMask = append(b.TextMask, float32(1-i%2*(k/2)))
		}
	}
	return b
}

var nullPrompt = &Prompt{Tokens: []int32{0, 0, 5}, Mask: []float32{1, 0, 0}}

// Prompts are dropped with the labels of the same samples, as often as P says, and the batch stays as it is.
func TestDroppedPrompts(t *testing.T) {
	const n = 2000
	for _, p := range []float64{0, 0.3, 1} {
		r := &Regression{Path: CondOT{}, Dropout: Dropout{P: p, Classes: 7, Prompt: nullPrompt}}
		b := promptBatch(n)
		var d Draw
		r.Draw(rng.Key{Seed: 4}, b, &d)
		dropped := 0
		for i := range n {
			tokens, mask := d.Tokens[3*i:3*i+3], d.TextMask[3*i:3*i+3]
			if d.Labels[i] == 7 {
				dropped++
				if !slices.Equal(tokens, nullPrompt.Tokens) || !slices.Equal(mask, nullPrompt.Mask) {
					t.Fatalf("P=%g: sample %d lost its label, and has the prompt %v", p, i, tokens)
				}
			} else if !slices.Equal(tokens, b.Tokens[3*i:3*i+3]) || !slices.Equal(mask, b.TextMask[3*i:3*i+3]) {
				t.Fatalf("P=%g: sample %d has the prompt %v", p, i, tokens)
			}
		}
		// five standard errors
		if share := float64(dropped) / n; share < p-5*0.011 || share > p+5*0.011 || (p == 0 || p == 1) && share != p {
			t.Errorf("P=%g: %g of the prompts are dropped", p, share)
		}
		if again := promptBatch(n); !slices.Equal(b.Tokens, again.Tokens) || !slices.Equal(b.TextMask, again.TextMask) {
			t.Error("the batch was changed")
		}
	}
	// Without a null class labels stay, and prompts go.
	r := &Regression{Path: CondOT{}, Dropout: Dropout{P: 1, Classes: -1, Prompt: nullPrompt}}
	b := promptBatch(4)
	var d Draw
	r.Draw(rng.Key{}, b, &d)
	if !slices.Equal(d.Labels, b.Labels) || !slices.Equal(d.Tokens[:3], nullPrompt.Tokens) {
		t.Errorf("labels %v, tokens %v", d.Labels, d.Tokens)
	}
}

// Parts and selections of a draw carry prompts along, and so does the device.
func TestPromptsFollowTheirSamples(t *testing.T) {
	b := promptBatch(5)
	var d, part Draw
	(&Regression{Path: CondOT{}}).Draw(rng.Key{}, b, &d)
	d.Part(&part, 2, 4)
	if !slices.Equal(part.Tokens, b.Tokens[6:12]) || !slices.Equal(part.TextMask, b.TextMask[6:12]) {
		t.Errorf("a part has %v %v", part.Tokens, part.TextMask)
	}
	d.Select([]int32{3, 3, 0, 1, 4})
	if want := []int32{31, 32, 33, 31, 32, 33, 1, 2, 3, 11, 12, 13, 41, 42, 43}; !slices.Equal(d.Tokens, want) || !slices.Equal(d.TextMask[:6], []float32{1, 1, 0, 1, 1, 0}) {
		t.Errorf("selected %v %v", d.Tokens, d.TextMask)
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	c := part.Cond(s)
	got := make([]int32, 6)
	c.Tokens.CopyTo(got)
	if !slices.Equal(c.Tokens.Shape(), []int{2, 3}) || !slices.Equal(got, part.Tokens) || !slices.Equal(c.TextMask.Float32s(), part.TextMask) {
		t.Errorf("on the device %v %v", got, c.TextMask)
	}
}

func TestPromptsThatContradict(t *testing.T) {
	for name, f := range map[string]func(b *Batch, r *Regression){
		"too few tokens":      func(b *Batch, _ *Regression) { b.Tokens = b.Tokens[1:] },
		"too few flags":       func(b *Batch, _ *Regression) { b.TextMask = nil },
		"another null length": func(_ *Batch, r *Regression) { r.Dropout.Prompt = &Prompt{Tokens: []int32{1}, Mask: []float32{1}} },
		"null without flags":  func(_ *Batch, r *Regression) { r.Dropout.Prompt = &Prompt{Tokens: []int32{1, 2, 3}} },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			b, r := promptBatch(4), &Regression{Path: CondOT{}, Dropout: Dropout{P: 0.5, Prompt: nullPrompt}}
			f(b, r)
			r.Draw(rng.Key{}, b, new(Draw))
		}()
	}
}

// Strengths of guidance follow their samples to parts and to the device, and none are left of a draw before.
func TestScalesFollowTheirSamples(t *testing.T) {
	b := promptBatch(5)
	var d, part Draw
	r := &Regression{Path: CondOT{}}
	r.Draw(rng.Key{}, b, &d)
	copy(d.HostScale(), []float32{0.1, 0.2, 0.3, 0.4, 0.5})
	d.Part(&part, 1, 4)
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	if got := part.Cond(s).Scale; got == nil || !slices.Equal(got.Float32s(), []float32{0.2, 0.3, 0.4}) {
		t.Errorf("a part is told %v", got)
	}
	r.Draw(rng.Key{}, b, &d)
	if d.Scale != nil || d.Cond(s).Scale != nil {
		t.Errorf("the next draw still has strengths of guidance %v", d.Scale)
	}
}
