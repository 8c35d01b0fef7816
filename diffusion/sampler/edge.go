package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Where α=0, σ/α and λ are infinite: no solver in them can begin there, or in Invert come there. Their step from there or to there
// is one of order one, made from the data, which must be known: x' = α'·x̂0 + σ'·ε̂, DDIM's. What it leaves out is
// x̂0's change times α', both of the size of the step h, so that its error is one of h². The next steps, in each of which σ/α falls by a
// factor, leave h²/k of step k: h²·ln(1/h) in all, of any method of order two and more.

// ended makes that step and reports whether it did, being none of the solver's own.
func (r *Run) ended(st *Step) bool {
	if st.From.Alpha > 0 && st.To.Alpha > 0 {
		return false
	}
	r.X = r.ddim(st.From, st.To)
	return true
}

// ddim is α'·x̂0 + σ'·ε̂.
func (r *Run) ddim(from, to diffusion.Point) *tensor.Tensor {
	x0 := r.Data(r.X, from)
	return x0.Axpby(to.Alpha, r.epsOfData(r.X, from), to.Sigma)
}

// ancestral is the mean of q(x_s|x_t,x̂0) and its standard deviation: the step of the reverse SDE from α=0, too,
// where g is infinite and nothing of x_t is left in x_s.
func (r *Run) ancestral(st *Step) (mean *tensor.Tensor, std float64) {
	q := diffusion.NewPosterior(st.From, st.To)
	return r.X.Axpby(q.OnX, r.Data(r.X, st.From), q.OnX0), math.Sqrt(q.Small)
}
