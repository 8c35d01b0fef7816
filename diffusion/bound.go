package diffusion

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
)

// Hybrid is L_hybrid of Nichol and Dhariwal 2021: a Regression for the mean, and
// for a learned variance the variational bound, in which the mean counts as given.
// Its path must be a Table, and its model must learn a variance.
type Hybrid struct {
	Regression
	Bound  float64 // weight λ of the bound in bits per dimension; 0: the paper's .001
	Levels int     // equally spaced values of the data from −1 to 1; 0: 256
}

// VLB is the variational bound itself, L_vlb of Nichol and Dhariwal 2021, in bits per
// dimension, for the mean and, where the model learns one, the variance (Ho et al. 2020, eq. 5). The
// prior's term, which no parameter changes, is not part of it. Its path must be a Table.
type VLB struct {
	Regression      // of which the weighting has no meaning
	Levels     int  // equally spaced values of the data from −1 to 1; 0: 256
	Large      bool // the variance where none is learned: β instead of β̃
}

// Loss is T·E_t[L_t].
func (v *VLB) Loss(s *tensor.Scope, m Model, d *Draw) *tensor.Tensor {
	table := tableOf(v.Path)
	e := v.eval(s, m, d, stepsOf(d))
	if e.pred.LogVar == nil {
		e.pred.LogVar = PerSample(e.data, table, e.at, func(now, next Point) float64 {
			q := NewPosterior(now, next)
			if v.Large {
				return math.Log(q.Large)
			}
			return math.Log(smallVariance(table, now, next))
		}).Expand(e.data.Shape()...)
	}
	bound := BoundTerms(e.pred, e.data, e.noisy, table, e.at, levelsOr256(v.Levels))
	return v.Reduce(s, d, bound.Scale(float64(table.Len())))
}

func tableOf(p GaussianPath) *Table {
	table, ok := p.(*Table)
	if !ok {
		panic(fmt.Sprintf("diffusion: the variational bound is for a Table, not a %T", p))
	}
	return table
}

// stepsOf are a draw's steps of a table, to the entry before.
func stepsOf(d *Draw) Step {
	next := make([]float64, d.N)
	for i, t := range d.T {
		next[i] = t - 1
	}
	return Step{T: d.T, Next: next}
}

func levelsOr256(n int) int {
	if n == 0 {
		return 256
	}
	return n
}

// Loss is L_simple + λ·T·E_t[L_t], the sum over the table's T terms by its expectation.
func (h *Hybrid) Loss(s *tensor.Scope, m Model, d *Draw) *tensor.Tensor {
	table := tableOf(h.Path)
	e := h.eval(s, m, d, stepsOf(d))
	if e.pred.LogVar == nil {
		panic("diffusion: the hybrid objective needs a model with a learned variance")
	}
	weight := h.Bound
	if weight == 0 {
		weight = 1e-3
	}
	given := e.pred
	given.Value = given.Value.Detach()
	bound := BoundTerms(given, e.data, e.noisy, table, e.at, levelsOr256(h.Levels)).Scale(weight * float64(table.Len()))
	return h.Reduce(s, d, h.losses(e).Add(bound))
}

// BoundTerms gives each sample's term of the variational bound on −ln p(x0), shape
// (N), in bits per dimension: for steps from t≥2 to t−1 the KL divergence of the
// reverse step p from q(x_{t−1}|x_t,x0), and for those from 1 to 0 the negative
// log-likelihood of data of so many levels (Ho et al. 2020, eq. 5 and 13). The prior's
// term is not among them.
func BoundTerms(pred Pred, data, noisy *tensor.Tensor, table *Table, at Step, levels int) *tensor.Tensor {
	x0 := pred.As(X0, noisy, table, at)
	coef := func(f func(q Posterior) float64) *tensor.Tensor {
		return PerSample(data, table, at, func(now, next Point) float64 { return f(NewPosterior(now, next)) })
	}
	// Where the next time is 0, β̃ is 0 and the divergence is not used: any finite number will do.
	logSmall := coef(func(q Posterior) float64 { return math.Log(max(q.Small, minVariance)) })
	kl := stepKL.Apply(nil, data, x0, pred.LogVar, coef(func(q Posterior) float64 { return q.OnX0 }), logSmall)
	nll := decoderNLL.Apply([]float64{1 / float64(levels-1)}, data, x0, pred.LogVar) // the mean is x̂0 there
	last := PerSample(data, table, at, func(_, next Point) float64 {
		if next.T == 0 {
			return 1
		}
		return 0
	})
	n := data.Dim(0)
	return last.Where(nll, kl).Reshape(n, data.Elems()/max(n, 1)).Mean(1).Scale(1 / math.Ln2)
}

var (
	// stepKL is KL(N(·, s) ‖ N(·, v)) of means c·x0 and c·x̂0 apart.
	stepKL = tensor.NewPointwise("step KL", 5, 0, func(in, _ []tensor.Expr) tensor.Expr {
		x0, guess, logV, c, logS := in[0], in[1], in[2], in[3], in[4]
		apart := c.Mul(x0.Sub(guess)).Square().Mul(logV.Neg().Exp())
		return logV.Sub(logS).AddConst(-1).Add(logS.Sub(logV).Exp()).Add(apart).Scale(0.5)
	})

	// decoderNLL is −ln of a normal's probability of the bin around x of half width
	// sc[0]; the outermost bins reach to infinity.
	decoderNLL = tensor.NewPointwise("decoder", 3, 1, func(in, sc []tensor.Expr) tensor.Expr {
		x, mean, logV, half := in[0], in[1], in[2], sc[0]
		scale := logV.Scale(-0.5).Exp().Scale(math.Sqrt2 / 2)
		cdf := func(at tensor.Expr) tensor.Expr {
			return at.Sub(mean).Mul(scale).Erf().AddConst(1).Scale(0.5)
		}
		above := x.Const(1).Sub(half).Less(x) // in the last bin
		below := x.Less(half.AddConst(-1))    // in the first
		hi := above.Select(x.Const(1), cdf(x.Add(half)))
		lo := below.Select(x.Const(0), cdf(x.Sub(half)))
		return hi.Sub(lo).Max(x.Const(1e-12)).Log().Neg()
	})
)
