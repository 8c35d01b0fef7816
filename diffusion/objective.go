package diffusion

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Batch is training data on the host.
type Batch struct {
	N      int
	Shape  []int     // of a sample, channels last
	X      []float32 // (N,Shape…)
	Source []float32 // (N,Shape…), what stands at the path's end in the place of N(0,1); nil: N(0,1)
	Labels []int32   // (N); nil: no classes
	Vector []float32 // (N,D); nil: no vector condition

	Tokens   []int32   // (N,L), prompts as token ids; nil: no prompts
	TextMask []float32 // (N,L), 0 where a token is padding, else 1; with Tokens
}

// Draw is a batch with the randomness of one training step: all that a loss is
// a function of, besides the network. Its slices are used again by the next
// Draw into it; X and Noise may be the batch's own.
type Draw struct {
	N        int
	Shape    []int
	X        []float32 // data (N,Shape…)
	Noise    []float32 // ε, or samples of a source, likewise; nil: N(0,1) of sample i is row First+i under NoiseKey
	NoiseKey rng.Key
	First    uint64    // the row under NoiseKey of sample 0: its place in the whole batch
	T        []float64 // path times (N)
	Next     []float64 // (N), where steps lead, for objectives that learn whole steps; nil: they learn none
	Labels   []int32   // after condition dropout; nil: none
	Vector   []float32 // (N,D); nil: none
	Drop     []float32 // (N), 1 where the vector is dropped; nil: nowhere
	Err      error     // why nothing of this can be used, as where a coupling was not found; nil: it can
	Tokens   []int32   // (N,L) after condition dropout; nil: none
	TextMask []float32 // (N,L)
	Scale    []float32 // (N) the scale of guidance that samples are to be under, in the number that networks are told; nil: none is said
	Wants    bool      // Loss is to keep each sample's loss for Losses, where it has one
	Extra    []float32 // (N,E) what else an objective has worked out of each sample on the host; nil: nothing

	// storage
	shape           []int
	noise, data     []float32
	extra, scale    []float32
	vector          []float32
	labels, labels2 []int32
	drop, drop2     []float32
	losses          *tensor.Param
	kept            bool // losses are those of the last Loss
	tokens, tokens2 []int32
	mask, mask2     []float32
}

// Objective is what a network is trained for.
type Objective interface {
	// Draw makes a step's randomness, as a function of k and b alone: host
	// work, no gradients. d's storage is used again.
	Draw(k rng.Key, b *Batch, d *Draw)
	// Loss is a scalar: device work, of which gradients are taken.
	Loss(s *tensor.Scope, m Model, d *Draw) *tensor.Tensor
}

// Streams of the random numbers of a training step. A trainer's own streams
// (order of data, dropout masks) start at StreamFree.
const (
	StreamNoise uint32 = 0x100 + iota
	StreamTime
	StreamCondition
	StreamCoupling
	StreamFree
)

// Data is x0 on the device, (N,Shape…).
func (d *Draw) Data(s *tensor.Scope) *tensor.Tensor { return s.Tensor(d.X, d.full()...) }

// Eps is ε on the device, (N,Shape…).
func (d *Draw) Eps(s *tensor.Scope) *tensor.Tensor {
	if d.Noise != nil {
		return s.Tensor(d.Noise, d.full()...)
	}
	return s.Normal(d.NoiseKey, d.First, d.full()...)
}

// Cond is the condition on the device.
func (d *Draw) Cond(s *tensor.Scope) Cond {
	var c Cond
	if d.Labels != nil {
		c.Labels = s.Ints(d.Labels, d.N)
	}
	if d.Vector != nil {
		c.Vector = s.Tensor(d.Vector, d.N, len(d.Vector)/d.N)
	}
	if d.Drop != nil {
		c.Drop = s.Tensor(d.Drop, d.N)
	}
	if d.Scale != nil {
		c.Scale = s.Tensor(d.Scale, d.N)
	}
	if d.Tokens != nil {
		length := len(d.Tokens) / d.N
		c.Tokens, c.TextMask = s.Ints(d.Tokens, d.N, length), s.Tensor(d.TextMask, d.N, length)
	}
	return c
}

// Part makes p the samples of d from one up to another, each with the randomness
// that it has in d, in d's memory. Of a loss that is a mean over samples, the loss
// of d is the mean of its parts' losses, weighed by their numbers of samples.
func (d *Draw) Part(p *Draw, from, to int) {
	size := len(d.X) / max(d.N, 1)
	p.N, p.Shape, p.X, p.Wants = to-from, d.Shape, d.X[from*size:to*size], d.Wants
	p.Noise, p.NoiseKey, p.First = slice(d.Noise, from, to, size), d.NoiseKey, d.First+uint64(from)
	p.T, p.Next = d.T[from:to], slice(d.Next, from, to, 1)
	p.Labels = slice(d.Labels, from, to, 1)
	p.Vector = slice(d.Vector, from, to, len(d.Vector)/max(d.N, 1))
	p.Drop = slice(d.Drop, from, to, 1)
	p.Scale = slice(d.Scale, from, to, 1)
	p.Extra = slice(d.Extra, from, to, len(d.Extra)/max(d.N, 1))
	length := len(d.Tokens) / max(d.N, 1)
	p.Tokens, p.TextMask = slice(d.Tokens, from, to, length), slice(d.TextMask, from, to, length)
}

// slice is rows from up to to of a host array that may be absent.
func slice[T any](x []T, from, to, size int) []T {
	if x == nil {
		return nil
	}
	return x[from*size : to*size]
}

// HostNoise brings Noise to the host, in storage of d's own, so that a coupling
// may rearrange it: the values that are there, such as samples of another
// distribution than the normal one, or those that Eps would draw.
func (d *Draw) HostNoise() []float32 {
	size := len(d.X) / max(d.N, 1)
	d.noise = resize(d.noise, len(d.X))
	if d.Noise != nil {
		copy(d.noise, d.Noise)
	} else {
		for i := range d.N {
			rng.Normal(d.noise[i*size:(i+1)*size], d.NoiseKey, d.First+uint64(i))
		}
	}
	d.Noise = d.noise
	return d.noise
}

// HostExtra makes Extra of size numbers a sample, in storage of d's own, of undefined values.
func (d *Draw) HostExtra(size int) []float32 {
	d.extra = resize(d.extra, d.N*size)
	d.Extra = d.extra
	return d.extra
}

// HostScale makes Scale, in storage of d's own, of undefined values.
func (d *Draw) HostScale() []float32 {
	d.scale = resize(d.scale, d.N)
	d.Scale = d.scale
	return d.scale
}

// Select makes d's sample i the data and condition of sample pick[i] of before:
// for couplings that draw pairs with replacement. Noise and times stay.
func (d *Draw) Select(pick []int32) {
	size := len(d.X) / max(d.N, 1)
	d.data = gather(d.data, d.X, pick, size)
	d.X = d.data
	if d.Labels != nil {
		d.labels2 = gather(d.labels2, d.Labels, pick, 1)
		d.Labels = d.labels2
	}
	if d.Vector != nil {
		d.vector = gather(d.vector, d.Vector, pick, len(d.Vector)/max(d.N, 1))
		d.Vector = d.vector
	}
	if d.Drop != nil {
		d.drop2 = gather(d.drop2, d.Drop, pick, 1)
		d.Drop = d.drop2
	}
	if d.Tokens != nil {
		length := len(d.Tokens) / max(d.N, 1)
		d.tokens2, d.mask2 = gather(d.tokens2, d.Tokens, pick, length), gather(d.mask2, d.TextMask, pick, length)
		d.Tokens, d.TextMask = d.tokens2, d.mask2
	}
}

func gather[T any](dst, src []T, pick []int32, size int) []T {
	dst = resize(dst, len(pick)*size)
	for i, j := range pick {
		copy(dst[i*size:(i+1)*size], src[int(j)*size:])
	}
	return dst
}

// full is the shape of the whole batch, in d's storage.
func (d *Draw) full() []int {
	d.shape = append(append(d.shape[:0], d.N), d.Shape...)
	return d.shape
}

// check panics on a batch that contradicts itself: the caller's bug.
func (b *Batch) check() {
	size := b.N
	for _, n := range b.Shape {
		size *= n
	}
	switch {
	case len(b.X) != size:
		panic(fmt.Sprintf("diffusion: a batch of %d samples of shape %v has %d values, want %d", b.N, b.Shape, len(b.X), size))
	case b.Source != nil && len(b.Source) != size:
		panic(fmt.Sprintf("diffusion: %d values of a source for %d samples of shape %v, want %d", len(b.Source), b.N, b.Shape, size))
	case b.Labels != nil && len(b.Labels) != b.N:
		panic(fmt.Sprintf("diffusion: %d labels for %d samples", len(b.Labels), b.N))
	case b.Vector != nil && (b.N == 0 || len(b.Vector)%b.N != 0):
		panic(fmt.Sprintf("diffusion: %d values of vector conditions for %d samples", len(b.Vector), b.N))
	case b.Tokens != nil && (b.N == 0 || len(b.Tokens)%b.N != 0) || len(b.TextMask) != len(b.Tokens):
		panic(fmt.Sprintf("diffusion: %d tokens with %d flags for %d samples", len(b.Tokens), len(b.TextMask), b.N))
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
