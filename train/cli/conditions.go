package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/data"
)

// conditionFlags are what commands are told about vectors that samples are conditioned on.
type conditionFlags struct{ given []string }

func (f *conditionFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.given, "condition", nil, "the vector that samples are conditioned on, its numbers separated by commas, or an .npy file (N,D) of several; given more than once: in turn (default: none)")
}

// use puts the vectors into a request of q.N samples.
func (f *conditionFlags) use(t *train.Trained, q *train.Request) error {
	if f.given == nil {
		return nil
	}
	if t.Vector == 0 {
		return fmt.Errorf("--condition: the model is conditioned on no vector: train one on data with vectors (data of kind csv or npy)")
	}
	var all []float32
	for _, s := range f.given {
		v, err := readCondition(s, t.Vector)
		if err != nil {
			return fmt.Errorf("--condition %s: %w", s, err)
		}
		all = append(all, v...)
	}
	q.SetVectors(all, t.Vector)
	return nil
}

// readCondition reads one vector of size numbers, or a file of some.
func readCondition(s string, size int) ([]float32, error) {
	if strings.HasSuffix(strings.ToLower(s), ".npy") {
		n, v, err := data.ReadVectors(s)
		if err != nil {
			return nil, err
		}
		if n == 0 || len(v) != n*size {
			return nil, fmt.Errorf("has %d vectors, %d numbers in all: the model is conditioned on %d numbers", n, len(v), size)
		}
		return v, nil
	}
	parts := strings.Split(s, ",")
	if len(parts) != size {
		return nil, fmt.Errorf("has %d numbers: the model is conditioned on %d", len(parts), size)
	}
	v := make([]float32, size)
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.TrimSpace(p), 32)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%q is no finite number", strings.TrimSpace(p))
		}
		v[i] = float32(x)
	}
	return v, nil
}
