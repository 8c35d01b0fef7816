package gradcheck

import (
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor"
)

// witness takes note of errors.
type witness struct {
	testing.TB
	failed []string
}

func (w *witness) Helper() {}
func (w *witness) Errorf(format string, args ...any) {
	w.failed = append(w.failed, args[0].(string))
}

// Each of these squares has one thing wrong with it, and one check that must find it.
func TestWrongDerivativesAreFound(t *testing.T) {
	op := func(slope, tangent func(x *tensor.Tensor) *tensor.Tensor) Func {
		c := tensor.NewCustom(tensor.CustomOp{
			Name:    "square",
			Forward: func(in []*tensor.Tensor) *tensor.Tensor { return in[0].Square() },
			VJP:     func(in []*tensor.Tensor, _, dy *tensor.Tensor, dx []*tensor.Tensor) { dx[0] = dy.Mul(slope(in[0])) },
			JVP: func(in []*tensor.Tensor, _ *tensor.Tensor, dx []*tensor.Tensor) *tensor.Tensor {
				return dx[0].Mul(tangent(in[0]))
			},
		})
		return func(_ *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor { return c.Apply(in[0]) }
	}
	right := func(x *tensor.Tensor) *tensor.Tensor { return x.Scale(2) }
	wrong := func(x *tensor.Tensor) *tensor.Tensor { return x.Scale(2.0001) }
	another := func(x *tensor.Tensor) *tensor.Tensor { // a cube's, and that consistently, where it is recorded
		if x.Scope().Recording() {
			return x.Square().Scale(3)
		}
		return x.Scale(2)
	}
	constant := func(x *tensor.Tensor) *tensor.Tensor { return x.Detach().Scale(2) }
	for _, c := range []struct {
		name string
		f    Func
		want string // a part of the failed checks' names, all in one; empty: none
	}{
		{"right", op(right, right), ""},
		{"slope", op(wrong, right), "x"},
		{"slope without history", op(constant, right), "x (second order)"},
		{"slope of another function when recorded", op(another, right), "x (recorded)"},
		{"tangent", op(right, wrong), "x (forward), x (forward)"},
		{"tangent without history", op(right, constant), "x (forward over forward), x (forward over forward), x (reverse over forward)"},
		{"not recorded", func(s *tensor.Scope, in []*tensor.Tensor) (y *tensor.Tensor) {
			s.NoGrad(func() { y = in[0].Square() })
			return y
		}, "x, x (reverse over forward)"},
		{"not a number", func(_ *tensor.Scope, in []*tensor.Tensor) *tensor.Tensor { return in[0].Abs().Neg().Sqrt() }, "x, x (second order), x (forward), x (forward over forward), x (forward), x (forward over forward), x (reverse over forward)"},
	} {
		w := &witness{TB: t}
		Check(w, "x", c.f, Shape(3))
		if got := strings.Join(w.failed, ", "); got != c.want {
			t.Errorf("%s: failed %q, want %q", c.name, got, c.want)
		}
	}
}
