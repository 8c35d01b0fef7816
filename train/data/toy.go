package data

import "math"

// Two-dimensional sets that the literature trains on. Unless it is said
// otherwise they are those of FFJORD (Grathwohl et al. 2019, lib/toy_data.py),
// drawn independently where that code takes evenly spaced points.

// Moons are two interleaved half circles, one a class: θ uniform in [0,π] gives
// (cos θ, sin θ) and (1−cos θ, ½−sin θ); a shift by U(0,Band) along (1,1) and
// N(0,Noise²) in each coordinate are added; the result is scaled and moved.
type Moons struct {
	Band  float64 // at least 0
	Noise float64 // at least 0
	Scale float64 // above 0
	Shift float64 // of both coordinates
	// Even spaces θ evenly over each block of so many samples, at least 4, the first half of which
	// is one moon: of batches of that size the gradient is less noisy. 0: θ and the moon are drawn.
	Even int
}

// TorchCFMMoons is the set of torchcfm 1.0.7 (sample_moons): its generator adds
// one uniform number in [0,0.2) to both coordinates, not a normal one to each. Its θ are evenly
// spaced over what is drawn at a time, which here takes Even, the size of a batch.
func TorchCFMMoons() Moons { return Moons{Band: 0.2, Scale: 3, Shift: -1} }

func (Moons) Dim() int     { return 2 }
func (Moons) Classes() int { return 2 }

func (m Moons) Draw(r *Draws, x []float64) int {
	label, turn := r.Intn(2), r.Uniform()
	if m.Even > 0 {
		label, turn = m.even(int(r.sample % uint64(m.Even)))
	}
	sin, cos := math.Sincos(math.Pi * turn)
	u := m.Band * r.Uniform()
	x[0], x[1] = cos+u, sin+u
	if label == 1 {
		x[0], x[1] = 1-cos+u, 0.5-sin+u
	}
	for k := range x {
		x[k] = m.Scale*(x[k]+m.Noise*r.Normal()) + m.Shift
	}
	return label
}

// even is the moon and θ/π of sample k of a block.
func (m Moons) even(k int) (label int, turn float64) {
	first := m.Even / 2
	if k < first {
		return 0, float64(k) / float64(first-1)
	}
	return 1, float64(k-first) / float64(m.Even-first-1)
}

// LogDensity exists without normal noise, for independent draws. A point of the first moon is
// (cos θ+u, sin θ+u): the difference of its coordinates is √2·cos(θ+π/4), which
// gives θ, then u follows, and the Jacobian of (θ,u) is √2·|sin(θ+π/4)|. The
// second moon is the first one turned: (1−x, ½−y) with −u for u.
func (m Moons) LogDensity() func(x []float64) float64 {
	if m.Noise != 0 || m.Band <= 0 || m.Even > 0 {
		return nil
	}
	arc := func(x, y, side float64) float64 {
		c := (x - y) / math.Sqrt2
		if math.Abs(c) > 1 {
			return 0
		}
		sum := 0.0
		for _, phi := range []float64{math.Acos(c), 2*math.Pi - math.Acos(c)} { // phi = θ+π/4
			theta := phi - math.Pi/4
			u := side * (x - math.Cos(theta))
			if theta >= 0 && theta <= math.Pi && u >= 0 && u < m.Band {
				sum += 1 / (math.Pi * m.Band * math.Sqrt2 * math.Abs(math.Sin(phi)))
			}
		}
		return sum
	}
	return func(p []float64) float64 {
		x, y := (p[0]-m.Shift)/m.Scale, (p[1]-m.Shift)/m.Scale
		return math.Log((arc(x, y, 1)+arc(1-x, 0.5-y, -1))/2) - 2*math.Log(m.Scale)
	}
}

// Checkerboard is uniform on 8 of the 16 squares of side 2 that cover [−4,4]²:
// those whose column and row have an even sum. The density there is 1/32.
type Checkerboard struct{}

func (Checkerboard) Dim() int     { return 2 }
func (Checkerboard) Classes() int { return 0 }

func (Checkerboard) Draw(r *Draws, x []float64) int {
	column, row := r.Intn(4), 2*r.Intn(2)
	row += column % 2
	x[0] = 2*(float64(column)+r.Uniform()) - 4
	x[1] = 2*(float64(row)+r.Uniform()) - 4
	return 0
}

func (Checkerboard) LogDensity() func(x []float64) float64 {
	return func(x []float64) float64 {
		column, row := math.Floor((x[0]+4)/2), math.Floor((x[1]+4)/2)
		if column < 0 || column > 3 || row < 0 || row > 3 || math.Mod(column+row, 2) != 0 {
			return math.Inf(-1)
		}
		return -math.Log(32)
	}
}

// SwissRoll is the spiral (t·cos t, t·sin t)/5 with t uniform in [3π/2, 9π/2],
// plus N(0,Noise²) in each coordinate.
type SwissRoll struct {
	Noise float64 // at least 0
}

// FFJORDSwissRoll has FFJORD's noise: 1 before the division by 5.
func FFJORDSwissRoll() SwissRoll { return SwissRoll{Noise: 0.2} }

func (SwissRoll) Dim() int     { return 2 }
func (SwissRoll) Classes() int { return 0 }

func (s SwissRoll) Draw(r *Draws, x []float64) int {
	t := 1.5 * math.Pi * (1 + 2*r.Uniform())
	sin, cos := math.Sincos(t)
	x[0] = t*cos/5 + s.Noise*r.Normal()
	x[1] = t*sin/5 + s.Noise*r.Normal()
	return 0
}

func (SwissRoll) LogDensity() func(x []float64) float64 { return nil }

// Pinwheel has Arms arms, one a class: (1+Radial·n₁, Tangential·n₂) with normal
// n₁, n₂ is turned clockwise by the arm's angle 2πk/Arms plus
// Rate·exp(1+Radial·n₁), and doubled.
type Pinwheel struct {
	Arms       int     // at least 1
	Radial     float64 // standard deviation, at least 0
	Tangential float64 // standard deviation, at least 0
	Rate       float64
}

// FFJORDPinwheel has FFJORD's parameters.
func FFJORDPinwheel() Pinwheel { return Pinwheel{Arms: 5, Radial: 0.3, Tangential: 0.1, Rate: 0.25} }

func (Pinwheel) Dim() int       { return 2 }
func (p Pinwheel) Classes() int { return p.Arms }

func (p Pinwheel) Draw(r *Draws, x []float64) int {
	arm := r.Intn(p.Arms)
	a, b := 1+p.Radial*r.Normal(), p.Tangential*r.Normal()
	sin, cos := math.Sincos(2*math.Pi*float64(arm)/float64(p.Arms) + p.Rate*math.Exp(a))
	x[0], x[1] = 2*(a*cos+b*sin), 2*(b*cos-a*sin)
	return arm
}

func (Pinwheel) LogDensity() func(x []float64) float64 { return nil }

// Rings are circles about the origin, one a class, equally likely, plus N(0,Noise²) in each coordinate.
type Rings struct {
	Radii []float64 // each at least 0
	Noise float64   // above 0
}

// FFJORDRings are the four circles of FFJORD's successors (the invertible
// residual networks of Behrmann et al. 2019, toy_data.py).
func FFJORDRings() Rings { return Rings{Radii: []float64{0.75, 1.5, 2.25, 3}, Noise: 0.08} }

func (Rings) Dim() int       { return 2 }
func (g Rings) Classes() int { return len(g.Radii) }

func (g Rings) Draw(r *Draws, x []float64) int {
	ring := r.Intn(len(g.Radii))
	sin, cos := math.Sincos(2 * math.Pi * r.Uniform())
	x[0] = g.Radii[ring]*cos + g.Noise*r.Normal()
	x[1] = g.Radii[ring]*sin + g.Noise*r.Normal()
	return ring
}

// LogDensity of a circle of radius R at distance ρ from the origin: the
// circle's average of the normal density, exp(−(ρ²+R²)/2σ²)·I₀(ρR/σ²)/2πσ².
func (g Rings) LogDensity() func(x []float64) float64 {
	if g.Noise <= 0 {
		return nil
	}
	return func(x []float64) float64 {
		rho, v := math.Hypot(x[0], x[1]), g.Noise*g.Noise
		terms := make([]float64, len(g.Radii))
		for i, r := range g.Radii {
			terms[i] = -(rho-r)*(rho-r)/(2*v) + logScaledBesselI0(rho*r/v)
		}
		return logSumExp(terms) - math.Log(2*math.Pi*v*float64(len(g.Radii)))
	}
}

// logScaledBesselI0 is ln(e^−z·I₀(z)) for z ≥ 0: below 30 by the series of I₀
// (Abramowitz and Stegun 9.6.12), above by the asymptotic one (9.7.1), whose
// first ten terms leave less than 1e-12 there.
func logScaledBesselI0(z float64) float64 {
	sum, term := 1.0, 1.0
	if z < 30 {
		for k := 1.0; term > 1e-17*sum; k++ {
			term *= z * z / (4 * k * k)
			sum += term
		}
		return math.Log(sum) - z
	}
	for k := 1.0; k <= 10; k++ {
		term *= (2*k - 1) * (2*k - 1) / (8 * z * k)
		sum += term
	}
	return math.Log(sum) - 0.5*math.Log(2*math.Pi*z)
}

// logSumExp is ln Σ exp(v), without overflow.
func logSumExp(v []float64) float64 {
	top := math.Inf(-1)
	for _, x := range v {
		top = max(top, x)
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}
