package nn

import "github.com/langevin-go/langevin/tensor"

// Linear is x·Weight + Bias along the last axis.
type Linear struct {
	Weight *tensor.Param // (in, out)
	Bias   *tensor.Param // (out), or nil
}

// NewLinear has PyTorch's default initialisation: see [Init.KaimingUniform].
func NewLinear(in *Init, from, to int) *Linear {
	return &Linear{in.KaimingUniform(from, from, to), in.KaimingUniform(from, to)}
}

// NewLinearNoBias is NewLinear without the bias.
func NewLinearNoBias(in *Init, from, to int) *Linear {
	return &Linear{Weight: in.KaimingUniform(from, from, to)}
}

// NewXavierLinear draws the weight by [Init.XavierUniform]; the bias is zero.
func NewXavierLinear(in *Init, from, to int) *Linear {
	return &Linear{in.XavierUniform(from, to, from, to), in.Zeros(to)}
}

// NewZeroLinear starts at zero: for outputs that are to begin as nothing.
func NewZeroLinear(in *Init, from, to int) *Linear {
	return &Linear{in.Zeros(from, to), in.Zeros(to)}
}

// Forward maps (…, in) to (…, out).
func (l *Linear) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Linear(l.Weight, l.Bias) }

// Embedding is a table of vectors.
type Embedding struct {
	Weight *tensor.Param // (rows, dim)
}

// NewEmbedding draws from N(0, std²); PyTorch's default is std 1.
func NewEmbedding(in *Init, rows, dim int, std float64) *Embedding {
	return &Embedding{in.Normal(std, rows, dim)}
}

// Forward takes the rows of idx (int32, any shape): (idx…, dim). An index out of
// range is the caller's to prevent.
func (e *Embedding) Forward(idx *tensor.Tensor) *tensor.Tensor {
	return idx.Scope().Param(e.Weight).Gather(idx)
}

// Dropout zeroes elements with probability P in scopes that have dropout on
// (tensor.Scope.SetDropout), and does nothing elsewhere.
type Dropout struct{ P float64 }

// Forward keeps the shape of x.
func (d Dropout) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Dropout(d.P) }
