package guidance

import (
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Schedule is how guidance changes along a path.
type Schedule interface {
	// Factor multiplies the weight s−1.
	Factor(path diffusion.GaussianPath, p diffusion.Point) float64
}

// Constant guides alike at all times.
type Constant struct{}

// Factor is 1.
func (Constant) Factor(diffusion.GaussianPath, diffusion.Point) float64 { return 1 }

// Clock is what a schedule takes for the place on the path, from 0 (data) to 1 (noise).
type Clock struct {
	By string `yaml:"by" doc:"place on the path: its time, or sigma/(alpha+sigma), which spreads the levels of edm and ve out" oneof:"time noise"`
}

// SetDefaults takes the time.
func (c *Clock) SetDefaults() { c.By = "time" }

// Validate checks the name.
func (c *Clock) Validate() error {
	if c.By != "time" && c.By != "noise" {
		return invalid.Field("by", "must be time or noise, is %q", c.By)
	}
	return nil
}

func (c *Clock) place(path diffusion.GaussianPath, p diffusion.Point) float64 {
	if c.By == "noise" {
		return p.Sigma / (p.Alpha + p.Sigma)
	}
	return p.T / path.End()
}

// Linear grows from 0 at the noise to twice the weight at the data, or falls: its mean over
// the path is the weight (Wang et al. 2024, "Analysis of classifier-free guidance weight schedulers").
type Linear struct {
	Clock `yaml:",inline"`
	Falls bool `yaml:"falls" doc:"strongest at the noise instead of at the data"`
}

// Factor is 2(1−f) at the place f, or 2f.
func (l *Linear) Factor(path diffusion.GaussianPath, p diffusion.Point) float64 {
	f := l.place(path, p)
	if l.Falls {
		return 2 * f
	}
	return 2 * (1 - f)
}

// Cosine is Linear with flat ends (Wang et al. 2024).
type Cosine struct {
	Clock `yaml:",inline"`
	Falls bool `yaml:"falls" doc:"strongest at the noise instead of at the data"`
}

// Factor is 1+cos(πf) at the place f, or 1−cos(πf).
func (c *Cosine) Factor(path diffusion.GaussianPath, p diffusion.Point) float64 {
	cos := math.Cos(math.Pi * c.place(path, p))
	if c.Falls {
		return 1 - cos
	}
	return 1 + cos
}

// Points runs in straight lines through factors of the user's at equal distances along the path.
type Points struct {
	Clock   `yaml:",inline"`
	Factors []float64 `yaml:"factors,required" doc:"what multiplies the weight s-1, at equal distances from the data to the noise"`
}

// Validate checks the list.
func (l *Points) Validate() error {
	if len(l.Factors) == 0 {
		return invalid.Field("factors", "must be at least one")
	}
	for i, f := range l.Factors {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return invalid.Field("factors", "must be finite, number %d is %g", i, f)
		}
	}
	return l.Clock.Validate()
}

// Factor interpolates.
func (l *Points) Factor(path diffusion.GaussianPath, p diffusion.Point) float64 {
	last := len(l.Factors) - 1
	at := min(max(l.place(path, p), 0), 1) * float64(last)
	i := min(int(at), last)
	if i == last {
		return l.Factors[last]
	}
	return l.Factors[i] + (at-float64(i))*(l.Factors[i+1]-l.Factors[i])
}

// ByFunction is a schedule of the user's own, by the point of the path.
type ByFunction func(p diffusion.Point) float64

// Factor is f(p).
func (f ByFunction) Factor(_ diffusion.GaussianPath, p diffusion.Point) float64 { return f(p) }
