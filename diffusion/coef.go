package diffusion

import "github.com/langevin-go/langevin/tensor"

// PerSample is f at each sample's time (and next time, if the step has one) as a
// tensor that broadcasts against x: (N,1,…), or all ones for a single time.
func PerSample(x *tensor.Tensor, path GaussianPath, at Step, f func(now, next Point) float64) *tensor.Tensor {
	var ones [tensor.MaxRank]int
	for i := range ones {
		ones[i] = 1
	}
	shape := ones[:x.Rank()]
	s := x.Scope()
	value := func(i int) float64 {
		var next Point
		if len(at.Next) > 0 {
			next = path.At(at.To(i))
		}
		return f(path.At(at.At(i)), next)
	}
	if len(at.T) == 1 && len(at.Next) <= 1 {
		return s.Full(value(0), shape...)
	}
	shape[0] = x.Dim(0)
	return s.TensorOf(value, shape...)
}

// perBatch is f of each sample's time, shape (N), or of a time that all share, (1):
// networks then embed it once.
func perBatch(x *tensor.Tensor, path GaussianPath, at Step, f func(p Point) float64) *tensor.Tensor {
	if len(at.T) == 1 {
		return x.Scope().Full(f(path.At(at.T[0])), 1)
	}
	return PerSample(x, path, Step{T: at.T}, func(p, _ Point) float64 { return f(p) }).Reshape(x.Dim(0))
}

// combination is a·x + b·y.
var combination = tensor.NewPointwise("combination", 4, 0, func(in, _ []tensor.Expr) tensor.Expr {
	return in[0].Mul(in[1]).Add(in[2].Mul(in[3]))
})

// Combine is a·x + b·y with coefficients that depend on each sample's time and next time.
func Combine(x, y *tensor.Tensor, path GaussianPath, at Step, a, b func(now, next Point) float64) *tensor.Tensor {
	return combination.Apply(nil, PerSample(x, path, at, a), x, PerSample(x, path, at, b), y)
}

// Noised is α·data + σ·ε.
func Noised(data, eps *tensor.Tensor, path GaussianPath, at Step) *tensor.Tensor {
	return Combine(data, eps, path, at,
		func(p, _ Point) float64 { return p.Alpha }, func(p, _ Point) float64 { return p.Sigma })
}

// Target is what a perfect model of that kind says of α·data + σ·ε.
func Target(k Kind, data, eps *tensor.Tensor, path GaussianPath, at Step) *tensor.Tensor {
	return Combine(data, eps, path, at,
		func(p, _ Point) float64 { a, _ := k.Of(p); return a }, func(p, _ Point) float64 { _, b := k.Of(p); return b })
}

// As is the prediction for x converted to another kind. It panics with an
// *UndeterminedError where x and the prediction do not determine it.
func (p Pred) As(k Kind, x *tensor.Tensor, path GaussianPath, at Step) *tensor.Tensor {
	if p.Kind == k {
		return p.Value
	}
	return Combine(x, p.Value, path, at,
		func(now, _ Point) float64 { return Convert(p.Kind, k, now).OnX },
		func(now, _ Point) float64 { return Convert(p.Kind, k, now).OnValue })
}
