package backendtest

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// faulty is a device whose results are wrong in some way after every call.
type faulty struct {
	*cpu.Device
	harm func(v *backend.View)
}

// first is the address of a view's first element, n beyond.
func first(v *backend.View, n int) *float32 {
	return (*float32)(unsafe.Add(v.Mem.Host, 4*(v.Off+n)))
}

// harms are the ways to be wrong that every check must notice.
var harms = map[string]func(v *backend.View){
	"one element is off by 1e-3 of itself": func(v *backend.View) {
		if v.Elems() > 0 && v.DType == backend.Float32 {
			*first(v, 0) += *first(v, 0)*1e-3 + 1e-30
		}
	},
	"an element before the output is written": func(v *backend.View) {
		if v.DType == backend.Float32 {
			*first(v, -1) *= 2
		}
	},
	"an element behind the memory of the output is written": func(v *backend.View) {
		if v.DType == backend.Float32 {
			end := 1
			for i, d := range v.Shape[:v.Rank] {
				end += max(0, d-1) * v.Stride[i]
			}
			*first(v, end) = 0
		}
	},
	"the last element is not written": func(v *backend.View) {
		if n := v.Elems(); n > 0 && v.DType == backend.Float32 {
			end := 0
			for i, d := range v.Shape[:v.Rank] {
				end += (d - 1) * v.Stride[i]
			}
			*first(v, end) = 12345
		}
	},
}

func (f faulty) Elementwise(p *backend.Program, out, in []*backend.View, s []float64) {
	f.Device.Elementwise(p, out, in, s)
	f.harm(out[0])
}

func (f faulty) Reduce(k backend.ReduceKind, p *backend.Program, out, space *backend.View, in []*backend.View, s []float64) {
	f.Device.Reduce(k, p, out, space, in, s)
	f.harm(out)
}

func (f faulty) Gemm(c, a, b, bias *backend.View, alpha, beta float64) {
	f.Device.Gemm(c, a, b, bias, alpha, beta)
	f.harm(c)
}

func (f faulty) ConvForward(p *backend.Conv, y, x, w, bias *backend.View) {
	f.Device.ConvForward(p, y, x, w, bias)
	f.harm(y)
}

func (f faulty) ConvInputGrad(p *backend.Conv, dx, dy, w *backend.View) {
	f.Device.ConvInputGrad(p, dx, dy, w)
	f.harm(dx)
}

func (f faulty) ConvWeightGrad(p *backend.Conv, dw, x, dy *backend.View) {
	f.Device.ConvWeightGrad(p, dw, x, dy)
	f.harm(dw)
}

func (f faulty) Attention(o, lse, q, k, v, mask *backend.View, scale float64) {
	f.Device.Attention(o, lse, q, k, v, mask, scale)
	f.harm(o)
}

func (f faulty) AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, mask *backend.View, scale float64) {
	f.Device.AttentionGrad(dq, dk, dv, do, o, lse, q, k, v, mask, scale)
	f.harm(dk)
}

func (f faulty) Gather(out, table, idx *backend.View) {
	f.Device.Gather(out, table, idx)
	f.harm(out)
}

func (f faulty) ScatterAdd(table, rows, idx *backend.View) {
	f.Device.ScatterAdd(table, rows, idx)
	f.harm(table)
}

func (f faulty) FillNormal(out *backend.View, key rng.Key, n uint64) {
	f.Device.FillNormal(out, key, n)
	f.harm(out)
}

func (f faulty) NormForward(p *backend.NormParams, y, mean, rstd, x, scale, shift *backend.View) {
	f.Device.NormForward(p, y, mean, rstd, x, scale, shift)
	f.harm(y)
}

func (f faulty) NormGrad(p *backend.NormParams, dx, dscale, dshift, dy, x, mean, rstd, scale, shift *backend.View) {
	f.Device.NormGrad(p, dx, dscale, dshift, dy, x, mean, rstd, scale, shift)
	f.harm(dx)
}

func (f faulty) SoftmaxForward(y, x *backend.View) {
	f.Device.SoftmaxForward(y, x)
	f.harm(y)
}

func (f faulty) SoftmaxGrad(dx, dy, y *backend.View) {
	f.Device.SoftmaxGrad(dx, dy, y)
	f.harm(dx)
}

// TestChecksFail gives every check a device that is wrong, in each of the ways:
// it must say so within its first twelve cases.
func TestChecksFail(t *testing.T) {
	for what, harm := range harms {
		d := faulty{cpu.Default(), harm}
		for i, k := range checks {
			if k.name == "Batch" || k.name == "GemmRows" {
				continue // these compare the device with itself
			}
			noticed := false
			for j := 0; j < 12 && !noticed; j++ {
				seed := binary.LittleEndian.AppendUint32(nil, uint32(i)<<16|uint32(j))
				noticed = k.f(newChoices(nil).reseed(seed), d, backend.Float32) != nil
			}
			if !noticed {
				t.Errorf("%s does not notice that %s", k.name, what)
			}
		}
	}
}

// TestBatchFails gives the comparisons of batches such a device.
func TestBatchFails(t *testing.T) {
	d := faulty{cpu.Default(), func(v *backend.View) {
		if v.Shape[0] > 1 && v.Elems() > 0 {
			*first(v, 0) *= 1 + 0x1p-23
		}
	}}
	for _, k := range checks {
		if k.name != "Batch" && k.name != "GemmRows" {
			continue
		}
		noticed := 0
		for j := range 12 {
			if k.f(newChoices(nil).reseed([]byte{byte(j)}), d, backend.Float32) != nil {
				noticed++
			}
		}
		if noticed < 6 { // some batches have a first element of 0, or one row
			t.Errorf("%s notices %d of 12 batches whose size matters", k.name, noticed)
		}
	}
}
