package diffusion

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Mixture is a mixture of Gaussians with diagonal covariances: data of which
// everything is known in closed form at every time of every Gaussian path.
type Mixture struct {
	Weights []float64   // (K), summing to 1
	Means   [][]float64 // (K,D)
	Stds    [][]float64 // (K,D) or (K,1): one for all axes; 0 is a point mass
	Classes []int       // (K), the class of each component; nil: one class each
}

// Check is an error if the parts do not fit together.
func (m *Mixture) Check() error {
	k := len(m.Weights)
	sum := 0.0
	for i, w := range m.Weights {
		sum += w
		if !(w > 0) {
			return fmt.Errorf("weight %d of the mixture is %g: must be positive", i, w)
		}
	}
	if k == 0 || math.Abs(sum-1) > 1e-9 {
		return fmt.Errorf("the %d weights of the mixture sum to %g: must be 1", k, sum)
	}
	if len(m.Means) != k || len(m.Stds) != k || m.Classes != nil && len(m.Classes) != k {
		return fmt.Errorf("a mixture of %d weights has %d means, %d deviations, %d classes", k, len(m.Means), len(m.Stds), len(m.Classes))
	}
	d := len(m.Means[0])
	for i := range k {
		if len(m.Means[i]) != d || len(m.Stds[i]) != d && len(m.Stds[i]) != 1 {
			return fmt.Errorf("component %d of the mixture has a mean of %d and deviations of %d axes, want %d", i, len(m.Means[i]), len(m.Stds[i]), d)
		}
		for _, s := range m.Stds[i] {
			if !(s >= 0) {
				return fmt.Errorf("component %d of the mixture has the deviation %g", i, s)
			}
		}
	}
	return nil
}

func (m *Mixture) class(k int) int {
	if m.Classes == nil {
		return k
	}
	return m.Classes[k]
}

// NumClasses is one more than the largest class.
func (m *Mixture) NumClasses() int {
	n := 0
	for k := range m.Weights {
		n = max(n, m.class(k)+1)
	}
	return n
}

func (m *Mixture) std(k, d int) float64 {
	if len(m.Stds[k]) == 1 {
		return m.Stds[k][0]
	}
	return m.Stds[k][d]
}

// Class is the part of the mixture that is of a class, of which there must be some. Its components are of class 0.
func (m *Mixture) Class(class int) *Mixture {
	out, total := &Mixture{}, 0.0
	for k, w := range m.Weights {
		if m.class(k) == class {
			out.Weights, out.Means, out.Stds, out.Classes = append(out.Weights, w), append(out.Means, m.Means[k]), append(out.Stds, m.Stds[k]), append(out.Classes, 0)
			total += w
		}
	}
	for k := range out.Weights {
		out.Weights[k] /= total
	}
	return out
}

// Axis is the distribution of coordinate d alone.
func (m *Mixture) Axis(d int) *Mixture {
	out := &Mixture{Weights: m.Weights, Classes: m.Classes}
	for k := range m.Weights {
		out.Means, out.Stds = append(out.Means, m.Means[k][d:d+1]), append(out.Stds, []float64{m.std(k, d)})
	}
	return out
}

// Sample draws n samples (n,D) and their classes, sample i from row i under key.
func (m *Mixture) Sample(key rng.Key, n int) (x []float64, class []int32) {
	d := len(m.Means[0])
	z := make([]float32, d)
	for i := range n {
		u, k := rng.Float64(key.WithStream(key.Stream+1), uint64(i), 0), 0
		for k < len(m.Weights)-1 && u >= m.Weights[k] {
			u -= m.Weights[k]
			k++
		}
		rng.Normal(z, key, uint64(i))
		for j := range z {
			x = append(x, m.Means[k][j]+m.std(k, j)*float64(z[j]))
		}
		class = append(class, int32(m.class(k)))
	}
	return x, class
}

// posterior holds what is known of x0 and ε given x_t; N samples, K components, D axes.
type mixturePosterior struct {
	logDensity *tensor.Tensor // (N,1,1)
	data       *tensor.Tensor // E[x0], (N,1,D)
	slope      *tensor.Tensor // −score, (N,1,D)
}

var (
	mixtureVariance = tensor.NewPointwise("mixture variance", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
		std, alpha, sigma := in[0], in[1], in[2]
		return std.Mul(alpha).Square().Add(sigma.Square())
	})
	mixtureOffset = tensor.NewPointwise("mixture offset", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
		x, alpha, mean := in[0], in[1], in[2]
		return x.Sub(alpha.Mul(mean))
	})
	gaussianLog = tensor.NewPointwiseSum(tensor.NewPointwise("gaussian log-density", 2, 0, func(in, _ []tensor.Expr) tensor.Expr {
		offset, v := in[0], in[1]
		return offset.Square().Div(v).Add(v.Log()).AddConst(math.Log(2 * math.Pi)).Scale(-0.5)
	}))
	componentMean = tensor.NewPointwise("component mean", 5, 0, func(in, _ []tensor.Expr) tensor.Expr {
		mean, alpha, std, v, offset := in[0], in[1], in[2], in[3], in[4]
		return mean.Add(alpha.Mul(std.Square()).Div(v).Mul(offset))
	})
)

// at computes the closed forms for x (N,…): component k at time t is
// N(α·mean, α²·std²+σ²).
func (m *Mixture) at(x *tensor.Tensor, path GaussianPath, at Step, c Cond) mixturePosterior {
	s, n, k, d := x.Scope(), x.Dim(0), len(m.Weights), len(m.Means[0])
	flat := x.Reshape(n, 1, d)
	means, stds := make([]float64, 0, k*d), make([]float64, 0, k*d)
	for i := range k {
		for j := range d {
			means, stds = append(means, m.Means[i][j]), append(stds, m.std(i, j))
		}
	}
	mean, std := s.Tensor(means, 1, k, d), s.Tensor(stds, 1, k, d)
	alpha := PerSample(flat, path, at, func(p, _ Point) float64 { return p.Alpha })
	sigma := PerSample(flat, path, at, func(p, _ Point) float64 { return p.Sigma })
	v := mixtureVariance.Apply(nil, std, alpha, sigma)
	offset := mixtureOffset.Apply(nil, flat, alpha, mean)
	logJoint := gaussianLog.Sum(nil, []int{2}, offset, v).Add(m.logPrior(s, c)) // (N,K,1)
	logDensity := logJoint.LogSumExpKeep(1)
	r := logJoint.Sub(logDensity).Exp()
	return mixturePosterior{
		logDensity: logDensity,
		data:       componentMean.Apply(nil, mean, alpha, std, v, offset).Mul(r).SumKeep(1),
		slope:      offset.Div(v).Mul(r).SumKeep(1),
	}
}

// logPrior is ln w of each component, (1,K,1), or with labels, (N,K,1), ln of the weights
// within each sample's class; the null class is all.
func (m *Mixture) logPrior(s *tensor.Scope, c Cond) *tensor.Tensor {
	k, classes := len(m.Weights), m.NumClasses()
	table := make([]float64, 0, (classes+1)*k)
	for class := range classes + 1 {
		total := 0.0
		for i, w := range m.Weights {
			if class == classes || m.class(i) == class {
				total += w
			}
		}
		for i, w := range m.Weights {
			if class == classes || m.class(i) == class {
				table = append(table, math.Log(w/total))
			} else {
				table = append(table, math.Inf(-1))
			}
		}
	}
	if c.Labels == nil {
		return s.Tensor(table[classes*k:], 1, k, 1)
	}
	return s.Tensor(table, classes+1, k).Gather(c.Labels).Reshape(c.Labels.Dim(0), k, 1)
}

// LogDensity is ln p_t(x), shape (N), in nats.
func (m *Mixture) LogDensity(x *tensor.Tensor, path GaussianPath, at Step, c Cond) *tensor.Tensor {
	return m.at(x, path, at, c).logDensity.Reshape(x.Dim(0))
}

// Oracle is the perfect model of data from a mixture. It is conditional on
// labels, which are the mixture's classes.
type Oracle struct {
	Of       *Mixture
	Along    GaussianPath
	Predicts Kind
}

// Path is o.Along.
func (o *Oracle) Path() GaussianPath { return o.Along }

// Kind is o.Predicts.
func (o *Oracle) Kind() Kind { return o.Predicts }

// Eval gives the posterior mean of the prediction: p·E[x0] + q·E[ε], E[ε] = −σ·score.
func (o *Oracle) Eval(x *tensor.Tensor, at Step, c Cond) Pred {
	post := o.Of.at(x, o.Along, at, c)
	v := Combine(post.data, post.slope, o.Along, at, func(p, _ Point) float64 {
		a, _ := o.Predicts.Of(p)
		return a
	}, func(p, _ Point) float64 {
		if o.Predicts == Score {
			return -1 // also where σ=0
		}
		_, b := o.Predicts.Of(p)
		return b * p.Sigma
	})
	return Pred{Value: v.Reshape(x.Shape()...), Kind: o.Predicts}
}
