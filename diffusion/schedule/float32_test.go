package schedule

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// unit is float32's unit roundoff.
const unit = 0x1p-24

// jitter disturbs a float64 run as rounding to float32 would.
type jitter struct {
	seed, n uint64
	rescale bool      // the table is shifted and scaled after it was rounded
	lost    []float64 // by call of the network: what cancellation took from x/α before; nil: nothing
}

// cancel disturbs the state that the network sees at a call by what was lost before it.
func (j *jitter) cancel(x []float64, call int, alpha float64) {
	if call >= len(j.lost) {
		return
	}
	for i := range x {
		x[i] += alpha * j.lost[call] * j.next()
	}
}

// deisLoss is what diffusers' closed form of DEIS's third order loses in float32. Its
// coefficients are differences of t·(ln c·(ln d − ln t + 1) − ln d·ln t + ln d + ln²t − 2·ln t + 2)
// over (ln b − ln c)(ln b − ln d), eight roundings of the sum of the magnitudes, for three
// noises that are taken to be within three deviations. Here they come from series.
func deisLoss(p *Plan) []float64 {
	lost := make([]float64, len(p.Grid))
	ln := make([]float64, len(p.Grid))
	for i, t := range p.Grid {
		ln[i] = -p.Path.HalfLogSNR(t)
	}
	for i := 2; i+1 < len(p.Grid); i++ {
		for j := range 3 {
			b, c, d := ln[i-j], ln[i-(j+1)%3], ln[i-(j+2)%3]
			for _, t := range []float64{ln[i], ln[i+1]} {
				sum := math.Abs(c)*(math.Abs(d)+math.Abs(t)+1) + math.Abs(d*t) + math.Abs(d) + t*t + 2*math.Abs(t) + 2
				lost[i+1] += 3 * 8 * unit * math.Exp(t) * sum / math.Abs((b-c)*(b-d))
			}
		}
	}
	return lost
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
		bound, theirs := 0.0, 0.0
		deis, _ := plan.Sampler.(*sampler.DEIS)
		for i := range 6 {
			j := &jitter{seed: uint64(i), rescale: plan.Path.HalfLogSNR(plan.Path.End()) < -5}
			bound = max(bound, 4*relative(g.run(key, plan, how{dtype: tensor.Float64, variance: variance, jitter: j}), truth))
			if theirs = bound; deis != nil && deis.Order == 3 {
				j := &jitter{seed: uint64(i), lost: deisLoss(plan)}
				theirs = max(theirs, 4*relative(g.run(key, plan, how{dtype: tensor.Float64, variance: variance, jitter: j}), truth))
			}
		}
		stock := relative(g.floats(key+"/final_float32"), truth)
		ours := relative(g.run(key, plan, how{dtype: tensor.Float32, variance: variance}), truth)
		if !(stock <= theirs) {
			t.Errorf("case %s (%s): diffusers' float32 is off by %.2g, rounding explains %.2g", key, c.Config, stock, theirs)
		}
		if !(ours <= bound) {
			t.Errorf("case %s (%s): our float32 is off by %.2g, rounding explains %.2g", key, c.Config, ours, bound)
		}
		largest = max(largest, stock/bound, ours/bound)
		t.Logf("case %s: stock %.2g of %.2g, ours %.2g of %.2g", key, stock, theirs, ours, bound)
	})
	// A bound that nothing comes near would be no bound.
	if largest < 0.05 {
		t.Errorf("no case comes nearer than %.3f to its bound", largest)
	}
}
