package rng

import (
	"math"
	"sort"
	"testing"
)

// TestPhilox compares with the known-answer vectors that Random123 publishes
// (kat_vectors: philox4x32, 10 rounds).
func TestPhilox(t *testing.T) {
	const ones = 0xffffffff
	for _, k := range []struct {
		counter [4]uint32
		k0, k1  uint32
		want    [4]uint32
	}{
		{[4]uint32{}, 0, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ones, ones, ones, ones}, ones, ones, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0,
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := Philox(k.counter, k.k0, k.k1); got != k.want {
			t.Errorf("Philox(%x, %x, %x) = %x, want %x", k.counter, k.k0, k.k1, got, k.want)
		}
	}
}

func ulps(got float32, want float64) float64 {
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, e-24)
}

// TestLogf holds the logarithm to 2 ulp of float64's on every argument that it
// can meet: u = (2i+1)/2²⁵ rounded, all i.
func TestLogf(t *testing.T) {
	worst, at := 0.0, float32(0)
	step := uint32(1)
	if testing.Short() {
		step = 61
	}
	for i := uint32(0); i < 1<<24; i += step {
		u := float32(2*i+1) * (1.0 / (1 << 25))
		if want := math.Log(float64(u)); want != 0 {
			if d := ulps(logf(u), want); d > worst {
				worst, at = d, u
			}
		} else if logf(u) != 0 {
			t.Fatalf("logf(1) = %v", logf(u))
		}
	}
	t.Logf("worst: %.3f ulp at %v", worst, at)
	if worst > 2 {
		t.Errorf("logf(%v) is off by %.3f ulp", at, worst)
	}
}

// TestSincosTurn holds sine and cosine to 2⁻²³ absolutely: the angle is exact,
// its product with 2π/2²⁴ has half an ulp below 1 (2⁻²⁵), and the polynomials'
// last operations add up to 2⁻²⁴ and some.
func TestSincosTurn(t *testing.T) {
	step := uint32(1)
	if testing.Short() {
		step = 61
	}
	worst := 0.0
	for v := uint32(0); v < 1<<24; v += step {
		s, c := sincosTurn(v)
		ws, wc := math.Sincos(2 * math.Pi * float64(v) / (1 << 24))
		worst = max(worst, math.Abs(float64(s)-ws), math.Abs(float64(c)-wc))
	}
	t.Logf("worst: %.3g", worst)
	if worst > 0x1p-23 {
		t.Errorf("sine or cosine off by %.3g", worst)
	}
}

// drawAll gives the normals of some samples, an odd number each, so that rows
// end within blocks.
func drawAll(draw func([]float32, Key, uint64), samples, n int) []float64 {
	out := make([]float64, 0, samples*n)
	row := make([]float32, n)
	for i := range samples {
		draw(row, Key{Seed: 42, Stream: 3, Step: 7}, uint64(i))
		for _, v := range row {
			out = append(out, float64(v))
		}
	}
	return out
}

// TestNormalDistribution checks moments, the Kolmogorov–Smirnov distance, the
// tails and the independence of neighbours of 4·10⁶ draws. Bounds are five
// standard errors, √(var xᵏ/n) for moment k: var is 1, 2, 15, 96. KS:
// P(√n·D > 2.7) ≈ 2·exp(−2·2.7²) = 1e-6. The draws are fixed, so the test always
// gives the same answer.
func TestNormalDistribution(t *testing.T) {
	const samples, per = 4001, 1003
	x := drawAll(Normal, samples, per)
	n := float64(len(x))
	var m [5]float64
	for _, v := range x {
		m[1] += v
		m[2] += v * v
		m[3] += v * v * v
		m[4] += v * v * v * v
	}
	for i := range m {
		m[i] /= n
	}
	for i, s := range []struct {
		name            string
		got, want, unit float64
	}{
		{"mean", m[1], 0, 1}, {"variance", m[2], 1, 2}, {"third moment", m[3], 0, 15}, {"fourth moment", m[4], 3, 96},
	} {
		if d := math.Abs(s.got - s.want); d > 5*math.Sqrt(s.unit/n) {
			t.Errorf("%d: %s is %v, want %v ± %v", i, s.name, s.got, s.want, 5*math.Sqrt(s.unit/n))
		}
	}
	lag := 0.0
	for i := range len(x) - 1 {
		lag += x[i] * x[i+1]
	}
	if lag = math.Abs(lag / n); lag > 5/math.Sqrt(n) {
		t.Errorf("neighbours are correlated: %v", lag)
	}
	sort.Float64s(x)
	d := 0.0
	for i, v := range x {
		p := 0.5 * math.Erfc(-v/math.Sqrt2)
		d = max(d, p-float64(i)/n, float64(i+1)/n-p)
	}
	if d*math.Sqrt(n) > 2.7 {
		t.Errorf("Kolmogorov–Smirnov: √n·D = %v", d*math.Sqrt(n))
	}
	// Beyond 3, 4 and 4.5: counts within five standard errors of n·2·Q(z).
	for _, z := range []float64{3, 4, 4.5} {
		want := n * math.Erfc(z/math.Sqrt2)
		count := 0.0
		for _, v := range x {
			if math.Abs(v) > z {
				count++
			}
		}
		if math.Abs(count-want) > 5*math.Sqrt(want)+1 {
			t.Errorf("%v draws beyond %v, want %v", count, z, want)
		}
	}
}

// TestTail checks the largest radius: u = 2⁻²⁵ gives √(2·25·ln 2) = 5.887.
func TestTail(t *testing.T) {
	x, y := boxMuller(0, 0)
	if want := math.Sqrt(50 * math.Ln2); math.Abs(float64(x)-want) > 1e-6 || y != 0 {
		t.Errorf("largest radius: %v, %v, want %v, 0", x, y, want)
	}
	if x, y = boxMuller(0xffffffff, 0); x != 0 || y != 0 {
		t.Errorf("smallest radius: %v, %v, want 0", x, y)
	}
}

func TestUniformDistribution(t *testing.T) {
	x := drawAll(Uniform, 2003, 997)
	n := float64(len(x))
	sort.Float64s(x)
	if x[0] < 0 || x[len(x)-1] >= 1 {
		t.Fatalf("draws from %v to %v, want [0,1)", x[0], x[len(x)-1])
	}
	d := 0.0
	for i, v := range x {
		if v*(1<<24) != math.Floor(v*(1<<24)) {
			t.Fatalf("%v is no multiple of 2⁻²⁴", v)
		}
		d = max(d, v-float64(i)/n, float64(i+1)/n-v)
	}
	if d*math.Sqrt(n) > 2.7 {
		t.Errorf("Kolmogorov–Smirnov: √n·D = %v", d*math.Sqrt(n))
	}
}

// TestPrefix checks that a draw depends on its own place alone: shorter rows
// are prefixes, and Bits, Float64 and Intn look at the same words.
func TestPrefix(t *testing.T) {
	key := Key{Seed: 5, Stream: 1}
	long := make([]float32, 64)
	Normal(long, key, 9)
	for n := range long {
		short := make([]float32, n)
		Normal(short, key, 9)
		for i, v := range short {
			if v != long[i] {
				t.Fatalf("element %d of %d is %v, of 64 %v", i, n, v, long[i])
			}
		}
	}
	for i := range 100 {
		f := Float64(key, 3, i)
		if want := float64(Bits(key, 3, i)>>11) / (1 << 53); f != want || f < 0 || f >= 1 {
			t.Errorf("Float64 %d: %v, want %v", i, f, want)
		}
		if k := Intn(key, 3, i, 7); k != int(f*7) {
			t.Errorf("Intn %d of 7: %d, want %d", i, k, int(f*7))
		}
	}
}

// TestKeys checks that seeds, streams, steps and samples that differ in one bit
// give unrelated words: about half of the bits differ (64 draws of 64 bits:
// within five standard errors, 5·√(4096/4) = 160, of 2048).
func TestKeys(t *testing.T) {
	base := Key{Seed: 1, Stream: 1, Step: 1}
	for name, other := range map[string]struct {
		key    Key
		sample uint64
	}{
		"seed": {Key{Seed: 0, Stream: 1, Step: 1}, 0}, "stream": {base.WithStream(0), 0}, "step": {base.WithStep(0), 0}, "sample": {base, 1},
	} {
		different := 0
		for i := range 64 {
			for x := Bits(base, 0, i) ^ Bits(other.key, other.sample, i); x != 0; x &= x - 1 {
				different++
			}
		}
		if math.Abs(float64(different)-2048) > 160 {
			t.Errorf("another %s: %d of 4096 bits differ", name, different)
		}
	}
}
