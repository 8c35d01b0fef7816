package guidance

import (
	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
)

// Rule combines the prediction that is wanted, c, with the one to move away
// from, u. Where it is not affine it depends on what is predicted: Kind says in what it holds.
type Rule interface {
	// Kind is what c and u are; nil: what the model predicts.
	Kind() diffusion.Kind
	// Guide combines rows of c and u (N,D); scale is (1,1) or (N,1).
	Guide(c, u, scale *tensor.Tensor, at diffusion.Step) *tensor.Tensor
}

// stateful is a rule with a memory.
type stateful interface {
	begin() (r Rule, restart, end func())
}

// pausing is a rule with steps in which nothing moves.
type pausing interface {
	still(at diffusion.Step) bool
}

// begin is a rule for one trajectory after another.
func begin(r Rule) (of Rule, restart, end func()) {
	if s, ok := r.(stateful); ok {
		return s.begin()
	}
	return r, func() {}, func() {}
}

// blend is (1−s)·u + s·c.
var blend = tensor.NewPointwise("guidance", 3, 0, func(in, _ []tensor.Expr) tensor.Expr {
	c, u, s := in[0], in[1], in[2]
	return u.Mul(s.Neg().AddConst(1)).Add(c.Mul(s))
})

// push is guidance at x.
type push struct {
	rule    Rule
	rescale float64
	x       *tensor.Tensor
	path    diffusion.GaussianPath
	at      diffusion.Step
}

// from is c's value pushed away from u, of c's kind.
func (p push) from(u, c diffusion.Pred, scale *tensor.Tensor) *tensor.Tensor {
	if r, ok := p.rule.(pausing); ok && r.still(p.at) {
		return p.as(diffusion.Pred{Value: p.x.Scope().Zeros(p.x.Shape()...), Kind: diffusion.Velocity}, c.Kind)
	}
	var g *tensor.Tensor
	if p.rule == nil {
		g = blend.Apply(nil, c.Value, p.as(u, c.Kind), scale)
	} else {
		g = p.ruled(u, c, scale)
	}
	if p.rescale != 0 {
		g = rescaled(g, c.Value, p.rescale)
	}
	return g
}

// ruled combines in the rule's kind.
func (p push) ruled(u, c diffusion.Pred, scale *tensor.Tensor) *tensor.Tensor {
	k := p.rule.Kind()
	if k == nil {
		k = c.Kind
	}
	n := p.x.Dim(0)
	g := p.rule.Guide(p.as(c, k).Reshape(n, -1), p.as(u, k).Reshape(n, -1), scale.Reshape(scale.Dim(0), 1), p.at)
	return p.as(diffusion.Pred{Value: g.Reshape(p.x.Shape()...), Kind: k}, c.Kind)
}

func (p push) as(v diffusion.Pred, k diffusion.Kind) *tensor.Tensor {
	return v.As(k, p.x, p.path, diffusion.Step{T: p.at.T})
}

// rescaling is g·(φ·√(var c/var g) + 1−φ); where g does not vary, g.
var rescaling = tensor.NewPointwise("guidance rescale", 3, 1, func(in, sc []tensor.Expr) tensor.Expr {
	g, varC, varG, phi := in[0], in[1], in[2], sc[0]
	flat := varG.LessEq(varG.Const(0))
	ratio := varC.Div(flat.Select(varG.Const(1), varG)).Sqrt()
	return g.Mul(flat.Select(varG.Const(1), phi.Mul(ratio).Add(phi.Neg().AddConst(1))))
})

// rescaled gives each sample of g a part φ of the way to c's standard deviation (Lin
// et al. 2024, §3.4): against the overexposure of large scales.
func rescaled(g, c *tensor.Tensor, phi float64) *tensor.Tensor {
	n := g.Dim(0)
	rows := g.Reshape(n, -1)
	sc := [1]float64{phi}
	out := rescaling.Apply(sc[:], rows, c.Reshape(n, -1).VarKeep(0, 1), rows.VarKeep(0, 1))
	return out.Reshape(g.Shape()...)
}
