package tensor

import (
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/tensor/backend"
)

// ShapeError is what an operation panics with when its operands' shapes do not
// fit: a bug of the caller.
type ShapeError struct {
	Op     string
	Shapes [][]int
	Want   string
}

func (e *ShapeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tensor: %s:", e.Op)
	for i, s := range e.Shapes {
		if i > 0 {
			b.WriteString(" and")
		}
		fmt.Fprintf(&b, " %v", s)
	}
	if len(e.Shapes) == 1 {
		b.WriteString(" does not fit")
	} else {
		b.WriteString(" do not fit")
	}
	fmt.Fprintf(&b, ": want %s", e.Want)
	return b.String()
}

// UsageError is what an operation panics with when it is called out of place:
// a stale tensor, another scope's tensor, a wrong dtype.
type UsageError struct {
	Op  string
	Msg string
}

func (e *UsageError) Error() string { return "tensor: " + e.Op + ": " + e.Msg }

func shapePanic(op, want string, ts ...*Tensor) {
	e := &ShapeError{Op: op, Want: want}
	for _, t := range ts {
		if t != nil {
			e.Shapes = append(e.Shapes, append([]int(nil), t.Shape()...))
		}
	}
	panic(e)
}

func usagePanic(op, format string, args ...any) {
	panic(&UsageError{Op: op, Msg: fmt.Sprintf(format, args...)})
}

func dtypePanic(op string, a, b backend.DType) {
	usagePanic(op, "operands are %v and %v", a, b)
}
