package train

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// The variational bound as a loss: each of its terms and their gradient are PyTorch's, for a diffusers network with a learned
// variance, on the linear table and on the cosine one: internal/golden/bound_network.py.
func TestBoundOfANetworkIsPyTorchs(t *testing.T) {
	f, err := safetensors.Open("../internal/golden/testdata/diffusion/bound_network.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	numbers := func(name string) []float64 {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if x.DType == safetensors.I64 {
			var v []float64
			whole, err := x.Int64s()
			for _, k := range whole {
				v = append(v, float64(k))
			}
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		v, err := x.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	float32s := func(v []float64) (out []float32) {
		for _, x := range v {
			out = append(out, float32(x))
		}
		return out
	}
	data, noise, steps := float32s(numbers("data")), float32s(numbers("noise")), numbers("steps")
	const n, size, levels = 2, 64, 17
	labels := []int32{int32(numbers("labels")[0]), int32(numbers("labels")[1])}
	net := theirs(t, cpu.Default(), f.Metadata()["network"])
	nn.Convert(net, tensor.Float64)
	params := nn.Params(net)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	for schedule, betas := range map[string]diffusion.BetaSchedule{"linear": diffusion.BetaLinear, "cosine": diffusion.BetaCosine} {
		b, err := diffusion.Betas(betas, 1000, 1e-4, 0.02)
		if err != nil {
			t.Fatal(err)
		}
		table, err := diffusion.NewTable(b, diffusion.InterpolateLinear)
		if err != nil {
			t.Fatal(err)
		}
		m := &diffusion.NetModel{
			Net:   func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor { return net.Forward(x, t, nn.Cond(c)) },
			Along: table, Predicts: diffusion.Eps, Variance: diffusion.VarianceLearnedRange,
			TimeInput: func(p diffusion.Point) float64 { return p.T - 1 },
		}
		terms, norms := numbers(schedule+"/terms"), numbers(schedule+"/gradient")
		for k, at := range steps {
			s.Reset()
			d := &diffusion.Draw{
				N: n, Shape: []int{8, 8, 1}, X: data, Noise: noise[k*n*size : (k+1)*n*size], Labels: labels, T: slices.Repeat([]float64{at}, n),
			}
			loss := (&diffusion.VLB{Regression: diffusion.Regression{Path: table}, Levels: levels}).Loss(s, m, d)
			want := 1000 * (terms[n*k] + terms[n*k+1]) / n
			// A probability of 1−p is known to 10⁻¹⁶/p, which is what is left of L_0 where the level is certain; else as
			// the gradients of the golden networks. (Last of all, β = .999, σ/α = 20,000, squared, multiplies roundings.)
			tol := 1e-9*want + 1000*0x1p-52
			if got := loss.Item(); !(math.Abs(got-want) <= tol) {
				t.Errorf("%s, step %g: the loss is %.12g, want %.12g", schedule, at, got, want)
			}
			sum := 0.0
			for _, g := range s.Grad(loss, params) {
				for _, v := range g.Float64s() {
					sum += v * v
				}
			}
			if got := math.Sqrt(sum); !(math.Abs(got-norms[k]) <= 1e-7*norms[k]+1e-9) {
				t.Errorf("%s, step %g: the gradient's norm is %.10g, want %.10g", schedule, at, got, norms[k])
			}
		}
	}
}
