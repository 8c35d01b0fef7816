package sampler

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// estimate is what an exponential integrator interpolates.
func (f form) estimate(r *Run, p diffusion.Point) *tensor.Tensor {
	if f == inData {
		return r.Data(r.X, p)
	}
	return r.Eps(r.X, p)
}

// bounded reports whether λ is finite at p: no interpolation goes through, or to, other points.
func bounded(p diffusion.Point) bool { return p.Alpha > 0 && p.Sigma > 0 }

// edge is the step of order one in which every exponential integrator leaves α=0 or
// comes to σ=0, and which some of them take elsewhere. Where α=0, ε̂ says
// nothing of the data, so that there the step is made from the data in either form.
// It gives the estimate that it was made from.
func (f form) edge(r *Run, s, t diffusion.Point) (x, m *tensor.Tensor) {
	if s.Alpha == 0 {
		f = inData
	}
	m = f.estimate(r, s)
	return f.euler(r, s, t, r.X, m), m
}

// euler is the step of order one from x, m being the estimate at s.
func (f form) euler(r *Run, s, t diffusion.Point, x, m *tensor.Tensor) *tensor.Tensor {
	keep, weight := f.first(s, t)
	r.terms.add(keep, x)
	r.terms.add(weight, m)
	return r.terms.total()
}

// through is the step from x at s to t with the polynomial through m at s and the
// newest order−1 values of past.
func (l leap) through(r *Run, s diffusion.Point, x, m *tensor.Tensor, past *History, order int) *tensor.Tensor {
	var nodes row
	for j := 1; j < order; j++ {
		nodes[j] = lambda(past.Point(j-1)) - lambda(s)
	}
	w := quadrature(nodes, order, l.moment)
	r.terms.add(l.keep, x)
	r.terms.add(w[0], m)
	for j := 1; j < order; j++ {
		r.terms.add(w[j], past.Value(j-1))
	}
	return r.terms.total()
}

// Ending are the options of multistep samplers for the last steps.
type Ending struct {
	LowerOrderFinal bool `yaml:"lower_order_final" doc:"lower the order over the last steps to 1, in runs of fewer than 15 steps"`
	EulerAtFinal    bool `yaml:"euler_at_final" doc:"make the last step one of order 1"`
}

// order is the order of a step: at most p, one more than there are earlier values, and
// as the ending says. It is 1 where the step leaves α=0 or comes to σ=0.
func (e *Ending) order(st *Step, p, past int) int {
	p = min(p, past+1)
	left := st.Count - st.Index
	if e.LowerOrderFinal && st.Count < 15 {
		p = min(p, left)
	}
	if e.EulerAtFinal && left == 1 || !bounded(st.From) || !bounded(st.To) {
		return 1
	}
	return p
}

func checkOrder(order, most int) error {
	if order < 1 || order > most {
		return invalid.Field("order", "must be in 1…%d, is %d", most, order)
	}
	return nil
}
