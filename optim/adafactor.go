package optim

import (
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// AdafactorConfig are the settings of Adafactor.
type AdafactorConfig struct {
	DecayPower  float64 `yaml:"decay_power" doc:"the second moment's decay at step t is 1−t^decay_power"`
	Eps         float64 `yaml:"eps" doc:"least root of the second moment"`
	EpsScale    float64 `yaml:"eps_scale" doc:"least size of a parameter that steps are relative to"`
	Clip        float64 `yaml:"clip" doc:"largest root mean square of an update before the learning rate"`
	WeightDecay float64 `yaml:"weight_decay" doc:"part of a weight taken off per step and unit of learning rate"`
}

// SetDefaults sets torch's values for float32.
func (c *AdafactorConfig) SetDefaults() {
	*c = AdafactorConfig{DecayPower: -0.8, Eps: math.Ldexp(1, -23), EpsScale: 1e-3, Clip: 1}
}

// Validate reports values that no run can use.
func (c *AdafactorConfig) Validate() error {
	switch {
	case !(c.DecayPower <= 0):
		return invalid.Field("decay_power", "must not be positive, is %g", c.DecayPower)
	case !(c.Eps > 0):
		return invalid.Field("eps", "must be positive, is %g", c.Eps)
	case !(c.EpsScale > 0):
		return invalid.Field("eps_scale", "must be positive, is %g", c.EpsScale)
	case !(c.Clip > 0):
		return invalid.Field("clip", "must be positive, is %g", c.Clip)
	case !(c.WeightDecay >= 0):
		return invalid.Field("weight_decay", "must not be negative, is %g", c.WeightDecay)
	}
	return nil
}

// Adafactor keeps of a matrix's second moments the means of rows and of columns
// only, and takes steps relative to a parameter's size (Shazeer and Stern 2018; with
// torch's min(lr, 1/√t) as relative step). A convolution's kernel counts as the matrix
// (kernel·channels in, channels out).
type Adafactor struct {
	base
	cfg     AdafactorConfig
	columns [][]int // per matrix: all axes but the last; nil: no matrix
}

// NewAdafactor makes the optimiser.
func NewAdafactor(params []*tensor.Param, c AdafactorConfig) *Adafactor {
	o := &Adafactor{base: base{params: params}, cfg: c}
	moment := func(name string, like *tensor.Param, shape []int) *tensor.Param {
		q := tensor.NewParam(like.Device(), like.DType(), shape...)
		q.Name, q.Frozen = name+"."+like.Name, true
		return q
	}
	for _, p := range params {
		shape := p.Shape()
		last := len(shape) - 1
		if last < 1 {
			o.states = append(o.states, []*tensor.Param{p, moment("adafactor_v", p, shape)})
			o.columns = append(o.columns, nil)
			continue
		}
		rows, cols, axes := append([]int(nil), shape...), make([]int, len(shape)), make([]int, last)
		rows[last] = 1
		for i := range axes {
			axes[i], cols[i] = i, 1
		}
		cols[last] = shape[last]
		o.states = append(o.states, []*tensor.Param{p, moment("adafactor_rows", p, rows), moment("adafactor_columns", p, cols)})
		o.columns = append(o.columns, axes)
	}
	return o
}

// The mean square of rows or columns, r ← r + w·(Σg²/n − r), and the same of single elements.
var (
	adafactorMean = tensor.NewUpdate("adafactor mean", 1, 1, 2, func(state, in, sc []tensor.Expr) []tensor.Expr {
		r, sum := state[0], in[0]
		return []tensor.Expr{sum.Mul(sc[1]).Sub(r).MulAdd(sc[0], r)}
	})
	adafactorSquare = tensor.NewUpdate("adafactor square", 1, 1, 2, func(state, in, sc []tensor.Expr) []tensor.Expr {
		v, g := state[0], in[0].Mul(sc[1])
		return []tensor.Expr{g.Square().Sub(v).MulAdd(sc[0], v)}
	})
	scaledSquares = tensor.NewPointwiseSum(tensor.NewPointwise("adafactor squares", 1, 1, func(in, sc []tensor.Expr) tensor.Expr {
		return in[0].Mul(sc[0]).Square()
	}))
	// rows relative to their mean, so that rows·columns is the second moment
	adafactorRows = tensor.NewPointwise("adafactor rows", 2, 2, func(in, sc []tensor.Expr) tensor.Expr {
		return in[0].Div(in[1].Mul(sc[0]).Max(sc[1]))
	})
)

// adafactorDirection is g/√v, v = rows·columns, at least eps².
func adafactorDirection(in, sc []tensor.Expr) tensor.Expr {
	g, rows, cols, scale, eps2 := in[0], in[1], in[2], sc[0], sc[1]
	return rows.Mul(cols).Max(eps2).Rsqrt().Mul(g.Mul(scale))
}

var (
	adafactorSize = tensor.NewPointwiseSum(tensor.NewPointwise("adafactor size", 3, 2, func(in, sc []tensor.Expr) tensor.Expr {
		return adafactorDirection(in, sc).Square()
	}))
	// −α/max(1, RMS(u)/clip), α = max(eps, RMS(p))·ρ
	adafactorRate = tensor.NewPointwise("adafactor rate", 2, 4, func(in, sc []tensor.Expr) tensor.Expr {
		u2, p2, perElem, clip, eps, rho := in[0], in[1], sc[0], sc[1], sc[2], sc[3]
		alpha := p2.Mul(perElem).Sqrt().Max(eps).Mul(rho)
		one := u2.Const(1)
		return alpha.Div(u2.Mul(perElem).Sqrt().Div(clip).Max(one)).Neg()
	})
	adafactorStep = tensor.NewUpdate("adafactor", 1, 4, 3, func(state, in, sc []tensor.Expr) []tensor.Expr {
		return []tensor.Expr{adafactorDirection(in[:3], sc[:2]).MulAdd(in[3], state[0].Mul(sc[2]))}
	})
)

// Step updates the parameters.
func (o *Adafactor) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	o.check(grads)
	o.steps++
	for i, g := range grads {
		if g == nil || o.params[i].Frozen {
			continue
		}
		mark := s.Mark()
		s.NoGrad(func() { o.step(s, i, g, lr, scale) })
		s.Release(mark, nil)
	}
}

func (o *Adafactor) step(s *tensor.Scope, i int, g *tensor.Tensor, lr, scale float64) {
	c, t := o.cfg, float64(o.steps)
	p, row := o.params[i], o.states[i]
	perElem := 1 / float64(max(1, p.Elems()))
	rest := math.Pow(t, c.DecayPower) // 1 − β2
	rows, cols := s.Param(row[1]), s.Ones()
	if axes := o.columns[i]; axes != nil {
		width := p.Shape()[len(axes)]
		height := p.Elems() / max(1, width)
		sc := [1]float64{scale}
		last := [1]int{len(axes)}
		mean := [2]float64{rest, 1 / float64(max(1, width))}
		adafactorMean.Apply(s, mean[:], row[1:2], scaledSquares.Sum(sc[:], last[:], g))
		mean[1] = 1 / float64(max(1, height))
		adafactorMean.Apply(s, mean[:], row[2:3], scaledSquares.Sum(sc[:], axes, g))
		over := [2]float64{1 / float64(max(1, height)), c.Eps}
		rows, cols = adafactorRows.Apply(over[:], rows, rows.Sum()), s.Param(row[2])
	} else {
		square := [2]float64{rest, scale}
		adafactorSquare.Apply(s, square[:], row[1:2], g)
	}
	direction := [3]float64{scale, c.Eps * c.Eps, 1 - lr*c.WeightDecay}
	u2 := adafactorSize.Sum(direction[:2], nil, g, rows, cols).Reshape()
	rate := [4]float64{perElem, c.Clip, c.EpsScale, min(lr, 1/math.Sqrt(t))}
	coef := adafactorRate.Apply(rate[:], u2, sumSquares(s.Param(p)))
	adafactorStep.Apply(s, direction[:], row[:1], g, rows, cols, coef)
}
