package tensor

import "math"

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
	huberOp = NewPointwise("pseudo-Huber", 2, 2, func(in, sc []Expr) Expr {
		d, c := in[0].Sub(in[1]), sc[0]
		return d.Square().Add(c.Mul(c)).Sqrt().Sub(c).Mul(sc[1])
	})

	squaredError         = NewPointwiseSum(squaredErrorOp)
	weightedSquaredError = NewPointwiseSum(weightedSquaredErrorOp)
	absError             = NewPointwiseSum(absErrorOp)
	huber                = NewPointwiseSum(huberOp)
)

// MSE is the mean of (t−target)² over all elements, a scalar.
func (t *Tensor) MSE(target *Tensor) *Tensor {
	sc := [1]float64{1 / float64(t.Elems())}
	return squaredError.Sum(sc[:], nil, t, target).Reshape()
}

// WeightedMSE is the mean of weight·(t−target)² over all elements, a scalar. The
// weights are broadcast: (N,1,…) for a weight a sample.
func (t *Tensor) WeightedMSE(target, weight *Tensor) *Tensor {
	sc := [1]float64{1 / float64(t.Elems())}
	return weightedSquaredError.Sum(sc[:], nil, t, target, weight).Reshape()
}

// SampleMSE is the mean of (t−target)² of each sample, shape (N).
func (t *Tensor) SampleMSE(target *Tensor) *Tensor {
	var axes [MaxRank]int
	for i := range axes {
		axes[i] = i
	}
	n := t.Dim(0)
	sc := [1]float64{float64(n) / float64(t.Elems())}
	if t.v.Rank == 1 {
		return t.Sub(target).Square()
	}
	return squaredError.Sum(sc[:], axes[1:t.v.Rank], t, target).Reshape(n)
}

// L1 is the mean of |t−target| over all elements, a scalar.
func (t *Tensor) L1(target *Tensor) *Tensor {
	sc := [1]float64{1 / float64(t.Elems())}
	return absError.Sum(sc[:], nil, t, target).Reshape()
}

// PseudoHuber is the mean of √((t−target)²+c²)−c over all elements, a scalar.
func (t *Tensor) PseudoHuber(target *Tensor, c float64) *Tensor {
	sc := [2]float64{c, 1 / float64(t.Elems())}
	return huber.Sum(sc[:], nil, t, target).Reshape()
}

// CrossEntropy is the mean of −ln softmax(t)[label] for logits t (N,K) and labels (N) int32 in 0…K−1, a scalar.
func (t *Tensor) CrossEntropy(labels *Tensor) *Tensor {
	if t.v.Rank != 2 || labels.v.Rank != 1 || labels.v.Shape[0] != t.v.Shape[0] {
		shapePanic("CrossEntropy", "logits (N,K) and labels (N)", t, labels)
	}
	s, k := t.s, t.v.Shape[1]
	hot := s.identity(k).Gather(labels)
	return t.LogSoftmax().Mul(hot).Sum().Scale(-1 / float64(t.v.Shape[0]))
}

// OneHot is 1 at (i, labels[i]) and 0 elsewhere, shape (labels…, k).
func (s *Scope) OneHot(labels *Tensor, k int) *Tensor { return s.identity(k).Gather(labels) }

func (s *Scope) identity(k int) *Tensor {
	eye := s.Zeros(k, k)
	diag := eye.v
	diag.Rank, diag.Shape[0], diag.Stride[0] = 1, k, k+1
	one := s.Full(1)
	s.copyInto(&diag, one)
	return eye
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
	if !s.dropout || p == 0 {
		return t
	}
	if p < 0 || p >= 1 || math.IsNaN(p) {
		usagePanic("Dropout", "probability %g, want 0 ≤ p < 1", p)
	}
	key := s.dropoutKey
	key.Stream += s.draws
	s.draws++
	u := s.Uniform(key, s.firstRow, t.Shape()...)
	sc := [2]float64{p, 1 / (1 - p)}
	return dropoutOp.Apply(sc[:], t, u)
}
