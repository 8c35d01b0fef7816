// Package rng is a counter-based random number generator: Philox4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A draw is a pure function of (seed, stream, step, sample, element), so that
// results depend neither on the batch, nor on the number of threads, nor on
// what was drawn before, and every device computes the same bits.
package rng

import "math"

// Key names a sequence of draws.
type Key struct {
	Seed   uint64
	Stream uint32 // what the draws are for
	Step   uint64 // which training or sampling step
}

// Stream gives the key for another purpose under the same seed and step.
func (k Key) WithStream(s uint32) Key { k.Stream = s; return k }

// WithStep gives the key for another step.
func (k Key) WithStep(s uint64) Key { k.Step = s; return k }

// Words is Philox's key: the two words that every draw under k uses.
func (k Key) Words() (k0, k1 uint32) { return k.words() }

// words folds the key into Philox's 64-bit key by a bijective mix of each part
// (splitmix64 finaliser), so that neighbouring seeds, streams and steps are far apart.
func (k Key) words() (uint32, uint32) {
	h := mix(k.Seed + 0x9e3779b97f4a7c15)
	h = mix(h ^ (uint64(k.Stream) + 0xd1b54a32d192ed03))
	h = mix(h ^ (k.Step + 0x8cb92ba72f3d8dd7))
	return uint32(h), uint32(h >> 32)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Philox is ten rounds of Philox4x32 on the counter c under the key (k0, k1).
func Philox(c [4]uint32, k0, k1 uint32) [4]uint32 {
	const m0, m1 = 0xD2511F53, 0xCD9E8D57
	for range 10 {
		p0, p1 := m0*uint64(c[0]), m1*uint64(c[2])
		c = [4]uint32{uint32(p1>>32) ^ c[1] ^ k0, uint32(p1), uint32(p0>>32) ^ c[3] ^ k1, uint32(p0)}
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c
}

// block gives the four words of block b (elements 4b to 4b+3) of a sample.
func block(k0, k1 uint32, sample uint64, b int) [4]uint32 {
	return Philox([4]uint32{uint32(sample), uint32(sample >> 32), uint32(b), uint32(uint64(b) >> 32)}, k0, k1)
}

// Uniform fills out with U[0,1) in steps of 2⁻²⁴: the elements of one sample.
func Uniform(out []float32, key Key, sample uint64) {
	k0, k1 := key.words()
	for i := 0; i < len(out); i += 4 {
		w := block(k0, k1, sample, i/4)
		for j := 0; j < 4 && i+j < len(out); j++ {
			out[i+j] = unit(w[j])
		}
	}
}

func unit(w uint32) float32 { return float32(w>>8) * (1.0 / (1 << 24)) }

// Bits gives 64 random bits: draw number i of a sample. For host decisions
// (shuffles, choices) that need more than 24 bits.
func Bits(key Key, sample uint64, i int) uint64 {
	k0, k1 := key.words()
	w := block(k0, k1, sample, i/2)
	j := i % 2 * 2
	return uint64(w[j]) | uint64(w[j+1])<<32
}

// Float64 is U[0,1) in steps of 2⁻⁵³: draw number i of a sample.
func Float64(key Key, sample uint64, i int) float64 {
	return float64(Bits(key, sample, i)>>11) * (1.0 / (1 << 53))
}

// Intn is uniform on 0..n-1 (bias below n/2⁶⁴): draw number i of a sample. n must be positive.
func Intn(key Key, sample uint64, i, n int) int {
	hi, _ := mul64(Bits(key, sample, i), uint64(n))
	return int(hi)
}

func mul64(a, b uint64) (hi, lo uint64) {
	const m = 1<<32 - 1
	a0, a1, b0, b1 := a&m, a>>32, b&m, b>>32
	w0 := a0 * b0
	t := a1*b0 + w0>>32
	w1 := t&m + a0*b1
	return a1*b1 + t>>32 + w1>>32, a * b
}

// Normal fills out with N(0,1): the elements of one sample. Pairs come from the
// Box–Muller transform with the polynomials below, every product and sum
// rounded to float32 on its own, so that any IEEE device gives the same bits.
// The tails reach √(2·ln 2²⁵) ≈ 5.9.
func Normal(out []float32, key Key, sample uint64) {
	k0, k1 := key.words()
	for i := 0; i < len(out); i += 4 {
		w := block(k0, k1, sample, i/4)
		var n [4]float32
		n[0], n[1] = boxMuller(w[0], w[1])
		n[2], n[3] = boxMuller(w[2], w[3])
		copy(out[i:], n[:])
	}
}

// boxMuller maps two words to two normals: r = √(−2 ln u), u in (0,1], angle 2πv.
func boxMuller(a, b uint32) (float32, float32) {
	// u = (a>>8 + ½)·2⁻²⁴ never is 0 and is exact in float32 only as a 25-bit
	// number, so its logarithm is taken of the odd integer 2(a>>8)+1 over 2²⁵,
	// rounded to float32 once.
	u := float32(2*(a>>8)+1) * (1.0 / (1 << 25))
	r := float32(math.Sqrt(float64(float32(-2 * logf(u)))))
	s, c := sincosTurn(b >> 8)
	return float32(r * c), float32(r * s)
}

// logf is the natural logarithm for u in [2⁻²⁵, 1], with 2 ulp: u = 2^e·m, m in [√½,√2),
// ln m = 2·atanh(s), s = (m−1)/(m+1), by its series to s⁹.
func logf(u float32) float32 {
	bits := math.Float32bits(u)
	e := int32(bits>>23) - 127
	m := math.Float32frombits(bits&0x7fffff | 127<<23)
	if m >= 1.4142135 {
		m = float32(m * 0.5)
		e++
	}
	s := float32(float32(m-1) / float32(m+1))
	z := float32(s * s)
	p := float32(1.0 / 9)
	p = float32(p*z) + float32(1.0/7)
	p = float32(p*z) + float32(1.0/5)
	p = float32(p*z) + float32(1.0/3)
	p = float32(float32(p*z) * s)
	p = float32(s + p)
	p = float32(2 * p)
	return float32(float32(float32(e)*0.693145752) + float32(p+float32(float32(e)*1.42860677e-6)))
}

// sincosTurn is sin and cos of 2π·v/2²⁴ for v in [0, 2²⁴): the angle is folded
// exactly, in integers, to an eighth of a turn, where Taylor polynomials have float32 accuracy.
func sincosTurn(v uint32) (sin, cos float32) {
	q := (v + 1<<21) >> 22                      // nearest quarter turn, 0..4
	d := int32(v) - int32(q<<22)                // −2²¹..2²¹: an eighth of a turn either way
	x := float32(d) * (2 * math.Pi / (1 << 24)) // |x| ≤ π/4
	z := float32(x * x)
	s := float32(2.75573192e-6)
	s = float32(s*z) - float32(1.98412698e-4)
	s = float32(s*z) + float32(8.33333333e-3)
	s = float32(s*z) - float32(0.166666667)
	s = float32(float32(s*z) * x)
	s = float32(x + s)
	c := float32(2.48015873e-5)
	c = float32(c*z) - float32(1.38888889e-3)
	c = float32(c*z) + float32(4.16666667e-2)
	c = float32(c*z) - 0.5
	c = float32(c*z) + 1
	switch q & 3 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}
