package backend

import "github.com/langevin-go/langevin/tensor/rng"

// Device is what every backend provides. Calls are asynchronous where the
// device is: Download and Sync wait. Shapes and dtypes have been checked by the
// caller; a device need not check them again. A device may be used by many
// goroutines at once.
//
// The same call on the same shapes gives the same bits, whatever the number of
// threads, and a sample's forward results (axis 0) have the same bits whatever
// the batch around it.
//
// All operands of a call share one floating dtype, except where a comment says
// otherwise. Outputs never overlap inputs, except that Elementwise may write an
// output over an input of the very same layout.
type Device interface {
	// Name identifies the device, its instruction set or model and its threads.
	Name() string

	Alloc(bytes int) (Memory, error) // zeroed
	Free(m Memory)
	Upload(dst Memory, off int, src []byte)   // off in bytes
	Download(dst []byte, src Memory, off int) // off in bytes
	Sync() error

	// Elementwise runs p at every point of out[0]'s shape. All outputs have that
	// shape; inputs are broadcast to it by strides of zero. scalars are the
	// program's run-time uniforms.
	Elementwise(p *Program, out, in []*View, scalars []float64)

	// Reduce runs p (one output; nil: the identity on in[0]) at every point of
	// space's shape and folds the results over the axes on which out has size 1
	// and space does not. out and all inputs have space's rank; inputs are
	// broadcast to space's shape by strides of zero. Only space's Rank and Shape
	// are used. The order of summation depends on the shape alone, and adds up no
	// more than 256 terms in a row in the operands' type before it turns to
	// pairs or to float64. The fold of nothing is 0, −Inf or +Inf.
	Reduce(kind ReduceKind, p *Program, out *View, space *View, in []*View, scalars []float64)

	// Gemm computes c = alpha·a·b + beta·c + bias for c (…,M,N), a (…,M,K),
	// b (…,K,N) and bias (N) or nil; leading axes are batch axes, equal in all
	// three or of stride 0 in a or b. Any strides, also transposed ones. With
	// beta 0, c need not be initialised (NaN in it does not spread). A row of c
	// has the same bits whatever M is.
	Gemm(c, a, b, bias *View, alpha, beta float64)

	// GemmSum computes c (M,N) = a·b and sums (N), the sums of b's columns, for
	// a (M,K) and b (K,N) of any strides: the gradients of a linear layer's weight
	// and bias, for which one pass over b is enough. c has the bits that Gemm
	// gives it; sums add up as Reduce does, though not in its order.
	GemmSum(c, sums, a, b *View)

	// ConvForward computes y (N,o…,Cout) = x (N,i…,Cin) * w (k…,Cin/groups,Cout) + bias (Cout or nil).
	ConvForward(p *Conv, y, x, w, bias *View)
	// ConvInputGrad computes dx from dy: the transposed convolution.
	ConvInputGrad(p *Conv, dx, dy, w *View)
	// ConvWeightGrad computes dw from x and dy.
	ConvWeightGrad(p *Conv, dw, x, dy *View)

	// Attention computes o = softmax(scale·q·kᵀ + mask)·v for q, o (N,T,H,D) and
	// k, v (N,S,H,D), and lse (N,H,T), the log-sum-exp of each row of scores
	// (nil: not wanted). mask is added, broadcast to (N,H,T,S) by strides of
	// zero; nil: none. A row that is masked everywhere (−Inf) gives zeros.
	Attention(o, lse, q, k, v, mask *View, scale float64)
	// AttentionGrad computes dq, dk, dv from do and what Attention left behind.
	AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, mask *View, scale float64)

	// Gather copies rows: out (n,C) = table (rows,C)[idx (n) int32].
	Gather(out, table, idx *View)
	// ScatterAdd adds rows: table[idx[i]] += rows[i], in the order of i.
	ScatterAdd(table, rows, idx *View)

	// FillNormal and FillUniform draw element j of row i (axis 0 of a dense
	// view) from counter (sample first+i, element j) under key: N(0,1), and
	// U[0,1) in steps of 2⁻²⁴. See package rng for the exact bits.
	FillNormal(out *View, key rng.Key, first uint64)
	FillUniform(out *View, key rng.Key, first uint64)
}

// ReduceKind is the fold of a reduction.
type ReduceKind uint8

const (
	Sum ReduceKind = iota
	Max            // NaN spreads
	Min            // NaN spreads
)

// Conv holds the parameters of a convolution over 1 to 3 spatial axes
// (channels last). Only the first Spatial entries of the arrays are used.
type Conv struct {
	Spatial      int
	Stride       [3]int
	Dilation     [3]int
	PadLo, PadHi [3]int
	Groups       int
}

// Out is the output size along spatial axis i for input size in and kernel size k: 0 where the
// kernel is larger than the padded input.
func (c *Conv) Out(i, in, k int) int {
	room := in + c.PadLo[i] + c.PadHi[i] - c.Dilation[i]*(k-1) - 1
	if room < 0 {
		return 0
	}
	return room/c.Stride[i] + 1
}

// Norm is optional: fused normalisation. x, y, dy, dx are (N,P,C): samples,
// positions, channels. Statistics are over the C channels of each position
// (groups == 0, layer norm; mean and rstd are (N,P)) or over positions and
// the C/groups channels of a group (group norm; mean and rstd are (N,groups)).
// mean may be nil with RMS. scale and shift are broadcast to (N,1,C) by strides
// of zero: y = act((x−mean)·rstd·(scaleBase+scale) + shift). Without scale (nil)
// the factor is 1 whatever ScaleBase, without shift the summand is 0. A sample's
// results do not depend on the others.
type Norm interface {
	NormForward(p *NormParams, y, mean, rstd, x, scale, shift *View)
	// NormGrad writes dx, and dscale and dshift, each (N,1,C) dense, unless nil.
	// No activation may be set without shift and scale being those of the forward pass.
	NormGrad(p *NormParams, dx, dscale, dshift, dy, x, mean, rstd, scale, shift *View)
}

// NormParams are the settings of a fused normalisation.
type NormParams struct {
	Groups    int     // 0: layer norm over channels; ≥ 1: group norm
	Eps       float64 // added to the variance
	ScaleBase float64 // 1 for adaptive norms (1+scale), 0 for plain ones
	RMS       bool    // no mean subtraction: rstd = 1/√(mean(x²)+eps)
	SiLU      bool    // y·sigmoid(y) applied last
}

// Softmax is optional: softmax along the last axis, and its gradient
// dx = y·(dy − Σ dy·y).
type Softmax interface {
	SoftmaxForward(y, x *View)
	SoftmaxGrad(dx, dy, y *View)
}

// AllocError says that a device had no memory for a request.
type AllocError struct {
	Device string
	Bytes  int
	Err    error
}

func (e *AllocError) Error() string {
	s := "out of memory on " + e.Device
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *AllocError) Unwrap() error { return e.Err }
