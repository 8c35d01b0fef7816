package discrete

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// zeros is a batch of n samples of 50 tokens, all the first one.
func zeros(n int) *diffusion.Batch {
	b := &diffusion.Batch{N: n, Shape: []int{50}, X: make([]float32, 50*n), Labels: make([]int32, n)}
	for i := range b.X {
		b.X[i] = -1
	}
	return b
}

// A draw is the data's token or the source's, the source's with probability κ(t), each sample's by its own numbers.
func TestDraw(t *testing.T) {
	const n = 400
	for _, source := range []Source{Mask, Uniform} {
		path := &Path{Alphabet: 4, Source: source, Scheduler: new(flow.SineKappa)}
		o := &Matching{Path: path, Dropout: diffusion.Dropout{P: 0.25, Classes: 3}}
		var d diffusion.Draw
		o.Draw(rng.Key{Seed: 2}, zeros(n), &d)
		counts, want := make([]float64, 5), 0.0
		for i := range n {
			kappa, _ := path.Kappa(d.T[i])
			want += 50 * kappa
			for _, v := range d.Extra[50*i : 50*i+50] {
				if !path.Alphabet.Is(float64(v), source == Mask) {
					t.Fatalf("state %g", v)
				}
				counts[path.Alphabet.Token(float64(v))]++
			}
		}
		// Of 20,000 choices; five deviations of at most √(20000/4).
		changed := counts[4]
		if source == Uniform {
			changed = (counts[1] + counts[2] + counts[3]) * 4 / 3
			for k := 1; k < 4; k++ {
				if math.Abs(counts[k]-want/4) > 5*70 {
					t.Errorf("token %d comes %g times, want %g", k, counts[k], want/4)
				}
			}
		} else if counts[1]+counts[2]+counts[3] > 0 {
			t.Errorf("from the mask come tokens: %v", counts)
		}
		if math.Abs(changed-want) > 5*70*4/3 {
			t.Errorf("%v: %g tokens are the source's, want %g", source, changed, want)
		}
		dropped := 0
		for _, l := range d.Labels {
			if l == 3 {
				dropped++
			}
		}
		if math.Abs(float64(dropped)-n/4) > 5*9 {
			t.Errorf("%d of %d labels are dropped", dropped, n)
		}
		var again, other diffusion.Draw
		o.Draw(rng.Key{Seed: 2}, zeros(n), &again)
		o.Draw(rng.Key{Seed: 2, Step: 1}, zeros(n), &other)
		if !slices.Equal(again.Extra, d.Extra) || slices.Equal(other.Extra, d.Extra) {
			t.Error("draws are no function of the key")
		}
		if slices.Equal(d.Extra[:50], d.Extra[50:100]) && slices.Equal(d.Extra[50:100], d.Extra[100:150]) {
			t.Error("samples share their random numbers")
		}
	}
}

// Samples of a source that a batch has are what tokens turn into.
func TestDrawFromASource(t *testing.T) {
	path := &Path{Alphabet: 4, Source: Uniform}
	b := zeros(40)
	b.Source = make([]float32, len(b.X))
	for i := range b.Source {
		b.Source[i] = path.Alphabet.Value(1 + i%3)
	}
	var d diffusion.Draw
	(&Matching{Path: path}).Draw(rng.Key{Seed: 3}, b, &d)
	changed := 0
	for i, v := range d.Extra {
		switch v {
		case b.X[i]:
		case b.Source[i]:
			changed++
		default:
			t.Fatalf("token %d is neither the data's nor the source's", i)
		}
	}
	if changed < 600 || changed > 1400 { // of 2,000, half
		t.Errorf("%d of 2000 tokens are the source's", changed)
	}
}

// What is no token, in data or source, is said with its sample.
func TestDrawRefuses(t *testing.T) {
	path := &Path{Alphabet: 4, Source: Uniform}
	off := zeros(3)
	off.X[60] = 0.1
	masked := zeros(3)
	masked.X[120] = path.Alphabet.Value(4)
	start := zeros(3)
	start.Source = slices.Clone(start.X)
	start.Source[70] = path.Alphabet.Value(4) // no mask from the uniform source
	for want, b := range map[string]*diffusion.Batch{
		"sample 1 of the batch: number 10 is 0.1":   off,
		"sample 2 of the batch: number 20":          masked,
		"sample 1 of the source: number 20 is 1.66": start,
	} {
		var d diffusion.Draw
		if (&Matching{Path: path}).Draw(rng.Key{}, b, &d); d.Err == nil || !strings.Contains(d.Err.Error(), want) {
			t.Errorf("%v, want %q", d.Err, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a model of another prediction is taken")
		}
	}()
	s := float64Scope(t)
	d := diffusion.Draw{N: 1, Shape: []int{1}, X: []float32{-1}, Extra: []float32{-1}, T: []float64{0.5}}
	(&Matching{Path: path}).Loss(s, elsewhere{fixed{path, s.Zeros(1, 4)}}, &d)
}

// Networks see tokens one-hot, the mask in a channel of its own.
func TestEmbed(t *testing.T) {
	s := float64Scope(t)
	k := Alphabet(3)
	x := s.Tensor([]float32{k.Value(0), k.Value(2), k.Value(1), k.Value(3)}, 1, 2, 2)
	masked, random := &Path{Alphabet: k}, &Path{Alphabet: k, Source: Uniform}
	if got := masked.Embed(x); !slices.Equal(got.Shape(), []int{1, 2, 8}) || !slices.Equal(got.Float64s(), []float64{1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}) {
		t.Errorf("%v: %v", got.Shape(), got.Float64s())
	}
	if got := random.Embed(x.Slice(1, 0, 1)); !slices.Equal(got.Float64s(), []float64{1, 0, 0, 0, 0, 1}) {
		t.Errorf("%v", got.Float64s())
	}
	if !slices.Equal(x.Shape(), []int{1, 2, 2}) {
		t.Error("the state has another shape now")
	}
	m := NewModel(masked, func(x, _ *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return x.Slice(-1, 0, 6) })
	p := m.Eval(x, diffusion.Step{T: []float64{0.5}}, diffusion.Cond{})
	if p.Kind != Posterior || m.Path() != diffusion.GaussianPath(masked) || p.Value.Dim(2) != 6 {
		t.Errorf("%v of %v", p.Kind, m.Path())
	}
	if _, ok := diffusion.TryConvert(Posterior, diffusion.X0, masked.At(0.5)); ok {
		t.Error("logits convert to data")
	}
}
