package diffusion

import (
	"github.com/langevin-go/langevin/tensor"
)

// along is a model on another path.
type along struct {
	of   Model
	path GaussianPath
	mem  *[2][]float64 // times, along trajectories; nil: outside of any
}

// Along is a model of one Gaussian path as one of another: its data and noise are the same, so that a
// state x at some log-SNR of the other path is α_m/α·x at the time with that log-SNR of the
// model's. Its prediction is of x0 where the model says nothing else that does not depend on the
// path; for Velocity the one of the other path. Where the model's path ends before the
// log-SNR does, it is asked at its end.
func Along(m Model, path GaussianPath) Model {
	if SamePath(m.Path(), path) {
		return m
	}
	return &along{of: m, path: path}
}

func (a *along) Path() GaussianPath { return a.path }

// Kind is ε or x0, which belong to no path, or of a model of anything else the velocity.
func (a *along) Kind() Kind {
	if k := a.of.Kind(); k == Eps || k == X0 {
		return k
	}
	return Velocity
}

// Begin begins the model's trajectories.
func (a *along) Begin() (m Model, restart, end func()) {
	of, restart, end := Begin(a.of)
	return &along{of, a.path, new([2][]float64)}, restart, end
}

// Eval asks the model at the times of equal log-SNR.
func (a *along) Eval(x *tensor.Tensor, at Step, c Cond) Pred {
	inner := a.of.Path()
	mem := a.mem
	if mem == nil {
		mem = new([2][]float64)
	}
	move := func(to *[]float64, t []float64) []float64 {
		if t == nil {
			return nil
		}
		*to = (*to)[:0]
		for _, t := range t {
			*to = append(*to, inner.Time(a.path.HalfLogSNR(t)))
		}
		return *to
	}
	there := at
	there.T, there.Next = move(&mem[0], at.T), move(&mem[1], at.Next)
	// x = α·x0 + σ·ε with σ'/α' equal: the scale is α_m/α, or where there is no signal σ_m/σ.
	scale := func(p, _ Point) float64 {
		q := inner.At(inner.Time(a.path.HalfLogSNR(p.T)))
		if p.Alpha > p.Sigma {
			return q.Alpha / p.Alpha
		}
		return q.Sigma / p.Sigma
	}
	y := x.Mul(PerSample(x, a.path, at, scale))
	pred := a.of.Eval(y, there, c)
	kind := a.Kind()
	if pred.Kind == kind && kind != Velocity {
		return Pred{Value: pred.Value, LogVar: pred.LogVar, Kind: kind}
	}
	// Both x0 and ε of the model, into this path's velocity.
	data, eps := pred.As(X0, y, inner, there), pred.As(Eps, y, inner, there)
	return Pred{Value: Target(Velocity, data, eps, a.path, at), Kind: Velocity}
}
