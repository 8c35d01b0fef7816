package tensor_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	. "github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// goldenOps holds PyTorch's operations in float64 with their vector-Jacobian
// products: see internal/golden/README.md.
const goldenOps = "../internal/golden/testdata/ops/ops.safetensors"

// goldenCase is one entry of the file's "cases".
type goldenCase struct {
	Op         string
	Inputs     []string
	Attributes goldenAttributes
}

// goldenAttributes are the keyword arguments of torch.nn.functional. The pairs
// hold a single number where torch was given one.
type goldenAttributes struct {
	Padding, Stride, Dilation pair
	Groups                    int
	NumGroups                 int `json:"num_groups"`
	Eps                       float64
	IsCausal                  bool `json:"is_causal"`
	Scale                     float64
	Dim                       int
	Approximate               string
	KernelSize                int     `json:"kernel_size"`
	ScaleFactor               float64 `json:"scale_factor"`
}

type pair [2]int

func (p *pair) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[2]int)(p))
	}
	err := json.Unmarshal(b, &p[0])
	p[1] = p[0]
	return err
}

// golden is an operation in PyTorch's layouts: the inputs are those of the file,
// in a map by torch's names (absent ones are nil), and so is the result. fold is
// the length of the longest sum in it, forward or backward.
type golden func(in map[string]*Tensor, a goldenAttributes) (out *Tensor, fold int)

func pointwiseGolden(f func(*Tensor) *Tensor) golden {
	return func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) { return f(in["x"]), 1 }
}

var goldenFuncs = map[string]golden{
	"conv2d": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, w := in["x"].Permute(0, 2, 3, 1), in["weight"].Permute(2, 3, 1, 0)
		c := Conv{Groups: a.Groups}
		copy(c.Stride[:], a.Stride[:])
		copy(c.Dilation[:], a.Dilation[:])
		copy(c.PadLo[:], a.Padding[:])
		copy(c.PadHi[:], a.Padding[:])
		y := x.Conv(operandOf(w), operandOf(in["bias"]), c)
		return y.Permute(0, 3, 1, 2), convFold(w, y)
	},
	"conv1d": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, w := in["x"].Permute(0, 2, 1), in["weight"].Permute(2, 1, 0)
		c := Conv{Stride: [3]int{a.Stride[0]}, PadLo: [3]int{a.Padding[0]}, PadHi: [3]int{a.Padding[0]}}
		y := x.Conv(operandOf(w), operandOf(in["bias"]), c)
		return y.Permute(0, 2, 1), convFold(w, y)
	},
	"linear": func(in map[string]*Tensor, _ goldenAttributes) (*Tensor, int) {
		w := in["weight"].T()
		y := in["x"].Linear(w, operandOf(in["bias"]))
		return y, max(w.Dim(0), w.Dim(1), y.Elems()/y.Dim(-1))
	},
	"group_norm": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		to, back := []int{0, 2, 1}, []int{0, 2, 1}
		if in["x"].Rank() == 4 {
			to, back = []int{0, 2, 3, 1}, []int{0, 3, 1, 2}
		}
		x := in["x"].Permute(to...)
		y := x.GroupNorm(a.NumGroups, operandOf(in["weight"]), operandOf(in["bias"]), Norm{Eps: a.Eps})
		return y.Permute(back...), x.Elems() // a shift's gradient is a sum over samples and positions
	},
	"layer_norm": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].LayerNorm(operandOf(in["weight"]), operandOf(in["bias"]), Norm{Eps: a.Eps}), in["x"].Elems()
	},
	"rms_norm": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].RMSNorm(operandOf(in["weight"]), Norm{Eps: a.Eps}), in["x"].Elems()
	},
	"attention": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		q, k, v := in["q"].Permute(0, 2, 1, 3), in["k"].Permute(0, 2, 1, 3), in["v"].Permute(0, 2, 1, 3)
		t, s, d := q.Dim(1), k.Dim(1), q.Dim(3)
		scale := a.Scale
		if scale == 0 {
			scale = 1 / math.Sqrt(float64(d))
		}
		if wide := v.Dim(3) - d; wide > 0 {
			// Values wider than the keys: zeros behind these change no score.
			q, k = q.Pad(3, 0, wide), k.Pad(3, 0, wide)
		}
		var mask *Tensor
		if a.IsCausal {
			m := make([]float64, t*s)
			for i := range m {
				if i%s > i/s {
					m[i] = math.Inf(-1)
				}
			}
			mask = q.Scope().Tensor(m, t, s)
		}
		return Attention(q, k, v, mask, scale).Permute(0, 2, 1, 3), 2 * max(t, s) * d // a sum over keys of sums over d
	},
	"softmax": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x := in["x"]
		if a.Dim == 1 {
			return x.T().Softmax().T(), x.Dim(1)
		}
		return x.Softmax(), x.Dim(-1)
	},
	"log_softmax": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		return in["x"].LogSoftmax(), in["x"].Dim(-1)
	},
	"avg_pool2d": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, k := in["x"], a.KernelSize
		n, c, h, w := x.Dim(0), x.Dim(1), x.Dim(2)/k, x.Dim(3)/k
		x = x.Slice(2, 0, h*k).Slice(3, 0, w*k).Reshape(n, c, h, k, w, k)
		return x.Mean(3, 5), k * k
	},
	"upsample_nearest2d": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		x, f := in["x"], int(a.ScaleFactor)
		n, c, h, w := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
		return x.Reshape(n, c, h, 1, w, 1).Expand(n, c, h, f, w, f).Reshape(n, c, h*f, w*f), f * f
	},
	"gelu": func(in map[string]*Tensor, a goldenAttributes) (*Tensor, int) {
		if a.Approximate == "tanh" {
			return in["x"].GELUTanh(), 1
		}
		return in["x"].GELU(), 1
	},
	"silu":     pointwiseGolden((*Tensor).SiLU),
	"mish":     pointwiseGolden((*Tensor).Mish),
	"relu":     pointwiseGolden((*Tensor).ReLU),
	"sigmoid":  pointwiseGolden((*Tensor).Sigmoid),
	"tanh":     pointwiseGolden((*Tensor).Tanh),
	"softplus": pointwiseGolden((*Tensor).Softplus),
	"erf":      pointwiseGolden((*Tensor).Erf),
}

// operandOf is t, or no operand.
func operandOf(t *Tensor) Operand {
	if t == nil {
		return nil
	}
	return t
}

// convFold is the longest sum of a convolution with weights w (kernel…, Cin/groups, Cout) and result y (N, o…, Cout):
// over taps and channels forward and for the input, over samples and positions for the weights.
func convFold(w, y *Tensor) int {
	r := w.Rank()
	taps := w.Elems() / (w.Dim(r-1) * w.Dim(r-2))
	return max(taps*w.Dim(r-2), taps*w.Dim(r-1), y.Elems()/y.Dim(-1))
}

// goldenTolerance bounds the largest deviation relative to the largest element.
// A sum of K products rounds K times, each by at most u·Σ|terms|; these are
// independent enough for √K·u·Σ|terms| to hold with room (Higham and Mary 2019),
// and Σ|terms| is about √K times what the terms leave behind after cancelling. So
// K·u, here with a factor of 4 for the unlucky and 32 for what comes before the
// sum: elementary functions of a few units each, and derivatives such as 1−tanh²
// times their inner factors (up to 9 in GELU's tanh form).
func goldenTolerance(d DType, fold int) float64 {
	u := math.Ldexp(1, -53)
	if d == Float32 {
		u = math.Ldexp(1, -24)
	}
	return (32 + 4*float64(fold)) * u
}

func TestGoldenOps(t *testing.T) {
	f, err := safetensors.Open(goldenOps)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases map[string]goldenCase
	if err := json.Unmarshal([]byte(f.Metadata()["cases"]), &cases); err != nil {
		t.Fatal(err)
	}
	covered := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		covered[c.Op] = true
		for _, dtype := range []DType{Float64, Float32} {
			for _, dense := range []bool{true, false} {
				layout := "views"
				if dense {
					layout = "dense"
				}
				t.Run(fmt.Sprintf("%s/%v/%s", name, dtype, layout), func(t *testing.T) {
					checkGolden(t, f, name, c, dtype, dense)
				})
			}
		}
	}
	for op := range goldenFuncs {
		if !covered[op] {
			t.Errorf("the file has no case of %s", op)
		}
	}
}

// checkGolden runs a case on inputs that are leaves in PyTorch's layout. Where
// dense is not set they are views with gaps, and the upstream gradient too.
func checkGolden(t *testing.T, f *safetensors.File, name string, c goldenCase, dtype DType, dense bool) {
	run, ok := goldenFuncs[c.Op]
	if !ok {
		t.Fatalf("no function for operation %s", c.Op)
	}
	s := NewScopeOf(cpu.Default(), Recording, dtype)
	defer s.Close()
	load := func(part string) *Tensor {
		values, shape := readGolden(t, f, name+"/"+part)
		if dense {
			return s.Tensor(values, shape...)
		}
		return gappy(s, values, shape)
	}
	in := map[string]*Tensor{}
	var leaves []*Tensor
	for _, i := range c.Inputs {
		in[i] = s.Leaf(load("in/" + i))
		leaves = append(leaves, in[i])
	}
	y, fold := run(in, c.Attributes)
	tol := goldenTolerance(dtype, fold)
	compareGolden(t, f, name+"/out", y, tol, 0)
	// A gradient that is nothing (of a softmax over one key) is what terms as
	// large as the other gradients leave behind when they cancel.
	size := 0.0
	for _, i := range c.Inputs {
		want, _ := readGolden(t, f, name+"/grad/"+i)
		size = max(size, largest(want))
	}
	for i, g := range s.GradOf(y, GradOptions{Upstream: load("grad_out")}, leaves...) {
		compareGolden(t, f, name+"/grad/"+c.Inputs[i], g, tol, size)
	}
}

// gappy stores values as every second element of a larger array, with NaN between.
func gappy(s *Scope, values []float64, shape []int) *Tensor {
	if len(shape) == 0 {
		return s.Tensor(values)
	}
	wide := slices.Clone(shape)
	wide[len(wide)-1] *= 2
	spread := make([]float64, 2*len(values))
	for i := range spread {
		spread[i] = math.NaN()
		if i%2 == 0 {
			spread[i] = values[i/2]
		}
	}
	return s.Tensor(spread, wide...).SliceStep(-1, 0, wide[len(wide)-1], 2)
}

func readGolden(t *testing.T, f *safetensors.File, name string) ([]float64, []int) {
	t.Helper()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	values, err := x.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	return values, x.Shape
}

func largest(values []float64) float64 {
	m := 0.0
	for _, x := range values {
		m = max(m, math.Abs(x))
	}
	return m
}

// compareGolden compares elements relative to the largest of them, or to size where all are 0.
func compareGolden(t *testing.T, f *safetensors.File, name string, result *Tensor, tol, size float64) {
	t.Helper()
	want, shape := readGolden(t, f, name)
	if !slices.Equal(shape, result.Shape()) {
		t.Fatalf("%s: shape %v, PyTorch's is %v", name, result.Shape(), shape)
	}
	if m := largest(want); m > 0 {
		size = m
	}
	for i, got := range result.Float64s() {
		if d := math.Abs(got - want[i]); !(d <= tol*size) {
			t.Errorf("%s: element %d is %.17g, PyTorch's %.17g: off by %.2g of the largest, %.2g allowed", name, i, got, want[i], d/size, tol)
			return
		}
	}
}
