package diffusion

import (
	"fmt"
	"math"
	"sort"
)

// Interpolation says how the noise level σ/α runs between the entries of a Table.
type Interpolation uint8

const (
	InterpolateLinear Interpolation = iota // linear in time
	InterpolateLog                         // its logarithm is linear in time
)

// Table is the discrete variance-preserving path of DDPM. Its times are those
// of Ho et al. 2020: t=1…T is entry t−1 of the table (diffusers' timestep t−1), and
// t=0 is data. Between entries the noise level is interpolated as stated (from 0
// to 1: linearly from 0), and α²+σ²=1. Past T its logarithm goes on as it did
// last. If the last entry has ā=0, where the noise level is infinite, α is linear
// in the last interval.
type Table struct {
	alphaBar []float64
	level    []float64 // σ/α by t, level[0]=0
	how      Interpolation
}

// NewTable makes a path from variances β_1…β_T in (0,1]; only the last may be 1.
func NewTable(betas []float64, how Interpolation) (*Table, error) {
	for i, b := range betas {
		if !(b > 0 && b <= 1) || b == 1 && i < len(betas)-1 {
			return nil, fmt.Errorf("beta %d of %d is %g: must be in (0, 1), the last at most 1", i, len(betas), b)
		}
	}
	return NewTableOf(AlphaBars(betas), how)
}

// NewTableOf makes a path from ā_1…ā_T, which fall from below 1 to 0 at the
// lowest. Only the last may be above the one before: diffusers' Euler sampler puts
// 2^−24 in place of 0 there.
func NewTableOf(alphaBar []float64, how Interpolation) (*Table, error) {
	if len(alphaBar) == 0 {
		return nil, fmt.Errorf("a table of no entries")
	}
	p := &Table{alphaBar: alphaBar, level: make([]float64, len(alphaBar)+1), how: how}
	before := 1.0
	for i, a := range alphaBar {
		if last := i == len(alphaBar)-1; !(a >= 0 && a < 1 && (a < before || last)) {
			return nil, fmt.Errorf("entry %d of the table is ā=%g: must be at least 0 and below the one before, %g", i, a, before)
		}
		before = a
		p.level[i+1] = math.Sqrt((1 - a) / a)
	}
	return p, nil
}

// Len is T.
func (p *Table) Len() int { return len(p.alphaBar) }

// AlphaBar is ā_t for t=0…T; ā_0=1.
func (p *Table) AlphaBar(t int) float64 {
	if t == 0 {
		return 1
	}
	return p.alphaBar[t-1]
}

// End is T.
func (p *Table) End() float64 { return float64(len(p.alphaBar)) }

// Variable is the noise level: the table's time has no meaning of its own.
func (p *Table) Variable() Variable { return InSigma }

// At gives α=√ā, σ=√(1−ā) at whole times, and the interpolation between.
// Derivatives are those of the interval after t.
func (p *Table) At(t float64) Point {
	i := min(max(int(t), 0), len(p.level)-2)
	f := t - float64(i)
	a, b := p.level[i], p.level[i+1]
	if math.IsInf(b, 1) { // ā_T=0: α linear
		a0 := math.Sqrt(p.AlphaBar(i))
		alpha := a0 * (1 - f)
		sigma := math.Sqrt(1 - alpha*alpha)
		return Point{T: t, Alpha: alpha, Sigma: sigma, DAlpha: -a0, DSigma: alpha * a0 / sigma}
	}
	var level, slope float64
	if i > 0 && (p.how == InterpolateLog || f > 1) {
		level = math.Exp((1-f)*math.Log(a) + f*math.Log(b))
		slope = level * math.Log(b/a)
	} else {
		level, slope = a+f*(b-a), b-a
	}
	q := levelPoint(t, level, slope)
	if f == 0 || f == 1 { // an entry itself, without rounding
		abar := p.AlphaBar(i + int(f))
		q.Alpha, q.Sigma = math.Sqrt(abar), math.Sqrt(1-abar)
	}
	return q
}

// levelPoint is the variance-preserving point of a noise level s: α=(1+s²)^−½, σ=sα.
func levelPoint(t, s, slope float64) Point {
	alpha := 1 / math.Sqrt(1+s*s)
	cube := alpha * alpha * alpha
	return Point{T: t, Alpha: alpha, Sigma: s * alpha, DAlpha: -s * cube * slope, DSigma: cube * slope}
}

// HalfLogSNR is −ln of the noise level.
func (p *Table) HalfLogSNR(t float64) float64 {
	q := p.At(t)
	return math.Log(q.Alpha) - math.Log(q.Sigma)
}

// Time inverts HalfLogSNR.
func (p *Table) Time(halfLogSNR float64) float64 {
	t := p.TimeOfLevel(math.Exp(-halfLogSNR))
	return min(t, p.End())
}

// TimeOfLevel is the time of a noise level; past the table's last it goes on.
func (p *Table) TimeOfLevel(level float64) float64 {
	n := len(p.level)
	i := min(max(sort.Search(n, func(i int) bool { return p.level[i] > level })-1, 0), n-2)
	if p.level[n-1] < p.level[n-2] && p.level[n-1] <= level {
		i = n - 2
	}
	a, b := p.level[i], p.level[i+1]
	switch {
	case level <= 0:
		return 0
	case math.IsInf(b, 1):
		// α = a0·(1−f) = 1/√(1+level²)
		return float64(i) + 1 - 1/(math.Sqrt(1+level*level)*math.Sqrt(p.AlphaBar(i)))
	case i > 0 && (p.how == InterpolateLog || level > b):
		return float64(i) + math.Log(level/a)/math.Log(b/a)
	}
	return float64(i) + (level-a)/(b-a)
}

// TableInput is the time input of networks trained on table entries 0…T−1
// (openai/guided-diffusion, diffusers): the entry's number, fractional between.
func (p *Table) TableInput(q Point) float64 { return min(max(q.T-1, 0), p.End()-1) }
