package nn

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/tensor"
)

// Activation is an elementwise function.
type Activation func(*tensor.Tensor) *tensor.Tensor

var activations = map[string]Activation{
	"silu":      (*tensor.Tensor).SiLU,
	"swish":     (*tensor.Tensor).SiLU,
	"mish":      (*tensor.Tensor).Mish,
	"gelu":      (*tensor.Tensor).GELU,
	"gelu_tanh": (*tensor.Tensor).GELUTanh,
	"relu":      (*tensor.Tensor).ReLU,
	"selu":      (*tensor.Tensor).SELU,
	"tanh":      (*tensor.Tensor).Tanh,
	"sigmoid":   (*tensor.Tensor).Sigmoid,
	"softplus":  (*tensor.Tensor).Softplus,
	"identity":  func(x *tensor.Tensor) *tensor.Tensor { return x },
}

// ActivationByName finds an activation: silu (also swish), mish, gelu (exact),
// gelu_tanh, relu, selu, tanh, sigmoid, softplus or identity.
func ActivationByName(name string) (Activation, error) {
	if a, ok := activations[name]; ok {
		return a, nil
	}
	return nil, fmt.Errorf("no activation %q: there are %s", name, strings.Join(slices.Sorted(maps.Keys(activations)), ", "))
}

// isSiLU reports whether the fused forms of SiLU can be used.
func isSiLU(name string) bool { return name == "silu" || name == "swish" }
