package tensor_test

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// The gradient of a mean squared error for the weights of a linear map.
func Example() {
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()

	w := tensor.NewParam(cpu.Default(), tensor.Float32, 2, 1)
	if err := w.Set([]float32{1, -1}); err != nil {
		panic(err)
	}
	x := s.Tensor([]float32{1, 2, 3, 4}, 2, 2)
	y := s.Tensor([]float32{0, 1}, 2, 1)

	loss := x.MatMul(w).Sub(y).Square().Mean()
	fmt.Println("loss", loss.Item())
	for _, g := range s.Grad(loss, []*tensor.Param{w}) {
		fmt.Println("gradient", g.Float32s())
	}
	// Output:
	// loss 2.5
	// gradient [-7 -10]
}

// snake is x + sin²(a·x)/a (Ziyin et al. 2020): an operation of the user's own,
// made once. It runs in one pass over memory; its derivatives are found by themselves.
var snake = tensor.NewPointwise("snake", 2, 0, func(in, _ []tensor.Expr) tensor.Expr {
	x, a := in[0], in[1]
	return x.Add(a.Mul(x).Sin().Square().Div(a))
})

func ExampleNewPointwise() {
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()

	x := s.Variable([]float32{-1, 0, 1, 2}, 4)
	a := s.Variable([]float32{0.5}, 1) // broadcast
	y := snake.Apply(nil, x, a)
	fmt.Printf("%.4f\n", y.Float32s())

	g := s.GradOf(y.Sum(), tensor.GradOptions{}, x, a)
	fmt.Printf("%.4f\n", g[0].Float32s()) // 1 + sin(2·a·x)
	fmt.Printf("%.4f\n", g[1].Float32s()) // Σ x·sin(2·a·x)/a − sin²(a·x)/a²
	// Output:
	// [-0.5403 0.0000 1.4597 3.4161]
	// [0.1585 1.0000 1.8415 1.9093]
	// [2.3320]
}

// A gradient penalty: the gradient of a gradient's norm.
func ExampleScope_GradOf() {
	s := tensor.NewScope(cpu.Default(), tensor.Recording)
	defer s.Close()

	x := s.Variable([]float32{1, 2}, 2)
	energy := x.Pow(3).Sum()
	score := s.GradOf(energy, tensor.GradOptions{CreateGraph: true}, x)[0] // 3x²
	s.Hold(score)                                                          // to be read after the tape is used up
	penalty := score.Square().Sum()                                        // 9x⁴
	g := s.GradOf(penalty, tensor.GradOptions{}, x)[0]                     // 36x³

	fmt.Println(score.Float32s(), g.Float32s())
	// Output:
	// [3 12] [36 288]
}

// What must outlive a step is kept; everything else goes back at once.
func ExampleScope_Keep() {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()

	var best *tensor.Kept
	for step := range 3 {
		s.Reset()
		x := s.Full(float64(step), 2)
		if step == 1 {
			best = s.Keep(x.AddScalar(0.5))
		}
	}
	fmt.Println(best.Tensor(s).Float32s())
	best.Drop()
	// Output:
	// [1.5 1.5]
}

// Random numbers are a function of the key and of the row: a row's values do
// not depend on the batch that it is drawn in.
func ExampleScope_Normal() {
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()

	key := rng.Key{Seed: 42}
	batch := s.Normal(key, 0, 4, 3)
	third := s.Normal(key, 2, 1, 3)
	fmt.Println(batch.Slice(0, 2, 3).Eq(third).Sum().Item())
	// Output:
	// 3
}
