package guidance

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Constraint is a set that data are to lie in.
type Constraint interface {
	// Project is the nearest data in the set, each sample (row of x0) on its own.
	Project(x0 *tensor.Tensor) *tensor.Tensor
}

// Projection is a constraint of the user's own.
type Projection func(x0 *tensor.Tensor) *tensor.Tensor

// Project is f(x0).
func (f Projection) Project(x0 *tensor.Tensor) *tensor.Tensor { return f(x0) }

// All is several constraints at once.
type All []Constraint

// rounds of Dykstra's method: it converges like a geometric series for the sets here.
const rounds = 20

// Project is the nearest data in all sets, if these are convex and meet, by Dykstra's
// alternating projections (Boyle and Dykstra 1986). The last is kept to exactly.
func (all All) Project(x0 *tensor.Tensor) *tensor.Tensor {
	if len(all) == 1 {
		return all[0].Project(x0)
	}
	off := make([]*tensor.Tensor, len(all)) // what each projection took away last
	for i := range off {
		off[i] = x0.Scope().Zeros(1)
	}
	for range rounds {
		for i, c := range all {
			from := x0.Add(off[i])
			x0 = c.Project(from)
			off[i] = from.Sub(x0)
		}
	}
	return x0
}

// Box is values in [Min, Max].
type Box struct {
	Min float64 `yaml:"min" doc:"lowest value" range:"(-inf,inf)"`
	Max float64 `yaml:"max" doc:"highest value" range:"(-inf,inf)"`
}

// SetDefaults is the range of pictures.
func (b *Box) SetDefaults() { b.Min, b.Max = -1, 1 }

// Validate checks the order.
func (b *Box) Validate() error {
	if !(b.Min <= b.Max) {
		return invalid.Field("max", "must not be below min=%g, is %g", b.Min, b.Max)
	}
	return nil
}

// Project clamps.
func (b *Box) Project(x0 *tensor.Tensor) *tensor.Tensor { return x0.Clamp(b.Min, b.Max) }

// Mean is samples whose values have a given mean, or sum.
type Mean struct {
	Value float64 `yaml:"value,required" doc:"mean or sum of a sample's values" range:"(-inf,inf)"`
	Sum   bool    `yaml:"sum" doc:"value is the sum"`
}

// Project moves all values alike.
func (m *Mean) Project(x0 *tensor.Tensor) *tensor.Tensor {
	rows := x0.Reshape(x0.Dim(0), -1)
	want := m.Value
	if m.Sum {
		want /= float64(rows.Dim(1))
	}
	return rows.Sub(rows.MeanKeep(1).AddScalar(-want)).Reshape(x0.Shape()...)
}

// Known is data of which some values are given: inpainting. Along a deterministic sampler
// the projection is the method of replacement: the known values of the state are those given,
// noised with the noise that the run began with.
type Known struct {
	Values []float32 // of a sample
	Mask   []float32 // 1 where a value is given, 0 elsewhere; nil: everywhere
}

// Project replaces what is known.
func (k *Known) Project(x0 *tensor.Tensor) *tensor.Tensor {
	s := x0.Scope()
	var dims [tensor.MaxRank]int
	one := dims[:copy(dims[:], x0.Shape())]
	one[0] = 1
	y := s.Tensor(k.Values, one...)
	if k.Mask == nil {
		return y.Expand(x0.Shape()...)
	}
	return s.Tensor(k.Mask, one...).Where(y, x0)
}

// Constrained projects the estimate of the data: samplers then go towards data that
// keep to the constraint. Its predictions are of x0.
type Constrained struct {
	Of diffusion.Model
	To Constraint
	// Report hears, after each evaluation, how far each sample's estimate was from the
	// constraint: the largest change of one of its values. nil: nobody asks.
	Report func(at diffusion.Step, violation []float64)
}

// Path is the model's.
func (g *Constrained) Path() diffusion.GaussianPath { return g.Of.Path() }

// Kind is x0.
func (g *Constrained) Kind() diffusion.Kind { return diffusion.X0 }

// Begin begins the model's trajectory.
func (g *Constrained) Begin() (m diffusion.Model, restart, end func()) {
	of, restart, end := diffusion.Begin(g.Of)
	h := *g
	h.Of = of
	return &h, restart, end
}

// Eval projects.
func (g *Constrained) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	p := g.Of.Eval(x, at, c)
	free := p.As(diffusion.X0, x, g.Path(), diffusion.Step{T: at.T})
	p.Value, p.Kind = g.To.Project(free), diffusion.X0
	if g.Report != nil {
		g.Report(at, distance(free, p.Value))
	}
	return p
}

// Violation is how far each sample of x is from a constraint: the largest change
// of one of its values by the projection.
func Violation(c Constraint, x *tensor.Tensor) []float64 { return distance(x, c.Project(x)) }

func distance(a, b *tensor.Tensor) []float64 {
	return a.Sub(b).Reshape(a.Dim(0), -1).VectorNorm(math.Inf(1), 1).Float64s()
}
