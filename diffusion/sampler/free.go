package sampler

import (
	"iter"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Attempts is Steps for samplers that choose their steps themselves: of the grid,
// its ends count. Each attempt begins as a step does; the sampler sets st.From to
// where the sample that is furthest behind has come (nowhere, if nothing was
// gained), until that is the grid's last time.
func (r *Run) Attempts() iter.Seq[*Step] {
	return func(yield func(*Step) bool) { r.attempt(yield) }
}

func (r *Run) attempt(yield func(*Step) bool) {
	n := len(r.grid) - 1
	if r.opts.Trace != nil {
		r.Fail("the sampler chooses its steps itself, for each sample on its own: there is no state at the times of the grid to trace")
		return
	}
	end := r.Path.At(r.grid[n])
	r.step = Step{Count: n, From: r.Path.At(r.grid[0]), To: end}
	for first := true; first || r.step.From.T > end.T; first = false {
		before := r.step.From.T
		if !r.begin(first) || !yield(&r.step) {
			return
		}
		if r.step.From.T == before && r.step.From.T > end.T {
			continue
		}
		for r.step.Index < n-1 && r.grid[r.step.Index+1] >= r.step.From.T {
			r.step.Index++
		}
		if r.opts.Progress != nil {
			r.opts.Progress(r.step.Index, n, r.estimate())
		}
	}
}

// epsEach and velocityEach are Eps and Velocity with each sample at a time of its own.
func (r *Run) epsEach(x *tensor.Tensor, times []float64) *tensor.Tensor {
	return r.slopeEach(diffusion.Eps, x, times)
}

func (r *Run) velocityEach(x *tensor.Tensor, times []float64) *tensor.Tensor {
	return r.slopeEach(diffusion.Velocity, x, times)
}

func (r *Run) slopeEach(k diffusion.Kind, x *tensor.Tensor, times []float64) *tensor.Tensor {
	r.evalEach(x, times)
	if !r.opts.Clip.On() {
		return r.as(k)
	}
	clipped := diffusion.Pred{Value: r.clipped(), Kind: diffusion.X0}
	return clipped.As(k, x, r.Path, diffusion.Step{T: times})
}

// perSample is a tensor of a number for each sample that broadcasts against the state.
func (r *Run) perSample(f func(i int) float64) *tensor.Tensor {
	var ones [tensor.MaxRank]int
	for i := range ones {
		ones[i] = 1
	}
	ones[0] = r.X.Dim(0)
	return r.s.TensorOf(f, ones[:r.X.Rank()]...)
}

// rms sets dst to each sample's root mean square.
func rms(dst []float64, x *tensor.Tensor) {
	n := x.Dim(0)
	x.Square().Reshape(n, x.Elems()/max(n, 1)).Mean(1).Sqrt().CopyTo(dst)
}
