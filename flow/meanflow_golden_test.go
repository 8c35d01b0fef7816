package flow

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// studentsFile holds losses and gradients of students by PyTorch: see internal/golden/README.md.
const studentsFile = "../internal/golden/testdata/diffusion/students.safetensors"

// The loss of a mean flow and its gradients are PyTorch's, with the velocity of a teacher on two paths, guided or not, and with that of
// the sample: to 1e-10, as both sides are some fifty operations in float64 of numbers of size 1.
func TestMeanFlowAgainstPyTorch(t *testing.T) {
	g := golden.Open(t, studentsFile)
	var cases map[string][]any
	g.JSON("mean", &cases)
	if len(cases) < 4 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, c := range cases {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
		of := func(who string) (map[string]*tensor.Param, diffusion.Network) {
			w := map[string]*tensor.Param{}
			for _, k := range []string{"w1", "wt", "b1", "emb", "w2", "b2", "wj"} {
				w[k] = tensor.NewParam(cpu.Default(), tensor.Float64, g.Shape(who+"/"+k)...)
				if err := w[k].Set64(g.Floats(who + "/" + k)); err != nil {
					t.Fatal(err)
				}
			}
			return w, func(x, at *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
				column := func(t *tensor.Tensor) *tensor.Tensor { return t.Reshape(t.Elems(), 1) }
				h := x.MatMul(w["w1"]).Add(column(at).Mul(w["wt"])).Add(w["b1"]).Add(x.Scope().Param(w["emb"]).Gather(c.Labels))
				if c.Jump != nil {
					h = h.Add(column(c.Jump).Mul(w["wj"]))
				}
				return h.Tanh().MatMul(w["w2"]).Add(w["b2"])
			}
		}
		path := diffusion.CondOT{}
		w, net := of("student")
		o := &MeanFlow{Base: student.Base{Regression: diffusion.Regression{Path: path}}, MeanFlowOptions: MeanFlowOptions{
			MeanFlowLoss{Power: c[1].(float64), Offset: c[2].(float64), Improved: c[3].(bool)}, MeanFlowGuidance{Guidance: 1, To: 1}}}
		if along := c[0].(string); along != "" {
			_, its := of("teacher")
			teacher := diffusion.Model(&diffusion.NetModel{Net: its, Along: path, Predicts: diffusion.Velocity})
			if along == "vp" {
				teacher = diffusion.Along(&diffusion.NetModel{Net: its, Along: diffusion.VP{Beta0: 0.1, Beta1: 20}, Predicts: diffusion.Eps}, path)
			}
			if scale := c[4].(float64); scale != 1 {
				teacher = &student.Guided{Of: teacher, Null: 2, From: scale, To: scale}
			}
			if err := o.Bind(diffusion.Bindings{Teacher: teacher}); err != nil {
				t.Fatal(err)
			}
		}
		d := &diffusion.Draw{N: 6, Shape: []int{3}, X: narrowed(g.Floats("data")), Noise: narrowed(g.Floats("noise")), T: g.Floats(name + "/t"), Next: g.Floats(name + "/r")}
		for _, l := range g.Ints("labels") {
			d.Labels = append(d.Labels, int32(l))
		}
		loss := o.Loss(s, &diffusion.NetModel{Net: net, Along: path, Predicts: diffusion.Velocity, Jumps: true}, d)
		near := func(what string, got []float64) {
			want, size := g.Floats(name+"/"+what), 0.0
			for _, v := range want {
				size = max(size, math.Abs(v))
			}
			for i := range want {
				if !(math.Abs(got[i]-want[i]) <= 1e-10*size) || size == 0 {
					t.Errorf("%s: %s %d is %.15g, PyTorch's %.15g", name, what, i, got[i], want[i])
					return
				}
			}
		}
		names := []string{"w1", "w2", "emb", "wj"}
		grads := s.Grad(loss, []*tensor.Param{w["w1"], w["w2"], w["emb"], w["wj"]})
		near("loss", loss.Float64s())
		for i, k := range names {
			near("grad/"+k, grads[i].Float64s())
		}
		s.Close()
	}
}
