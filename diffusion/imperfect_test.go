package diffusion

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// The error has the size that it is said to have, in the output of a preconditioned network, at every time of every path; what is
// predicted does not matter; and without an error the model is itself.
func TestImperfectHasItsError(t *testing.T) {
	s := scope64(t, tensor.Inference)
	data := &Mixture{Weights: []float64{0.4, 0.6}, Means: [][]float64{{1, -0.5, 0.2, 0}, {-1, 0.3, 0, 0.7}}, Stds: [][]float64{{0.5}, {0.3}}}
	const size, keys = 0.3, 400
	for name, path := range paths() {
		if name == "zero snr of 2" || name == "table of one" {
			continue // no times between their ends
		}
		at := Step{T: []float64{0.1 * path.End(), 0.6 * path.End(), 0.9 * path.End()}}
		if table, ok := path.(*Table); ok {
			for i, v := range at.T {
				at.T[i] = min(max(math.Round(v), 1), float64(table.Len()))
			}
		}
		x0, _ := data.Sample(rng.Key{Seed: 4}, 3)
		x := Noised(s.Tensor(x0, 3, 4), s.Normal(rng.Key{Seed: 5}, 0, 3, 4), path, at)
		exact := (&Oracle{data, path, X0}).Eval(x, at, Cond{}).Value.Float64s()
		var sum [3]float64
		for key := range keys {
			m := &Imperfect{Of: &Oracle{data, path, X0}, Error: size, Key: rng.Key{Seed: uint64(key)}}
			for i, v := range m.Eval(x, at, Cond{}).Value.Float64s() {
				p := path.At(at.T[i/4])
				off := (v - exact[i]) * math.Hypot(p.Alpha, p.Sigma) / p.Sigma
				sum[i/4] += off * off / (4 * keys)
			}
		}
		for i, mean := range sum {
			// 2·sin² has variance ½; at 1,600 phases five standard errors are .09 of the mean.
			if math.Abs(mean/(size*size)-1) > 5*math.Sqrt(0.5/(4*keys)) {
				t.Errorf("%s at %g: mean square error %g, want %g", name, at.T[i], mean, size*size)
			}
		}
		key := rng.Key{Seed: 9}
		want := (&Imperfect{Of: &Oracle{data, path, X0}, Error: size, Key: key}).Eval(x, at, Cond{}).Value.Float64s()
		for _, k := range []Kind{Eps, V, Score, Velocity, Preconditioned{SigmaData: 0.5}} {
			got := (&Imperfect{Of: &Oracle{data, path, k}, Error: size, Key: key}).Eval(x, at, Cond{})
			for i, v := range got.As(X0, x, path, at).Float64s() {
				p := path.At(at.T[i/4])
				// ε's rounding is σ/α times as large in the data.
				close(t, name+": "+k.String(), v, want[i], 1e-12*(1+p.NoiseLevel()))
			}
		}
		for i, v := range (&Imperfect{Of: &Oracle{data, path, X0}}).Eval(x, at, Cond{}).Value.Float64s() {
			if v != exact[i] {
				t.Errorf("%s: without an error, %g instead of %g", name, v, exact[i])
			}
		}
	}
}

// The error that a model makes is what its loss is above the oracle's, which no model beats.
func TestImperfectLoss(t *testing.T) {
	s := scope64(t, tensor.Inference)
	data := testMixture()
	path := CondOT{}
	kind := Preconditioned{SigmaData: 1}
	const size, n, batches = 0.2, 512, 40
	var sum, sum2 float64
	for i := range batches {
		s.Reset()
		r := &Regression{Path: path}
		var d Draw
		r.Draw(rng.Key{Seed: 3, Step: uint64(i)}, batchOf(data, rng.Key{Seed: 4, Step: uint64(i)}, n), &d)
		m := &Imperfect{Of: &Oracle{data, path, kind}, Error: size, Key: rng.Key{Seed: uint64(i)}}
		more := r.Loss(s, m, &d).Item() - r.Loss(s, m.Of, &d).Item()
		sum += more / batches
		sum2 += more * more / batches
	}
	if err := math.Sqrt((sum2 - sum*sum) / batches); math.Abs(sum-size*size) > 5*err || err > size*size/5 {
		t.Errorf("the loss is %.4g ± %.2g above the oracle's, want %.4g", sum, err, size*size)
	}
}
