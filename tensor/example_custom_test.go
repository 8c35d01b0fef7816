package tensor_test

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// inverse is the inverse of a matrix, computed on the host. Its derivatives are
// tensor operations: for Y = X⁻¹, dY = −Y·dX·Y, whose transpose is the VJP −Yᵀ·G·Yᵀ. As these
// are written with Y, which is the operation's own result, there are derivatives of every order.
var inverse = tensor.NewCustom(tensor.CustomOp{
	Name: "inverse",
	Forward: func(in []*tensor.Tensor) *tensor.Tensor {
		x := in[0]
		n := x.Dim(0)
		return x.Scope().Host(func(y []float64, x [][]float64) {
			var inv mat.Dense
			if err := inv.Inverse(mat.NewDense(n, n, x[0])); err != nil {
				panic(err)
			}
			copy(y, inv.RawMatrix().Data)
		}, x.Shape(), x)
	},
	VJP: func(in []*tensor.Tensor, y, dy *tensor.Tensor, dx []*tensor.Tensor) {
		dx[0] = y.T().MatMul(dy).MatMul(y.T()).Neg()
	},
	JVP: func(in []*tensor.Tensor, y *tensor.Tensor, dx []*tensor.Tensor) *tensor.Tensor {
		return y.MatMul(dx[0]).MatMul(y).Neg()
	},
})

// An operation that tensor operations do not reach, with derivatives of every order.
func ExampleNewCustom() {
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()

	x := s.Variable([]float32{2, 1, 1, 1}, 2, 2)
	y := s.Hold(inverse.Apply(x))
	fmt.Println(y.Float32s())

	trace := y.Diagonal(0, 1).Sum() // ∂/∂X tr X⁻¹ = −(X⁻²)ᵀ
	g := s.GradOf(trace, tensor.GradOptions{CreateGraph: true}, x)[0]
	fmt.Println(g.Float32s())

	_, dy := s.JVP(func(in []*tensor.Tensor) *tensor.Tensor { return inverse.Apply(in[0]) },
		[]*tensor.Tensor{x}, []*tensor.Tensor{s.Tensor([]float32{1, 0, 0, 0}, 2, 2)})
	fmt.Println(dy.Float32s())
	// Output:
	// [1 -1 -1 2]
	// [-2 3 3 -5]
	// [-1 1 1 -1]
}

// roundSTE rounds, and lets gradients pass as if it did not: a straight-through
// estimator (Bengio et al. 2013).
var roundSTE = tensor.NewCustom(tensor.CustomOp{
	Name:    "roundSTE",
	Forward: func(in []*tensor.Tensor) *tensor.Tensor { return in[0].Round() },
	VJP:     func(in []*tensor.Tensor, y, dy *tensor.Tensor, dx []*tensor.Tensor) { dx[0] = dy },
	JVP:     func(in []*tensor.Tensor, y *tensor.Tensor, dx []*tensor.Tensor) *tensor.Tensor { return dx[0] },
})

// A derivative other than the value's own.
func ExampleCustomOp() {
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()

	x := s.Variable([]float32{0.2, 1.7}, 2)
	y := roundSTE.Apply(x)
	fmt.Println(y.Float32s(), s.GradOf(y.Square().Sum(), tensor.GradOptions{}, x)[0].Float32s())
	// Output:
	// [0 2] [0 4]
}
