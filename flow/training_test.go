package flow

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// From torchcfm's weights, on its batches and told its time, training goes where torchcfm's goes: every loss,
// and the last weights. So runs of the two differ by their draws and by nothing else.
//
// Both are in float64. A gradient is a sum of at most 32·64 products through four layers: it differs by 2⁻⁵³ times some
// hundred of the largest, g. Adam divides by its own size, so a weight whose gradient is 10⁻⁵·g moves by 10⁻³ a step with an
// error of 10⁻⁹·10⁻³, and 9,000 weights over 25 steps, of either sign, change a loss of 10 by less than 10⁻⁹ of it.
func TestTrainingLikeTorchCFM(t *testing.T) {
	const tol = 1e-9
	g := golden.Open(t, "../internal/golden/testdata/flow/training.safetensors")
	var sigma float64
	g.JSON("sigma", &sigma)
	o := nn.MLPOptions{}
	o.SetDefaults()
	o.Dim = 2
	net, err := nn.NewMLP(nn.NewBlankInit(cpu.Default()), o)
	if err != nil {
		t.Fatal(err)
	}
	set := func(p *tensor.Param, v []float64) {
		if err := p.Set(narrowed(v)); err != nil {
			t.Fatal(err)
		}
		p.Convert(tensor.Float64)
	}
	for i, l := range net.Layers {
		name := fmt.Sprintf("before/net.%d", 2*i)
		set(l.Weight, transposed(g.Floats(name+".weight"), g.Shape(name+".weight")))
		set(l.Bias, g.Floats(name+".bias"))
	}
	path := Interpolant{diffusion.CondOT{}, &ConstantLatent{sigma}}
	model := &diffusion.NetModel{Along: path, Predicts: diffusion.DataVelocity, TimeInput: func(p diffusion.Point) float64 { return 1 - p.T },
		Net: func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond(c)) }}
	c := optim.AdamConfig{}
	c.SetDefaults()
	params := nn.Params(net)
	adam := optim.NewAdam(params, c)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()

	source, data, eps, theirs, losses := g.Floats("x0"), g.Floats("x1"), g.Floats("eps"), g.Floats("t"), g.Floats("losses")
	n := len(theirs)
	d := diffusion.Draw{N: n, Shape: []int{2}}
	for _, tau := range theirs {
		d.T = append(d.T, 1-tau)
	}
	for step, want := range losses {
		s.Reset()
		from, to := 2*n*step, 2*n*(step+1)
		d.X, d.Noise = narrowed(data[from:to]), narrowed(source[from:to])
		x, target := between(s, path, path.Latent, model.Kind(), &d, s.Tensor(eps[from:to], n, 2))
		loss := model.Eval(x, diffusion.Step{T: d.T}, diffusion.Cond{}).Value.MSE(target)
		if got := loss.Item(); !(math.Abs(got-want) <= tol*want) {
			t.Fatalf("step %d: loss %.15g, torchcfm's %.15g", step+1, got, want)
		}
		adam.Step(s, s.Grad(loss, params), 1e-3, 1)
	}
	got, want := net.Layers[0].Weight.Float64s(), transposed(g.Floats("after"), g.Shape("after"))
	for i := range want {
		within(t, fmt.Sprintf("weight %d", i), got[i], want[i], tol)
	}
}

// transposed is a matrix (rows, columns) by columns.
func transposed(v []float64, shape []int) []float64 {
	out := make([]float64, len(v))
	for i := range shape[0] {
		for j := range shape[1] {
			out[j*shape[0]+i] = v[i*shape[1]+j]
		}
	}
	return out
}
