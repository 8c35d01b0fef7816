package trace

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/tensor/backend"
)

// key tells calls apart that are recorded in different rows.
type key struct {
	op    Op
	bf16  bool
	dtype backend.DType
	form  uint8
	rank  uint8
	prog  *backend.Program
	dims  [12]int32
}

// cost is what a call does.
type cost struct {
	flops         int64
	points        int64 // at which an elementwise program is run
	read, written int64 // bytes
}

// Forms of Random.
const (
	formUniform uint8 = iota
	formNormal
)

// bytesOf is the memory of views, axes that repeat counted once.
func bytesOf(views ...*backend.View) int64 {
	var sum int64
	for _, v := range views {
		if v == nil || v.Mem.Size == 0 {
			continue
		}
		n := int64(v.DType.Size())
		for i, d := range v.Shape[:v.Rank] {
			if v.Stride[i] != 0 || d == 0 {
				n *= int64(d)
			}
		}
		sum += n
	}
	return sum
}

// operations counts the floating-point operations of a program at a point.
func operations(p *backend.Program) int64 {
	if p == nil {
		return 0
	}
	var n int64
	for i := range p.Code {
		switch c := &p.Code[i]; {
		case c.Op == backend.OpMulAdd:
			n += 2
		case c.Op.Arity() > 0:
			n++
		}
	}
	return n
}

func (k *key) shape(v *backend.View) {
	k.dtype, k.rank = v.DType, uint8(v.Rank)
	for i, d := range v.Shape[:v.Rank] {
		k.dims[i] = int32(d)
	}
}

// fold notes, in the last place, the axes that a reduction folds.
func (k *key) fold(out, space *backend.View) {
	for i := range space.Rank {
		if out.Shape[i] == 1 && space.Shape[i] != 1 {
			k.dims[len(k.dims)-1] |= 1 << i
		}
	}
	k.dtype = out.DType
}

// Bits of the form of a matrix product.
const (
	formTransA uint8 = 1 << iota
	formTransB
	formBias
	formAdds
	formSums
)

// gemm counts a matrix product: 2·M·N·K a batch.
func gemm(c, a, b, bias *backend.View, beta float64) (key, cost) {
	r := c.Rank
	m, n, depth := c.Shape[r-2], c.Shape[r-1], a.Shape[r-1]
	batch := 1
	for _, d := range c.Shape[:r-2] {
		batch *= d
	}
	k := key{op: Gemm, dtype: c.DType, dims: [12]int32{int32(batch), int32(m), int32(n), int32(depth)}}
	if transposed(a) {
		k.form |= formTransA
	}
	if transposed(b) {
		k.form |= formTransB
	}
	w := cost{flops: 2 * int64(batch) * int64(m) * int64(n) * int64(depth), read: bytesOf(a, b, bias), written: bytesOf(c)}
	if bias != nil {
		k.form |= formBias
	}
	if beta != 0 {
		k.form |= formAdds
		w.read += w.written
	}
	return k, w
}

// transposed reports whether columns lie side by side rather than rows.
func transposed(v *backend.View) bool {
	r := v.Rank
	return v.Stride[r-1] != 1 && v.Shape[r-1] > 1 && v.Stride[r-2] == 1
}

// Places of a convolution's key.
const (
	convIn      = 1 // behind the number of samples
	convCin     = 4
	convCout    = 5
	convKernel  = 6
	convStrides = 9
	convGroups  = 10
)

func convKey(op Op, p *backend.Conv, x, w *backend.View) key {
	k := key{op: op, dtype: x.DType, rank: uint8(p.Spatial)}
	k.dims[0], k.dims[convCin], k.dims[convCout] = int32(x.Shape[0]), int32(x.Shape[p.Spatial+1]), int32(w.Shape[p.Spatial+1])
	for i := range p.Spatial {
		k.dims[convIn+i], k.dims[convKernel+i] = int32(x.Shape[i+1]), int32(w.Shape[i])
	}
	k.dims[convStrides], k.dims[convGroups] = int32(p.Stride[0]), int32(p.Groups)
	return k
}

// convFLOPs is two operations for every output, tap and input channel of its
// group; taps that fall on padding count.
func convFLOPs(p *backend.Conv, y, w *backend.View) int64 {
	n := 2 * int64(y.Elems())
	for _, d := range w.Shape[:p.Spatial+1] {
		n *= int64(d)
	}
	return n
}

func attentionKey(op Op, q, k, mask *backend.View) key {
	n := key{op: op, dtype: q.DType, dims: [12]int32{int32(q.Shape[0]), int32(q.Shape[1]), int32(k.Shape[1]), int32(q.Shape[2]), int32(q.Shape[3])}}
	if mask != nil {
		n.form = 1
	}
	return n
}

// attentionProduct is the operations of one of attention's products, all of
// which have N·H·T·S·D multiplications. Exponentials are not counted.
func attentionProduct(q, k *backend.View) int64 {
	return 2 * int64(q.Elems()) * int64(k.Shape[1])
}

func normKey(op Op, p *backend.NormParams, x *backend.View) key {
	k := key{op: op}
	k.shape(x)
	k.dims[3] = int32(p.Groups)
	if p.SiLU {
		k.form |= 1
	}
	if p.RMS {
		k.form |= 2
	}
	return k
}

// detail describes what a key stands for besides the operation.
func (k *key) detail() string {
	var b strings.Builder
	if k.dtype == backend.Float64 {
		b.WriteString("float64 ")
	}
	switch k.op {
	case Gemm:
		k.gemmDetail(&b)
	case ConvForward, ConvInputGrad, ConvWeightGrad:
		k.convDetail(&b)
	case Attention, AttentionGrad:
		fmt.Fprintf(&b, "batch %d, %d×%d tokens, %d heads of %d", k.dims[0], k.dims[1], k.dims[2], k.dims[3], k.dims[4])
		if k.form != 0 {
			b.WriteString(", mask")
		}
	case NormForward, NormGrad:
		k.normDetail(&b)
	case Elementwise, Reduce:
		name := "sum"
		if k.op == Reduce {
			name = [...]string{"sum", "max", "min"}[k.form]
		}
		if k.prog != nil {
			if k.op == Reduce {
				name += " of "
			} else {
				name = ""
			}
			name += k.prog.Name
		}
		fmt.Fprintf(&b, "%s, %s", name, k.sizes())
	case Random:
		fmt.Fprintf(&b, "%s, %s", [...]string{"uniform", "normal"}[k.form], k.sizes())
	case Gather, ScatterAdd, SoftmaxForward, SoftmaxGrad:
		b.WriteString(k.sizes())
	}
	return b.String()
}

// sizes is the shape; the axes that a reduction folds are in parentheses.
func (k *key) sizes() string {
	if k.rank == 0 {
		return "scalar"
	}
	parts := make([]string, k.rank)
	for i := range parts {
		parts[i] = strconv.Itoa(int(k.dims[i]))
		if k.op == Reduce && k.dims[len(k.dims)-1]>>i&1 == 1 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, "×")
}

func (k *key) gemmDetail(b *strings.Builder) {
	if k.dims[0] != 1 {
		fmt.Fprintf(b, "%d of ", k.dims[0])
	}
	fmt.Fprintf(b, "%d×%d×%d %c%c", k.dims[1], k.dims[2], k.dims[3], "nt"[k.form&formTransA/formTransA], "nt"[k.form&formTransB/formTransB])
	if k.form&formBias != 0 {
		b.WriteString(" +bias")
	}
	if k.form&formAdds != 0 {
		b.WriteString(" +=")
	}
	if k.form&formSums != 0 {
		b.WriteString(" +sums")
	}
}

func (k *key) convDetail(b *strings.Builder) {
	join := func(d []int32) string {
		s := make([]string, len(d))
		for i := range d {
			s[i] = strconv.Itoa(int(d[i]))
		}
		return strings.Join(s, "×")
	}
	n := int(k.rank)
	fmt.Fprintf(b, "%d×%s, %d→%d, kernel %s", k.dims[0], join(k.dims[convIn:convIn+n]), k.dims[convCin], k.dims[convCout], join(k.dims[convKernel:convKernel+n]))
	if s := k.dims[convStrides]; s != 1 {
		fmt.Fprintf(b, ", stride %d", s)
	}
	if g := k.dims[convGroups]; g != 1 {
		fmt.Fprintf(b, ", %d groups", g)
	}
}

func (k *key) normDetail(b *strings.Builder) {
	name := "layer"
	switch {
	case k.form&2 != 0:
		name = "RMS"
	case k.dims[3] > 0:
		name = fmt.Sprintf("group (%d)", k.dims[3])
	}
	if k.form&1 != 0 {
		name += "+SiLU"
	}
	fmt.Fprintf(b, "%s, %s", name, k.sizes())
}
