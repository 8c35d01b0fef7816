package optim

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// goldenFile holds torch's optimisers over ten steps: see internal/golden/README.md.
const goldenFile = "../internal/golden/testdata/optimizers/optimizers.safetensors"

// names are the parameters in the file, of shapes (3,4), (5) and ().
var names = []string{"a", "b", "c"}

// goldenCase is one entry of the file's "cases": torch's arguments.
type goldenCase struct {
	Optimizer string
	LR        []float64
	Options   struct {
		Betas       [2]float64
		Eps         float64
		WeightDecay float64 `json:"weight_decay"`
		Momentum    float64
		Dampening   float64
		Nesterov    bool
	}
}

// make is torch's optimiser as one of ours.
func (c goldenCase) make(t *testing.T, params []*tensor.Param) Optimizer {
	o := c.Options
	adam := AdamConfig{Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps, WeightDecay: o.WeightDecay}
	sgd := SGDConfig{Momentum: o.Momentum, Dampening: o.Dampening, Nesterov: o.Nesterov, WeightDecay: o.WeightDecay}
	validate := func(c interface{ Validate() error }) {
		if err := c.Validate(); err != nil {
			t.Fatalf("refuses torch's settings: %v", err)
		}
	}
	switch c.Optimizer {
	case "AdamW":
		validate(&adam)
		return NewAdamW(params, adam)
	case "Adam":
		validate(&adam)
		return NewAdam(params, adam)
	case "SGD":
		validate(&sgd)
		return NewSGD(params, sgd)
	}
	t.Fatalf("no optimiser %s", c.Optimizer)
	return nil
}

type goldens struct {
	t *testing.T
	f *safetensors.File
}

func openGolden(t *testing.T) goldens {
	f, err := safetensors.Open(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return goldens{t, f}
}

func (g goldens) metadata(key string, to any) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.f.Metadata()[key]), to); err != nil {
		g.t.Fatalf("%s: %v", key, err)
	}
}

func (g goldens) read(name string) ([]float64, []int) {
	g.t.Helper()
	x, err := g.f.Tensor(name)
	if err != nil {
		g.t.Fatal(err)
	}
	v, err := x.Float64s()
	if err != nil {
		g.t.Fatal(err)
	}
	return v, x.Shape
}

// params are those that every case starts from.
func (g goldens) params(dtype tensor.DType) []*tensor.Param {
	g.t.Helper()
	var all []*tensor.Param
	for _, n := range names {
		v, shape := g.read("start/" + n)
		p := tensor.NewParam(cpu.Default(), dtype, shape...)
		p.Name = n
		if err := p.Set64(v); err != nil {
			g.t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// grads are the gradients of a step.
func (g goldens) grads(s *tensor.Scope, step int) []*tensor.Tensor {
	g.t.Helper()
	var all []*tensor.Tensor
	for _, n := range names {
		v, shape := g.read("grads/" + n)
		size := len(v) / shape[0]
		all = append(all, s.Tensor(v[step*size:(step+1)*size], shape[1:]...))
	}
	return all
}

// tolerance bounds a parameter's deviation relative to the largest value that it
// or its steps take: ten steps of at most twenty roundings each, of which none is
// amplified (moments and parameters are sums of products, and a step is a quotient of moments).
func tolerance(dtype tensor.DType) float64 {
	if dtype == tensor.Float32 {
		return 200 * math.Ldexp(1, -24)
	}
	return 200 * math.Ldexp(1, -53)
}

func (g goldens) compare(what string, p *tensor.Param, want []float64, tol float64) {
	g.t.Helper()
	size := 0.0
	for _, w := range want {
		size = max(size, math.Abs(w))
	}
	for i, got := range p.Float64s() {
		if d := math.Abs(got - want[i]); !(d <= tol*size) {
			g.t.Fatalf("%s: element %d is %.17g, torch's %.17g: off by %.2g of the largest, %.2g allowed", what, i, got, want[i], d/size, tol)
		}
	}
}

var dtypes = []tensor.DType{tensor.Float64, tensor.Float32}

func TestOptimizersFollowTorch(t *testing.T) {
	var cases map[string]goldenCase
	openGolden(t).metadata("cases", &cases)
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for name, c := range cases {
		for _, dtype := range dtypes {
			t.Run(fmt.Sprintf("%s/%v", name, dtype), func(t *testing.T) {
				g := openGolden(t)
				params := g.params(dtype)
				o := c.make(t, params)
				s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, dtype)
				defer s.Close()
				for step, lr := range c.LR {
					s.Reset()
					o.Step(s, g.grads(s, step), lr, 1)
					if o.Steps() != step+1 {
						t.Fatalf("%d steps counted after %d", o.Steps(), step+1)
					}
					for i, n := range names {
						want, shape := g.read(name + "/" + n)
						size := len(want) / shape[0]
						g.compare(fmt.Sprintf("step %d: %s", step, n), params[i], want[step*size:(step+1)*size], tolerance(dtype))
					}
				}
			})
		}
	}
}

// torch's AveragedModel copies the parameters at its first update.
func TestEMAFollowsTorch(t *testing.T) {
	for _, dtype := range dtypes {
		t.Run(dtype.String(), func(t *testing.T) {
			g := openGolden(t)
			var decay float64
			g.metadata("ema_decay", &decay)
			params, average := g.params(dtype), g.params(dtype)
			s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, dtype)
			defer s.Close()
			var ema *EMA
			steps := 0
			for step := range 10 {
				s.Reset()
				for i, n := range names {
					run, shape := g.read("adamw/" + n)
					size := len(run) / shape[0]
					if err := params[i].Set64(run[step*size : (step+1)*size]); err != nil {
						t.Fatal(err)
					}
				}
				if ema == nil {
					var err error
					if ema, err = NewEMA(params, average, EMAConfig{Decay: decay}); err != nil {
						t.Fatal(err)
					}
				} else {
					ema.Update(s)
					steps++
				}
				for i, n := range names {
					want, shape := g.read("ema/" + n)
					size := len(want) / shape[0]
					g.compare(fmt.Sprintf("step %d: %s", step, n), average[i], want[step*size:(step+1)*size], tolerance(dtype))
				}
			}
			if ema.Steps() != steps {
				t.Errorf("%d updates counted, %d made", ema.Steps(), steps)
			}
			if got := ema.State(); !slices.Equal(got, average) {
				t.Errorf("the state is %v, not the average", got)
			}
		})
	}
}

func TestClippingFollowsTorch(t *testing.T) {
	for _, dtype := range dtypes {
		t.Run(dtype.String(), func(t *testing.T) {
			g := openGolden(t)
			var limits map[string]float64
			g.metadata("clips", &limits)
			if len(limits) == 0 {
				t.Fatal("no limits")
			}
			s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, dtype)
			defer s.Close()
			for name, limit := range limits {
				grads := g.grads(s, 0)
				norm := GlobalNorm(s, grads)
				want, _ := g.read("clip-" + name + "/norm")
				// A sum of 18 squares, and a root.
				if d := math.Abs(norm/want[0] - 1); !(d <= tolerance(dtype)/10) {
					t.Errorf("%s: norm %.17g, torch's %.17g", name, norm, want[0])
				}
				// A step of SGD from 0 with rate −1 leaves the clipped gradient behind.
				params := g.params(dtype)
				for _, p := range params {
					if err := p.Set64(make([]float64, p.Elems())); err != nil {
						t.Fatal(err)
					}
				}
				NewSGD(params, SGDConfig{}).Step(s, grads, -1, ClipScale(norm, limit))
				for i, n := range names {
					want, _ := g.read("clip-" + name + "/" + n)
					g.compare("clip "+name+": "+n, params[i], want, tolerance(dtype)/10)
				}
			}
		})
	}
}
