package nn

import (
	"math"
	"sync"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
)

const (
	ditTimeFeatures = 256
	ditNormEps      = 1e-6
	ditEmbedStd     = 0.02
)

// DiT is a transformer over image patches, conditioned by adaLN-Zero (Peebles and
// Xie 2023, "Scalable diffusion models with transformers").
type DiT struct {
	Patch   *Linear         // (p·p·channels, width)
	Embed   *DiTEmbedding   // nil if every block has its own
	Caption *TextProjection // of the prompts that blocks attend to; nil: none
	Blocks  []*DiTBlock
	Mod     *Linear        // (width, 2·width): shift, scale of the last norm
	Out     *Linear        // (width, p·p·out channels)
	pos     *positionCache // not trained
	opts    DiTOptions
}

// DiTEmbedding maps time and conditions to one vector a sample.
type DiTEmbedding struct {
	Time *TimeEmbedding
	Cond *CondEmbedding
}

// NewDiT makes the network with the paper's initialisation: Xavier-uniform matrices,
// N(0, 0.02²) embeddings, zero modulations and output. InChannels must be set.
func NewDiT(in *Init, o DiTOptions) (m *DiT, err error) {
	defer catchAlloc(&err)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.InChannels == 0 {
		return nil, invalid.Field("in_channels", "must be at least 1, is 0")
	}
	if o.OutChannels == 0 {
		o.OutChannels = o.InChannels
	}
	d, area := o.Width, o.Patch*o.Patch
	m = &DiT{opts: o, pos: &positionCache{dev: in.Device(), made: map[[2]int]constant{}}}
	m.Patch = NewXavierLinear(in, area*o.InChannels, d)
	if !o.EmbedPerBlock {
		if m.Embed, err = newDiTEmbedding(in, &o); err != nil {
			return nil, err
		}
	}
	if o.attends() {
		m.Caption = NewTextProjection(in, o.TextWidth, d)
	}
	for range o.Depth {
		b := newDiTBlock(in, &o)
		if o.EmbedPerBlock {
			if b.Embed, err = newDiTEmbedding(in, &o); err != nil {
				return nil, err
			}
		}
		m.Blocks = append(m.Blocks, b)
	}
	m.Mod, m.Out = NewZeroLinear(in, d, 2*d), NewZeroLinear(in, d, area*o.OutChannels)
	return m, nil
}

func newDiTEmbedding(in *Init, o *DiTOptions) (*DiTEmbedding, error) {
	features := func() TimeFeatures {
		return NewSinusoidal(in.Device(), SinusoidalOptions{Dim: ditTimeFeatures, Shift: o.TimeShift, Scale: o.TimeScale})
	}
	e := &DiTEmbedding{}
	e.Time = NewTimeEmbedding(in, features(), o.Width)
	e.Time.Fc1.Weight = in.Normal(ditEmbedStd, ditTimeFeatures, o.Width)
	e.Time.Fc2.Weight = in.Normal(ditEmbedStd, o.Width, o.Width)
	var err error
	e.Cond, err = NewCondEmbedding(in, o.CondOptions, o.Width, ditEmbedStd, features)
	return e, err
}

// Options are those that the network was made with, sizes filled in.
func (m *DiT) Options() DiTOptions { return m.opts }

// Conditions are what Forward accepts.
func (m *DiT) Conditions() CondOptions { return m.opts.CondOptions }

// Multiple is what H and W must be divisible by to fill whole patches.
func (m *DiT) Multiple() int { return m.opts.Patch }

// silu is SiLU of the embedding, (N, width) or (1, width): the input of every modulation.
func (e *DiTEmbedding) silu(s *tensor.Scope, t *tensor.Tensor, c Cond) *tensor.Tensor {
	m := s.Mark()
	return s.Release(m, addTo(e.Time.Forward(t), e.Cond.Forward(s, c)).SiLU())
}

// Forward maps images x (N,H,W,InChannels) at times t (N) or (1) to (N,H,W,OutChannels).
// Rows and columns that do not fill a patch are left out, of the output too.
func (m *DiT) Forward(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	h, last, rows, cols := m.encode(x, t, c)
	mod := m.Mod.Forward(last)
	out := Modulation{Shift: chunk(mod, 0, m.opts.Width), Scale: chunk(mod, 1, m.opts.Width)}
	y := m.Out.Forward(out.LayerNorm(h, ditNormEps).Recompute())
	return s.Release(mark, unpatchify(y, m.opts.Patch, rows, cols))
}

// Features are the tokens after the last block, (N, patches, Width).
func (m *DiT) Features(x, t *tensor.Tensor, c Cond) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	h, _, _, _ := m.encode(x, t, c)
	return s.Release(mark, h)
}

// FeatureWidth is the last axis of Features.
func (m *DiT) FeatureWidth() int { return m.opts.Width }

// encode is the tokens after the last block, what conditions the output, and how many rows and columns of patches there are.
func (m *DiT) encode(x, t *tensor.Tensor, c Cond) (h, last *tensor.Tensor, rows, cols int) {
	if x.Rank() != 4 || x.Dim(3) != m.opts.InChannels || x.Dim(1) < m.opts.Patch || x.Dim(2) < m.opts.Patch {
		misuse("DiT", "want x of shape (N,H,W,in_channels), H and W at least a patch")
	}
	s := x.Scope()
	var cond *tensor.Tensor // the shared embedding, or the block's
	if m.Embed != nil {
		cond = m.Embed.silu(s, t, c)
	}
	p := m.opts.prompt("DiT", c)
	if p.text != nil {
		p.text = m.Caption.Forward(p.text)
	}
	rows, cols = x.Dim(1)/m.opts.Patch, x.Dim(2)/m.opts.Patch
	last = cond
	hidden := s.Mark()
	h = m.tokens(x, rows, cols)
	for i, b := range m.Blocks {
		if b.Embed != nil {
			cond = b.Embed.silu(s, t, c)
			if i == 0 {
				last = s.Hold(cond) // diffusers conditions the output by its first block's embedding
			}
		}
		h = s.Release(hidden, b.forward(h, cond, p))
	}
	return h, last, rows, cols
}

// tokens embeds the patches with their positions: (N, rows·cols, width).
func (m *DiT) tokens(x *tensor.Tensor, rows, cols int) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	pos := m.pos.at(rows, cols, m.opts)
	return s.Release(mark, m.Patch.Forward(patchify(x, m.opts.Patch, rows, cols)).Add(pos.of(x)))
}

// patchify cuts (N,H,W,C) into rows·cols patches of p×p: (N, rows·cols, p·p·C). What
// is left over at the right and the bottom is dropped.
func patchify(x *tensor.Tensor, p, rows, cols int) *tensor.Tensor {
	if x.Dim(1) != rows*p {
		x = x.Slice(1, 0, rows*p)
	}
	if x.Dim(2) != cols*p {
		x = x.Slice(2, 0, cols*p)
	}
	return x.Patchify(p, p)
}

// unpatchify is the inverse of patchify: (N, rows·p, cols·p, c).
func unpatchify(y *tensor.Tensor, p, rows, cols int) *tensor.Tensor {
	return y.Unpatchify([]int{rows, cols}, p, p)
}

// positionCache keeps the position embeddings of the grids that were met.
type positionCache struct {
	dev  backend.Device
	mu   sync.Mutex
	made map[[2]int]constant
}

func (c *positionCache) at(rows, cols int, o DiTOptions) constant {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]int{rows, cols}
	p, ok := c.made[key]
	if !ok {
		p = newConstant(c.dev, sinCosPositions(rows, cols, o.SampleSize/o.Patch, o.Width), 1, rows*cols, o.Width)
		c.made[key] = p
	}
	return p
}

// sinCosPositions is the position embedding of a grid, (rows·cols, dim): for the
// column and then the row, sin(p·ω_k) and cos(p·ω_k), ω_k = 10000^(−k/(dim/4)). Grids of
// other sizes than base are stretched to it, 0: not at all.
func sinCosPositions(rows, cols, base, dim int) []float64 {
	stretch := func(size int) float64 {
		if base == 0 {
			return 1
		}
		return float64(base) / float64(size)
	}
	q := dim / 4
	out := make([]float64, 0, rows*cols*dim)
	axis := func(p float64) {
		for _, f := range [2]func(float64) float64{math.Sin, math.Cos} {
			for k := range q {
				out = append(out, f(p*math.Pow(10000, -float64(k)/float64(q))))
			}
		}
	}
	for i := range rows {
		for j := range cols {
			axis(float64(j) * stretch(cols))
			axis(float64(i) * stretch(rows))
		}
	}
	return out
}
