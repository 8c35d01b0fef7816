package likelihood

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// turn is the prediction dy/dθ = cosθ·ε − sinθ·x0: on variance-preserving paths, v.
type turn struct{}

func (turn) String() string { return "dy/dθ" }

// Of gives −sinθ and cosθ.
func (turn) Of(p diffusion.Point) (onX0, onEps float64) {
	norm := math.Hypot(p.Alpha, p.Sigma)
	return -p.Sigma / norm, p.Alpha / norm
}

// field is dy/dθ and its divergence.
type field struct {
	s      *tensor.Scope
	m      diffusion.Model
	path   diffusion.GaussianPath
	data   Data
	last   diffusion.Point // where the ODE ends
	end    float64         // its angle
	probes [][][]float64   // (probe, sample, D); nil: the divergence is exact
	evals  int

	x     []float64
	times []float64
}

// time is where on the path an angle is.
func (f *field) time(theta float64) float64 {
	if theta >= f.end {
		return f.last.T
	}
	return f.path.Time(-math.Log(math.Tan(theta)))
}

// slopes sets each state's slope at z[i], angle at[i]: dy/dθ, and div of it once
// exactly or for each probe.
func (f *field) slopes(states []*state, at []float64, z, out [][]float64) {
	f.s.Reset()
	n, dim := len(states), f.data.Dim()
	f.x, f.times = f.x[:0], f.times[:0]
	samples := make([]int, n)
	for i, st := range states {
		samples[i] = st.sample
		f.times = append(f.times, f.time(at[i]))
		f.x = append(f.x, z[i][:dim]...)
	}
	f.evals += n
	f.s.NoGrad(func() {
		y := f.s.Tensor(f.x, append([]int{n}, f.data.Shape...)...)
		step := diffusion.Step{T: f.times}
		norm := diffusion.PerSample(y, f.path, step, func(p, _ diffusion.Point) float64 { return math.Hypot(p.Alpha, p.Sigma) })
		var cond diffusion.Cond
		if f.data.Cond != nil {
			cond = f.data.Cond(f.s, samples)
		}
		turned := func(y *tensor.Tensor) *tensor.Tensor {
			mark := f.s.Mark()
			x := y.Mul(norm)
			return f.s.Release(mark, f.m.Eval(x, step, cond).As(turn{}, x, f.path, step))
		}
		if f.probes == nil {
			f.put(turned(y), out, 0)
			f.put(f.s.Divergence(turned, y), out, dim)
			return
		}
		for k := range f.probes {
			// As Scope.HutchinsonDivergence, which does not say the value.
			probe := f.probe(y, k, samples)
			v, dv := f.s.JVP(func(in []*tensor.Tensor) *tensor.Tensor { return turned(in[0]) }, []*tensor.Tensor{y}, []*tensor.Tensor{probe})
			if k == 0 {
				f.put(v, out, 0)
			}
			f.put(dv.Mul(probe).Reshape(n, -1).Sum(1), out, dim+k)
		}
	})
}

// probe is the k-th random direction of each sample.
func (f *field) probe(y *tensor.Tensor, k int, samples []int) *tensor.Tensor {
	f.x = f.x[:0]
	for _, i := range samples {
		f.x = append(f.x, f.probes[k][i]...)
	}
	return f.s.Tensor(f.x, y.Shape()...)
}

// put copies each row of v to a row of out, from place at on.
func (f *field) put(v *tensor.Tensor, out [][]float64, at int) {
	n := len(out)
	rows := v.Float64s()
	size := len(rows) / n
	for i := range out {
		copy(out[i][at:at+size], rows[i*size:(i+1)*size])
	}
}

// probes are the random directions of n samples from number from on.
func (o *ODE) probes(from uint64, n, dim int) [][][]float64 {
	all := make([][][]float64, o.Probes)
	row := make([]float32, dim)
	for k := range all {
		key := o.Key.WithStep(o.Key.Step + uint64(k))
		for i := range n {
			rng.Normal(row, key, o.First+from+uint64(i))
			v := make([]float64, dim)
			for j, z := range row {
				v[j] = float64(z)
				if o.Divergence != Gaussian {
					v[j] = math.Copysign(1, float64(z))
				}
			}
			all[k] = append(all[k], v)
		}
	}
	return all
}
