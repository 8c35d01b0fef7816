package tensor

import "github.com/langevin-go/langevin/tensor/backend"

// CustomOp describes an operation of the user's own by its value and its
// derivatives: for what has no derivative in package tensor (see [Scope.Host]),
// a better one than its parts have, or another one on purpose, as a straight-through
// estimator. What is elementwise is better made with [NewPointwise], and what is a
// composition of differentiable operations needs neither.
//
// The functions are pure: what they compute depends on their arguments alone
// (settings are captured when the operation is made), and the tensors that they
// make are not used elsewhere.
type CustomOp struct {
	Name string // for error messages

	// Forward computes y, in any way. It is not recorded, and what it makes on
	// the way is given back. Its inputs carry no tangents.
	Forward func(in []*Tensor) *Tensor

	// VJP sets dx[i] to the product of dy, the gradient for y, with ∂y/∂in[i]; for
	// inputs whose NeedsGrad is false it need not. It may read in and y. A
	// gradient that broadcasting would bring to its input's shape, or the other way round, is
	// expanded or summed. nil is zero. Written in differentiable
	// operations it gives gradients of every order, y included.
	VJP func(in []*Tensor, y, dy *Tensor, dx []*Tensor)

	// JVP is Σ ∂y/∂in[i]·dx[i], where a nil dx[i] is zero; nil is zero, and it is
	// broadcast to y's shape. It too is written in differentiable operations.
	// Without it, the operation panics in forward mode.
	JVP func(in []*Tensor, y *Tensor, dx []*Tensor) *Tensor
}

// Custom is an operation made by NewCustom. It may be used in any scope, by many goroutines.
type Custom struct{ def CustomOp }

// NewCustom makes an operation. Check its derivatives with package gradcheck.
func NewCustom(def CustomOp) *Custom {
	if def.Name == "" || def.Forward == nil || def.VJP == nil {
		usagePanic("NewCustom "+def.Name, "want a name, Forward and VJP")
	}
	return &Custom{def}
}

func (c *Custom) name() string { return c.def.Name }

// Apply computes the operation. All but the first input may be nil, where its functions know what that means.
func (c *Custom) Apply(in ...*Tensor) *Tensor {
	if len(in) == 0 || in[0] == nil {
		usagePanic(c.def.Name, "want at least one tensor")
	}
	s := in[0].s
	for _, t := range in {
		if t != nil {
			t.in(s)
		}
	}
	if l := highest(in...); l > 0 {
		return c.applyDual(l, in)
	}
	mark := s.Mark()
	y := c.forward(s, in)
	if y == nil {
		usagePanic(c.def.Name, "Forward returned nil")
	}
	y.in(s)
	if y.level > 0 {
		usagePanic(c.def.Name, "Forward returned a tensor that carries a tangent: it used one that is not among its inputs")
	}
	out := s.view(y) // y may be an input
	s.Release(mark, out)
	if n := s.record(c, out, in...); n != nil {
		n.saved = s.ptrs.take(len(in) + 1)
		copy(n.saved, in)
		n.saved[len(in)] = out
		for _, t := range n.saved {
			if t != nil {
				t.uses++
			}
		}
	}
	return out
}

// forward runs Forward without recording.
func (c *Custom) forward(s *Scope, in []*Tensor) *Tensor {
	args := s.ptrs.take(len(in)) // so that in need not be on the heap
	copy(args, in)
	s.quiet++
	defer s.loud()
	return c.def.Forward(args)
}

func (s *Scope) loud() { s.quiet-- }

func (c *Custom) vjp(s *Scope, n *node, grad *Tensor) {
	dx := s.ptrs.take(len(n.in))
	clear(dx)
	c.def.VJP(n.in, n.out, grad, dx)
	for i, g := range dx {
		t := n.in[i]
		if g == nil || t == nil || !t.needs {
			continue
		}
		g.in(s)
		if g.level > 0 {
			usagePanic(c.def.Name, "VJP gave a gradient that carries a tangent")
		}
		g = c.fit(g, t)
		if !s.Recording() && g != grad {
			g = s.view(g) // g may be an input: it must not be given back as a gradient is
		}
		s.add(n, i, g)
	}
}

// fit brings a gradient, or a tangent, to the shape of what it belongs to.
func (c *Custom) fit(g, t *Tensor) *Tensor {
	switch {
	case g.v.DType != t.v.DType:
		dtypePanic(c.def.Name, t.v.DType, g.v.DType)
	case sameShape(g, t):
	case broadcasts(&g.v, &t.v):
		return g.Expand(t.Shape()...)
	case broadcasts(&t.v, &g.v):
		return g.SumTo(t.Shape()...)
	default:
		shapePanic(c.def.Name, "a derivative that broadcasts to the shape of what it belongs to, or the other way round", t, g)
	}
	return g
}

// broadcasts reports whether v can be repeated to the shape of to.
func broadcasts(v, to *backend.View) bool {
	lead := to.Rank - v.Rank
	if lead < 0 {
		return false
	}
	for i, d := range v.Shape[:v.Rank] {
		if d != 1 && d != to.Shape[lead+i] {
			return false
		}
	}
	return true
}

// applyDual is Apply where an input carries a tangent.
func (c *Custom) applyDual(level uint32, in []*Tensor) *Tensor {
	s := in[0].s
	if c.def.JVP == nil {
		usagePanic(c.def.Name, "an input carries a tangent, and this custom operation has no JVP: give it one, or keep it out of what is differentiated in forward mode")
	}
	under, dx := s.ptrs.take(len(in)), s.ptrs.take(len(in))
	for i, t := range in {
		under[i], dx[i] = nil, nil
		if t != nil {
			under[i], dx[i] = t.strip(level)
		}
	}
	y := c.Apply(under...)
	dy := c.def.JVP(under, y, dx)
	if dy == nil {
		dy = s.Full(0)
	}
	if dy.in(s); !broadcasts(&dy.v, &y.v) {
		shapePanic(c.def.Name, "a tangent that broadcasts to the result's shape", y, dy)
	}
	return s.dual(level, y, c.fit(dy, y))
}

// Host computes a tensor of the given shape by code that is not made of tensor
// operations: f fills y from the inputs' elements, all row-major in float64 (of
// which a float32 scope keeps 24 bits). It waits for the device. No gradient flows through it: it
// belongs in the Forward of a [CustomOp], and panics where a gradient or a tangent would be
// lost. f must keep none of the slices and not use s.
func (s *Scope) Host(f func(y []float64, x [][]float64), shape []int, in ...*Tensor) *Tensor {
	const op = "Host"
	n, recording := 1, s.Recording()
	for _, d := range shape {
		n *= d
	}
	total := max(0, n) // Tensor refuses negative sizes
	for _, t := range in {
		t.in(s)
		if t.level > 0 || recording && t.needs {
			usagePanic(op, "a derivative would be lost: call it within the Forward of a custom operation, or on what is detached")
		}
		total += t.Elems()
	}
	s.host = grown(s.host, total)
	s.hostIn = grown(s.hostIn, len(in))
	x := s.hostIn
	y, rest := s.host[:max(0, n)], s.host[max(0, n):]
	for i, t := range in {
		x[i], rest = rest[:t.Elems():t.Elems()], rest[t.Elems():]
		t.readInto(x[i])
	}
	clear(y)
	f(y, x)
	return s.Tensor(y, shape...)
}

// readInto waits for the device and writes t's elements to dst.
func (t *Tensor) readInto(dst []float64) {
	switch t.v.DType {
	case Float64:
		t.Contiguous().download(asBytes(dst))
	case Float32:
		t.s.narrow = grown(t.s.narrow, len(dst))
		t.Contiguous().download(asBytes(t.s.narrow))
		for i, x := range t.s.narrow {
			dst[i] = float64(x)
		}
	case Int32:
		for i, k := range t.readInts() {
			dst[i] = float64(k)
		}
	default:
		usagePanic("reading", "dtype %v", t.v.DType)
	}
}

// readInts waits for the device and gives an Int32 tensor's elements, until the scope's next such call.
func (t *Tensor) readInts() []int32 {
	t.s.ints = grown(t.s.ints, t.Elems())
	t.Contiguous().download(asBytes(t.s.ints))
	return t.s.ints
}
