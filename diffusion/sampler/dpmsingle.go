package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// DPMSinglestep is DPM-Solver without values from before the step (Lu et al. 2022a,
// algorithms 1 and 2; DPM-Solver++(2S), Lu et al. 2022b, algorithm 1). As in diffusers,
// a step of order p is a block of p steps of the grid, whose inner times are
// where the model is asked: on a grid with equal steps in the log-SNR they are the
// papers' r = ½, or ⅓ and ⅔. So it asks the model once for each step of the grid.
type DPMSinglestep struct {
	DPM             `yaml:",inline"`
	LowerOrderFinal bool `yaml:"lower_order_final" doc:"end with steps of lower order; always so where the number of steps is no multiple of the order, or the grid ends at the data"`
}

// SetDefaults is DPM-Solver++(2S).
func (d *DPMSinglestep) SetDefaults() {
	d.DPM.SetDefaults()
	d.LowerOrderFinal = false
}

// blockOrder is that of step i of a grid of n in blocks of p: 1, 2, … within a block. The last step is one of order 1 if
// it leads to the data, or if orders are to fall and the blocks come out even.
func blockOrder(p, i, n int, toData, fall bool) int {
	if i == n-1 && (toData || fall && n%p == 0) {
		return 1
	}
	return i%p + 1
}

// Sample goes from the block's start anew with each of the block's estimates.
func (d *DPMSinglestep) Sample(r *Run) {
	f := d.form()
	n, toData := len(r.grid)-1, r.Path.At(r.grid[len(r.grid)-1]).Sigma == 0
	start, values := r.History(1), r.History(d.Order)
	for st := range r.Steps() {
		order := blockOrder(d.Order, st.Index-r.done, n, toData, d.LowerOrderFinal)
		if order == 1 || !bounded(start.Point(0)) || !bounded(st.To) { // a block begins; none goes through λ=±∞
			start.Push(st.From, r.X)
			values.Clear()
		}
		if !bounded(st.From) || !bounded(st.To) {
			r.X, _ = f.edge(r, st.From, st.To)
			continue
		}
		values.Push(st.From, f.estimate(r, st.From))
		order = min(order, values.Len())
		r.X = d.step(r, f, start.Point(0), st.To, start.Value(0), values, order)
	}
}

// step goes from x at s to t with the block's values, of which the oldest is at s.
func (d *DPMSinglestep) step(r *Run, f form, s, t diffusion.Point, x *tensor.Tensor, values *History, order int) *tensor.Tensor {
	at := func(age int) float64 { return lambda(values.Point(age)) - lambda(s) }
	if order == 1 {
		return f.euler(r, s, t, x, values.Value(0))
	}
	l := f.leap(s, t)
	nodes, n := row{0, at(order - 2), 0}, order
	if order == 3 {
		nodes[2] = at(0)
	}
	if d.Type == Midpoint {
		switch order {
		case 2:
			l.midpoint()
		case 3: // through the first value and the newest only (Lu et al. 2022a, algorithm 2)
			nodes, n = row{0, at(0)}, 2
		}
	}
	w := quadrature(nodes, n, l.moment)
	r.terms.add(l.keep, x)
	r.terms.add(w[0], values.Value(order-1))
	if n == 3 {
		r.terms.add(w[1], values.Value(1))
		r.terms.add(w[2], values.Value(0))
	} else {
		r.terms.add(w[1], values.Value(0))
	}
	return r.terms.total()
}

// Reversible: the steps hold in both directions.
func (*DPMSinglestep) Reversible() bool { return true }
