package diffusion

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func linearTable(t testing.TB, n int) *Table {
	b, err := Betas(BetaLinear, n, 1e-4*1000/float64(n), 0.02*1000/float64(n))
	if err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(b, InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// The KL divergence of every step against the textbook formula of two normals.
func TestBoundTermsAreDivergences(t *testing.T) {
	table, s := linearTable(t, 100), scope64(t, tensor.Inference)
	const n = 99
	at := Step{}
	var data, x0, noisy, logVar []float64
	for i := range n {
		at.T, at.Next = append(at.T, float64(i+2)), append(at.Next, float64(i+1))
		data, x0, noisy = append(data, 2*unitFloat(i)-1), append(x0, 2*unitFloat(i+n)-1), append(noisy, unitFloat(i+2*n))
		logVar = append(logVar, -2-4*unitFloat(i+3*n))
	}
	col := func(v []float64) *tensor.Tensor { return s.Tensor(v, n, 1) }
	got := BoundTerms(Pred{Value: col(x0), LogVar: col(logVar), Kind: X0}, col(data), col(noisy), table, at, 256).Float64s()
	for i := range n {
		q := NewPosterior(table.At(at.T[i]), table.At(at.Next[i]))
		m1, m2 := q.OnX*noisy[i]+q.OnX0*data[i], q.OnX*noisy[i]+q.OnX0*x0[i]
		v2 := math.Exp(logVar[i])
		want := (math.Log(math.Sqrt(v2/q.Small)) + (q.Small+(m1-m2)*(m1-m2))/(2*v2) - 0.5) / math.Ln2
		close(t, fmt.Sprint("step from ", at.T[i]), got[i], want, 1e-12)
	}
}

// The decoder is a distribution over the levels: its probabilities sum to 1.
func TestDecoderSumsToOne(t *testing.T) {
	table, s := linearTable(t, 100), scope64(t, tensor.Inference)
	at := Step{T: []float64{1}, Next: []float64{0}}
	for _, levels := range []int{2, 17, 256} {
		for i, mean := range []float64{-1.3, -0.98, 0.013, 0.7, 1} {
			logVar := -1 - 2*float64(i) // a tail below 1e-12 is cut off there
			var x, m, v []float64
			for k := range levels {
				x = append(x, -1+2*float64(k)/float64(levels-1))
				m, v = append(m, mean), append(v, logVar)
			}
			col := func(v []float64) *tensor.Tensor { return s.Tensor(v, levels, 1) }
			sum := 0.0
			for _, bits := range BoundTerms(Pred{Value: col(m), LogVar: col(v), Kind: X0}, col(x), col(x), table, at, levels).Float64s() {
				sum += math.Exp2(-bits)
			}
			if math.Abs(sum-1) > 1e-12*float64(levels) {
				t.Errorf("%d levels, mean %g: the probabilities sum to %.15g", levels, mean, sum)
			}
		}
	}
}

// withVariance is the oracle of N(0, s²) with ln of the variance that is best, plus θ.
type withVariance struct {
	*Oracle
	std   float64
	theta *tensor.Param // of the log-variance
	shift *tensor.Param // of the mean
}

func (m withVariance) Eval(x *tensor.Tensor, at Step, c Cond) Pred {
	p := m.Oracle.Eval(x, at, c)
	best := PerSample(x, m.Along, at, func(now, next Point) float64 {
		q := NewPosterior(now, next)
		left := m.std * m.std * now.Sigma * now.Sigma / (now.Alpha*now.Alpha*m.std*m.std + now.Sigma*now.Sigma)
		return math.Log(q.Small + q.OnX0*q.OnX0*left)
	})
	p.LogVar = x.Scale(0).Add(best).Add(m.theta)
	p.Value = p.Value.Add(m.shift)
	return p
}

// The bound is least where the variance is β̃ plus what is uncertain of the data,
// and it does not move the mean.
func TestHybridLearnsTheVariance(t *testing.T) {
	const std = 0.4
	table := linearTable(t, 50)
	data := &Mixture{Weights: []float64{1}, Means: [][]float64{{0, 0}}, Stds: [][]float64{{std}}}
	s := scope64(t, tensor.Recording)
	theta, shift := tensor.NewParam(cpu.Default(), tensor.Float64, 1), tensor.NewParam(cpu.Default(), tensor.Float64, 1)
	m := withVariance{&Oracle{data, table, Eps}, std, theta, shift}
	h := &Hybrid{Regression: Regression{Path: table, Times: &Uniform{From: 0.02, To: 1}}, Bound: 1} // without the decoder's step
	slope := func(at float64) (mean, err float64) {
		if err := theta.Set64([]float64{at}); err != nil {
			t.Fatal(err)
		}
		const batches = 20
		var sum, sum2 float64
		var d Draw
		for i := range batches {
			s.Reset()
			k := rng.Key{Seed: 4, Step: uint64(i)}
			h.Draw(k, batchOf(data, k, 128), &d)
			for _, at := range d.T {
				if at < 2 {
					t.Fatal("the decoder's step is among the times")
				}
			}
			hybrid := s.Grad(h.Loss(s, m, &d), []*tensor.Param{theta, shift})
			g, toMean := hybrid[0].Float64s()[0], hybrid[1].Float64s()[0]
			s.Reset()
			if simple := s.Grad(h.Regression.Loss(s, m, &d), []*tensor.Param{shift})[0].Float64s()[0]; simple != toMean {
				t.Fatalf("the mean's gradient is %g, the regression's alone %g", toMean, simple)
			}
			sum += g
			sum2 += g * g
		}
		mean = sum / batches
		return mean, math.Sqrt((sum2/batches - mean*mean) / (batches - 1))
	}
	if mean, err := slope(0); math.Abs(mean) > 5*err {
		t.Errorf("at the best variance the slope is %g ± %g", mean, err)
	}
	if mean, err := slope(0.3); mean < 5*err {
		t.Errorf("above the best variance the slope is %g ± %g", mean, err)
	}
	if mean, err := slope(-0.3); mean > -5*err {
		t.Errorf("below the best variance the slope is %g ± %g", mean, err)
	}
}

// The variance that a network's second half stands for (Nichol and Dhariwal 2021, eq. 15).
func TestLearnedRange(t *testing.T) {
	table, s := linearTable(t, 20), scope64(t, tensor.Inference)
	m := &NetModel{Along: table, Predicts: Eps, Variance: VarianceLearnedRange, TimeInput: table.TableInput,
		Net: func(x, tm *tensor.Tensor, _ Cond) *tensor.Tensor {
			for i, v := range tm.Float64s() {
				if want := []float64{0, 9, 19}[i]; v != want {
					t.Errorf("the network's time %d is %g, want %g", i, v, want)
				}
			}
			return tensor.Concat(-1, x, s.Tensor([]float64{-1, 1, -1, 1, -1, 1}, 3, 2))
		}}
	at := Step{T: []float64{1, 10, 20}, Next: []float64{0, 9, 19}}
	got := m.Eval(s.Ones(3, 2), at, Cond{}).LogVar.Float64s()
	for i := range 3 {
		q := NewPosterior(table.At(at.T[i]), table.At(at.Next[i]))
		small := q.Small
		if i == 0 { // β̃_1 := β̃_2
			small = NewPosterior(table.At(2), table.At(1)).Small
		}
		close(t, fmt.Sprint("at −1, ", i), got[2*i], math.Log(small), 1e-13)
		close(t, fmt.Sprint("at 1, ", i), got[2*i+1], math.Log(q.Large), 1e-13)
	}
	if p := m.Eval(s.Ones(3, 2), Step{T: at.T}, Cond{}); p.LogVar != nil || p.Value.Dim(-1) != 2 {
		t.Error("outside of a step there is a variance, or no value")
	}
	m.Variance = VarianceIgnored
	if p := m.Eval(s.Ones(3, 2), at, Cond{}); p.LogVar != nil || p.Value.Dim(-1) != 2 {
		t.Error("an ignored variance is there")
	}
}
