package flow

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func ringBatch(n int) *diffusion.Batch {
	b := &diffusion.Batch{N: n, Shape: []int{2}}
	for i := range n {
		a := 2 * math.Pi * float64(i%8) / 8
		b.X = append(b.X, float32(5*math.Cos(a)), float32(5*math.Sin(a)))
		b.Labels = append(b.Labels, int32(i%8))
		b.Vector = append(b.Vector, float32(i))
	}
	return b
}

func distance(d *diffusion.Draw) (sum float64) {
	for i, x := range d.X {
		sum += float64(x-d.Noise[i]) * float64(x-d.Noise[i])
	}
	return sum
}

func rows(x []float32) [][2]float32 {
	out := make([][2]float32, len(x)/2)
	for i := range out {
		out[i] = [2]float32{x[2*i], x[2*i+1]}
	}
	slices.SortFunc(out, func(a, b [2]float32) int { return slices.Compare(a[:], b[:]) })
	return out
}

// Optimal transport keeps data, labels and the set of noises, and shortens the way.
func TestOTCoupling(t *testing.T) {
	b := ringBatch(96)
	plain, ot := NewCFM(), NewCFM()
	ot.Coupling = &OT{}
	k := rng.Key{Seed: 5, Step: 3}
	var a, c, again diffusion.Draw
	plain.Draw(k, b, &a)
	ot.Draw(k, b, &c)
	a.HostNoise()
	if !slices.Equal(a.T, c.T) || !slices.Equal(c.Labels, b.Labels) || !slices.Equal(c.X, b.X) {
		t.Error("the coupling changes more than the noise")
	}
	if !slices.Equal(rows(a.Noise), rows(c.Noise)) {
		t.Error("the noises are not those that were drawn")
	}
	if got, indep := distance(&c), distance(&a); got > 0.8*indep {
		t.Errorf("the way is %.1f, at random %.1f", got, indep)
	}
	// No exchange of two noises shortens it.
	for i := range b.N {
		for j := range i {
			dot := func(p, q int) float64 {
				return float64(c.X[2*p])*float64(c.Noise[2*q]) + float64(c.X[2*p+1])*float64(c.Noise[2*q+1])
			}
			if gain := dot(i, j) + dot(j, i) - dot(i, i) - dot(j, j); gain > 1e-12 {
				t.Fatalf("exchanging %d and %d shortens the way by %g", i, j, gain)
			}
		}
	}
	ot.Draw(k, b, &again)
	if !slices.Equal(c.Noise, again.Noise) {
		t.Error("the same key gives another coupling")
	}
}

// With replacement, pairs stay pairs, each drawn about as often as any other.
func TestOTWithReplacement(t *testing.T) {
	b := ringBatch(64)
	one, two := NewCFM(), NewCFM()
	one.Coupling, two.Coupling = &OT{}, &OT{Replace: true}
	var a, c diffusion.Draw
	counts := make([]float64, 64)
	const draws = 200
	for step := range draws {
		k := rng.Key{Seed: 1, Step: uint64(step)}
		one.Draw(k, b, &a)
		two.Draw(k, b, &c)
		for i := range b.N {
			from := int(c.Vector[i]) // each sample's own
			counts[from]++
			if c.Labels[i] != b.Labels[from] || c.X[2*i] != b.X[2*from] || c.Noise[2*i] != a.Noise[2*from] || c.Noise[2*i+1] != a.Noise[2*from+1] {
				t.Fatalf("step %d, sample %d is not the pair %d of the plan", step, i, from)
			}
		}
	}
	chi := 0.0
	for _, n := range counts {
		chi += (n - draws) * (n - draws) / draws
	}
	if chi > 63+5*math.Sqrt(2*63) { // χ² of 63 degrees
		t.Errorf("pairs are not drawn alike: χ² is %g", chi)
	}
}

// The marginals of a coupled batch are those of data and noise: that is what
// makes flow matching with any coupling sample the data.
func TestCouplingKeepsMarginals(t *testing.T) {
	var sum, sum2 float64
	n := 0
	cfm := NewCFM()
	cfm.Coupling = &OT{}
	var d diffusion.Draw
	for step := range 50 {
		cfm.Draw(rng.Key{Seed: 2, Step: uint64(step)}, ringBatch(64), &d)
		for _, e := range d.Noise {
			sum += float64(e)
			sum2 += float64(e) * float64(e)
			n++
		}
	}
	// five standard errors
	if mean := sum / float64(n); math.Abs(mean) > 5/math.Sqrt(float64(n)) {
		t.Errorf("mean of the noise is %g", mean)
	}
	if v := sum2 / float64(n); math.Abs(v-1) > 5*math.Sqrt(2/float64(n)) {
		t.Errorf("variance of the noise is %g", v)
	}
}

// The loss regresses on data and noise as they are coupled.
func TestLossUsesTheCoupling(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	cfm := NewCFM()
	cfm.Coupling = &OT{}
	var d diffusion.Draw
	cfm.Draw(rng.Key{Seed: 4}, ringBatch(32), &d)
	zero := &diffusion.NetModel{
		Net:      func(x, _ *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return x.Scale(0) },
		Along:    cfm.Path,
		Predicts: diffusion.DataVelocity,
	}
	// The target is data − noise, so a network of zeros has the mean squared way as its loss.
	got, want := cfm.Loss(s, zero, &d).Item(), distance(&d)/64
	if math.Abs(got-want) > 1e-6*want { // distance subtracts in float32
		t.Errorf("loss %.9g, want %.9g", got, want)
	}
}

func BenchmarkOT(b *testing.B) {
	cfm := NewCFM()
	cfm.Coupling = &OT{}
	batch := ringBatch(256)
	var d diffusion.Draw
	i := 0
	for b.Loop() {
		i++
		cfm.Draw(rng.Key{Step: uint64(i)}, batch, &d)
	}
}
