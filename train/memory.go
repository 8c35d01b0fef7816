package train

import "github.com/langevin-go/langevin/tensor"

// MemoryUse says what a run's device memory holds, in bytes.
type MemoryUse struct {
	Weights int // of the network
	State   int // of the optimiser
	Average int // of the weights
	Saved   int // left behind by the last step's forward pass: what its gradient is computed from
	Peak    int // live at most at once in a step, gradients included
	Held    int // taken for steps; what Peak does not fill lies between what it does
}

// Memory tells where memory is, once a step has been made.
func (t *Trainer) Memory() MemoryUse {
	m := MemoryUse{Weights: bytesOf(t.params), State: bytesOf(t.opt.State()), Saved: t.saved,
		Peak: t.scope.MemoryPeak(), Held: t.scope.MemoryHeld()}
	if t.ema != nil {
		m.Average = bytesOf(t.ema.State())
	}
	return m
}

func bytesOf(params []*tensor.Param) int {
	n := 0
	for _, p := range params {
		n += p.Elems() * p.DType().Size()
	}
	return n
}
