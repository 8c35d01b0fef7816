package langevin

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// ShapeError says that a log-density does not have the shape (N); it is what
// Sample panics with then.
type ShapeError struct {
	Got     []int
	Samples int
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("langevin: a log-density of shape %v for %d samples: want (%d)", e.Got, e.Samples, e.Samples)
}

// Convention is what the step h of a Langevin method stands for.
type Convention uint8

const (
	HalfScore Convention = iota // x' = x + h/2·score + √h·z: h is the time of dx = ½·score·dt + dW
	FullScore                   // x' = x + h·score + √(2h)·z: the same step of 2h in the other (score_sde, SGLD texts)
)

// String is "half" or "full".
func (c Convention) String() string {
	if c == FullScore {
		return "full"
	}
	return "half"
}

// time is h as HalfScore has it.
func (c Convention) time(h float64) float64 {
	if c == FullScore {
		return 2 * h
	}
	return h
}

func checkStep(h float64) error {
	if !(h > 0) || math.IsInf(h, 0) {
		return invalid.Field("step", "must be positive, is %g", h)
	}
	return nil
}

// ULA is the unadjusted Langevin algorithm: Euler–Maruyama on dx = ½·score·dt + dW.
// Its law is off by the order of the step: on N(μ,V) it ends at the variance V/(1−h/4V), and is
// stable while h < 4V.
type ULA struct {
	Step    float64
	Measure Convention
}

// Validate checks the step.
func (u *ULA) Validate() error { return checkStep(u.Step) }

func (*ULA) needs() (score, logDensity bool) { return true, false }

func (u *ULA) step(c *chains) {
	h := u.Measure.time(u.Step)
	score, _ := c.at(c.x, false)
	c.x = c.x.Axpby(1, score, h/2).Axpby(1, c.noise(), math.Sqrt(h))
}

// MALA is the Metropolis-adjusted Langevin algorithm (Roberts and Tweedie 1996):
// a step of ULA is a proposal, accepted with probability
// min(1, p(y)·q(x|y) / (p(x)·q(y|x))), so that p is the law exactly, at any step. Efficient
// chains accept some .57 of their proposals.
type MALA struct {
	Step    float64
	Measure Convention
}

// Validate checks the step.
func (m *MALA) Validate() error { return checkStep(m.Step) }

func (*MALA) needs() (score, logDensity bool) { return true, true }

func (m *MALA) step(c *chains) {
	h := m.Measure.time(m.Step)
	if c.score == nil {
		c.score, c.density = c.at(c.x, true)
		c.accepted = make([]int, c.x.Dim(0))
	}
	z := c.noise()
	y := c.x.Axpby(1, c.score, h/2).Axpby(1, z, math.Sqrt(h))
	score, density := c.at(y, true)
	// ln q(y|x) = −½‖z‖² + const; the way back has z' = (x − y − h/2·score(y))/√h.
	back := c.x.Axpby(1, y, -1).Axpby(1/math.Sqrt(h), score, -math.Sqrt(h)/2)
	rise, norm, normBack := density.Sub(c.density).Float64s(), squares(z), squares(back)
	accept := make([]float64, len(rise))
	for i, u := range c.uniform(len(rise)) {
		// A proposal where the density is 0 or undefined is rejected.
		if math.Log(u) < rise[i]+(norm[i]-normBack[i])/2 {
			accept[i] = 1
			c.accepted[i]++
		}
	}
	yes := c.s.Tensor(accept, len(accept))
	c.density = yes.Where(density, c.density)
	yes = yes.Reshape(column(c.x)...)
	c.x, c.score = yes.Where(y, c.x), yes.Where(score, c.score)
}

// column is x's shape with all axes but the first 1.
func column(x *tensor.Tensor) []int {
	shape := make([]int, x.Rank())
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = x.Dim(0)
	return shape
}

// squares is the sum of squares of each sample.
func squares(x *tensor.Tensor) []float64 {
	out := make([]float64, x.Dim(0))
	v := x.Float64s()
	size := len(v) / max(len(out), 1)
	for i, y := range v {
		out[i/size] += y * y
	}
	return out
}

// OU is the Ornstein–Uhlenbeck process dx = θ(μ−x)dt + σ·dW, on every element.
// Its stationary law is N(μ, σ²/2θ). It needs no target.
type OU struct {
	Theta, Mu, Sigma float64
	Step             float64 // time of a step
	Euler            bool    // Euler–Maruyama, whose stationary variance is σ²/(2θ−θ²h), in place of the exact transition
}

// Validate checks the ranges.
func (p *OU) Validate() error {
	switch {
	case !(p.Theta > 0) || math.IsInf(p.Theta, 0):
		return invalid.Field("theta", "must be positive, is %g", p.Theta)
	case math.IsNaN(p.Mu) || math.IsInf(p.Mu, 0):
		return invalid.Field("mu", "must be finite, is %g", p.Mu)
	case !(p.Sigma >= 0) || math.IsInf(p.Sigma, 0):
		return invalid.Field("sigma", "must not be negative, is %g", p.Sigma)
	}
	return checkStep(p.Step)
}

func (*OU) needs() (score, logDensity bool) { return false, false }

// Transition is the law of x after t: mean μ + kept·(x−μ) and standard deviation.
func (p *OU) Transition(t float64) (kept, std float64) {
	return math.Exp(-p.Theta * t), p.Sigma * math.Sqrt(-math.Expm1(-2*p.Theta*t)/(2*p.Theta))
}

func (p *OU) step(c *chains) {
	kept, std := p.Transition(p.Step)
	if p.Euler {
		kept, std = 1-p.Theta*p.Step, p.Sigma*math.Sqrt(p.Step)
	}
	c.x = c.x.Axpby(kept, c.noise(), std).AddScalar((1 - kept) * p.Mu)
}
