package diffusion

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func scope64(t *testing.T, mode tensor.Mode) *tensor.Scope {
	s := tensor.NewScopeOf(cpu.Default(), mode, tensor.Float64)
	t.Cleanup(s.Close)
	return s
}

func testMixture() *Mixture {
	return &Mixture{
		Weights: []float64{0.5, 0.3, 0.2},
		Means:   [][]float64{{1, -0.5}, {-1.2, 0.3}, {0.2, 1.5}},
		Stds:    [][]float64{{0.3, 0.6}, {0.5}, {0.2}},
		Classes: []int{0, 1, 1},
	}
}

// logDensity is ln p_t(x) written out for one point.
func logDensity(m *Mixture, p Point, x []float64, class int) float64 {
	sum, total := 0.0, 0.0
	for k, w := range m.Weights {
		if class < m.NumClasses() && m.class(k) != class {
			continue
		}
		total += w
		e := w
		for d, mean := range m.Means[k] {
			v := p.Alpha*p.Alpha*m.std(k, d)*m.std(k, d) + p.Sigma*p.Sigma
			e *= math.Exp(-(x[d]-p.Alpha*mean)*(x[d]-p.Alpha*mean)/(2*v)) / math.Sqrt(2*math.Pi*v)
		}
		sum += e
	}
	return math.Log(sum / total)
}

// Density against the formula written out, score against its differences and
// against the gradient of the density, every kind against the score, per sample times and labels.
func TestMixture(t *testing.T) {
	m := testMixture()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	x := []float64{0.3, -0.2, -1, 0.9, 2, 0.1, 0, 0, -0.7, 1.1}
	const n = 5
	labels := []int32{0, 1, 2, 1, 0} // 2 is the null class
	for name, path := range paths() {
		at := Step{}
		for i := range n {
			at.T = append(at.T, path.End()*(0.05+0.2*float64(i)))
		}
		s := scope64(t, tensor.Recording)
		leaf := s.Variable(x, n, 2)
		c := Cond{Labels: s.Ints(labels, n)}
		density := m.LogDensity(leaf, path, at, c)
		grad := s.GradOf(density.Sum(), tensor.GradOptions{Retain: true}, leaf)[0].Float64s()
		score := (&Oracle{m, path, Score}).Eval(leaf, at, c).Value.Float64s()
		for i := range n {
			p := path.At(at.T[i])
			close(t, fmt.Sprint(name, ": density of ", i), density.Float64s()[i], logDensity(m, p, x[2*i:2*i+2], int(labels[i])), 1e-12)
			for d := range 2 {
				close(t, fmt.Sprint(name, ": score of ", i), score[2*i+d], grad[2*i+d], 1e-11)
			}
		}
		for _, k := range kinds {
			o := &Oracle{m, path, k}
			pred := o.Eval(leaf, at, c)
			got := pred.As(Score, leaf, path, at).Float64s()
			for i := range got {
				// At times above .05 of every path here conversion loses at most five digits.
				close(t, fmt.Sprintf("%s: score of %d from %v", name, i, k), got[i], score[i], 1e-10)
			}
		}
	}
}

// The oracle's predictions are what is left finite at both ends.
func TestOracleAtTheEnds(t *testing.T) {
	m, s := testMixture(), scope64(t, tensor.Inference)
	x := s.Tensor([]float64{0.4, -0.3}, 1, 2)
	for _, path := range []GaussianPath{CondOT{}, Trig{}} {
		for _, at := range []float64{0, 1} {
			for _, k := range kinds {
				if k == Score && at == 0 {
					continue
				}
				for _, v := range (&Oracle{m, path, k}).Eval(x, Step{T: []float64{at}}, Cond{}).Value.Float64s() {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						t.Errorf("%T at %g: %v is %g", path, at, k, v)
					}
				}
			}
		}
		mean := (&Oracle{m, path, X0}).Eval(x, Step{T: []float64{1}}, Cond{}).Value.Float64s()
		close(t, "E[x0] of pure noise", mean[0], 0.5*1-0.3*1.2+0.2*0.2, 1e-14)
		close(t, "E[x0] of pure noise", mean[1], -0.5*0.5+0.3*0.3+0.2*1.5, 1e-14)
		data := (&Oracle{m, path, X0}).Eval(x, Step{T: []float64{0}}, Cond{}).Value.Float64s()
		close(t, "E[x0] of data", data[0], 0.4, 1e-14)
	}
}

func TestWorkedScores(t *testing.T) {
	clean := Point{Alpha: 1}
	s := scope64(t, tensor.Recording)
	at := Step{T: []float64{0}}
	score := func(m *Mixture, x ...float64) []float64 {
		return (&Oracle{m, fixed(clean), Score}).Eval(s.Tensor(x, 1, len(x)), at, Cond{}).Value.Float64s()
	}
	one := &Mixture{Weights: []float64{1}, Means: [][]float64{{3}}, Stds: [][]float64{{1}}}
	for x, want := range map[float64]float64{5: -2, 1: 2, 3: 0} {
		close(t, fmt.Sprint("score of N(3,1) at ", x), score(one, x)[0], want, 1e-15)
	}
	two := &Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{2, 0}, {-2, 0}}, Stds: [][]float64{{0.7}, {0.7}}}
	close(t, "score at the saddle", score(two, 0, 0)[0], 0, 1e-15)
	right := score(two, 3, 0)
	close(t, "score at (3,0)", right[0], -2.0408, 5e-5)
	close(t, "score at (3,0), second axis", right[1], 0, 1e-15)
	// Hessian of the log-density at the saddle: the score's Jacobian.
	for d, want := range []float64{14.62, -2.04} {
		x := s.Variable([]float64{0, 0}, 1, 2)
		v := (&Oracle{two, fixed(clean), Score}).Eval(x, at, Cond{}).Value
		g := s.GradOf(v.Slice(1, d, d+1).Sum(), tensor.GradOptions{}, x)[0].Float64s()
		close(t, fmt.Sprint("Hessian ", d), g[d], want, 0.005/(1+math.Abs(want)))
		close(t, fmt.Sprint("Hessian off the diagonal ", d), g[1-d], 0, 1e-15)
	}
	// Modes ±3, x=1.
	modes := &Mixture{Weights: []float64{0.5, 0.5}, Means: [][]float64{{3}, {-3}}, Stds: [][]float64{{1}, {1}}}
	uncond, cond := score(modes, 1)[0], score(one, 1)[0]
	close(t, "unconditional score", uncond, 1.98516, 3e-6)
	close(t, "guided score at scale 7", uncond+7*(cond-uncond), 2.08901, 6e-6)
}

// fixed is a path of one point.
type fixed Point

func (p fixed) At(t float64) Point         { q := Point(p); q.T = t; return q }
func (p fixed) HalfLogSNR(float64) float64 { return math.Log(p.Alpha / p.Sigma) }
func (fixed) Time(float64) float64         { return 0 }
func (fixed) End() float64                 { return 1 }

// Samples have the mixture's moments, per class.
func TestMixtureSample(t *testing.T) {
	m := testMixture()
	const n = 40000
	x, class := m.Sample(rng.Key{Seed: 8}, n)
	var sum, sum2 [2]float64
	count := 0
	for i := range n {
		if class[i] == 0 {
			count++
			for d := range 2 {
				sum[d] += x[2*i+d]
				sum2[d] += x[2*i+d] * x[2*i+d]
			}
		}
	}
	// five standard errors
	if f := float64(count) / n; math.Abs(f-0.5) > 5*0.5/math.Sqrt(n) {
		t.Errorf("class 0 has %.4f of the samples, want .5", f)
	}
	c := float64(count)
	for d := range 2 {
		mean, std := sum[d]/c, m.std(0, d)
		if math.Abs(mean-m.Means[0][d]) > 5*std/math.Sqrt(c) {
			t.Errorf("mean %d is %.4f, want %.4f", d, mean, m.Means[0][d])
		}
		if v := sum2[d]/c - mean*mean; math.Abs(v/(std*std)-1) > 5*math.Sqrt(2/c) {
			t.Errorf("variance %d is %.4f, want %.4f", d, v, std*std)
		}
	}
	again, _ := m.Sample(rng.Key{Seed: 8}, 10)
	for i, v := range again {
		if v != x[i] {
			t.Fatal("a sample depends on how many are drawn")
		}
	}
}

func TestMixtureCheck(t *testing.T) {
	for name, m := range map[string]*Mixture{
		"empty":         {},
		"weights":       {Weights: []float64{0.5, 0.6}, Means: [][]float64{{0}, {0}}, Stds: [][]float64{{1}, {1}}},
		"negative":      {Weights: []float64{1.5, -0.5}, Means: [][]float64{{0}, {0}}, Stds: [][]float64{{1}, {1}}},
		"means":         {Weights: []float64{0.5, 0.5}, Means: [][]float64{{0}}, Stds: [][]float64{{1}, {1}}},
		"ragged":        {Weights: []float64{0.5, 0.5}, Means: [][]float64{{0}, {0, 1}}, Stds: [][]float64{{1}, {1}}},
		"deviation":     {Weights: []float64{1}, Means: [][]float64{{0}}, Stds: [][]float64{{-1}}},
		"classes":       {Weights: []float64{1}, Means: [][]float64{{0}}, Stds: [][]float64{{1}}, Classes: []int{0, 1}},
		"two stds of 3": {Weights: []float64{1}, Means: [][]float64{{0, 0, 0}}, Stds: [][]float64{{1, 1}}},
	} {
		if m.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A class alone has the density that the mixture has given that class; a coordinate alone has the others' integrated out.
func TestPartsOfAMixture(t *testing.T) {
	m, s := testMixture(), scope64(t, tensor.Inference)
	path, at := CondOT{}, Step{T: []float64{0.3}}
	x := []float64{0.3, -0.2, -1, 0.9}
	whole := m.LogDensity(s.Tensor(x, 2, 2), path, at, Cond{Labels: s.Ints([]int32{1, 1}, 2)}).Float64s()
	for i, v := range m.Class(1).LogDensity(s.Tensor(x, 2, 2), path, at, Cond{}).Float64s() {
		close(t, fmt.Sprint("class 1 at ", i), v, whole[i], 1e-13)
	}
	if err := m.Class(1).Check(); err != nil {
		t.Error(err)
	}
	for axis := range 2 {
		part := m.Axis(axis)
		if err := part.Check(); err != nil {
			t.Error(err)
		}
		const v, n, half = 0.4, 4000, 12.0
		points := make([]float64, 0, 2*n)
		for i := range n { // the rectangle rule is exact to rounding for what falls off like a Gaussian
			p := [2]float64{v, v}
			p[1-axis] = -half + (float64(i)+0.5)*2*half/n
			points = append(points, p[:]...)
		}
		sum := 0.0
		for _, l := range m.LogDensity(s.Tensor(points, n, 2), path, at, Cond{}).Float64s() {
			sum += math.Exp(l) * 2 * half / n
		}
		got := part.LogDensity(s.Tensor([]float64{v}, 1, 1), path, at, Cond{}).Float64s()[0]
		close(t, fmt.Sprint("axis ", axis), got, math.Log(sum), 1e-11)
	}
}
