package diffusion

import (
	"math"

	"github.com/langevin-go/langevin/tensor"
)

// Variance says what a network with 2C output channels puts in the second half.
type Variance uint8

const (
	VarianceFixed        Variance = iota // C channels, no variance
	VarianceLearned                      // the variance of the reverse step itself
	VarianceLearnedRange                 // v: lnσ² = f·lnβ + (1−f)·lnβ̃, f=(v+1)/2 (Nichol and Dhariwal 2021, eq. 15)
	VarianceIgnored                      // something that is left out
)

// NetModel is a neural network as a Model: it owns the network's time input,
// its input scaling and what its outputs mean.
type NetModel struct {
	Net       Network
	Along     GaussianPath
	Predicts  Kind
	TimeInput func(p Point) float64 // the network's time; nil: p.T
	Variance  Variance
	Jumps     bool // the network knows whole steps: it is told how far they lead
}

// Path is m.Along.
func (m *NetModel) Path() GaussianPath { return m.Along }

// Kind is m.Predicts.
func (m *NetModel) Kind() Kind { return m.Predicts }

// Eval runs the network.
func (m *NetModel) Eval(x *tensor.Tensor, at Step, c Cond) Pred {
	t := perBatch(x, m.Along, at, m.timeInput)
	if m.Jumps && at.Jump {
		c.Jump = t.Sub(perBatch(x, m.Along, Step{T: at.Next}, m.timeInput))
	}
	if k, ok := m.Predicts.(Preconditioned); ok {
		x = x.Mul(PerSample(x, m.Along, at, func(p, _ Point) float64 { return k.InputScale(p) }))
	}
	out := m.Net(x, t, c)
	if m.Variance == VarianceFixed {
		return Pred{Value: out, Kind: m.Predicts}
	}
	c2 := out.Dim(-1)
	p := Pred{Value: out.Slice(-1, 0, c2/2), Kind: m.Predicts}
	if len(at.Next) > 0 && m.Variance != VarianceIgnored {
		p.LogVar = m.logVar(out.Slice(-1, c2/2, c2), at)
	}
	return p
}

// Field is the network's answer at times t that lead ahead by jump, both (N) and in its own time: as
// a function of tensors, of which derivatives can be taken.
func (m *NetModel) Field(x, t, jump *tensor.Tensor, c Cond) *tensor.Tensor {
	c.Jump = jump
	return m.Net(x, t, c)
}

func (m *NetModel) timeInput(p Point) float64 {
	if m.TimeInput == nil {
		return p.T
	}
	return m.TimeInput(p)
}

// logVar is the log-variance of the reverse step.
func (m *NetModel) logVar(v *tensor.Tensor, at Step) *tensor.Tensor {
	if m.Variance == VarianceLearned {
		return v.Log()
	}
	// f·lnβ + (1−f)·lnβ̃ = ½(lnβ+lnβ̃) + v·½(lnβ−lnβ̃)
	small := func(now, next Point) float64 { return math.Log(smallVariance(m.Along, now, next)) }
	large := func(now, next Point) float64 { return math.Log(NewPosterior(now, next).Large) }
	half := PerSample(v, m.Along, at, func(now, next Point) float64 { return (large(now, next) - small(now, next)) / 2 })
	mid := PerSample(v, m.Along, at, func(now, next Point) float64 { return (large(now, next) + small(now, next)) / 2 })
	return v.MulAdd(half, mid)
}

// minVariance keeps the logarithm of a posterior variance finite (diffusers' floor).
const minVariance = 1e-20

// smallVariance is β̃ of the step. That of a table's first entry is 0, and taken
// to be that of its second, as Nichol and Dhariwal's code does.
func smallVariance(path GaussianPath, now, next Point) float64 {
	if table, ok := path.(*Table); ok && now.T == 1 && next.T == 0 && table.End() > 1 {
		now, next = table.At(2), table.At(1)
	}
	return max(NewPosterior(now, next).Small, minVariance)
}
