package data

import (
	"math"

	"github.com/langevin-go/langevin/flow/manifold"
)

// Base is the base distribution of a manifold: uniform, or normal in Euclidean parts. Its density, like those of all
// distributions on manifolds here, is by the manifold's volume.
type Base struct{ Of manifold.Manifold }

func (b Base) Dim() int   { return b.Of.Ambient() }
func (Base) Classes() int { return 0 }

func (b Base) Draw(r *Draws, x []float64) int {
	b.Of.Draw(r, x)
	return 0
}

func (b Base) LogDensity() func(x []float64) float64 { return b.Of.LogBase }

// shares are the parts of components by their weights: the sum up to each, of 1.
func shares(weights []float64) ([]float64, error) {
	upTo, total := make([]float64, len(weights)), 0.0
	for i, w := range weights {
		if !(w > 0) || math.IsInf(w, 0) {
			return nil, option("component %d has weight %v: want a number above 0", i, w)
		}
		total += w
		upTo[i] = total
	}
	if len(weights) == 0 {
		return nil, option("a mixture needs at least one component")
	}
	for i := range upTo {
		upTo[i] /= total
	}
	return upTo, nil
}

// choose is the component at u, uniform in (0,1).
func choose(upTo []float64, u float64) int {
	label := 0
	for label < len(upTo)-1 && u >= upTo[label] {
		label++
	}
	return label
}

// mixed is ln Σ share·exp(log of component).
func mixed(upTo []float64, log func(component int) float64) float64 {
	terms, below := make([]float64, len(upTo)), 0.0
	for c := range terms {
		terms[c] = math.Log(upTo[c]-below) + log(c)
		below = upTo[c]
	}
	return logSumExp(terms)
}

// VonMisesFisher is a component of [VonMisesFisherMixture]: a density in proportion to exp(κ·mean·x) on S².
type VonMisesFisher struct {
	Weight        float64   // share, above 0; shares need not add up to 1
	Mean          []float64 // direction, of three numbers, of any length but 0
	Concentration float64   // κ, at least 0; 0 is uniform
}

// VonMisesFisherMixture is a mixture of von Mises–Fisher distributions on the sphere S², each a class (Mardia and
// Jupp 2000, 9.3.2). Points are unit vectors.
type VonMisesFisherMixture struct {
	components []VonMisesFisher // means of length 1
	upTo       []float64
}

// NewVonMisesFisherMixture checks the components and makes their mixture.
func NewVonMisesFisherMixture(components []VonMisesFisher) (*VonMisesFisherMixture, error) {
	m := &VonMisesFisherMixture{}
	var weights []float64
	for i, c := range components {
		if len(c.Mean) != 3 {
			return nil, option("component %d has a mean of %d numbers: want 3", i, len(c.Mean))
		}
		length := math.Hypot(math.Hypot(c.Mean[0], c.Mean[1]), c.Mean[2])
		if !(length > 0) || math.IsInf(length, 0) {
			return nil, option("component %d has mean %v: want a direction", i, c.Mean)
		}
		if !(c.Concentration >= 0) || math.IsInf(c.Concentration, 0) {
			return nil, option("component %d has concentration %v: want a number that is not negative", i, c.Concentration)
		}
		mean := append([]float64(nil), c.Mean...)
		manifold.Sphere{N: 2}.Nearest(mean)
		c.Mean = mean
		m.components, weights = append(m.components, c), append(weights, c.Weight)
	}
	var err error
	m.upTo, err = shares(weights)
	return m, err
}

func (m *VonMisesFisherMixture) Dim() int     { return 3 }
func (m *VonMisesFisherMixture) Classes() int { return len(m.components) }

// Draw draws the height w along the mean, whose distribution function has a closed inverse on S²:
// w = 1 + ln(1 − (1−u)·(1−e^{−2κ}))/κ, and a uniform azimuth.
func (m *VonMisesFisherMixture) Draw(r *Draws, x []float64) int {
	label := choose(m.upTo, r.Uniform())
	c := m.components[label]
	u := r.Uniform()
	down := 2 * (1 - u) // 1−w; its limit for small κ
	if c.Concentration > 1e-8 {
		down = -math.Log1p((1-u)*math.Expm1(-2*c.Concentration)) / c.Concentration
	}
	sin, cos := math.Sincos(2 * math.Pi * r.Uniform())
	across := math.Sqrt(max(0, down*(2-down)))
	var e, f [3]float64
	manifold.Sphere{N: 2}.Frame(e[:], c.Mean, 0)
	manifold.Sphere{N: 2}.Frame(f[:], c.Mean, 1)
	for i := range x {
		x[i] = (1-down)*c.Mean[i] + across*(cos*e[i]+sin*f[i])
	}
	return label
}

// LogDensity is of ln(κ/(2π(1−e^{−2κ}))) + κ(mean·x − 1).
func (m *VonMisesFisherMixture) LogDensity() func(x []float64) float64 {
	return func(x []float64) float64 {
		return mixed(m.upTo, func(i int) float64 {
			c := m.components[i]
			half := 0.5 // κ/(1−e^{−2κ}) for small κ
			if c.Concentration > 1e-8 {
				half = -c.Concentration / math.Expm1(-2*c.Concentration)
			}
			height := c.Mean[0]*x[0] + c.Mean[1]*x[1] + c.Mean[2]*x[2]
			return math.Log(half/(2*math.Pi)) + c.Concentration*(height-1)
		})
	}
}

// WrappedNormal is a component of [WrappedNormalMixture].
type WrappedNormal struct {
	Weight float64   // share, above 0; shares need not add up to 1
	Mean   []float64 // an angle for each coordinate, in radians
	Std    []float64 // one for all angles, or one each, above 0
}

// WrappedNormalMixture is a mixture of normal distributions wrapped around the torus, each a class: angles
// of independent normal distributions, less whole turns.
type WrappedNormalMixture struct {
	components []WrappedNormal // as many deviations as angles
	upTo       []float64
}

// NewWrappedNormalMixture checks the components and makes their mixture.
func NewWrappedNormalMixture(components []WrappedNormal) (*WrappedNormalMixture, error) {
	m := &WrappedNormalMixture{}
	var weights []float64
	for i, c := range components {
		dim := len(components[0].Mean)
		if len(c.Mean) != dim || dim == 0 {
			return nil, option("component %d has a mean of %d angles: want %d, as the first one, and at least 1", i, len(c.Mean), dim)
		}
		if len(c.Std) != 1 && len(c.Std) != dim {
			return nil, option("component %d has %d standard deviations: want 1 or %d", i, len(c.Std), dim)
		}
		std := make([]float64, dim)
		for k := range std {
			std[k] = c.Std[min(k, len(c.Std)-1)]
			if !(std[k] > 0) || math.IsInf(std[k], 0) {
				return nil, option("component %d has standard deviation %v: want a number above 0", i, std[k])
			}
			if v := c.Mean[k]; v-v != 0 {
				return nil, option("component %d has mean %v: want finite angles", i, c.Mean)
			}
		}
		c.Std = std
		m.components, weights = append(m.components, c), append(weights, c.Weight)
	}
	var err error
	m.upTo, err = shares(weights)
	return m, err
}

func (m *WrappedNormalMixture) Dim() int     { return len(m.components[0].Mean) }
func (m *WrappedNormalMixture) Classes() int { return len(m.components) }

func (m *WrappedNormalMixture) Draw(r *Draws, x []float64) int {
	label := choose(m.upTo, r.Uniform())
	c := m.components[label]
	for i := range x {
		x[i] = manifold.Wrap(c.Mean[i] + c.Std[i]*r.Normal())
	}
	return label
}

func (m *WrappedNormalMixture) LogDensity() func(x []float64) float64 {
	return func(x []float64) float64 {
		return mixed(m.upTo, func(i int) float64 {
			c, sum := m.components[i], 0.0
			for k, v := range x {
				sum += logWrapped(v-c.Mean[k], c.Std[k])
			}
			return sum
		})
	}
}

// logWrapped is ln Σ_k N(angle+2πk; 0, std²). The turns left out are beyond nine deviations, which is
// 10⁻¹⁷ of the rest; from a deviation of 10 on, the density differs from 1/2π by 2·exp(−50).
func logWrapped(angle, std float64) float64 {
	if std > 10 {
		return -math.Log(2 * math.Pi)
	}
	angle = manifold.Wrap(angle)
	turns := int(math.Ceil(9*std/(2*math.Pi))) + 1
	terms := make([]float64, 0, 40)
	for k := -turns; k <= turns; k++ {
		z := (angle + 2*math.Pi*float64(k)) / std
		terms = append(terms, -z*z/2)
	}
	return logSumExp(terms) - math.Log(std*math.Sqrt(2*math.Pi))
}
