package metrics_test

import (
	"context"
	"fmt"

	"github.com/langevin-go/langevin/train/metrics"
)

// Two sets on a line: means 1 and 5, both of variance 2.
func ExampleFrechet() {
	a := metrics.Points{X: []float32{0, 2}, D: 1}
	b := metrics.Points{X: []float32{4, 6}, D: 1}
	fmt.Printf("%.3f\n", metrics.Frechet(metrics.NewGaussian(a), metrics.NewGaussian(b)))
	// Output: 16.000
}

// Samples that sit on half of the data: all precise, but half of the data is never reached.
func ExampleManifold() {
	ctx := context.Background()
	data := metrics.Points{X: []float32{0, 1, 2, 3, 10, 11, 12, 13}, D: 1}
	samples := metrics.Points{X: []float32{0.5, 1.5, 2.5, 1}, D: 1}
	real, err := metrics.NewManifold(ctx, data, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	made, err := metrics.NewManifold(ctx, samples, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	precision, _ := real.Share(ctx, samples)
	recall, _ := made.Share(ctx, data)
	fmt.Printf("precision %.2f, recall %.2f\n", precision, recall)
	// Output: precision 1.00, recall 0.50
}
