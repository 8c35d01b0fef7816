package tensor

import "math"

// CausalMask is a mask for Attention, (T,S): 0 where a query may look, −Inf where a key is later. The last query
// and the last key belong to the same time, so that T queries may follow upon S−T keys of the past.
func (s *Scope) CausalMask(queries, keys int) *Tensor {
	return s.TensorOf(func(i int) float64 {
		if i%keys-(keys-queries) > i/keys {
			return math.Inf(-1)
		}
		return 0
	}, queries, keys)
}

var shutOp = unary("mask", func(x Expr) Expr {
	return x.Eq(x.Const(0)).Select(x.Const(math.Inf(-1)), x.Const(0))
})

// AsMask makes a mask for Attention of flags: 0 where t is not 0, −Inf where it is. For keys that are padding, (N,S) flags
// become (N,1,1,S) by Reshape before or after.
func (t *Tensor) AsMask() *Tensor { return shutOp.Apply(nil, t.Detach()) }
