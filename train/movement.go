package train

import (
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/record"
)

// movement is how far a step moves the weights that are trained. It is measured in the steps that are recorded, with a copy of the
// weights in the step's scope: others cost nothing.
type movement struct {
	step   int64 // that was measured last; 0: none
	old    []*tensor.Tensor
	sums   []*tensor.Tensor
	weight []float32 // Σw² of each parameter after the step
	moved  []float32 // Σ(Δw)²
	buf    []float32 // of a parameter's numbers
}

// copied is a tensor of its own with a parameter's values.
var copied = tensor.NewPointwise("copy", 1, 0, func(in, _ []tensor.Expr) tensor.Expr { return in[0].Scale(1) })

// due reports whether the step in hand is measured.
func (m *movement) due(t *Trainer) bool {
	return t.metrics != nil && (t.recordDue(t.step+1) || t.histogramDue())
}

// before copies the weights.
func (m *movement) before(t *Trainer) {
	m.old = m.old[:0]
	if !m.due(t) {
		return
	}
	t.scope.NoGrad(func() {
		for _, p := range t.trained {
			m.old = append(m.old, copied.Apply(nil, t.scope.Param(p)))
		}
	})
}

// after measures how far they have gone.
func (m *movement) after(t *Trainer) {
	if len(m.old) == 0 {
		return
	}
	m.step, m.sums = t.step+1, m.sums[:0]
	m.weight, m.moved = grown(m.weight, len(m.old)), grown(m.moved, len(m.old))
	t.scope.NoGrad(func() {
		for _, p := range t.trained {
			m.sums = append(m.sums, t.scope.Param(p).Square().Sum().Reshape(1))
		}
		tensor.Concat(0, m.sums...).CopyTo(m.weight)
		m.sums = m.sums[:0]
		for i, p := range t.trained {
			m.sums = append(m.sums, t.scope.Param(p).Sub(m.old[i]).Square().Sum().Reshape(1))
		}
		tensor.Concat(0, m.sums...).CopyTo(m.moved)
	})
}

// values are the norm of all weights and the length of the last step by it, if that was measured: a step that is passed over moves nothing.
func (m *movement) values(step int64, to []record.Value) []record.Value {
	if m.step != step {
		return to
	}
	var weight, moved float64
	for i := range m.weight {
		weight, moved = weight+float64(m.weight[i]), moved+float64(m.moved[i])
	}
	return append(to, record.V("train/weight_norm", math.Sqrt(weight)), record.V("train/update_ratio", ratio(moved, weight)))
}

// ratio is the root of a quotient of squares; 0 of nothing.
func ratio(moved, weight float64) float64 {
	if weight == 0 {
		return 0
	}
	return math.Sqrt(moved / weight)
}

// histogramDue reports whether histograms belong to the step in hand.
func (t *Trainer) histogramDue() bool {
	every := t.exp.Record.Histograms
	return every > 0 && t.events != nil && ((t.step+1)%every == 0 || t.step+1 == t.exp.Steps)
}

// histograms writes those of the step in hand: each parameter's weights after it, its gradient before clipping, and how far it has moved.
func (t *Trainer) histograms(grads []*tensor.Tensor) error {
	if !t.histogramDue() {
		return nil
	}
	m, step := &t.moves, t.step+1
	var ratios []record.Value
	for i, p := range t.trained {
		m.buf = grown(m.buf, p.Elems())
		t.scope.Param(p).CopyTo(m.buf)
		if err := t.events.Histogram(step, "weights/"+p.Name, m.buf); err != nil {
			return unwritten(err)
		}
		if grads[i] != nil {
			grads[i].CopyTo(m.buf)
			if err := t.events.Histogram(step, "gradients/"+p.Name, m.buf); err != nil {
				return unwritten(err)
			}
		}
		ratios = append(ratios, record.V("update_ratio/"+p.Name, ratio(float64(m.moved[i]), float64(m.weight[i]))))
	}
	return unwritten(t.events.Scalars(step, ratios...))
}

// grown is x with room for n numbers, of undefined values.
func grown(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}
