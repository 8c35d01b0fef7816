package guidance

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// APG is adaptive projected guidance (Sadat et al. 2024, algorithm 1): of the difference
// Δ = c − u, averaged over steps and limited to a norm, the part along c, which
// oversaturates, counts η and the part across it fully:
//
//	c + (s−1)·(Δ_⊥ + η·Δ_∥).
//
// With η=1, no limit and no momentum it is CFG.
type APG struct {
	Eta      float64 `yaml:"eta" doc:"what the part of the difference along the prediction counts; 1: as in cfg"`
	Norm     float64 `yaml:"norm" doc:"r: largest norm of a sample's difference; 0: no limit" range:"[0,inf)"`
	Momentum float64 `yaml:"momentum" doc:"beta: how much of the steps before is added to a step's difference; the paper's are negative; 0: nothing" range:"(-1,1)"`
	In       string  `yaml:"in" doc:"what is combined: the estimate of the data, as in the paper, or what the network predicts" oneof:"x0 model"`

	memory *memory
}

// SetDefaults takes the paper's momentum and projection; the limit depends on the data.
func (a *APG) SetDefaults() { a.Eta, a.Norm, a.Momentum, a.In = 0, 0, -0.5, "x0" }

// Validate checks the ranges.
func (a *APG) Validate() error {
	switch {
	case math.IsNaN(a.Eta) || math.IsInf(a.Eta, 0):
		return invalid.Field("eta", "must be finite, is %g", a.Eta)
	case !(a.Norm >= 0) || math.IsInf(a.Norm, 0):
		return invalid.Field("norm", "must not be negative, is %g", a.Norm)
	case !(a.Momentum > -1 && a.Momentum < 1):
		return invalid.Field("momentum", "must be in (-1, 1), is %g", a.Momentum)
	}
	return nil
}

// Kind is the data, unless told otherwise.
func (a *APG) Kind() diffusion.Kind {
	if a.In == "model" {
		return nil
	}
	return diffusion.X0
}

// begin starts without momentum.
func (a *APG) begin() (r Rule, restart, end func()) {
	b := *a
	b.memory = &memory{step: -1}
	return &b, b.memory.forget, b.memory.drop
}

var projected = tensor.NewPointwise("APG", 7, 2, func(in, sc []tensor.Expr) tensor.Expr {
	c, diff, scale, dd, cd, cc, one := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	eta, limit := sc[0], sc[1]
	norm := dd.Sqrt()
	short := norm.LessEq(limit) // also where it is 0
	f := short.Select(one, limit.Div(short.Select(one, norm)))
	along := cd.Div(cc.Max(c.Const(1e-24))).Mul(c)
	return c.Add(scale.AddConst(-1).Mul(f).Mul(diff.Add(eta.AddConst(-1).Mul(along))))
})

// Guide pushes along the projected difference. With momentum it panics outside of a
// trajectory: see diffusion.Begin.
func (a *APG) Guide(c, u, scale *tensor.Tensor, at diffusion.Step) *tensor.Tensor {
	diff := c.Sub(u)
	if a.Momentum != 0 {
		if a.memory == nil {
			panic("guidance: APG with momentum is for a trajectory: take the model that diffusion.Begin gives, as sampler.Sample does")
		}
		diff = a.memory.add(diff, scale, a.Momentum, at.Index)
	}
	limit := a.Norm
	if limit == 0 {
		limit = math.Inf(1)
	}
	rows, sc := [1]int{1}, [2]float64{a.Eta, limit}
	return projected.Apply(sc[:], c, diff, scale,
		squares.Sum(nil, rows[:], diff), dot.Sum(nil, rows[:], c, diff), squares.Sum(nil, rows[:], c), c.Scope().Ones(1, 1))
}

// memory is the running sum of differences, m_i = Δ_i + β·m_{i−1}. It goes on once a
// step, at the first evaluation in it, so that a sampler that asks more than once
// a step has no more momentum than another. A sample whose scale is 1 leaves it as it is: with times of
// their own, samples come into an interval of guidance at different steps, and each as if it were alone.
type memory struct {
	step         int              // newest, −1: none
	before, last [1]*tensor.Param // m of the step before the newest, and of the newest; nil: none yet
}

// kept is the sum where there is guidance, and else what was before.
var kept = tensor.NewPointwise("kept momentum", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
	sum, before, scale := in[0], in[1], in[2]
	return scale.Eq(scale.Const(1)).Select(before, sum)
})

var remember = tensor.NewUpdate("remember", 1, 1, 0, func(_, in, _ []tensor.Expr) []tensor.Expr { return in })

func (m *memory) add(diff, scale *tensor.Tensor, beta float64, step int) *tensor.Tensor {
	s := diff.Scope()
	first := step != m.step
	if m.step < 0 {
		m.clear(s, diff.Shape())
	} else if first {
		m.before, m.last = m.last, m.before
	}
	m.step = step
	before := s.Param(m.before[0])
	sum := diff.Axpby(1, before, beta)
	if first {
		remember.Apply(s, nil, m.last[:], kept.Apply(nil, sum, before, scale))
	}
	return sum
}

// clear sets m of no step to 0. (Of the newest it is written before it is read.)
func (m *memory) clear(s *tensor.Scope, shape []int) {
	if m.before[0] != nil && sameShape(m.before[0].Shape(), shape) {
		remember.Apply(s, nil, m.before[:], s.Zeros(shape...))
		return
	}
	m.drop()
	for _, p := range []*[1]*tensor.Param{&m.before, &m.last} {
		p[0] = tensor.NewParam(s.Device(), s.DType(), shape...)
		p[0].Frozen = true
	}
}

// forget ends a trajectory.
func (m *memory) forget() { m.step = -1 }

func (m *memory) drop() {
	if m.before[0] != nil {
		(*tensor.Kept)(m.before[0]).Drop()
		(*tensor.Kept)(m.last[0]).Drop()
	}
}
