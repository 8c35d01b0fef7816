package sampler

import (
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Forms of UniPC's B(h).
const (
	BH1 = "bh1" // h
	BH2 = "bh2" // e^h − 1
)

// UniPC is the predictor-corrector of Zhao et al. 2023. The predictor UniP-p is the
// polynomial through p estimates; the corrector UniC-p adds the estimate at the predicted
// point and makes the step again, without asking the model once more: the method's
// order is p+1. B(h) enters where one coefficient is ½ in place of a solution:
// predictors of order 2 and correctors of order 1.
type UniPC struct {
	Order           int    `yaml:"order" doc:"p: the predictor's order; with the corrector the method's is p+1" range:"[1,3]"`
	Algorithm       string `yaml:"algorithm" doc:"what is interpolated: the estimate of the data (dpmsolver++), or of the noise (dpmsolver)" oneof:"dpmsolver++ dpmsolver"`
	B               string `yaml:"b" doc:"the paper's B(h): bh1 is h, bh2 is e^h - 1" oneof:"bh1 bh2"`
	Corrector       bool   `yaml:"corrector" doc:"correct the state with the estimate at the predicted point"`
	LowerOrderFinal bool   `yaml:"lower_order_final" doc:"lower the order over the last steps to 1"`
	NoCorrector     []int  `yaml:"no_corrector" doc:"steps, from 0, whose result is not corrected: with strong guidance, the first few"`
}

// SetDefaults are diffusers'.
func (u *UniPC) SetDefaults() {
	*u = UniPC{Order: 2, Algorithm: DPMSolverPP, B: BH2, Corrector: true, LowerOrderFinal: true}
}

// Validate checks the names and the order.
func (u *UniPC) Validate() error {
	if err := oneOf("algorithm", u.Algorithm, DPMSolverPP, DPMSolver); err != nil {
		return err
	}
	if err := oneOf("b", u.B, BH1, BH2); err != nil {
		return err
	}
	for _, i := range u.NoCorrector {
		if i < 0 {
			return invalid.Field("no_corrector", "must have steps from 0, has %d", i)
		}
	}
	return checkOrder(u.Order, 3)
}

// half is the slope's moment where its coefficient is ½·B(h): of bh2 that is the
// midpoint's, and of bh1 h²/2 with the integral's lead alone.
func (u *UniPC) half(l *leap, lead float64) {
	l.midpoint()
	if u.B == BH1 {
		l.moment[1] = lead * l.h * l.h / 2
	}
}

// Sample corrects the step before, and predicts the next.
func (u *UniPC) Sample(r *Run) {
	var f form = u.Algorithm == DPMSolverPP
	past, start := r.History(u.Order), r.History(1) // estimates; the state that the step before began with
	made := 0                                       // its order; 0: it is not corrected
	for st := range r.Steps() {
		order := u.order(st, past.Len())
		if !bounded(st.From) {
			r.X, _ = f.edge(r, st.From, st.To)
			continue
		}
		m := f.estimate(r, st.From)
		if made > 0 {
			r.X = u.correct(r, f, st.From, start.Value(0), m, past, made)
		}
		if made = order; !u.Corrector || slices.Contains(u.NoCorrector, st.Index) {
			made = 0
		}
		start.Push(st.From, r.X)
		if order == 1 {
			r.X = f.euler(r, st.From, st.To, r.X, m)
		} else {
			l := f.leap(st.From, st.To)
			if order == 2 {
				u.half(&l, f.lead(st.To))
			}
			r.X = l.through(r, st.From, r.X, m, past, order)
		}
		past.Push(st.From, m)
	}
}

// order is that of the predictor of a step.
func (u *UniPC) order(st *Step, past int) int {
	p := min(u.Order, past+1)
	if u.LowerOrderFinal {
		p = min(p, st.Count-st.Index)
	}
	if !bounded(st.To) {
		return 1
	}
	return p
}

// correct makes the step to t again, from x where the newest value of past is, with m at t.
func (u *UniPC) correct(r *Run, f form, t diffusion.Point, x, m *tensor.Tensor, past *History, order int) *tensor.Tensor {
	s := past.Point(0)
	l := f.leap(s, t)
	if order == 1 {
		u.half(&l, f.lead(t))
	}
	var nodes row
	for j := 1; j < order; j++ {
		nodes[j] = lambda(past.Point(j)) - lambda(s)
	}
	nodes[order] = l.h
	w := quadrature(nodes, order+1, l.moment)
	r.terms.add(l.keep, x)
	for j := range order {
		r.terms.add(w[j], past.Value(j))
	}
	r.terms.add(w[order], m)
	return r.terms.total()
}

// lead is the factor before the integral of a step to t.
func (f form) lead(t diffusion.Point) float64 {
	if f == inData {
		return t.Alpha
	}
	return -t.Sigma
}

// Reversible: the steps hold in both directions.
func (*UniPC) Reversible() bool { return true }
