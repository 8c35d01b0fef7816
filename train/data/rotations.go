package data

import (
	"math"

	"github.com/langevin-go/langevin/flow/manifold"
)

// RotationNormal is a component of [RotationMixture].
type RotationNormal struct {
	Weight float64   // share, above 0; shares need not add up to 1
	Mean   []float64 // a rotation vector: along the axis, as long as the angle in radians
	Std    float64   // of each number of the rotation vector that leads from the mean to a sample, in radians; in (0, 2]
}

// RotationMixture is a mixture of isotropic normal distributions wrapped onto SO(3), each a class: from the
// mean by a turn whose rotation vector is N(0, std²·I). Points are matrices by rows.
type RotationMixture struct {
	components []RotationNormal
	means      [][]float64 // matrices
	upTo       []float64
}

// NewRotationMixture checks the components and makes their mixture.
func NewRotationMixture(components []RotationNormal) (*RotationMixture, error) {
	m := &RotationMixture{components: components}
	var weights []float64
	for i, c := range components {
		if len(c.Mean) != 3 {
			return nil, option("component %d has a mean of %d numbers: want a rotation vector of 3", i, len(c.Mean))
		}
		for _, v := range c.Mean {
			if v-v != 0 {
				return nil, option("component %d has mean %v: want finite numbers", i, c.Mean)
			}
		}
		if !(c.Std > 0 && c.Std <= 2) {
			return nil, option("component %d has standard deviation %v: want a number in (0, 2]", i, c.Std)
		}
		mean := make([]float64, 9)
		rotatedBy(mean, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, [3]float64(c.Mean))
		m.means, weights = append(m.means, mean), append(weights, c.Weight)
	}
	var err error
	m.upTo, err = shares(weights)
	return m, err
}

// rotatedBy sets y to R·exp([ω]×). The frame's vectors are turns by 1/√2.
func rotatedBy(y, r []float64, omega [3]float64) {
	var v, e [9]float64
	for i, w := range omega {
		manifold.Rotations{}.Frame(e[:], r, i)
		for k := range v {
			v[k] += math.Sqrt2 * w * e[k]
		}
	}
	manifold.Rotations{}.Exp(y, r, v[:])
}

func (m *RotationMixture) Dim() int     { return 9 }
func (m *RotationMixture) Classes() int { return len(m.components) }

func (m *RotationMixture) Draw(r *Draws, x []float64) int {
	label := choose(m.upTo, r.Uniform())
	std := m.components[label].Std
	rotatedBy(x, m.means[label], [3]float64{std * r.Normal(), std * r.Normal(), std * r.Normal()})
	return label
}

// LogDensity by the volume in which distances are angles: rotation vectors of lengths θ+2πk along the axis lead to
// the rotation by θ, and exp shrinks volumes there by (2·sin(θ/2)/(θ+2πk))².
func (m *RotationMixture) LogDensity() func(x []float64) float64 {
	return func(x []float64) float64 {
		return mixed(m.upTo, func(i int) float64 {
			theta := max(manifold.Distance(manifold.Rotations{}, m.means[i], x), 1e-12)
			std := m.components[i].Std
			turns := int(math.Ceil(9*std/(2*math.Pi))) + 1
			terms := make([]float64, 0, 16)
			for k := -turns; k <= turns; k++ {
				w := theta + 2*math.Pi*float64(k)
				terms = append(terms, -w*w/(2*std*std)+2*math.Log(math.Abs(w)))
			}
			return logSumExp(terms) - 2*math.Log(2*math.Sin(theta/2)) - 3*math.Log(std*math.Sqrt(2*math.Pi))
		})
	}
}
