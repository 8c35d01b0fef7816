package likelihood

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Levels of data: a number of equally spaced values from −1 to 1, as 256 of bytes
// and 17 of the embedded digits.

// Dequantise adds noise to data of so many levels, uniform over a level's width 2/(levels−1)
// around it (Theis et al. 2016): a density of the result bounds the probability of
// the levels. Sample i is row first+i under key.
func Dequantise(x []float64, dim, levels int, key rng.Key, first uint64) []float64 {
	width := 2 / float64(levels-1)
	out := make([]float64, len(x))
	for i := range x {
		u := rng.Float64(key, first+uint64(i/dim), i%dim)
		out[i] = x[i] + (u-0.5)*width
	}
	return out
}

// BitsPerDim is a negative log-likelihood in nats of dequantised data as bits for each
// number, −log2 of the level's probability: a density times the level's width to the power of
// the dimension. For levels 0, of continuous data, the width is left out.
func BitsPerDim(nats float64, dim, levels int) float64 {
	bits := nats / (float64(dim) * math.Ln2)
	if levels > 0 {
		bits += math.Log2(float64(levels-1) / 2)
	}
	return bits
}

// Estimate is a mean with its standard error.
type Estimate struct {
	Mean  float64
	Error float64 // over samples, and what their probes add; NaN of one sample
	Probe float64 // the part of it that is the probes'; 0 if exact, NaN with one probe
	N     int
}

// NLL is the mean negative log-likelihood in nats.
func (r *Result) NLL() Estimate {
	e := Estimate{N: len(r.LogP)}
	for _, l := range r.LogP {
		e.Mean -= l / float64(e.N)
	}
	n, spread, probes := float64(e.N), 0.0, 0.0
	for i, l := range r.LogP {
		spread += (l + e.Mean) * (l + e.Mean)
		k := float64(len(r.Probed[i]))
		for _, p := range r.Probed[i] {
			probes += (p - l) * (p - l) / ((k - 1) * k) // 0/0 with one
		}
	}
	e.Error = math.Sqrt(spread / ((n - 1) * n))
	e.Probe = math.Sqrt(probes) / n
	if r.Exact {
		e.Probe = 0
	}
	return e
}

// Bits is the estimate in bits for each number.
func (e Estimate) Bits(dim, levels int) Estimate {
	per := 1 / (float64(dim) * math.Ln2)
	return Estimate{Mean: BitsPerDim(e.Mean, dim, levels), Error: e.Error * per, Probe: e.Probe * per, N: e.N}
}

func (e Estimate) String() string { return fmt.Sprintf("%.4f ± %.4f", e.Mean, e.Error) }
