package gorgonia_test

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// An array made from a slice shares its memory, both ways.
func ExampleDense() {
	data := []float32{1, 2, 3, 4, 5, 6}
	d := gorgonia.Dense([]int{2, 3}, data)
	data[5] = 60
	sum, err := d.Sum(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	shape, rows, err := gorgonia.Slice[float32](sum)
	fmt.Println(shape, rows, err)
	// Output: [2] [6 69] <nil>
}
