package tensor

import (
	"math"

	"github.com/langevin-go/langevin/tensor/backend"
)

var (
	squaredErrorOp = NewPointwise("squared error", 2, 1, func(in, sc []Expr) Expr {
		return in[0].Sub(in[1]).Square().Mul(sc[0])
	})
	weightedSquaredErrorOp = NewPointwise("weighted squared error", 3, 1, func(in, sc []Expr) Expr {
		return in[0].Sub(in[1]).Square().Mul(in[2]).Mul(sc[0])
	})
	absErrorOp = NewPointwise("absolute error", 2, 1, func(in, sc []Expr) Expr {
		return in[0].Sub(in[1]).Abs().Mul(sc[0])
	})
	pseudoHuberOp = NewPointwise("pseudo-Huber", 2, 2, func(in, sc []Expr) Expr {
		d, c := in[0].Sub(in[1]), sc[0]
		return d.Square().Add(c.Mul(c)).Sqrt().Sub(c).Mul(sc[1])
	})

	squaredError         = NewPointwiseSum(squaredErrorOp)
	weightedSquaredError = NewPointwiseSum(weightedSquaredErrorOp)
	absError             = NewPointwiseSum(absErrorOp)
	pseudoHuber          = NewPointwiseSum(pseudoHuberOp)
	huber                = NewPointwiseSum(NewPointwise("Huber", 2, 2, func(in, sc []Expr) Expr {
		d, delta := in[0].Sub(in[1]), sc[0]
		a := d.Abs()
		far := a.Sub(delta.Scale(0.5)).Mul(delta)
		return a.LessEq(delta).Select(d.Square().Scale(0.5), far).Mul(sc[1])
	}))
	bceWithLogits = NewPointwiseSum(NewPointwise("BCE with logits", 2, 1, func(in, sc []Expr) Expr {
		x, y := in[0], in[1]
		return y.Mul(x.Neg().Softplus()).Add(y.RSubConst(1).Mul(x.Softplus())).Mul(sc[0])
	}))
	mulSum     = NewPointwiseSum(mulOp)
	gaussianKL = NewPointwise("Gaussian KL", 4, 0, func(in, _ []Expr) Expr {
		m1, v1, m2, v2 := in[0], in[1], in[2], in[3]
		d := v1.Sub(v2)
		// e^d − 1 − d by Expm1: near 0 that is d²/2, which rounding of e^d would drown.
		return d.Expm1().Sub(d).Add(m1.Sub(m2).Square().Mul(v2.Neg().Exp())).Scale(0.5)
	})
)

// broadcastElems is the number of elements of tensors broadcast against each other.
func broadcastElems(ts ...*Tensor) float64 {
	var v backend.View
	broadcastShape("loss", &v, ts...)
	return float64(v.Elems())
}

// MSE is the mean of (t−target)² over all elements, a scalar.
func (t *Tensor) MSE(target *Tensor) *Tensor {
	sc := [1]float64{1 / broadcastElems(t, target)}
	return squaredError.Sum(sc[:], nil, t, target).Reshape()
}

// WeightedMSE is the mean of weight·(t−target)² over all elements, a scalar. The
// weights are broadcast: (N,1,…) for a weight a sample.
func (t *Tensor) WeightedMSE(target, weight *Tensor) *Tensor {
	sc := [1]float64{1 / broadcastElems(t, target, weight)}
	return weightedSquaredError.Sum(sc[:], nil, t, target, weight).Reshape()
}

// SampleMSE is the mean of (t−target)² of each sample, shape (N). The two are broadcast, and samples are along the first axis.
func (t *Tensor) SampleMSE(target *Tensor) *Tensor {
	var axes [MaxRank]int
	for i := range axes {
		axes[i] = i
	}
	var v backend.View
	broadcastShape("SampleMSE", &v, t, target)
	if v.Rank < 2 {
		return t.Sub(target).Square()
	}
	n := v.Shape[0]
	sc := [1]float64{float64(n) / float64(v.Elems())}
	return squaredError.Sum(sc[:], axes[1:v.Rank], t, target).Reshape(n)
}

// L1 is the mean of |t−target| over all elements, a scalar.
func (t *Tensor) L1(target *Tensor) *Tensor {
	sc := [1]float64{1 / broadcastElems(t, target)}
	return absError.Sum(sc[:], nil, t, target).Reshape()
}

// PseudoHuber is the mean of √((t−target)²+c²)−c over all elements, a scalar; c is more than 0.
func (t *Tensor) PseudoHuber(target *Tensor, c float64) *Tensor {
	if !(c > 0) {
		usagePanic("PseudoHuber", "c is %g, want more than 0", c)
	}
	sc := [2]float64{c, 1 / broadcastElems(t, target)}
	return pseudoHuber.Sum(sc[:], nil, t, target).Reshape()
}

// Huber is the mean of ½d² where |d| ≤ delta and delta·(|d|−½·delta) elsewhere,
// d = t−target, over all elements, a scalar (Huber 1964).
func (t *Tensor) Huber(target *Tensor, delta float64) *Tensor {
	if !(delta > 0) {
		usagePanic("Huber", "delta %g, want more than 0", delta)
	}
	sc := [2]float64{delta, 1 / broadcastElems(t, target)}
	return huber.Sum(sc[:], nil, t, target).Reshape()
}

// SmoothL1 is Huber divided by its width beta: |d| far out (Girshick 2015). beta 0 is L1.
func (t *Tensor) SmoothL1(target *Tensor, beta float64) *Tensor {
	if beta == 0 {
		return t.L1(target)
	}
	return t.Huber(target, beta).Scale(1 / beta)
}

// BCEWithLogits is the mean of −y·ln σ(t) − (1−y)·ln(1−σ(t)) over all elements, y the target in
// [0, 1], a scalar: y·softplus(−t) + (1−y)·softplus(t), which neither overflows nor cancels.
func (t *Tensor) BCEWithLogits(target *Tensor) *Tensor {
	sc := [1]float64{1 / broadcastElems(t, target)}
	return bceWithLogits.Sum(sc[:], nil, t, target).Reshape()
}

// GaussianKL is KL(N(m1, e^v1) ‖ N(m2, e^v2)) in nats for each element: ½·(v2 − v1 + e^(v1−v2) + (m1−m2)²·e^−v2 − 1).
// v1 and v2 are logarithms of variances; all are broadcast.
func GaussianKL(m1 *Tensor, v1, m2, v2 Operand) *Tensor {
	s := m1.s
	return gaussianKL.Apply(nil, m1, v1.in(s), m2.in(s), v2.in(s))
}

// CosineSimilarity is ⟨t,o⟩/(max(‖t‖,eps)·max(‖o‖,eps)) along an axis, which drops; the others are broadcast.
func (t *Tensor) CosineSimilarity(o Operand, axis int, eps float64) *Tensor {
	u := o.in(t.s)
	var v backend.View
	broadcastShape("CosineSimilarity", &v, t, u)
	t, u = t.Expand(v.Shape[:v.Rank]...), u.Expand(v.Shape[:v.Rank]...)
	axis = t.axis("CosineSimilarity", axis)
	length := func(x *Tensor) *Tensor { return x.VectorNormKeep(2, axis).Clamp(eps, math.Inf(1)) }
	cos := mulSum.Sum(nil, []int{axis}, t, u).Div(length(t).Mul(length(u)))
	return cos.Squeeze(axis)
}

// NLL is the mean of −t[i][label[i]] for logarithms of probabilities t (N,K) and labels (N) int32 in 0…K−1, a scalar.
func (t *Tensor) NLL(labels *Tensor) *Tensor {
	if t.v.Rank != 2 || labels.v.Rank != 1 || labels.v.Shape[0] != t.v.Shape[0] {
		shapePanic("NLL", "logarithms of probabilities (N,K) and labels (N)", t, labels)
	}
	return t.TakeAlong(1, labels.Unsqueeze(1)).Sum().Scale(-1 / float64(t.v.Shape[0]))
}

// CrossEntropy is the mean of −ln softmax(t)[label] for logits t (N,K) and labels (N) int32 in 0…K−1, a scalar.
func (t *Tensor) CrossEntropy(labels *Tensor) *Tensor { return t.CrossEntropySmoothed(labels, 0) }

// CrossEntropySmoothed is CrossEntropy with the label's probability lowered to
// 1−eps+eps/K and eps/K for each other class (Szegedy et al. 2016).
func (t *Tensor) CrossEntropySmoothed(labels *Tensor, eps float64) *Tensor {
	if t.v.Rank != 2 || labels.v.Rank != 1 || labels.v.Shape[0] != t.v.Shape[0] {
		shapePanic("CrossEntropy", "logits (N,K) and labels (N)", t, labels)
	}
	if !(eps >= 0 && eps <= 1) {
		usagePanic("CrossEntropy", "smoothing of %g, want 0 to 1", eps)
	}
	logp := t.LogSoftmax()
	loss := logp.NLL(labels)
	if eps > 0 {
		loss = loss.Axpby(1-eps, logp.Mean(), -eps)
	}
	return loss
}

var dropoutOp = NewPointwise("dropout", 2, 2, func(in, sc []Expr) Expr {
	x, u, p, gain := in[0], in[1], sc[0], sc[1]
	return u.Less(p).Select(x.Const(0), x.Mul(gain))
})

// Dropout zeroes each element with probability p and scales the others by
// 1/(1−p) (Srivastava et al. 2014). It does nothing unless the scope was
// given a key with SetDropout: that is what training does.
func (t *Tensor) Dropout(p float64) *Tensor {
	s := t.s
	if !s.masks.on || p == 0 {
		return t
	}
	if p < 0 || p >= 1 || math.IsNaN(p) {
		usagePanic("Dropout", "probability %g, want 0 ≤ p < 1", p)
	}
	key := s.masks.key
	key.Stream += s.masks.draws
	s.masks.draws++
	u := s.Uniform(key, s.masks.first, t.Shape()...)
	sc := [2]float64{p, 1 / (1 - p)}
	return dropoutOp.Apply(sc[:], t, u)
}
