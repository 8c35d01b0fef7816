package schedule

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// unit is float32's unit roundoff.
const unit = 0x1p-24

// jitter disturbs a float64 run as rounding to float32 would.
type jitter struct {
	seed, n uint64
	rescale bool // the table is shifted and scaled after it was rounded
}

// next is uniform on [−1,1].
func (j *jitter) next() float64 {
	j.n++
	return 2*rng.Float64(rng.Key{Seed: j.seed}, j.n, 0) - 1
}

// roundings is the number of float32 operations, each off by unit, between one
// output of the network and the next input: at most sixteen in each of these
// samplers, conversions and clipping included.
const roundings = 16

func (j *jitter) shake(x []float64) {
	if j == nil {
		return
	}
	for i := range x {
		x[i] *= 1 + roundings*unit*j.next()
	}
}

// path has a table such as float32 would give. ln ā_k is a sum of ln(1−β): each
// β is off by 2·unit, of linspace and itself, so that 1−β is off by 2·unit·β/(1−β)
// relatively and by unit of its own rounding, and each product by one more. All of
// these roundings are independent.
func (j *jitter) path(p diffusion.GaussianPath) diffusion.GaussianPath {
	table, ok := p.(*diffusion.Table)
	if !ok {
		return jittered{p, nil, j}
	}
	off := make([]float64, table.Len()+1)
	shift := 4 * unit * j.next() // of √ā_T, taken from every √ā
	for k := 1; k < len(off); k++ {
		kept := table.AlphaBar(k) / table.AlphaBar(k-1)
		off[k] = off[k-1] + 2*unit*j.next()
		if kept > 0 {
			off[k] += 2 * unit * (1 - kept) / kept * j.next()
		}
	}
	if j.rescale {
		for k := 1; k < len(off); k++ {
			if a := table.AlphaBar(k); a > 0 {
				off[k] += 2 * (shift + 2*unit*j.next()) / math.Sqrt(a)
			}
		}
	}
	return jittered{p, off, j}
}

// jittered disturbs coefficients anew each time it is asked: it is asked once for the
// solver's own and once for conversions, whose terms round independently.
type jittered struct {
	diffusion.GaussianPath
	off []float64 // of ln ā by entry; nil: CondOT
	j   *jitter
}

func (p jittered) At(t float64) diffusion.Point {
	q := p.GaussianPath.At(t)
	if t == 0 || q.Alpha == 0 || q.Sigma == 0 {
		return q
	}
	if p.off != nil {
		bar := q.Alpha * q.Alpha * (1 + p.off[min(int(math.Ceil(t)), len(p.off)-1)])
		q.Alpha, q.Sigma = math.Sqrt(bar), math.Sqrt(max(0, 1-bar))
	}
	q.Alpha *= 1 + 4*unit*p.j.next()
	q.Sigma *= 1 + 4*unit*p.j.next()
	return q
}

// TestFloat32 compares with the untouched float32 schedulers: diffusers', and
// ours, are as far from the truth as rounding explains. How far that is, is found by
// disturbing the float64 run by every rounding at once (Monte Carlo arithmetic) —
// tables, coefficients, what the network sees and says —:
// the largest change of six runs, times four for what so few may miss.
func TestFloat32(t *testing.T) {
	largest := 0.0
	each(t, func(t *testing.T, g *goldenFile, key string, c goldenCase) {
		plan, variance := g.plan(key)
		truth := g.run(key, plan, how{dtype: tensor.Float64, variance: variance})
		bound := 0.0
		for i := range 6 {
			j := &jitter{seed: uint64(i), rescale: plan.Path.HalfLogSNR(plan.Path.End()) < -5}
			bound = max(bound, 4*relative(g.run(key, plan, how{dtype: tensor.Float64, variance: variance, jitter: j}), truth))
		}
		stock := relative(g.floats(key+"/final_float32"), truth)
		ours := relative(g.run(key, plan, how{dtype: tensor.Float32, variance: variance}), truth)
		if !(stock <= bound) {
			t.Errorf("case %s (%s): diffusers' float32 is off by %.2g, rounding explains %.2g", key, c.Config, stock, bound)
		}
		if !(ours <= bound) {
			t.Errorf("case %s (%s): our float32 is off by %.2g, rounding explains %.2g", key, c.Config, ours, bound)
		}
		largest = max(largest, stock/bound, ours/bound)
		t.Logf("case %s: stock %.2g, ours %.2g, bound %.2g", key, stock, ours, bound)
	})
	// A bound that nothing comes near would be no bound.
	if largest < 0.05 {
		t.Errorf("no case comes nearer than %.3f to its bound", largest)
	}
}
