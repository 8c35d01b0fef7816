// Package discrete has flows of tokens: discrete flow matching (Campbell et al. 2024; Gat et al. 2024) and masked
// diffusion (Shi et al. 2024; Sahoo et al. 2024), which is the same with the mask as the source.
//
// Each token of a sample goes its own way from the data to the source. At time t, 0 being the data, it is the
// source's with probability κ(t) and else the data's:
//
//	p_t(x|x0) = Π_i (1−κ(t))·δ(x^i, x0^i) + κ(t)·π(x^i),
//
// π being the mask or uniform. The network learns p(x0^i|x_t), the [Posterior] of each token; a Markov chain in
// continuous time with its rates leads from the source to the data ([CTMC], [Unmask]), and the divergence between two such chains
// bounds the likelihood ([Bound]). The papers' time is 1−t, and their κ is 1−κ.
package discrete

import (
	"fmt"
	"math"
)

// Alphabet is a number of tokens, K. In states, as in the data, token k is the value 2k/(K−1) − 1, as equally spaced levels
// of pictures are; the mask is token K, one step beyond. So states need no coding: sources, files and
// pictures of them are those of data.
type Alphabet int

// Check is an error unless there are at least two tokens, and no more than float32 tells apart.
func (k Alphabet) Check() error {
	if k < 2 || k > 1<<16 {
		return fmt.Errorf("an alphabet of %d tokens: want 2 to %d", int(k), 1<<16)
	}
	return nil
}

// Value is what a token, or the mask, is in states.
func (k Alphabet) Value(token int) float32 { return float32(2*token)/float32(k-1) - 1 }

// Mask is the token of what is not revealed yet.
func (k Alphabet) Mask() int { return int(k) }

// place is v on the scale of tokens.
func (k Alphabet) place(v float64) float64 { return (v + 1) * float64(k-1) / 2 }

// Token is the token, or the mask, whose value is nearest to v. What is no number is the mask.
func (k Alphabet) Token(v float64) int {
	at := math.Round(k.place(v))
	if !(at < float64(k)) {
		return k.Mask()
	}
	return int(max(at, 0))
}

// near is how far from a token's value, in steps from one to the next, a number may be.
const near = 0.01

// Is reports whether v is a token's value to a hundredth of the step between two, or the mask's if that may be.
func (k Alphabet) Is(v float64, mask bool) bool {
	at := k.place(v)
	last := float64(k - 1)
	if mask {
		last++
	}
	return at >= -near && at <= last+near && math.Abs(at-math.Round(at)) <= near
}
