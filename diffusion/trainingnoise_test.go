package diffusion

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// listener is a model that keeps what it was asked about.
type listener struct {
	fixed
	heard *[]float64
}

func (l listener) Path() GaussianPath { return l.fixed }
func (l listener) Kind() Kind         { return Eps }
func (l listener) Eval(x *tensor.Tensor, _ Step, _ Cond) Pred {
	*l.heard = x.Float64s()
	return Pred{Value: x, Kind: Eps} // its error is then what x has and the target has not
}

func TestTrainingNoise(t *testing.T) {
	const n, h, w, c = 400, 4, 4, 2
	b := &Batch{N: n, Shape: []int{h, w, c}, X: make([]float32, n*h*w*c)}
	path := fixed{Alpha: 0, Sigma: 1} // x_t is the noise
	run := func(noise TrainingNoise) (loss float64, x []float64) {
		s := scope64(t, tensor.Inference)
		r := &Regression{Path: path, Noise: noise}
		var d Draw
		r.Draw(rng.Key{Seed: 1}, b, &d)
		return r.Loss(s, listener{path, &x}, &d).Item(), x
	}
	plain, x := run(TrainingNoise{})
	if plain != 0 {
		t.Fatalf("the noise misses itself by %g", plain)
	}
	// The part of ε that all positions of a channel share.
	shared := func(y []float64) (std float64) {
		for i := range n {
			for k := range c {
				sum := 0.0
				for p := range h * w {
					sum += y[(i*h*w+p)*c+k] - x[(i*h*w+p)*c+k]
				}
				std += sum * sum / (h * w * h * w)
			}
		}
		return math.Sqrt(std / (n * c))
	}
	loss, y := run(TrainingNoise{Offset: 0.3})
	// A standard deviation from nc numbers is off by 1/√(2nc) of itself; five times that.
	if got := shared(y); loss != 0 || math.Abs(got-0.3) > 0.3*5/math.Sqrt(2*n*c) {
		t.Errorf("offset noise of .3: %.4f, part of the target but for %g", got, loss)
	}
	d0 := y[0] - x[0]
	for p := range h * w {
		if d := y[p*c] - x[p*c]; math.Abs(d-d0) > 1e-12 {
			t.Fatalf("offset of %g at position %d, %g at the first", d, p, d0)
		}
	}
	loss, _ = run(TrainingNoise{Perturbation: 0.1})
	if math.Abs(loss-0.01) > 0.01*5*math.Sqrt(2.0/(n*h*w*c)) { // of a mean of squares
		t.Errorf("input perturbed by .1: mean squared error %g, want .01", loss)
	}
}

// Each sample of a part of a batch has the noise that it has in the whole.
func TestTrainingNoiseOfParts(t *testing.T) {
	b := &Batch{N: 6, Shape: []int{2, 2, 1}, X: make([]float32, 24)}
	path := fixed{Alpha: 0, Sigma: 1}
	var whole, part []float64
	var d, p Draw
	r := &Regression{Path: path, Noise: TrainingNoise{Offset: 0.3, Perturbation: 0.1}}
	r.Draw(rng.Key{Seed: 1}, b, &d)
	r.Loss(scope64(t, tensor.Inference), listener{path, &whole}, &d)
	d.Part(&p, 2, 5)
	r.Loss(scope64(t, tensor.Inference), listener{path, &part}, &p)
	for i, v := range part {
		if v != whole[8+i] {
			t.Fatalf("value %d of samples 2 to 5 is %g, in the batch %g", i, v, whole[8+i])
		}
	}
}
