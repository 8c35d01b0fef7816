package flow

import (
	"fmt"
	"math"
	"sort"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor/rng"
)

// EntropicSolver finds entropic transport plans between two sets of n points of equal weight,
//
//	argmin Σ P_ij·C_ij + ε·Σ P_ij·(ln P_ij − 1),   rows and columns of P adding up to 1/n,
//
// by Sinkhorn's iteration on P = diag(u)·K·diag(v), K = exp((f+g−C)/ε): u and v are
// absorbed in the potentials f and g before they overflow (Schmitzer 2019, "Stabilized
// sparse scaling algorithms for entropy regularized transport problems"), and ε comes
// down to its value in steps. It uses its storage again; it belongs to one goroutine.
// The zero value is ready.
type EntropicSolver struct {
	n, tries   int
	cost       []float64
	f, g, u, v []float64
	kernel     []float64
	sums       []float64
}

// Settings of Sinkhorn's iteration. They decide how long it takes, not what it finds.
const (
	entropicFactor = 4   // between two values of ε
	entropicRough  = 0.1 // error of the marginals with which a larger ε is left
	absorbAt       = 1e30
)

// NotConverged says that Sinkhorn's iteration did not come to an end.
type NotConverged struct {
	Iterations     int
	Off, Wanted    float64 // of the marginals
	Regularisation float64 // ε
}

func (e *NotConverged) Error() string {
	return fmt.Sprintf("Sinkhorn's iteration did not converge: after %d iterations the marginals are off by %.3g of 1, wanted %g; "+
		"raise max_iterations, tolerance or the regularisation (%g)", e.Iterations, e.Off, e.Wanted, e.Regularisation)
}

// Solve finds the plan for a row-major n×n matrix of finite costs. The criterion is
// Σ|row sums − 1/n| ≤ tolerance, where the columns are exact. Error: *NotConverged.
func (s *EntropicSolver) Solve(cost []float64, n int, reg, tolerance float64, most int) error {
	if len(cost) != n*n {
		panic(fmt.Sprintf("flow: %d costs for a plan between %d and %d", len(cost), n, n))
	}
	s.n, s.tries, s.cost = n, 0, cost
	s.f, s.g, s.u, s.v, s.sums = grow(s.f, n), grow(s.g, n), grow(s.u, n), grow(s.v, n), grow(s.sums, n)
	s.kernel = grow(s.kernel, n*n)
	clear(s.g)
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, c := range cost {
		lo, hi = min(lo, c), max(hi, c)
	}
	for eps := hi - lo; eps > reg; eps /= entropicFactor {
		s.rowsExactly(eps)
		s.iterate(eps, entropicRough, most)
	}
	s.rowsExactly(reg)
	if off, ok := s.iterate(reg, tolerance, most); !ok {
		return &NotConverged{s.tries, off, tolerance, reg}
	}
	return nil
}

// rowsExactly sets f to the soft minimum that makes the rows' sums right for g:
// f_i = −ε·ln Σ_j n·exp((g_j − C_ij)/ε), whose sums cannot overflow; and K.
func (s *EntropicSolver) rowsExactly(eps float64) {
	n := s.n
	for i := range n {
		row := s.cost[i*n : (i+1)*n]
		top := math.Inf(-1)
		for j, c := range row {
			top = max(top, s.g[j]-c)
		}
		sum := 0.0
		for j, c := range row {
			sum += math.Exp((s.g[j] - c - top) / eps)
		}
		s.f[i] = -top - eps*math.Log(sum*float64(n))
	}
	s.absorb(eps)
}

// columnsExactly is rowsExactly for columns; it leaves K alone.
func (s *EntropicSolver) columnsExactly(eps float64) {
	n := s.n
	for j := range n {
		top := math.Inf(-1)
		for i := range n {
			top = max(top, s.f[i]-s.cost[i*n+j])
		}
		sum := 0.0
		for i := range n {
			sum += math.Exp((s.f[i] - s.cost[i*n+j] - top) / eps)
		}
		s.g[j] = -top - eps*math.Log(sum*float64(n))
	}
}

// absorb makes K of the potentials, and u = v = 1.
func (s *EntropicSolver) absorb(eps float64) {
	n := s.n
	for i := range n {
		row, k := s.cost[i*n:(i+1)*n], s.kernel[i*n:(i+1)*n]
		for j, c := range row {
			k[j] = math.Exp((s.f[i] + s.g[j] - c) / eps)
		}
	}
	for i := range n {
		s.u[i], s.v[i] = 1, 1
	}
}

// iterate scales columns and rows in turn until the rows' sums are right after the
// columns' have been. Then f and g hold all of the plan, and K is it.
func (s *EntropicSolver) iterate(eps, wanted float64, most int) (off float64, ok bool) {
	n, each := s.n, 1/float64(s.n)
	for ; ; s.tries++ {
		// v = 1/n / Kᵀu
		clear(s.sums)
		for i, u := range s.u {
			addScaled(s.sums, s.kernel[i*n:(i+1)*n], u)
		}
		for j, sum := range s.sums {
			s.v[j] = each / sum
		}
		// Σ|u·Kv − 1/n|, and u = 1/n / Kv
		off = 0
		wide := false
		for i := range n {
			sum := dot(s.kernel[i*n:(i+1)*n], s.v)
			off += math.Abs(s.u[i]*sum - each)
			s.sums[i] = each / sum
			wide = wide || !(s.v[i] < absorbAt && s.v[i] > 1/absorbAt && s.sums[i] < absorbAt && s.sums[i] > 1/absorbAt)
		}
		switch {
		case off <= wanted:
			for i := range n {
				s.f[i] += eps * math.Log(s.u[i])
				s.g[i] += eps * math.Log(s.v[i])
			}
			s.absorb(eps)
			return off, true
		case s.tries >= most:
			return off, false
		case wide:
			for i := range n {
				s.f[i] += eps * math.Log(s.u[i])
			}
			s.columnsExactly(eps)
			s.rowsExactly(eps)
		default:
			copy(s.u, s.sums)
		}
	}
}

// Plan is P_ij of the last Solve, row-major; it is valid until the next.
func (s *EntropicSolver) Plan() []float64 { return s.kernel }

// addScaled is y += a·x.
func addScaled(y, x []float64, a float64) {
	x = x[:len(y)]
	for j := range y {
		y[j] += a * x[j]
	}
}

func dot(x, y []float64) float64 {
	y = y[:len(x)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	return s0 + s1 + s2 + s3
}

// Sinkhorn pairs data and noise by entropic optimal transport within the batch, for the squared
// distance: with the regularisation 2σ² and a bridge of σ it is SB-CFM (Tong et al. 2024). The
// larger the regularisation, the nearer it is to independent pairs. It belongs to one goroutine.
type Sinkhorn struct {
	Reg        float64 `yaml:"regularisation" doc:"entropic regularisation of the squared distance: 2·sigma² for a Schrödinger bridge of sigma" range:"(0,inf)"`
	Tolerance  float64 `yaml:"tolerance" doc:"by how much the plan's marginals may be off, summed, of 1" range:"(0,1)"`
	Iterations int     `yaml:"max_iterations" doc:"iterations after which training stops with an error" range:"[1,inf)"`
	Replace    bool    `yaml:"replace" doc:"draw pairs from the plan with replacement, as torchcfm does; otherwise each data sample once, with noise drawn from its row of the plan"`

	costs
	solver EntropicSolver
	cost   []float64
	upTo   []float64
	match  []int32
	pairs  pairs
}

// SetDefaults fits the bridge's default, σ=0.5.
func (c *Sinkhorn) SetDefaults() {
	c.Reg, c.Tolerance, c.Iterations, c.Replace = 0.5, 1e-3, 10000, true
}

// Validate checks the ranges.
func (c *Sinkhorn) Validate() error {
	switch {
	case !(c.Reg > 0) || math.IsInf(c.Reg, 0):
		return invalid.Field("regularisation", "must be positive, is %g", c.Reg)
	case !(c.Tolerance > 0 && c.Tolerance < 1):
		return invalid.Field("tolerance", "must be in (0, 1), is %g", c.Tolerance)
	case c.Iterations < 1:
		return invalid.Field("max_iterations", "must be at least 1, is %d", c.Iterations)
	}
	return nil
}

// Couple draws pairs from the plan. Error: *NotConverged.
func (c *Sinkhorn) Couple(k rng.Key, d *diffusion.Draw) error {
	n := d.N
	if n == 0 {
		return nil
	}
	noise := d.HostNoise()
	c.cost = grow(c.cost, n*n)
	c.half(c.cost, d.X, noise, n)
	if err := c.solver.Solve(c.cost, n, c.Reg/2, c.Tolerance, c.Iterations); err != nil {
		return err
	}
	c.pairs.choose(k, n, c.Replace)
	c.match, c.upTo = grow(c.match, n), grow(c.upTo, n)
	k = k.WithStream(k.Stream ^ streamColumns)
	for i, row := range c.pairs.pick {
		c.match[i] = drawColumn(rng.Float64(k, uint64(i), 0), c.solver.Plan()[int(row)*n:int(row+1)*n], c.upTo)
	}
	c.pairs.apply(d, c.match, c.Replace)
	return nil
}

// streamColumns sets the numbers that choose columns apart from those that choose rows.
const streamColumns = 1 << 31

// drawColumn is the column of a row of a plan at u in [0,1) of its weight.
func drawColumn(u float64, row, upTo []float64) int32 {
	sum := 0.0
	for j, p := range row {
		sum += p
		upTo[j] = sum
	}
	j := sort.Search(len(row), func(j int) bool { return upTo[j] > u*sum })
	return int32(min(j, len(row)-1))
}
