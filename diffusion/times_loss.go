package diffusion

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"

	"github.com/langevin-go/langevin/internal/invalid"
)

// ByLoss draws times in proportion to the root of the mean square of past losses there, and
// divides the loss by the density so that what is minimised stays the same with less noise in
// its gradient (Nichol and Dhariwal 2021, sec. 3.3): for losses that vary much over time, such as
// the variational bound. The path is divided into bins; on a Table each entry is one, as in the paper: where losses within a bin
// differ by hundreds, as the bound's do at both ends of a table, the largest are drawn too seldom, and the gradient is theirs.
// Until every bin has its losses, times are uniform.
type ByLoss struct {
	Bins    int     `yaml:"bins" doc:"equal parts of the path whose losses are told apart; 0: on a table of noise levels its entries, on other paths 100" range:"[0,100000]"`
	History int     `yaml:"history" doc:"losses of each part that are remembered" range:"[1,1000]"`
	Floor   float64 `yaml:"floor" doc:"share of times that stay uniform" range:"[0,1]"`

	losses [][]float64 // newest last
	ends   []float64   // of the bins in cumulative probability; nil: even
}

// SetDefaults takes the paper's choices.
func (d *ByLoss) SetDefaults() { *d = ByLoss{History: 10, Floor: 0.001} }

// Validate checks the ranges.
func (d *ByLoss) Validate() error {
	switch {
	case d.Bins < 0:
		return invalid.Field("bins", "must not be negative, is %d", d.Bins)
	case d.History < 1:
		return invalid.Field("history", "must be at least 1, is %d", d.History)
	case !(d.Floor >= 0 && d.Floor <= 1):
		return invalid.Field("floor", "must be in [0, 1], is %g", d.Floor)
	}
	return nil
}

// Time is the quantile function of a density that is constant in each bin.
func (d *ByLoss) Time(p GaussianPath, u float64) float64 {
	if d.ends == nil {
		return onClock(p, u)
	}
	i := min(sort.SearchFloat64s(d.ends, u), len(d.ends)-1)
	from := 0.0
	if i > 0 {
		from = d.ends[i-1]
	}
	inside := 0.5 // of a bin without probability
	if d.ends[i] > from {
		inside = (u - from) / (d.ends[i] - from)
	}
	return onClock(p, (float64(i)+min(inside, 1-1e-12))/float64(len(d.ends)))
}

// Importance is the uniform density over that of the times, at one of them.
func (d *ByLoss) Importance(p GaussianPath, t float64) float64 {
	if d.ends == nil {
		return 1
	}
	i := d.bin(p, t)
	from := 0.0
	if i > 0 {
		from = d.ends[i-1]
	}
	return 1 / (float64(len(d.ends)) * (d.ends[i] - from))
}

// bins is how many there are on a path: those that have losses, if any do.
func (d *ByLoss) bins(p GaussianPath) int {
	if d.losses != nil {
		return len(d.losses)
	}
	if d.Bins > 0 {
		return d.Bins
	}
	if table, ok := p.(*Table); ok {
		return table.Len()
	}
	return 100
}

func (d *ByLoss) bin(p GaussianPath, t float64) int {
	f := t / p.End()
	if table, ok := p.(*Table); ok {
		f = (t - 0.5) / float64(table.Len())
	}
	n := d.bins(p)
	return min(max(int(f*float64(n)), 0), n-1)
}

// Observe takes in the losses of samples at times t, before their division by the density.
func (d *ByLoss) Observe(p GaussianPath, t []float64, losses []float32) {
	if d.losses == nil {
		d.losses = make([][]float64, d.bins(p))
	}
	for i, l := range losses {
		v := float64(l)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		b := &d.losses[d.bin(p, t[i])]
		if len(*b) == d.History {
			copy(*b, (*b)[1:])
			*b = (*b)[:d.History-1]
		}
		*b = append(*b, v)
	}
	d.update()
}

// update makes the density of the losses.
func (d *ByLoss) update() {
	d.ends = nil
	roots, sum := make([]float64, len(d.losses)), 0.0
	for i, b := range d.losses {
		if len(b) < d.History {
			return
		}
		for _, v := range b {
			roots[i] += v * v
		}
		roots[i] = math.Sqrt(roots[i] / float64(len(b)))
		sum += roots[i]
	}
	if !(sum > 0) {
		return
	}
	d.ends = make([]float64, len(d.losses))
	at := 0.0
	for i, r := range roots {
		at += (1-d.Floor)*r/sum + d.Floor/float64(len(d.losses))
		d.ends[i] = at
	}
}

// MarshalJSON is the losses that are remembered.
func (d *ByLoss) MarshalJSON() ([]byte, error) { return json.Marshal(d.losses) }

// UnmarshalJSON brings them back.
func (d *ByLoss) UnmarshalJSON(b []byte) error {
	var losses [][]float64
	if err := json.Unmarshal(b, &losses); err != nil {
		return err
	}
	if losses != nil && d.Bins > 0 && len(losses) != d.Bins {
		return fmt.Errorf("losses of %d bins, now there are %d", len(losses), d.Bins)
	}
	for i, l := range losses {
		if len(l) > d.History {
			return fmt.Errorf("%d losses of bin %d, now %d are remembered", len(l), i, d.History)
		}
	}
	if d.losses = losses; losses != nil {
		d.update()
	}
	return nil
}
