package data_test

import (
	"fmt"

	"github.com/langevin-go/langevin/train/data"
)

// A batch depends on the seed and the cursor alone, so a run can go on from one integer.
func ExampleLoader() {
	train, heldout := data.Digits()
	loader, err := data.NewLoader(train, data.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	const batch, step = 4, 1000
	x, labels := make([]float32, batch*8*8), make([]int32, batch)
	if err := loader.Batch(step*batch, x, labels); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(train.Len(), heldout.Len(), train.Shape(), loader.Epoch(step*batch))
	// Output: 1437 360 [8 8 1] 2
}

// A mixture of one's own is an endless source with an exact density.
func ExampleDraw() {
	d, err := data.NewMixture([]data.Gaussian{
		{Weight: 3, Mean: []float64{0, 0}, Std: []float64{1}},
		{Weight: 1, Mean: []float64{4, 0}, Std: []float64{0.5}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	source := data.Draw(d, 1, false)
	fmt.Printf("%v, %d classes, log density at the origin %.3f\n", source.Shape(), source.Classes(), data.DensityOf(source)([]float64{0, 0}))
	// Output: [2], 2 classes, log density at the origin -2.126
}
