package tensor

import "math"

// safeSqrt is √x, with a gradient of 0 at 0: the subgradient that PyTorch's norms
// and standard deviations have. Roots and powers of a zero must not be computed
// even where they are not taken: their gradient would be 0·∞.
var safeSqrt = unary("root", func(x Expr) Expr {
	zero := x.Eq(x.Const(0))
	return zero.Select(x.Const(0), zero.Select(x.Const(1), x).Sqrt())
})

var safePow = withScalar("power", safePowExpr)

func safePowExpr(x, p Expr) Expr {
	zero := x.Eq(x.Const(0))
	return zero.Select(x.Const(0), zero.Select(x.Const(1), x).Pow(p))
}

var (
	squareSum = NewPointwiseSum(squareOp)
	absSum    = NewPointwiseSum(absOp)
	absPowSum = NewPointwiseSum(withScalar("power of |x|", func(x, p Expr) Expr { return safePowExpr(x.Abs(), p) }))
)

// VectorNormKeep is (Σ|x|^p)^(1/p) over the given axes (none: all); they stay, with
// size 1. p is positive, or +Inf for max|x|, or −Inf for min|x|. No gradient
// flows through what is 0 (for p=1 and Inf: sign(0) = 0), and elements that attain a maximum share it, as in PyTorch.
func (t *Tensor) VectorNormKeep(p float64, axes ...int) *Tensor {
	switch {
	case p == 1:
		return absSum.Sum(nil, axes, t)
	case p == 2:
		return safeSqrt.Apply(nil, squareSum.Sum(nil, axes, t))
	case math.IsInf(p, 1):
		return t.Abs().MaxKeep(axes...)
	case math.IsInf(p, -1):
		return t.Abs().MinKeep(axes...)
	case !(p > 0):
		usagePanic("VectorNorm", "order %g, want more than 0, or −Inf", p)
	}
	power, root := [1]float64{p}, [1]float64{1 / p}
	return safePow.Apply(root[:], absPowSum.Sum(power[:], axes, t))
}

// VectorNorm is VectorNormKeep without the axes.
func (t *Tensor) VectorNorm(p float64, axes ...int) *Tensor {
	return t.VectorNormKeep(p, axes...).squeezed(t.axisSet("VectorNorm", axes))
}

// ProdKeep multiplies over the given axes (none: all); they stay, with size 1. It
// multiplies halves by halves, so that derivatives of every order are right beside zeros too.
func (t *Tensor) ProdKeep(axes ...int) *Tensor {
	set := t.axisSet("Prod", axes)
	for a := range t.v.Rank {
		if set>>a&1 == 0 {
			continue
		}
		if t.v.Shape[a] == 0 {
			shape := t.v.Shape
			shape[a] = 1
			t = t.s.Full(1).Expand(shape[:t.v.Rank]...)
		}
		for n := t.v.Shape[a]; n > 1; n = t.v.Shape[a] {
			h := n / 2
			half := t.Slice(a, 0, h).Mul(t.Slice(a, h, 2*h))
			if n%2 == 1 {
				half = Concat(a, half, t.Slice(a, n-1, n))
			}
			t = half
		}
	}
	return t
}

// Prod is ProdKeep without the axes.
func (t *Tensor) Prod(axes ...int) *Tensor {
	return t.ProdKeep(axes...).squeezed(t.axisSet("Prod", axes))
}
