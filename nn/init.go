package nn

import (
	"errors"
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Init makes parameters on a device and draws their first values. The n-th
// parameter made is sample n of the key: its values depend on the key, n and its
// shape, not on the sizes of the others.
type Init struct {
	dev   backend.Device
	key   rng.Key
	n     uint64
	blank bool
}

// NewInit makes parameters on dev from the draws of key.
func NewInit(dev backend.Device, key rng.Key) *Init { return &Init{dev: dev, key: key} }

// NewBlankInit makes parameters of zeros, for networks whose values come from a file.
func NewBlankInit(dev backend.Device) *Init { return &Init{dev: dev, blank: true} }

// Device is where the parameters live.
func (in *Init) Device() backend.Device { return in.dev }

// Zeros makes a parameter of zeros.
func (in *Init) Zeros(shape ...int) *tensor.Param {
	in.n++
	return tensor.NewParam(in.dev, tensor.Float32, shape...)
}

// Const makes a parameter of equal elements.
func (in *Init) Const(value float64, shape ...int) *tensor.Param {
	p := in.Zeros(shape...)
	if in.blank {
		return p
	}
	v := make([]float32, p.Elems())
	for i := range v {
		v[i] = float32(value)
	}
	return set(p, v)
}

// Ones makes a parameter of ones.
func (in *Init) Ones(shape ...int) *tensor.Param { return in.Const(1, shape...) }

// Uniform draws from U[−bound, bound).
func (in *Init) Uniform(bound float64, shape ...int) *tensor.Param {
	p := in.Zeros(shape...)
	if in.blank {
		return p
	}
	v := make([]float32, p.Elems())
	rng.Uniform(v, in.key, in.n-1)
	for i, u := range v {
		v[i] = float32(bound * (2*float64(u) - 1))
	}
	return set(p, v)
}

// Normal draws from N(0, std²).
func (in *Init) Normal(std float64, shape ...int) *tensor.Param {
	p := in.Zeros(shape...)
	if in.blank {
		return p
	}
	v := make([]float32, p.Elems())
	rng.Normal(v, in.key, in.n-1)
	for i, z := range v {
		v[i] = float32(std * float64(z))
	}
	return set(p, v)
}

// KaimingUniform is He et al. 2015 with a = √5, which is PyTorch's default for
// the weights and biases of linear layers and convolutions: U[−1/√fanIn, 1/√fanIn).
func (in *Init) KaimingUniform(fanIn int, shape ...int) *tensor.Param {
	return in.Uniform(1/math.Sqrt(float64(max(1, fanIn))), shape...)
}

// XavierUniform is Glorot and Bengio 2010: U[−a, a), a = √(6/(fanIn+fanOut)).
func (in *Init) XavierUniform(fanIn, fanOut int, shape ...int) *tensor.Param {
	return in.Uniform(math.Sqrt(6/float64(max(1, fanIn+fanOut))), shape...)
}

// set fills a new parameter; the lengths agree by construction.
func set(p *tensor.Param, v []float32) *tensor.Param {
	if err := p.Set(v); err != nil {
		panic(err)
	}
	return p
}

// catchAlloc turns the panic of a device that is out of memory into an error: how
// the constructors of networks report it.
func catchAlloc(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		var out *backend.AllocError
		if !errors.As(r, &out) {
			panic(r)
		}
		*err = r
	default:
		panic(r)
	}
}

// constant is a small table that a layer reads in scopes of either floating
// dtype. It is no parameter: it is neither saved nor trained.
type constant struct{ f32, f64 *tensor.Param }

func newConstant(dev backend.Device, values []float64, shape ...int) constant {
	c := constant{tensor.NewParam(dev, tensor.Float32, shape...), tensor.NewParam(dev, tensor.Float64, shape...)}
	for _, p := range []*tensor.Param{c.f32, c.f64} {
		p.Frozen = true
		if err := p.Set64(values); err != nil {
			panic(err)
		}
	}
	return c
}

// of is the table for tensors like t.
func (c constant) of(t *tensor.Tensor) *tensor.Tensor {
	if t.DType() == tensor.Float64 {
		return t.Scope().Param(c.f64)
	}
	return t.Scope().Param(c.f32)
}

// misuse panics as package tensor does where a network is called out of place.
func misuse(op, msg string) { panic(&tensor.UsageError{Op: op, Msg: msg}) }
