package diffusion

import (
	"fmt"
	"math"
)

// BetaSchedule names a discrete noise schedule.
type BetaSchedule string

const (
	BetaLinear       BetaSchedule = "linear"            // Ho et al. 2020
	BetaScaledLinear BetaSchedule = "scaled_linear"     // linear in √β (Rombach et al. 2022)
	BetaCosine       BetaSchedule = "squaredcos_cap_v2" // Nichol and Dhariwal 2021, s=.008, β≤.999
	BetaSigmoid      BetaSchedule = "sigmoid"           // GeoDiff
	BetaLaplace      BetaSchedule = "laplace"           // Hang and Gu 2024
	BetaExp          BetaSchedule = "exp"               // ā(u) = e^{−12u}
)

// Betas gives the n variances β_1…β_n of a schedule. start and end are β's ends;
// cosine, laplace and exp are without them.
func Betas(schedule BetaSchedule, n int, start, end float64) ([]float64, error) {
	b := make([]float64, n)
	switch schedule {
	case BetaLinear:
		Linspace(b, start, end)
	case BetaScaledLinear:
		Linspace(b, math.Sqrt(start), math.Sqrt(end))
		for i, r := range b {
			b[i] = r * r
		}
	case BetaSigmoid:
		Linspace(b, -6, 6)
		for i, x := range b {
			b[i] = start + (end-start)/(1+math.Exp(-x))
		}
	case BetaCosine:
		fromAlphaBar(b, func(u float64) float64 {
			c := math.Cos((u + 0.008) / 1.008 * math.Pi / 2)
			return c * c
		})
	case BetaLaplace:
		fromAlphaBar(b, func(u float64) float64 {
			sign := math.Copysign(1, 0.5-u)
			lambda := -0.5 * sign * math.Log(1-2*math.Abs(0.5-u)+1e-6)
			snr := math.Exp(lambda)
			return math.Sqrt(snr / (1 + snr))
		})
	case BetaExp:
		fromAlphaBar(b, func(u float64) float64 { return math.Exp(-12 * u) })
	default:
		return nil, fmt.Errorf("unknown beta schedule %q", schedule)
	}
	return b, nil
}

// fromAlphaBar makes β_i = min(1 − ā((i+1)/n)/ā(i/n), .999).
func fromAlphaBar(b []float64, abar func(u float64) float64) {
	n := float64(len(b))
	for i := range b {
		b[i] = min(1-abar(float64(i+1)/n)/abar(float64(i)/n), 0.999)
	}
}

// Linspace fills out with equal steps from a to b, both included; a single value is a.
func Linspace(out []float64, a, b float64) {
	n := len(out)
	for i := range out {
		out[i] = a
		if n > 1 {
			out[i] += (b - a) * (float64(i) / float64(n-1))
		}
	}
	if n > 1 {
		out[n-1] = b
	}
}

// AlphaBars is ā, the running product of 1−β.
func AlphaBars(betas []float64) []float64 {
	a := make([]float64, len(betas))
	p := 1.0
	for i, b := range betas {
		p *= 1 - b
		a[i] = p
	}
	return a
}

// RescaleZeroSNR shifts and scales √ā so that the last is 0 and the first stays
// (Lin et al. 2023, algorithm 1), and gives the new β.
func RescaleZeroSNR(betas []float64) []float64 {
	root := AlphaBars(betas)
	for i, a := range root {
		root[i] = math.Sqrt(a)
	}
	first, last := root[0], root[len(root)-1]
	out := make([]float64, len(betas))
	before := 1.0
	for i, r := range root {
		r = (r - last) * first / (first - last)
		out[i] = 1 - r*r/before
		before = r * r
	}
	return out
}
