package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Null is the null condition in c's place, for n samples: the label after the
// last class, and the vector dropped.
func Null(s *tensor.Scope, c diffusion.Cond, classes, n int) diffusion.Cond {
	checkText(c)
	var null diffusion.Cond
	if c.Labels != nil {
		null.Labels = label(s, classes, n)
	}
	if c.Vector != nil {
		null.Vector, null.Drop = c.Vector, s.Ones(n)
	}
	return null
}

// Class is the condition of one class for all samples; a vector stays as it is.
func Class(class int) Condition {
	return func(s *tensor.Scope, c diffusion.Cond, n int) diffusion.Cond {
		c.Labels = label(s, class, n)
		return c
	}
}

// label is one label for n samples.
func label(s *tensor.Scope, v, n int) *tensor.Tensor {
	return s.IntsOf(func(int) int32 { return int32(v) }, n)
}

// join is a condition followed by that of n more samples. Both have labels, or
// vectors, or neither.
func join(s *tensor.Scope, a, b diffusion.Cond, n int) diffusion.Cond {
	var both diffusion.Cond
	if a.Labels != nil {
		both.Labels = tensor.Concat(0, a.Labels, b.Labels)
	}
	if a.Vector != nil {
		both.Vector = tensor.Concat(0, a.Vector, b.Vector)
	}
	if a.Drop != nil || b.Drop != nil {
		both.Drop = tensor.Concat(0, drops(s, a), drops(s, b))
	}
	joinText(&both, a, b)
	return both
}

// drops says of each sample whether its vector is dropped.
func drops(s *tensor.Scope, c diffusion.Cond) *tensor.Tensor {
	if c.Drop != nil {
		return c.Drop
	}
	return s.Zeros(c.Vector.Dim(0))
}

// repeat is x, k times over.
func repeat(x *tensor.Tensor, k int) *tensor.Tensor {
	var all [8]*tensor.Tensor
	xs := all[:0]
	for range k {
		xs = append(xs, x)
	}
	return tensor.Concat(0, xs...)
}

// repeated are times of all branches. Its memory is a trajectory's.
type repeated struct{ t, next []float64 }

// again repeats times that are each sample's own, k times over. They are valid until it is next called.
func (r *repeated) again(at diffusion.Step, k int) diffusion.Step {
	times := func(to *[]float64, t []float64) []float64 {
		if len(t) <= 1 {
			return t
		}
		*to = (*to)[:0]
		for range k {
			*to = append(*to, t...)
		}
		return *to
	}
	at.T, at.Next = times(&r.t, at.T), times(&r.next, at.Next)
	return at
}

// branch is what was predicted for the i-th n samples.
func branch(p diffusion.Pred, i, n int) diffusion.Pred {
	p.Value = p.Value.Slice(0, i*n, (i+1)*n)
	if p.LogVar != nil {
		p.LogVar = p.LogVar.Slice(0, i*n, (i+1)*n)
	}
	return p
}
