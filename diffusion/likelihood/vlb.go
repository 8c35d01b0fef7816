package likelihood

import (
	"context"
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Variances of the reverse step.
const (
	FixedSmall = "fixed_small" // that of q(x_{t−1}|x_t,x0), β̃
	FixedLarge = "fixed_large" // that of q(x_t|x_{t−1}), β
	Learned    = "learned"     // what the model says
)

// VLB computes the variational bound on −log2 p(x0) of discrete diffusion in bits for
// each number (Ho et al. 2020, eq. 5):
//
//	L_T + Σ_{t=2…T} L_{t−1} + L_0,
//
// KL(q(x_T|x0) ‖ N(0,I)), KL(q(x_{t−1}|x_t,x0) ‖ p(x_{t−1}|x_t)), and −ln p(x0|x1) of data
// of so many levels. As in Nichol and Dhariwal's code, the first entry's variance is that of
// the second, β̃_2.
type VLB struct {
	Levels   int     `yaml:"levels" doc:"equally spaced values of the data from −1 to 1" range:"[2,inf)"`
	Variance string  `yaml:"variance" doc:"of the reverse step" oneof:"fixed_small fixed_large learned"`
	Clip     float64 `yaml:"clip" doc:"limit of the estimate of the data, either way; 0: none" range:"[0,inf)"`
	Times    int     `yaml:"times" doc:"times from 2 to T that each sample is asked at, one from each of as many parts, shorter ones near the data; 0: all" range:"[0,inf)"`

	Key   rng.Key `yaml:"-"` // of noise and times
	First uint64  `yaml:"-"` // sample i is row First+i under Key
	Batch int     `yaml:"-"` // samples at a time; 0: 256

	noise func(s *tensor.Scope, t, from, n int) *tensor.Tensor // in tests
}

// SetDefaults is for pictures of bytes: all times, limited as the data are.
func (v *VLB) SetDefaults() { *v = VLB{Levels: 256, Variance: FixedSmall, Clip: 1} }

// Validate checks names and ranges.
func (v *VLB) Validate() error {
	switch {
	case v.Levels < 2:
		return invalid.Field("levels", "must be at least 2, are %d", v.Levels)
	case v.Variance != FixedSmall && v.Variance != FixedLarge && v.Variance != Learned:
		return invalid.Field("variance", "must be fixed_small, fixed_large or learned, is %q", v.Variance)
	case !(v.Clip >= 0) || math.IsInf(v.Clip, 0):
		return invalid.Field("clip", "must not be negative, is %g", v.Clip)
	case v.Times < 0:
		return invalid.Field("times", "must not be negative, is %d", v.Times)
	}
	return nil
}

// Bound is what VLB finds, in bits for each number.
type Bound struct {
	Total   Estimate // L_T + Σ L_{t−1} + L_0; its error has that of times and noise in it
	Prior   float64  // L_T
	Steps   float64  // Σ_{t=2…T} L_{t−1}
	Decoder float64  // L_0
	Terms   []Term   // of Steps, by time
}

// Term is the part of Steps from times From to To, both included.
type Term struct {
	From, To int
	Bits     float64
}

// Bound is the mean over data, whose conditions m is given; it is asked in s, which is Reset
// between evaluations. m's path must be a Table. progress, if not nil, hears of evaluations of batches.
func (v *VLB) Bound(ctx context.Context, s *tensor.Scope, m diffusion.Model, data Data, progress func(done, total int)) (*Bound, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	table, ok := m.Path().(*diffusion.Table)
	switch {
	case !ok:
		return nil, fmt.Errorf("the variational bound is of discrete noise schedules; the model's path is %T", m.Path())
	case table.Len() < 2:
		return nil, fmt.Errorf("the variational bound of a schedule of %d entry: want at least 2", table.Len())
	case data.Dim() == 0 || len(data.X)%data.Dim() != 0:
		return nil, fmt.Errorf("%d values are not samples of shape %v", len(data.X), data.Shape)
	}
	n, batch := data.Len(), v.Batch
	if batch == 0 {
		batch = 256
	}
	parts := v.parts(table.Len())
	total := make([]float64, n) // of each sample
	b := &Bound{Terms: make([]Term, len(parts))}
	for k, p := range parts {
		b.Terms[k] = Term{From: p[0], To: p[1]}
	}
	done, evals := 0, (n+batch-1)/batch*(len(parts)+1)
	for from := 0; from < n; from += batch {
		d := data.part(from, min(from+batch, n))
		for i, bits := range prior(d, table) {
			total[from+i] += bits
			b.Prior += bits / float64(n)
		}
		for k := -1; k < len(parts); k++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			span := [2]int{1, 1} // the decoder
			if k >= 0 {
				span = parts[k]
			}
			terms, err := v.terms(s, m, table, d, from, span)
			if err != nil {
				return nil, err
			}
			weight := float64(span[1] - span[0] + 1)
			for i, bits := range terms {
				total[from+i] += bits * weight
				if k < 0 {
					b.Decoder += bits / float64(n)
				} else {
					b.Terms[k].Bits += bits * weight / float64(n)
				}
			}
			if done++; progress != nil {
				progress(done, evals)
			}
		}
	}
	for _, t := range b.Terms {
		b.Steps += t.Bits
	}
	b.Total = Mean(total)
	return b, nil
}

// parts are the spans of times from 2 to T of which one each is asked. Their lengths
// grow with time: the terms near the data are the largest and the most different.
func (v *VLB) parts(last int) [][2]int {
	n := last - 1
	k := v.Times
	if k == 0 || k > n {
		k = n
	}
	before := func(i int) int { return max(i, n*i/k*i/k) } // times in the first i parts
	parts := make([][2]int, k)
	for i := range parts {
		parts[i] = [2]int{2 + before(i), 1 + before(i+1)}
	}
	return parts
}

// Streams of the random numbers under Key.
const (
	streamNoise uint32 = iota
	streamTime
)

// terms is L_{t−1} of each sample at a time of the span, in bits for each number.
func (v *VLB) terms(s *tensor.Scope, m diffusion.Model, table *diffusion.Table, d Data, from int, span [2]int) (out []float64, err error) {
	s.Reset()
	n := d.Len()
	samples, at := make([]int, n), diffusion.Step{}
	for i := range n {
		samples[i] = i
		t := span[0]
		if span[1] > span[0] {
			t += rng.Intn(v.Key.WithStream(v.Key.Stream+streamTime).WithStep(uint64(span[0])), v.First+uint64(from+i), 0, span[1]-span[0]+1)
		}
		at.T, at.Next = append(at.T, float64(t)), append(at.Next, float64(t-1))
	}
	s.NoGrad(func() {
		shape := append([]int{n}, d.Shape...)
		x0 := s.Tensor(d.X, shape...)
		var eps *tensor.Tensor
		if v.noise != nil {
			eps = v.noise(s, span[0], from, n)
		} else {
			eps = s.Normal(v.Key.WithStream(v.Key.Stream+streamNoise).WithStep(uint64(span[0])), v.First+uint64(from), shape...)
		}
		noisy := diffusion.Noised(x0, eps, table, at)
		var cond diffusion.Cond
		if d.Cond != nil {
			cond = d.Cond(s, samples)
		}
		p := m.Eval(noisy, at, cond)
		if v.Clip > 0 {
			p.Value, p.Kind = p.As(diffusion.X0, noisy, table, at).Clamp(-v.Clip, v.Clip), diffusion.X0
		}
		switch {
		case v.Variance != Learned:
			p.LogVar = diffusion.PerSample(x0, table, at, func(now, next diffusion.Point) float64 { return v.logVar(table, now, next) })
		case p.LogVar == nil:
			err = invalid.Field("variance", "is learned; the model has none")
			return
		}
		out = diffusion.BoundTerms(p, x0, noisy, table, at, v.Levels).Float64s()
	})
	return out, err
}

// logVar is the logarithm of a fixed variance; that of the first entry is β̃_2.
func (v *VLB) logVar(table *diffusion.Table, now, next diffusion.Point) float64 {
	if next.T == 0 {
		return math.Log(diffusion.NewPosterior(table.At(2), table.At(1)).Small)
	}
	q := diffusion.NewPosterior(now, next)
	if v.Variance == FixedLarge {
		return math.Log(q.Large)
	}
	return math.Log(q.Small)
}

// prior is KL(q(x_T|x0) ‖ N(0,I)) = ½·Σ(α²x0² + σ² − 1 − lnσ²) of each sample, in bits for each number.
func prior(d Data, table *diffusion.Table) []float64 {
	p, dim := table.At(table.End()), d.Dim()
	out := make([]float64, d.Len())
	for i, x := range d.X {
		ax := p.Alpha * x
		out[i/dim] += (ax*ax + p.Sigma*p.Sigma - 1 - 2*math.Log(p.Sigma)) / (2 * float64(dim) * math.Ln2)
	}
	return out
}

// Mean is that of independent values, with its standard error.
func Mean(x []float64) Estimate {
	e, n := Estimate{N: len(x)}, float64(len(x))
	for _, v := range x {
		e.Mean += v / n
	}
	spread := 0.0
	for _, v := range x {
		spread += (v - e.Mean) * (v - e.Mean)
	}
	e.Error = math.Sqrt(spread / ((n - 1) * n))
	return e
}
