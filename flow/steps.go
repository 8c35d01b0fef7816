package flow

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// What is here is about models of whole steps: u(x,t,j) is the mean velocity over the way of the
// probability-flow ODE from time t to t−j, so that x − j·u is where it leads in one step; at
// j=0 it is the velocity itself.

// StepModel is a model of whole steps as a function of tensors: t and jump are (N).
type StepModel interface {
	diffusion.Model
	Field(x, t, jump *tensor.Tensor, c diffusion.Cond) *tensor.Tensor
}

// stepModel is m, which must be one, of velocities along path.
func stepModel(m diffusion.Model, path diffusion.GaussianPath) StepModel {
	f, ok := m.(StepModel)
	if !ok || m.Kind() != diffusion.Velocity {
		panic(fmt.Sprintf("flow: an objective of whole steps trains a %T that predicts %v, want a StepModel of velocities", m, m.Kind()))
	}
	if !diffusion.SamePath(path, m.Path()) {
		panic(fmt.Sprintf("flow: an objective on %T trains a model on another path, %T", path, m.Path()))
	}
	return f
}

// streamOther is that of the second times; see diffusion.StreamNoise.
const streamOther uint32 = 0x90

// drawEnds makes each sample's step one from the larger of two times to the smaller.
func drawEnds(r *diffusion.Regression, k rng.Key, d *diffusion.Draw) {
	d.Next = grow(d.Next, d.N)
	r.DrawTimes(d.Next, k.WithStream(streamOther))
	for i := range d.N {
		d.T[i], d.Next[i] = max(d.T[i], d.Next[i]), min(d.T[i], d.Next[i])
	}
}

// stay leaves a part of the samples, the first ones, their steps: the others make none.
func stay(d *diffusion.Draw, ratio float64) {
	jumps := int(math.Round(ratio * float64(d.N)))
	copy(d.Next[jumps:], d.T[jumps:])
}

// moment is a draw on the device.
type moment struct {
	x, velocity *tensor.Tensor // x_t, and α'·data + σ'·ε
	t, jump     *tensor.Tensor // (N)
	cond        diffusion.Cond
}

func momentOf(s *tensor.Scope, r *diffusion.Regression, d *diffusion.Draw) moment {
	at := diffusion.Step{T: d.T}
	data, eps := d.Data(s), d.Eps(s)
	return moment{
		x:        diffusion.Noised(data, eps, r.Path, at),
		velocity: diffusion.Target(diffusion.Velocity, data, eps, r.Path, at),
		t:        s.TensorOf(func(i int) float64 { return d.T[i] }, d.N),
		jump:     s.TensorOf(func(i int) float64 { return d.T[i] - d.Next[i] }, d.N),
		cond:     d.Cond(s),
	}
}

// head is the first n samples.
func (m moment) head(n int) moment { return *m.part(0, n) }

func (m moment) part(from, to int) *moment {
	cut := func(t *tensor.Tensor) *tensor.Tensor {
		if t == nil {
			return nil
		}
		return t.Slice(0, from, to)
	}
	m.x, m.velocity, m.t, m.jump = cut(m.x), cut(m.velocity), cut(m.t), cut(m.jump)
	c := &m.cond
	for _, t := range [...]**tensor.Tensor{&c.Labels, &c.Vector, &c.Drop, &c.Scale, &c.Tokens, &c.TextMask, &c.Text, &c.Pooled} {
		*t = cut(*t)
	}
	return &m
}

// tail is all but the first n samples, nil if there are none.
func (m moment) tail(n int) *moment {
	if n == m.x.Dim(0) {
		return nil
	}
	return m.part(n, m.x.Dim(0))
}

// jumping is how many samples of d, which come first, have a step to make.
func jumping(d *diffusion.Draw) int {
	n := 0
	for n < d.N && d.Next[n] < d.T[n] {
		n++
	}
	return n
}

// withHead is t with other first samples.
func withHead(head, t *tensor.Tensor) *tensor.Tensor {
	n := head.Dim(0)
	if n == t.Dim(0) {
		return head
	}
	return tensor.Concat(0, head, t.Slice(0, n, t.Dim(0)))
}

// each gives numbers of samples (N) the rank of x, to broadcast.
func each(v, x *tensor.Tensor) *tensor.Tensor {
	var shape [tensor.MaxRank]int
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = v.Dim(0)
	return v.Reshape(shape[:x.Rank()]...)
}

// perSample is the sum over each sample's elements, (N).
func perSample(t *tensor.Tensor) *tensor.Tensor { return t.Reshape(t.Dim(0), -1).Sum(1) }
