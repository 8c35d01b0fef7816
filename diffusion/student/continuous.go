package student

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Continuous trains consistency functions in continuous time, in TrigFlow's variable (sCM: Lu and Song 2025,
// algorithm 1): with x = cos t·x0 + s·sin t·ε, s the standard deviation of the data, and
// f = cos t·x − s·sin t·F its estimate of the data,
//
//	‖F − F⁻ − g/(‖g‖+c)‖²/D,
//	g = −cos²t·(s·F⁻ − dx/dt) − r·(cos t·sin t·x + s·cos t·sin t·dF⁻/dt),
//
// F⁻ without a gradient, with the same dropped units, dF⁻/dt along dx/dt by one JVP of the network. dx/dt is that of a
// teacher, or of the sample at hand; r rises from 0 to 1. What the network is told and
// predicts is its own affair: cos t·sin t·d/dt is the derivative by the logarithm of the noise level
// σ/α = s·tan t, on any path. The student is its model as it stands, as an estimate of the data.
type Continuous struct {
	Base       // times: of the noise level; uncertainty: the paper's learned weights
	SigmaData  float64
	Max        float64 // highest noise level
	Distill    bool    // dx/dt is the teacher's
	Steps      int64   // of training
	WarmUp     float64 // part of training in which r rises
	Offset     float64 // c
	MeanSquare bool    // ‖g‖ is the root of the mean of squares in place of the sum
	raw        diffusion.Kind
	at, along  [2]*tensor.Tensor // of the JVP; here, so that a step allocates nothing
}

// NewContinuous has the paper's F for data of a standard deviation.
func NewContinuous(b Base, sigmaData float64) *Continuous {
	return &Continuous{Base: b, SigmaData: sigmaData, raw: diffusion.Preconditioned{SigmaData: sigmaData, Negative: true}}
}

// Draw chooses times, and says how far r has risen.
func (o *Continuous) Draw(k rng.Key, b *diffusion.Batch, d *diffusion.Draw) {
	o.Base.Draw(k, b, d)
	highest := o.timeOf(o.Max)
	for i := range d.T {
		d.T[i] = min(d.T[i], highest)
	}
	r := 1.0
	if o.WarmUp > 0 {
		r = min(1, float64(k.Step)/(o.WarmUp*float64(o.Steps)))
	}
	extra := d.HostExtra(1)
	for i := range extra {
		extra[i] = float32(r)
	}
}

// Loss is a scalar.
func (o *Continuous) Loss(s *tensor.Scope, m diffusion.Model, d *diffusion.Draw) *tensor.Tensor {
	net, ok := m.(*diffusion.NetModel)
	if !ok {
		panic(fmt.Sprintf("student: a continuous-time consistency objective trains a %T, want a *diffusion.NetModel", m))
	}
	at := diffusion.Step{T: d.T}
	data, eps, c := d.Data(s), d.Eps(s), d.Cond(s)
	x := diffusion.Noised(data, eps, o.Path, at)
	masks := s.Dropout()
	pred := net.Eval(x, at, c)
	f := pred.As(o.raw, x, o.Path, at)
	goes := o.goes(s, x, data, eps, d.T, c)
	s.SetDropoutState(masks)
	var g *tensor.Tensor
	s.NoGrad(func() { g = o.tangent(net, x, pred.Value, f, goes, d, c) })
	e := f.Sub(f.Detach()).Sub(g).Square()
	return o.Reduce(s, d, e.Reshape(d.N, -1).Mean(1))
}

// goes is dx/dt in TrigFlow's variable: s·F of the teacher, or s·cos t·ε − sin t·x0.
func (o *Continuous) goes(s *tensor.Scope, x, data, eps *tensor.Tensor, times []float64, c diffusion.Cond) (v *tensor.Tensor) {
	at := diffusion.Step{T: times}
	if !o.Distill {
		return diffusion.Combine(data, eps, o.Path, at,
			func(p, _ diffusion.Point) float64 { sin, _ := o.angle(p); return -sin },
			func(p, _ diffusion.Point) float64 { _, cos := o.angle(p); return o.SigmaData * cos })
	}
	o.teacher.Ask(s, func() { v = o.teacher.Eval(x, at, c).As(o.raw, x, o.Path, at).Scale(o.SigmaData) })
	return v
}

// angle are the sine and cosine of TrigFlow's time.
func (o *Continuous) angle(p diffusion.Point) (sin, cos float64) {
	norm := math.Hypot(p.Sigma, p.Alpha*o.SigmaData)
	return p.Sigma / norm, p.Alpha * o.SigmaData / norm
}

// logStep is the step of the differences by which coefficients of time are derived by ln(σ/α), in which they are
// smooth on a scale of 1: an error of about 10⁻⁹ of them, and as much by rounding.
const logStep = 1e-4

// byLog is the derivative of a coefficient by the logarithm of the noise level at p.
func (o *Continuous) byLog(p diffusion.Point, f func(p diffusion.Point) float64) float64 {
	l := o.Path.HalfLogSNR(p.T)
	up, down := o.Path.Time(l-logStep), o.Path.Time(l+logStep)
	// What was gone is asked for again: paths end.
	return (f(o.Path.At(up)) - f(o.Path.At(down))) / (o.Path.HalfLogSNR(down) - o.Path.HalfLogSNR(up))
}

// tangent is g/(‖g‖+c).
func (o *Continuous) tangent(net *diffusion.NetModel, x, answer, f, goes *tensor.Tensor, d *diffusion.Draw, c diffusion.Cond) *tensor.Tensor {
	s := x.Scope()
	per := func(coefficient func(p diffusion.Point) float64) *tensor.Tensor {
		return diffusion.PerSample(x, o.Path, diffusion.Step{T: d.T}, func(p, _ diffusion.Point) float64 { return coefficient(p) })
	}
	slope := func(coefficient func(p diffusion.Point) float64) *tensor.Tensor {
		return per(func(p diffusion.Point) float64 { return o.byLog(p, coefficient) })
	}
	// The state on the network's own path is this times TrigFlow's.
	own := func(p diffusion.Point) float64 { _, cos := o.angle(p); return p.Alpha / cos }
	both := func(p diffusion.Point) float64 { sin, cos := o.angle(p); return sin * cos }
	flat := x.Div(per(own)) // TrigFlow's state
	along := goes.Mul(per(both))
	rate := flat.Mul(slope(own)).Add(along.Mul(per(own))) // of the network's state, by the logarithm
	// What the network is given, and its rate.
	scale := func(p diffusion.Point) float64 {
		if k, ok := net.Predicts.(diffusion.Preconditioned); ok {
			return k.InputScale(p)
		}
		return 1
	}
	time := func(p diffusion.Point) float64 {
		if net.TimeInput == nil {
			return p.T
		}
		return net.TimeInput(p)
	}
	in := x.Mul(per(scale))
	inRate := x.Mul(slope(scale)).Add(rate.Mul(per(scale)))
	t, tRate := per(time).Reshape(d.N), slope(time).Reshape(d.N)
	o.at, o.along = [2]*tensor.Tensor{in, t}, [2]*tensor.Tensor{inRate, tRate}
	_, turn := s.JVP(func(v []*tensor.Tensor) *tensor.Tensor {
		out := net.Net(v[0], v[1], c)
		if net.Variance != diffusion.VarianceFixed {
			out = out.Slice(-1, 0, out.Dim(-1)/2)
		}
		return out
	}, o.at[:], o.along[:])
	// F = a·x + b·answer.
	onX := func(p diffusion.Point) float64 { return diffusion.Convert(net.Predicts, o.raw, p).OnX }
	onAnswer := func(p diffusion.Point) float64 { return diffusion.Convert(net.Predicts, o.raw, p).OnValue }
	turns := x.Mul(slope(onX)).Add(rate.Mul(per(onX))).Add(answer.Mul(slope(onAnswer))).Add(turn.Mul(per(onAnswer)))

	risen := s.Tensor(d.Extra, d.N)
	first := f.Scale(o.SigmaData).Sub(goes).Mul(per(func(p diffusion.Point) float64 { _, cos := o.angle(p); return -cos * cos }))
	g := first.Sub(flat.Mul(per(both)).Add(turns.Scale(o.SigmaData)).Mul(each(risen, x)))
	norm := g.Square().Reshape(d.N, -1)
	if o.MeanSquare {
		norm = norm.Mean(1)
	} else {
		norm = norm.Sum(1)
	}
	return g.Div(each(norm.Sqrt().AddScalar(o.Offset), g))
}
