package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// A watched scope tells of every result, forward and backward, with the parameters
// that take part; an unwatched one computes the same.
func TestWatch(t *testing.T) {
	dev := cpu.Default()
	w := tensor.NewParam(dev, tensor.Float32, 2, 2)
	w.Name = "w"
	if err := w.Set([]float32{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	s := tensor.NewScope(dev, tensor.Recording)
	defer s.Close()
	run := func() []float32 {
		s.Reset()
		x := s.Tensor([]float32{1, -1}, 1, 2)
		y := s.Checkpoint(func(in []*tensor.Tensor) *tensor.Tensor { return in[0].MatMul(w) }, x)
		loss := y.Slice(1, 0, 1).Square().Sum()
		return s.Grad(loss, []*tensor.Param{w})[0].Float32s()
	}
	want := run()
	var got []string
	s.Watch(func(e tensor.Event) {
		way := "→"
		if e.Backward {
			way = "←"
			if !slices.Equal(e.Of.Shape(), e.Out.Shape()) && e.Op != "slice" {
				t.Errorf("%s: a gradient of shape %v for %v", e.Op, e.Out.Shape(), e.Of.Shape())
			}
		}
		got = append(got, fmt.Sprint(way, e.Op, " ", e.Param, e.Out.Float32s(), len(e.In)))
		e.Out.Scale(2) // not told of
	})
	if g := run(); !slices.Equal(g, want) {
		t.Errorf("gradient %v under a watch, %v without", g, want)
	}
	s.Watch(nil)
	n := len(got)
	if g := run(); !slices.Equal(g, want) || len(got) != n {
		t.Errorf("after the watch: gradient %v, want %v; %d events", g, want, len(got)-n)
	}
	// y = (−2, −2); the loss is y₀² = 4, its gradient 2·y₀ = −4 in column 0.
	wantEvents := []string{
		"→matmul w[-2 -2] 2",
		"→slice [-2] 1",
		"→square [4] 1",
		"→sum [4] 1",
		"→reshape [4] 1",
		"←reshape [1] 1",
		"←sum [1] 1",
		"←square [-4] 1",
		"←slice [-4] 1",
		"←matmul w[-4 0 4 0] 1",
	}
	if !slices.Equal(got, wantEvents) {
		t.Errorf("events\n%q, want\n%q", got, wantEvents)
	}
}
