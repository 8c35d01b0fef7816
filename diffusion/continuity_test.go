package diffusion

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
)

// On the oracle, whose density is known in closed form, the velocity carries the
// marginals (continuity equation), the forward SDE's drift and diffusion do (Fokker–Planck),
// and so does every SDE of the family with noise ς backwards, Anderson's (ς=g) among them:
//
//	∂_t ln p = −div u − u·s
//	∂_t ln p = −div(f·x) − f·x·s + ½g²(div s + |s|²)
//	∂_τ ln p = −div b − b·s + ½ς²(div s + |s|²),   τ = −t, b = −u + ½ς²·s
//
// Divergences are exact (forward mode). ∂_t is a difference of fourth order, whose error
// is about 10·h⁴ of the density's time scale; h is 10⁻³ of the time.
func TestContinuityAndFokkerPlanck(t *testing.T) {
	m := &Mixture{
		Weights: []float64{0.5, 0.3, 0.2},
		Means:   [][]float64{{1, -0.5}, {-1.2, 0.3}, {0.2, 1.5}},
		Stds:    [][]float64{{0.4, 0.6}, {0.5}, {0.3}},
	}
	const n = 5
	xs := []float64{0.3, -0.2, 1.1, 0.4, -0.9, 0.8, 0.1, 1.2, -0.4, -0.6}
	for name, path := range map[string]GaussianPath{
		"CondOT": CondOT{}, "Trig": Trig{}, "VP": VP{0.1, 20}, "sub-VP": SubVP{VP{0.1, 20}}, "VE": VE{0.02, 10}, "EDM": EDM{80}, "cosine": Cosine{0.008},
	} {
		for _, at := range []float64{0.2, 0.45, 0.8} {
			s := scope64(t, tensor.Inference)
			p := path.At(at)
			x := s.Tensor(xs, n, 2)
			field := func(k Kind) func(x *tensor.Tensor) *tensor.Tensor {
				return func(x *tensor.Tensor) *tensor.Tensor {
					return (&Oracle{m, path, k}).Eval(x, Step{T: []float64{at}}, Cond{}).Value
				}
			}
			dot := func(a, b *tensor.Tensor) *tensor.Tensor { return a.Mul(b).Sum(1) }
			logDensity := func(t float64) *tensor.Tensor { return m.LogDensity(x, path, Step{T: []float64{t}}, Cond{}) }
			h := 1e-3 * at
			rate := logDensity(at+h).Axpby(8/(12*h), logDensity(at-h), -8/(12*h)).
				Axpby(1, logDensity(at+2*h).Axpby(-1/(12*h), logDensity(at-2*h), 1/(12*h)), 1)
			u, score := field(Velocity)(x), field(Score)(x)
			divU, divS := s.Divergence(field(Velocity), x).Reshape(n), s.Divergence(field(Score), x).Reshape(n)
			spread := divS.Add(dot(score, score)) // Δp/p

			residual := func(what string, r *tensor.Tensor) float64 {
				worst, scale := 0.0, 1.0
				for _, v := range rate.Float64s() {
					scale = max(scale, math.Abs(v))
				}
				for _, v := range r.Float64s() {
					worst = max(worst, math.Abs(v)/scale)
				}
				return worst
			}
			check := func(what string, r *tensor.Tensor) {
				if d := residual(what, r); !(d < 1e-8) {
					t.Errorf("%s at %g: the %s is off by %.2g", name, at, what, d)
				}
			}
			check("continuity equation", rate.Add(divU).Add(dot(u, score)))
			f, g2 := p.Drift(), p.Diffusion2()
			drift := x.Scale(f)
			check("forward Fokker–Planck equation", rate.AddScalar(2*f).Add(dot(drift, score)).Sub(spread.Scale(g2/2)))
			for _, std := range []float64{0, 0.5, math.Sqrt(g2), 2} {
				b := u.Scale(-1).Axpby(1, score, std*std/2)
				divB := divU.Scale(-1).Axpby(1, divS, std*std/2)
				check("Fokker–Planck equation backwards", rate.Scale(-1).Add(divB).Add(dot(b, score)).Sub(spread.Scale(std*std/2)))
				if std > 0 { // without the drift's correction it does not hold
					wrong := rate.Scale(-1).Sub(divU).Sub(dot(u, score)).Sub(spread.Scale(std * std / 2))
					if d := residual("", wrong); d < 1e-4*std*std/(1+g2) {
						t.Errorf("%s at %g: noise %g without correction is off by only %.2g", name, at, std, d)
					}
				}
			}
			// Anderson's drift is −f·x + g²·score.
			anderson := drift.Scale(-1).Axpby(1, score, g2)
			for i, v := range anderson.Sub(u.Scale(-1).Axpby(1, score, g2/2)).Float64s() {
				if math.Abs(v) > 1e-11*(1+g2*math.Abs(score.Float64s()[i])) {
					t.Errorf("%s at %g: Anderson's drift differs from the family's by %.2g", name, at, v)
				}
			}
		}
	}
}
