package data

import "math"

// Gaussian is a component of a [Mixture].
type Gaussian struct {
	// Weight is the component's share, above 0; shares need not add up to 1.
	Weight float64
	// Mean has an entry for each coordinate.
	Mean []float64
	// Std is the standard deviation: one entry for all coordinates, or one each. Above 0.
	Std []float64
	// Cov is the full covariance, symmetric and positive definite, instead of Std.
	Cov [][]float64
}

// Mixture is a mixture of Gaussians, each a class.
type Mixture struct {
	components []Gaussian
	factors    [][][]float64 // Cholesky: Cov = L·Lᵀ, lower triangular
	upTo       []float64     // share of the components up to each
}

// NewMixture checks the components and makes their mixture.
func NewMixture(components []Gaussian) (*Mixture, error) {
	if len(components) == 0 {
		return nil, option("a mixture needs at least one component")
	}
	m := &Mixture{components: components}
	dim, total := len(components[0].Mean), 0.0
	for i, c := range components {
		if !(c.Weight > 0) || math.IsInf(c.Weight, 0) {
			return nil, option("component %d has weight %v: want a number above 0", i, c.Weight)
		}
		if len(c.Mean) != dim || dim == 0 {
			return nil, option("component %d has a mean of %d coordinates: want %d, as the first one, and at least 1", i, len(c.Mean), dim)
		}
		for _, v := range c.Mean {
			if v-v != 0 {
				return nil, option("component %d has mean %v: want finite numbers", i, c.Mean)
			}
		}
		cov, err := c.covariance(i)
		if err != nil {
			return nil, err
		}
		l, ok := cholesky(cov)
		if !ok {
			return nil, option("component %d: the covariance %v is not positive definite", i, cov)
		}
		m.factors = append(m.factors, l)
		total += c.Weight
		m.upTo = append(m.upTo, total)
	}
	for i := range m.upTo {
		m.upTo[i] /= total
	}
	return m, nil
}

// covariance is component i's full covariance.
func (c Gaussian) covariance(i int) ([][]float64, error) {
	dim := len(c.Mean)
	if (c.Cov == nil) == (c.Std == nil) {
		return nil, option("component %d: want either std or cov", i)
	}
	if c.Cov != nil {
		if len(c.Cov) != dim {
			return nil, option("component %d: the covariance has %d rows, want %d", i, len(c.Cov), dim)
		}
		for a, row := range c.Cov {
			if len(row) != dim {
				return nil, option("component %d: row %d of the covariance has %d entries, want %d", i, a, len(row), dim)
			}
			for b := range row[:a] {
				if row[b] != c.Cov[b][a] {
					return nil, option("component %d: the covariance is not symmetric: %v and %v", i, row[b], c.Cov[b][a])
				}
			}
		}
		return c.Cov, nil
	}
	if len(c.Std) != 1 && len(c.Std) != dim {
		return nil, option("component %d has %d standard deviations: want 1 or %d", i, len(c.Std), dim)
	}
	cov := make([][]float64, dim)
	for a := range cov {
		cov[a] = make([]float64, dim)
		s := c.Std[min(a, len(c.Std)-1)]
		if !(s > 0) || math.IsInf(s, 0) {
			return nil, option("component %d has standard deviation %v: want a number above 0", i, s)
		}
		cov[a][a] = s * s
	}
	return cov, nil
}

// cholesky gives the lower triangular L with a = L·Lᵀ; false if a is not positive definite.
func cholesky(a [][]float64) ([][]float64, bool) {
	l := make([][]float64, len(a))
	for i := range a {
		l[i] = make([]float64, len(a))
		for j := range i + 1 {
			s := a[i][j]
			for k := range j {
				s -= l[i][k] * l[j][k]
			}
			if i == j {
				if !(s > 0) || math.IsInf(s, 0) {
					return nil, false
				}
				l[i][i] = math.Sqrt(s)
			} else {
				l[i][j] = s / l[j][j]
			}
		}
	}
	return l, true
}

func (m *Mixture) Dim() int     { return len(m.components[0].Mean) }
func (m *Mixture) Classes() int { return len(m.components) }

// Components gives what the mixture was made of, for closed-form references. They must not be changed.
func (m *Mixture) Components() []Gaussian { return m.components }

func (m *Mixture) Draw(r *Draws, x []float64) int {
	u := r.Uniform()
	label := 0
	for label < len(m.upTo)-1 && u >= m.upTo[label] {
		label++
	}
	copy(x, m.components[label].Mean)
	for j := range x { // x = mean + L·n, column by column
		n := r.Normal()
		for i := j; i < len(x); i++ {
			x[i] += m.factors[label][i][j] * n
		}
	}
	return label
}

// LogDensity is ln Σ w·N(x; mean, L·Lᵀ): with L·z = x − mean, the exponent is
// −|z|²/2 and the normaliser (2π)^{D/2}·Π L_ii.
func (m *Mixture) LogDensity() func(x []float64) float64 {
	return func(x []float64) float64 {
		terms := make([]float64, len(m.components))
		z := make([]float64, len(x))
		below := 0.0
		for c, g := range m.components {
			terms[c] = math.Log(m.upTo[c] - below)
			below = m.upTo[c]
			for i := range z {
				z[i] = x[i] - g.Mean[i]
				for k := range i {
					z[i] -= m.factors[c][i][k] * z[k]
				}
				z[i] /= m.factors[c][i][i]
				terms[c] -= z[i]*z[i]/2 + math.Log(m.factors[c][i][i]) + math.Log(2*math.Pi)/2
			}
		}
		return logSumExp(terms)
	}
}

// EightGaussians are eight equal Gaussians on a circle, counter-clockwise from (radius, 0).
func EightGaussians(radius, std float64) (*Mixture, error) {
	components := make([]Gaussian, 8)
	for k := range components {
		sin, cos := math.Sincos(float64(k) * math.Pi / 4)
		components[k] = Gaussian{Weight: 1, Mean: []float64{radius * cos, radius * sin}, Std: []float64{std}}
	}
	return NewMixture(components)
}

// TorchCFMEightGaussians is the set of torchcfm 1.0.7 (sample_8gaussians):
// radius 5. Its argument var=0.1 becomes a covariance √0.1·I, so the standard
// deviation is 0.1^¼ ≈ 0.562, not √0.1.
func TorchCFMEightGaussians() *Mixture {
	m, err := EightGaussians(5, math.Pow(0.1, 0.25))
	if err != nil {
		panic(err) // the parameters are part of the program
	}
	return m
}

// Shares are the components' shares of the whole.
func (m *Mixture) Shares() []float64 {
	shares, below := make([]float64, len(m.upTo)), 0.0
	for k, up := range m.upTo {
		shares[k], below = up-below, up
	}
	return shares
}

// Nearest is the component that a point is most probably of.
func (m *Mixture) Nearest(x []float32) int {
	best, most, below := 0, math.Inf(-1), 0.0
	for c, g := range m.components {
		log := math.Log(m.upTo[c] - below)
		below = m.upTo[c]
		z := make([]float64, len(x))
		for i := range z {
			z[i] = float64(x[i]) - g.Mean[i]
			for k := range i {
				z[i] -= m.factors[c][i][k] * z[k]
			}
			z[i] /= m.factors[c][i][i]
			log -= z[i]*z[i]/2 + math.Log(m.factors[c][i][i])
		}
		if log > most {
			best, most = c, log
		}
	}
	return best
}
