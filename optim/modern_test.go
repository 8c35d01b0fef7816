package optim

import (
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// modernFile holds the official implementations of later rules: see internal/golden/README.md.
const modernFile = "../internal/golden/testdata/optimizers/modern.safetensors"

// modernCase is one entry of that file's "cases": the arguments as they are called there.
type modernCase struct {
	Optimizer string
	LR        []float64
	Options   struct {
		Betas         [2]float64
		Eps           float64
		WeightDecay   float64 `json:"weight_decay"`
		Momentum      float64
		Nesterov      bool
		Steps         int     `json:"ns_steps"`
		Adjust        string  `json:"adjust_lr_fn"`
		Beta2Decay    float64 `json:"beta2_decay"`
		Eps1, Eps2, D float64
		R             float64
		RatePower     float64 `json:"weight_lr_power"`
	}
}

// make is the case's optimiser as one of ours.
func (c modernCase) make(t *testing.T, params []*tensor.Param) Optimizer {
	o := c.Options
	check := func(c interface{ Validate() error }) {
		if err := c.Validate(); err != nil {
			t.Fatalf("refuses the settings: %v", err)
		}
	}
	switch c.Optimizer {
	case "Lion":
		cfg := LionConfig{o.Betas[0], o.Betas[1], o.WeightDecay}
		check(&cfg)
		return NewLion(params, cfg)
	case "Muon":
		cfg := MuonConfig{o.Momentum, o.Nesterov, o.WeightDecay, o.Steps, o.Eps, map[string]string{"": "original", "match_rms_adamw": "match_adamw"}[o.Adjust]}
		check(&cfg)
		m, err := NewMuon(params, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return m
	case "Adafactor":
		cfg := AdafactorConfig{o.Beta2Decay, o.Eps1, o.Eps2, o.D, o.WeightDecay}
		check(&cfg)
		return NewAdafactor(params, cfg)
	case "AdamWScheduleFree":
		cfg := ScheduleFreeConfig{o.Betas[0], o.Betas[1], o.Eps, o.WeightDecay, o.R, o.RatePower}
		check(&cfg)
		return NewScheduleFree(params, cfg)
	}
	t.Fatalf("no optimiser %s", c.Optimizer)
	return nil
}

// tolerance bounds a deviation relative to the largest element, like that of the
// older rules, in units of the last place. Adafactor has five times as many roundings a
// step. Muon's iteration makes an error up to p'(0) = 3.4445 times as large in each of its five
// steps, 3.4445⁵ = 485, and the ten or so roundings of products in each add up to
// 485·10·1.4: 7,000.
func (c modernCase) tolerance(dtype tensor.DType) float64 {
	units := map[string]float64{"Lion": 1, "AdamWScheduleFree": 1, "Adafactor": 5, "Muon": 35}[c.Optimizer]
	return units * tolerance(dtype)
}

// transposed turns a matrix of torch's layout, (out, in), into ours; steps of them one after another.
func transposed(v []float64, shape []int) ([]float64, []int) {
	if len(shape) != 2 {
		return v, shape
	}
	rows, cols := shape[0], shape[1]
	out := make([]float64, len(v))
	for base := 0; base < len(v); base += rows * cols {
		for i := range rows {
			for j := range cols {
				out[base+j*rows+i] = v[base+i*cols+j]
			}
		}
	}
	return out, []int{cols, rows}
}

func TestModernOptimizersFollowTheirReferences(t *testing.T) {
	f, err := safetensors.Open(modernFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	g := goldens{t, f}
	var cases map[string]modernCase
	g.metadata("cases", &cases)
	if len(cases) != 12 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, c := range cases {
		for _, dtype := range dtypes {
			t.Run(fmt.Sprintf("%s/%v", name, dtype), func(t *testing.T) {
				g := goldens{t, f}
				var names []string
				var params, average []*tensor.Param
				for _, n := range []string{"w", "v", "b", "c"} {
					v, shape := transposed(g.read("start/" + n))
					if c.Optimizer == "Muon" && len(shape) != 2 {
						continue
					}
					names = append(names, n)
					for _, list := range []*[]*tensor.Param{&params, &average} {
						p := tensor.NewParam(cpu.Default(), dtype, shape...)
						p.Name = n
						if err := p.Set64(v); err != nil {
							t.Fatal(err)
						}
						*list = append(*list, p)
					}
				}
				o := c.make(t, params)
				s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, dtype)
				defer s.Close()
				step := func(i int, name string, p *tensor.Param) {
					want, shape := g.read(name + "/" + p.Name)
					want, _ = transposed(want, shape[1:])
					g.compare(fmt.Sprintf("step %d: %s", i, name+"/"+p.Name), p, want[i*p.Elems():(i+1)*p.Elems()], c.tolerance(dtype))
				}
				for i, lr := range c.LR {
					s.Reset()
					var grads []*tensor.Tensor
					for _, n := range names {
						v, shape := g.read("grads/" + n)
						v, shape = transposed(v, shape[1:])
						size := len(v) / len(c.LR)
						// Twice and half of it: scales multiply gradients exactly.
						grads = append(grads, s.Tensor(v[i*size:(i+1)*size], shape...).Scale(2))
					}
					o.Step(s, grads, lr, 0.5)
					for _, p := range params {
						step(i, name, p)
					}
					if a, ok := o.(Averaging); ok {
						a.Average(s, average)
						for _, p := range average {
							step(i, name+"/average", p)
						}
					}
				}
				if o.Steps() != len(c.LR) {
					t.Errorf("%d steps counted", o.Steps())
				}
			})
		}
	}
}

// Muon brings the singular values of any gradient near 1: measured on diagonal
// matrices, whose singular values are their elements.
func TestMuonsSingularValues(t *testing.T) {
	c := MuonConfig{}
	c.SetDefaults()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	for _, shape := range [][]int{{6, 6}, {6, 9}, {9, 6}} {
		u := s.TensorOf(func(i int) float64 {
			if row, col := i/shape[1], i%shape[1]; row == col {
				return math.Pow(0.6, float64(row))
			}
			return 0
		}, shape...)
		x := c.orthogonal(u).Float64s()
		for i, v := range x {
			row, col := i/shape[1], i%shape[1]
			if row != col && math.Abs(v) > 1e-12 || row == col && (v < 0.6 || v > 1.3) {
				t.Errorf("%v: element %d, %d of a diagonal matrix becomes %g", shape, row, col, v)
			}
		}
	}
}

func TestMuonIsForMatrices(t *testing.T) {
	for _, shape := range [][]int{{}, {5}, {5, 1}, {1, 5}, {1, 1, 5}} {
		if _, err := NewMuon([]*tensor.Param{param(t, "p", shape...)}, MuonConfig{}); err == nil {
			t.Errorf("takes a parameter of shape %v", shape)
		}
	}
	if _, err := NewMuon([]*tensor.Param{param(t, "p", 3, 3, 2, 4)}, MuonConfig{}); err != nil {
		t.Error(err)
	}
}

// A kernel of a convolution counts as the matrix (kernel·channels in, channels out).
func TestKernelsAreMatrices(t *testing.T) {
	makes := map[string]func([]*tensor.Param) Optimizer{
		"muon": func(p []*tensor.Param) Optimizer {
			var c MuonConfig
			c.SetDefaults()
			m, err := NewMuon(p, c)
			if err != nil {
				t.Fatal(err)
			}
			return m
		},
		"adafactor": func(p []*tensor.Param) Optimizer {
			var c AdafactorConfig
			c.SetDefaults()
			return NewAdafactor(p, c)
		},
	}
	for name, make := range makes {
		flat, kernel := param(t, "p", 18, 4), param(t, "p", 3, 3, 2, 4)
		of, ok := make([]*tensor.Param{flat}), make([]*tensor.Param{kernel})
		s := scope(t)
		for step := range 3 {
			g := s.TensorOf(func(i int) float64 { return math.Sin(float64(i * (step + 1))) }, 18, 4)
			of.Step(s, []*tensor.Tensor{g}, 0.1, 1)
			ok.Step(s, []*tensor.Tensor{g.Reshape(3, 3, 2, 4)}, 0.1, 1)
		}
		a, b := flat.Float64s(), kernel.Float64s()
		for i := range a {
			if math.Abs(a[i]-b[i]) > 35*tolerance(tensor.Float32) {
				t.Fatalf("%s: element %d is %g as a kernel, %g as a matrix", name, i, b[i], a[i])
			}
		}
	}
}
