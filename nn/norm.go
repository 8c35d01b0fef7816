package nn

import "github.com/langevin-go/langevin/tensor"

// GroupNorm normalises channels in groups over all positions (Wu and He 2018).
type GroupNorm struct {
	Weight, Bias *tensor.Param // (C)

	groups int
	eps    float64
}

// NewGroupNorm needs channels divisible by groups.
func NewGroupNorm(in *Init, groups, channels int, eps float64) *GroupNorm {
	return &GroupNorm{in.Ones(channels), in.Zeros(channels), groups, eps}
}

// Forward keeps the shape of x (N, …, C).
func (n *GroupNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.GroupNorm(n.groups, n.Weight, n.Bias, tensor.Norm{Eps: n.eps})
}

// SiLU is SiLU(Forward(x)) in one pass.
func (n *GroupNorm) SiLU(x *tensor.Tensor) *tensor.Tensor {
	return x.GroupNorm(n.groups, n.Weight, n.Bias, tensor.Norm{Eps: n.eps, SiLU: true})
}

// LayerNorm normalises over the last axis (Ba et al. 2016).
type LayerNorm struct {
	Weight, Bias *tensor.Param // (C)

	eps float64
}

// NewLayerNorm has PyTorch's default for eps 1e-5.
func NewLayerNorm(in *Init, channels int, eps float64) *LayerNorm {
	return &LayerNorm{in.Ones(channels), in.Zeros(channels), eps}
}

// Forward keeps the shape of x (N, …, C).
func (n *LayerNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.LayerNorm(n.Weight, n.Bias, tensor.Norm{Eps: n.eps})
}

// RMSNorm is LayerNorm without mean and bias (Zhang and Sennrich 2019).
type RMSNorm struct {
	Weight *tensor.Param // (C)

	eps float64
}

// NewRMSNorm has weights of one.
func NewRMSNorm(in *Init, channels int, eps float64) *RMSNorm {
	return &RMSNorm{in.Ones(channels), eps}
}

// Forward keeps the shape of x (N, …, C).
func (n *RMSNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.RMSNorm(n.Weight, tensor.Norm{Eps: n.eps})
}
