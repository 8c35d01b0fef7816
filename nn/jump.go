package nn

import (
	"reflect"

	"github.com/langevin-go/langevin/tensor"
)

// JumpEmbedding embeds how far ahead in time a network's answer is to lead, for
// networks of whole steps (Frans et al. 2025; Geng et al. 2025), or another number that one is told beside the
// time. It adds nothing before it is
// trained: a network that knew no steps begins as it was.
type JumpEmbedding struct {
	Time *TimeEmbedding // like a time, in networks that embed theirs;
	Fc1  *Linear        // else a small MLP of the number
	Fc2  *Linear
}

func newJumpEmbedding(in *Init, dim int, features func() TimeFeatures) *JumpEmbedding {
	if features == nil {
		return &JumpEmbedding{Fc1: NewLinear(in, 1, dim), Fc2: NewZeroLinear(in, dim, dim)}
	}
	e := &JumpEmbedding{Time: NewTimeEmbedding(in, features(), dim)}
	e.Time.Fc2 = NewZeroLinear(in, dim, dim)
	return e
}

// Additions are the parameters of a model's embeddings that add nothing before they are trained: weights
// that were saved without them are those of the same function.
func Additions(model any) []*tensor.Param {
	var found []*tensor.Param
	w := walker{seen: map[*tensor.Param]bool{}, names: map[string]bool{}}
	w.visit = func(pointer reflect.Value) {
		if e, ok := pointer.Interface().(*JumpEmbedding); ok {
			for _, n := range NamedParams(e) {
				found = append(found, n.Param)
			}
		}
	}
	w.walk(reflect.ValueOf(model), "")
	return found
}

// Forward maps jumps (N) or (1), nil for none, to (N, dim) or (1, dim).
func (e *JumpEmbedding) Forward(s *tensor.Scope, jump *tensor.Tensor) *tensor.Tensor {
	if jump == nil {
		jump = s.Full(0, 1)
	}
	if e.Time != nil {
		return e.Time.Forward(jump)
	}
	return e.Fc2.Forward(e.Fc1.Forward(jump.Reshape(jump.Elems(), 1)).SiLU())
}
