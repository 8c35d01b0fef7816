package tensor

import "math"

func unary(name string, f func(Expr) Expr) *Pointwise {
	return NewPointwise(name, 1, 0, func(in, _ []Expr) Expr { return f(in[0]) })
}

func binary(name string, f func(a, b Expr) Expr) *Pointwise {
	return NewPointwise(name, 2, 0, func(in, _ []Expr) Expr { return f(in[0], in[1]) })
}

func withScalar(name string, f func(a, c Expr) Expr) *Pointwise {
	return NewPointwise(name, 1, 1, func(in, sc []Expr) Expr { return f(in[0], sc[0]) })
}

var (
	addOp    = binary("add", Expr.Add)
	subOp    = binary("sub", Expr.Sub)
	mulOp    = binary("mul", Expr.Mul)
	divOp    = binary("div", Expr.Div)
	minOp    = binary("min", Expr.Min)
	maxOp    = binary("max", Expr.Max)
	lessOp   = binary("less", Expr.Less)
	lessEqOp = binary("less or equal", Expr.LessEq)
	eqOp     = binary("equal", Expr.Eq)

	greaterOp   = binary("greater", Expr.Greater)
	greaterEqOp = binary("greater or equal", Expr.GreaterEq)
	notEqOp     = binary("not equal", Expr.NotEq)
	powTensorOp = binary("pow of tensors", Expr.Pow)

	mulAddOp = NewPointwise("muladd", 3, 0, func(in, _ []Expr) Expr { return in[0].MulAdd(in[1], in[2]) })
	selectOp = NewPointwise("where", 3, 0, func(in, _ []Expr) Expr { return in[0].Select(in[1], in[2]) })

	scaleOp     = withScalar("scale", Expr.Mul)
	addScalarOp = withScalar("add scalar", Expr.Add)
	powOp       = withScalar("pow", Expr.Pow)
	clampOp     = NewPointwise("clamp", 1, 2, func(in, sc []Expr) Expr {
		// The gradient is 1 on the bounds themselves.
		x, lo, hi := in[0], sc[0], sc[1]
		return x.Less(lo).Select(lo, hi.Less(x).Select(hi, x))
	})
	axpbyOp = NewPointwise("axpby", 2, 2, func(in, sc []Expr) Expr { return in[0].Mul(sc[0]).Add(in[1].Mul(sc[1])) })

	negOp      = unary("neg", Expr.Neg)
	absOp      = unary("abs", Expr.Abs)
	signOp     = unary("sign", Expr.Sign)
	sqrtOp     = unary("sqrt", Expr.Sqrt)
	rsqrtOp    = unary("rsqrt", Expr.Rsqrt)
	recipOp    = unary("recip", Expr.Recip)
	squareOp   = unary("square", Expr.Square)
	expOp      = unary("exp", Expr.Exp)
	expm1Op    = unary("expm1", Expr.Expm1)
	logOp      = unary("log", Expr.Log)
	log1pOp    = unary("log1p", Expr.Log1p)
	sinOp      = unary("sin", Expr.Sin)
	cosOp      = unary("cos", Expr.Cos)
	tanhOp     = unary("tanh", Expr.Tanh)
	sigmoidOp  = unary("sigmoid", Expr.Sigmoid)
	erfOp      = unary("erf", Expr.Erf)
	softplusOp = unary("softplus", Expr.Softplus)
	roundOp    = unary("round", Expr.Round)
	floorOp    = unary("floor", Expr.Floor)
	ceilOp     = unary("ceil", func(x Expr) Expr { return x.Neg().Floor().Neg() })

	// ln σ(x) = −softplus(−x), without overflow.
	logSigmoidOp = unary("log sigmoid", func(x Expr) Expr { return x.Neg().Softplus().Neg() })
	leakyReLUOp  = withScalar("leaky relu", func(x, slope Expr) Expr {
		return x.LessEq(x.Const(0)).Select(x.Mul(slope), x)
	})
	eluOp = withScalar("elu", func(x, alpha Expr) Expr {
		low := x.LessEq(x.Const(0))
		return low.Select(notAbove(low, x).Expm1().Mul(alpha), x)
	})

	siluOp = unary("silu", func(x Expr) Expr { return x.Mul(x.Sigmoid()) })
	reluOp = unary("relu", func(x Expr) Expr {
		// torch's choice: the gradient at 0 is 0.
		return x.LessEq(x.Const(0)).Select(x.Const(0), x)
	})
	seluOp = unary("selu", func(x Expr) Expr {
		const alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
		low := x.LessEq(x.Const(0))
		return low.Select(notAbove(low, x).Expm1().Scale(alpha*scale), x.Scale(scale))
	})
	mishOp     = unary("mish", func(x Expr) Expr { return x.Mul(x.Softplus().Tanh()) })
	geluOp     = unary("gelu", func(x Expr) Expr { return x.Scale(0.5).Mul(x.Scale(math.Sqrt2 / 2).Erf().AddConst(1)) })
	geluTanhOp = unary("gelu (tanh)", func(x Expr) Expr {
		// h·(1+tanh u) with h = x/2 and u = √(2/π)·(x+0.044715·x³)
		const root = 0.7978845608028653558798921198687
		u := x.Square().MulAdd(x.Const(root*0.044715), x.Const(root)).Mul(x)
		h := x.Scale(0.5)
		return h.MulAdd(u.Tanh(), h)
	})
)

// notAbove is x where low, else 0: where a branch that is not taken would
// overflow, the gradient through it would be 0·∞.
func notAbove(low, x Expr) Expr { return low.Select(x, x.Const(0)) }

// Add is t+o. Operands of all binary operations are broadcast against each other.
func (t *Tensor) Add(o Operand) *Tensor { return addOp.Apply(nil, t, o.in(t.s)) }

// Sub is t−o.
func (t *Tensor) Sub(o Operand) *Tensor { return subOp.Apply(nil, t, o.in(t.s)) }

// Mul is t·o, elementwise.
func (t *Tensor) Mul(o Operand) *Tensor { return mulOp.Apply(nil, t, o.in(t.s)) }

// Div is t/o.
func (t *Tensor) Div(o Operand) *Tensor { return divOp.Apply(nil, t, o.in(t.s)) }

// Minimum is the smaller of t and o; where they are equal, each gets half of the
// gradient. (Min is a reduction.)
func (t *Tensor) Minimum(o Operand) *Tensor { return minOp.Apply(nil, t, o.in(t.s)) }

// Maximum is the larger of t and o; where they are equal, each gets half of the
// gradient. (Max is a reduction.)
func (t *Tensor) Maximum(o Operand) *Tensor { return maxOp.Apply(nil, t, o.in(t.s)) }

// Less is 1 where t<o, else 0; LessEq, Greater, GreaterEq, Eq and NotEq are alike.
// As in IEEE 754, all but NotEq are 0 beside a NaN. No gradient flows through them.
func (t *Tensor) Less(o Operand) *Tensor      { return lessOp.Apply(nil, t, o.in(t.s)) }
func (t *Tensor) LessEq(o Operand) *Tensor    { return lessEqOp.Apply(nil, t, o.in(t.s)) }
func (t *Tensor) Greater(o Operand) *Tensor   { return greaterOp.Apply(nil, t, o.in(t.s)) }
func (t *Tensor) GreaterEq(o Operand) *Tensor { return greaterEqOp.Apply(nil, t, o.in(t.s)) }
func (t *Tensor) Eq(o Operand) *Tensor        { return eqOp.Apply(nil, t, o.in(t.s)) }
func (t *Tensor) NotEq(o Operand) *Tensor     { return notEqOp.Apply(nil, t, o.in(t.s)) }

// Where is a where t is not 0, b elsewhere.
func (t *Tensor) Where(a, b Operand) *Tensor {
	return selectOp.Apply(nil, t, a.in(t.s), b.in(t.s))
}

// MulAdd is t·a+b in one pass.
func (t *Tensor) MulAdd(a, b Operand) *Tensor {
	return mulAddOp.Apply(nil, t, a.in(t.s), b.in(t.s))
}

// Axpby is a·t+b·o in one pass.
func (t *Tensor) Axpby(a float64, o Operand, b float64) *Tensor {
	sc := [2]float64{a, b}
	return axpbyOp.Apply(sc[:], t, o.in(t.s))
}

// Scale is c·t.
func (t *Tensor) Scale(c float64) *Tensor {
	sc := [1]float64{c}
	return scaleOp.Apply(sc[:], t)
}

// AddScalar is t+c.
func (t *Tensor) AddScalar(c float64) *Tensor {
	sc := [1]float64{c}
	return addScalarOp.Apply(sc[:], t)
}

// Pow is t to the power c.
func (t *Tensor) Pow(c float64) *Tensor {
	sc := [1]float64{c}
	return powOp.Apply(sc[:], t)
}

// PowTensor is t to the power o, elementwise. For t<0 it is NaN unless o is whole;
// at t=0 no gradient flows to o.
func (t *Tensor) PowTensor(o Operand) *Tensor { return powTensorOp.Apply(nil, t, o.in(t.s)) }

// Clamp is t limited to [lo, hi], lo ≤ hi; the gradient is 1 within, bounds included, and 0 outside.
func (t *Tensor) Clamp(lo, hi float64) *Tensor {
	if !(lo <= hi) {
		usagePanic("Clamp", "from %g to %g: want bounds in order", lo, hi)
	}
	sc := [2]float64{lo, hi}
	return clampOp.Apply(sc[:], t)
}

func (t *Tensor) Neg() *Tensor      { return negOp.Apply(nil, t) }
func (t *Tensor) Abs() *Tensor      { return absOp.Apply(nil, t) }
func (t *Tensor) Sign() *Tensor     { return signOp.Apply(nil, t) }
func (t *Tensor) Sqrt() *Tensor     { return sqrtOp.Apply(nil, t) }
func (t *Tensor) Rsqrt() *Tensor    { return rsqrtOp.Apply(nil, t) }
func (t *Tensor) Recip() *Tensor    { return recipOp.Apply(nil, t) }
func (t *Tensor) Square() *Tensor   { return squareOp.Apply(nil, t) }
func (t *Tensor) Exp() *Tensor      { return expOp.Apply(nil, t) }
func (t *Tensor) Expm1() *Tensor    { return expm1Op.Apply(nil, t) }
func (t *Tensor) Log() *Tensor      { return logOp.Apply(nil, t) }
func (t *Tensor) Log1p() *Tensor    { return log1pOp.Apply(nil, t) }
func (t *Tensor) Sin() *Tensor      { return sinOp.Apply(nil, t) }
func (t *Tensor) Cos() *Tensor      { return cosOp.Apply(nil, t) }
func (t *Tensor) Tanh() *Tensor     { return tanhOp.Apply(nil, t) }
func (t *Tensor) Sigmoid() *Tensor  { return sigmoidOp.Apply(nil, t) }
func (t *Tensor) Erf() *Tensor      { return erfOp.Apply(nil, t) }
func (t *Tensor) Softplus() *Tensor { return softplusOp.Apply(nil, t) }

// LogSigmoid is ln sigmoid(t), accurate in both tails.
func (t *Tensor) LogSigmoid() *Tensor { return logSigmoidOp.Apply(nil, t) }

// Round (ties to even), Floor and Ceil have no gradient.
func (t *Tensor) Round() *Tensor { return roundOp.Apply(nil, t) }
func (t *Tensor) Floor() *Tensor { return floorOp.Apply(nil, t) }
func (t *Tensor) Ceil() *Tensor  { return ceilOp.Apply(nil, t) }

// SiLU is t·sigmoid(t) (Elfwing et al. 2017).
func (t *Tensor) SiLU() *Tensor { return siluOp.Apply(nil, t) }

// ReLU is max(t, 0).
func (t *Tensor) ReLU() *Tensor { return reluOp.Apply(nil, t) }

// LeakyReLU is t for t>0, slope·t elsewhere (Maas et al. 2013).
func (t *Tensor) LeakyReLU(slope float64) *Tensor {
	sc := [1]float64{slope}
	return leakyReLUOp.Apply(sc[:], t)
}

// ELU is t for t>0, alpha·(exp(t)−1) elsewhere (Clevert et al. 2015).
func (t *Tensor) ELU(alpha float64) *Tensor {
	sc := [1]float64{alpha}
	return eluOp.Apply(sc[:], t)
}

// SELU is the self-normalising unit of Klambauer et al. 2017.
func (t *Tensor) SELU() *Tensor { return seluOp.Apply(nil, t) }

// Mish is t·tanh(softplus(t)) (Misra 2019).
func (t *Tensor) Mish() *Tensor { return mishOp.Apply(nil, t) }

// GELU is t·Φ(t) (Hendrycks and Gimpel 2016), GELUTanh its tanh approximation.
func (t *Tensor) GELU() *Tensor     { return geluOp.Apply(nil, t) }
func (t *Tensor) GELUTanh() *Tensor { return geluTanhOp.Apply(nil, t) }

// Detach is t without history: no gradient flows through it.
func (t *Tensor) Detach() *Tensor {
	t.check("Detach")
	if t.level > 0 {
		return t.under.Detach()
	}
	r := t.s.view(t)
	return r
}
