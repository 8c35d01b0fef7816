package sampler

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// DDIM is the sampler of Song et al. 2021a (eq. 12) on any Gaussian path. With
// η=0 it is deterministic: Euler's method in σ/α.
type DDIM struct {
	Eta      float64 `yaml:"eta" doc:"part of the noise of the ancestral sampler: 0 is deterministic, 1 has the posterior variance"`
	Rederive bool    `yaml:"rederive" doc:"after clipping the data, make the noise estimate agree with it"`

	// Stride, if not 0, is how far each step goes on a Table, whatever time the
	// grid has next: diffusers' DDIMScheduler steps by T/n in any grid. A step past
	// the first entry goes to the grid's last time.
	Stride float64 `yaml:"-"`
}

// SetDefaults is the deterministic sampler.
func (d *DDIM) SetDefaults() { d.Eta, d.Rederive = 0, false }

// Validate checks η.
func (d *DDIM) Validate() error {
	if !(d.Eta >= 0) || math.IsInf(d.Eta, 0) {
		return invalid.Field("eta", "must not be negative, is %g", d.Eta)
	}
	return nil
}

// Sample steps from t to s: x' = α_s·x̂0 + √(σ_s²−ς²)·ε̂ + ς·z with
// ς = η·(σ_s/σ_t)·√(σ_t²−(α_t/α_s)²σ_s²).
func (d *DDIM) Sample(r *Run) {
	for st := range r.Steps() {
		from, to := st.From, d.next(r, st)
		x0 := r.Data(r.X, from)
		eps := r.as(diffusion.Eps)
		if d.Rederive {
			eps = r.epsOfData(r.X, from)
		}
		noise := d.Eta * math.Sqrt(diffusion.NewPosterior(from, to).Small)
		r.X = x0.Axpby(to.Alpha, eps, math.Sqrt(max(0, to.Sigma*to.Sigma-noise*noise)))
		if d.Eta > 0 {
			r.X = r.X.Axpby(1, r.Noise(), noise)
		}
	}
}

func (d *DDIM) next(r *Run, st *Step) diffusion.Point {
	if d.Stride == 0 {
		return st.To
	}
	if t := st.From.T - d.Stride; t >= 1 {
		return r.Path.At(t)
	}
	return r.Path.At(r.grid[len(r.grid)-1])
}
