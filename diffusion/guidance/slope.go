package guidance

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// slope takes gradients by x while sampling, whose scope records nothing: in a
// recording scope of its own. Its memory is a trajectory's.
type slope struct {
	r   *tensor.Scope
	in  [1]*tensor.Param
	out [1]*tensor.Param

	times, values []float64 // of the host
	labels        []int32
}

var carry = tensor.NewUpdate("carry", 1, 1, 0, func(_, in, _ []tensor.Expr) []tensor.Expr { return in })

// of is the gradient at x of the sum over samples of f's values (N), in x's scope. What f is
// given is in the recording scope.
func (g *slope) of(x *tensor.Tensor, c diffusion.Cond, f func(x *tensor.Tensor, c diffusion.Cond) *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	if g.r == nil {
		g.r = tensor.NewScopeOf(s.Device(), tensor.Recording, s.DType())
	}
	g.r.Reset()
	g.fit(s, x.Shape())
	carry.Apply(s, nil, g.in[:], x)
	leaf := g.r.Leaf(g.r.Param(g.in[0]))
	y := f(leaf, g.moved(c)).Sum()
	if !y.NeedsGrad() {
		return s.Zeros(x.Shape()...)
	}
	carry.Apply(g.r, nil, g.out[:], g.r.GradOf(y, tensor.GradOptions{}, leaf)[0])
	g.r.Reset()
	return s.Param(g.out[0]).Scale(1) // a copy: out is used again
}

// fit makes in and out of a shape.
func (g *slope) fit(s *tensor.Scope, shape []int) {
	if g.in[0] != nil && sameShape(g.in[0].Shape(), shape) {
		return
	}
	g.drop()
	for _, p := range []*[1]*tensor.Param{&g.in, &g.out} {
		p[0] = tensor.NewParam(s.Device(), s.DType(), shape...)
		p[0].Frozen = true
	}
}

func (g *slope) drop() {
	if g.in[0] != nil {
		(*tensor.Kept)(g.in[0]).Drop()
		(*tensor.Kept)(g.out[0]).Drop()
	}
}

// end gives all memory back.
func (g *slope) end() {
	g.drop()
	if g.r != nil {
		g.r.Close()
	}
}

func sameShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// moved is a condition in the recording scope.
func (g *slope) moved(c diffusion.Cond) diffusion.Cond {
	var m diffusion.Cond
	if c.Labels != nil {
		g.labels = grown(g.labels, c.Labels.Elems())
		c.Labels.CopyTo(g.labels)
		m.Labels = g.r.Ints(g.labels, c.Labels.Shape()...)
	}
	m.Vector, m.Drop = g.copied(c.Vector), g.copied(c.Drop)
	return m
}

// copied is t, or nil, in the recording scope.
func (g *slope) copied(t *tensor.Tensor) *tensor.Tensor {
	if t == nil {
		return nil
	}
	g.values = grown(g.values, t.Elems())
	t.CopyTo(g.values)
	return g.r.Tensor(g.values, t.Shape()...)
}

// grown is a slice of n elements, x's memory if that is enough.
func grown[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}

// faintest is the α/σ from which on gradients by x_t are taken. Where less of the data is left, as
// at the noise end of flows, they vanish like α while what follows for the data does not: they
// are taken as if it were that much.
const faintest = 1e-3

// early is at with its times limited to where α/σ is at least faintest. They are valid until it is next called.
func (g *slope) early(path diffusion.GaussianPath, at diffusion.Step) diffusion.Step {
	if g == nil { // not along a trajectory
		g = new(slope)
	}
	last := path.Time(math.Log(faintest))
	g.times = grown(g.times, len(at.T))
	for i, t := range at.T {
		g.times[i] = min(t, last)
	}
	at.T = g.times
	return at
}

// nudged is a prediction whose score is higher by w·grad, w a function of the point: by
// σ²/α·w·grad higher of x0, of which all other kinds follow. grad is that at early times.
func nudged(p diffusion.Pred, grad, x *tensor.Tensor, path diffusion.GaussianPath, at diffusion.Step, w func(p diffusion.Point) float64) diffusion.Pred {
	last := path.Time(math.Log(faintest))
	by := diffusion.PerSample(x, path, diffusion.Step{T: at.T}, func(q, _ diffusion.Point) float64 {
		if q.Sigma == 0 {
			return 0
		}
		e := path.At(min(q.T, last))
		onX0, onEps := p.Kind.Of(q)
		return w(q) * e.Sigma * e.Sigma / e.Alpha * (onX0 - onEps*q.Alpha/q.Sigma)
	})
	p.Value = by.MulAdd(grad, p.Value)
	return p
}
