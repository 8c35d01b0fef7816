package manifold

import (
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/tensor"
)

// Product is the product of manifolds: the numbers of a point are those of its parts, one after
// another, and squared distances add up.
type Product []Manifold

func (m Product) String() string {
	names := make([]string, len(m))
	for i, p := range m {
		names[i] = p.String()
	}
	return strings.Join(names, " × ")
}

// Ambient, Dim and Width are the parts' sums.
func (m Product) Ambient() int { return m.sum(Manifold.Ambient) }
func (m Product) Dim() int     { return m.sum(Manifold.Dim) }
func (m Product) Width() int   { return m.sum(Manifold.Width) }

func (m Product) sum(of func(Manifold) int) int {
	n := 0
	for _, p := range m {
		n += of(p)
	}
	return n
}

// Check checks each part.
func (m Product) Check(x []float64) error {
	at := 0
	for i, p := range m {
		if err := p.Check(x[at : at+p.Ambient()]); err != nil {
			return fmt.Errorf("part %d, in %v: %w", i, p, err)
		}
		at += p.Ambient()
	}
	return nil
}

// Nearest moves each part.
func (m Product) Nearest(x []float64) {
	for _, p := range m {
		n := p.Ambient()
		p.Nearest(x[:n])
		x = x[n:]
	}
}

// Project projects each part.
func (m Product) Project(x, v []float64) {
	for _, p := range m {
		n := p.Ambient()
		p.Project(x[:n], v[:n])
		x, v = x[n:], v[n:]
	}
}

// Exp goes in each part.
func (m Product) Exp(y, x, v []float64) {
	for _, p := range m {
		n := p.Ambient()
		p.Exp(y[:n], x[:n], v[:n])
		y, x, v = y[n:], x[n:], v[n:]
	}
}

// Log is each part's.
func (m Product) Log(v, x, y []float64) {
	for _, p := range m {
		n := p.Ambient()
		p.Log(v[:n], x[:n], y[:n])
		v, x, y = v[n:], x[n:], y[n:]
	}
}

// SquaredDistance adds up the parts'.
func (m Product) SquaredDistance(x, y []float64) (sum float64) {
	for _, p := range m {
		n := p.Ambient()
		sum += p.SquaredDistance(x[:n], y[:n])
		x, y = x[n:], y[n:]
	}
	return sum
}

// Transport carries each part.
func (m Product) Transport(w, x, v []float64) {
	for _, p := range m {
		n := p.Ambient()
		p.Transport(w[:n], x[:n], v[:n])
		w, x, v = w[n:], x[n:], v[n:]
	}
}

// Inner is the sum of the parts'.
func (m Product) Inner(v, w []float64) float64 {
	sum := 0.0
	for _, p := range m {
		n := p.Ambient()
		sum += p.Inner(v[:n], w[:n])
		v, w = v[n:], w[n:]
	}
	return sum
}

// Frame are the frames of the parts, one after another.
func (m Product) Frame(e, x []float64, i int) {
	clear(e)
	for _, p := range m {
		n, d := p.Ambient(), p.Dim()
		if i < d {
			p.Frame(e[:n], x[:n], i)
			return
		}
		e, x, i = e[n:], x[n:], i-d
	}
}

// Draw draws the parts independently.
func (m Product) Draw(r Random, x []float64) {
	for _, p := range m {
		n := p.Ambient()
		p.Draw(r, x[:n])
		x = x[n:]
	}
}

// LogBase is the sum of the parts'.
func (m Product) LogBase(x []float64) float64 {
	sum := 0.0
	for _, p := range m {
		n := p.Ambient()
		sum += p.LogBase(x[:n])
		x = x[n:]
	}
	return sum
}

// Embed embeds each part.
func (m Product) Embed(x *tensor.Tensor) *tensor.Tensor {
	var room [usual]*tensor.Tensor
	return tensor.Concat(1, m.each(room[:0], func(p Manifold, from, to int) *tensor.Tensor { return p.Embed(x.Slice(1, from, to)) })...)
}

// Tangent projects each part.
func (m Product) Tangent(x, v *tensor.Tensor) *tensor.Tensor {
	var room [usual]*tensor.Tensor
	return tensor.Concat(1, m.each(room[:0], func(p Manifold, from, to int) *tensor.Tensor {
		return p.Tangent(x.Slice(1, from, to), v.Slice(1, from, to))
	})...)
}

// SquaredNorm is the sum of the parts'.
func (m Product) SquaredNorm(v *tensor.Tensor) *tensor.Tensor {
	var sum *tensor.Tensor
	var room [usual]*tensor.Tensor
	for _, t := range m.each(room[:0], func(p Manifold, from, to int) *tensor.Tensor { return p.SquaredNorm(v.Slice(1, from, to)) }) {
		if sum == nil {
			sum = t
		} else {
			sum = sum.Add(t)
		}
	}
	return sum
}

// usual is how many parts allocate nothing.
const usual = 8

// each appends f of each part and of which numbers are its own to out.
func (m Product) each(out []*tensor.Tensor, f func(p Manifold, from, to int) *tensor.Tensor) []*tensor.Tensor {
	at := 0
	for _, p := range m {
		out = append(out, f(p, at, at+p.Ambient()))
		at += p.Ambient()
	}
	return out
}
