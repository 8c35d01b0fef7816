package tensor_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	. "github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// goldenFiles hold PyTorch's operations in float64 with their vector-Jacobian
// and Jacobian-vector products: see internal/golden/README.md.
const goldenFiles = "../internal/golden/testdata/ops/*.safetensors"

// goldenCase is one entry of a file's "cases".
type goldenCase struct {
	Op         string
	Inputs     []string // that derivatives are taken for
	Constants  []string // masks, conditions, indices
	Attributes goldenAttributes
}

// goldenAttributes are the keyword arguments of torch's function.
type goldenAttributes struct {
	Axes, Shape                           []int
	Axis, Start, End, Step, Before, After int
	A, B, C, Lo, Hi, Alpha, Slope         float64
	K, Correction                         int

	Padding, Stride, Dilation triple
	OutputPadding             triple `json:"output_padding"`
	Groups                    int
	NumGroups                 int `json:"num_groups"`
	Eps                       float64
	AddOne                    bool `json:"add_one"`
	SiLU                      bool
	IsCausal                  bool `json:"is_causal"`
	Scale                     float64
	Dim                       int
	Approximate               string
	KernelSize                triple  `json:"kernel_size"`
	ScaleFactor               float64 `json:"scale_factor"`

	Spec, Mode      string
	Size            []int
	AlignCorners    bool  `json:"align_corners"`
	Antialias       bool  `json:"antialias"`
	CountIncludePad *bool `json:"count_include_pad"`
	UpscaleFactor   int   `json:"upscale_factor"`
	DownscaleFactor int   `json:"downscale_factor"`
}

// triple holds a number for each spatial axis; torch may be given a single one for all.
type triple [3]int

func (p *triple) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		var some []int
		err := json.Unmarshal(b, &some)
		copy(p[:], some)
		return err
	}
	err := json.Unmarshal(b, &p[0])
	p[1], p[2] = p[0], p[0]
	return err
}

// golden is an operation in PyTorch's layouts: the inputs are those of the file,
// in a map by torch's names (absent ones are nil), and so is the result. fold is
// the length of the longest sum in it, forward or backward.
type golden func(in map[string]*Tensor, a goldenAttributes) (out *Tensor, fold int)

// goldenTolerance bounds the largest deviation relative to the largest element.
// A sum of K products rounds K times, each by at most u·Σ|terms|; these are
// independent enough for √K·u·Σ|terms| to hold with room (Higham and Mary 2019),
// and Σ|terms| is about √K times what the terms leave behind after cancelling. So
// K·u, here with a factor of 4 for the unlucky and 32 for what comes before the
// sum: elementary functions of a few units each, and derivatives such as 1−tanh²
// times their inner factors (up to 9 in GELU's tanh form). A derivative along
// tangents is such a sum too, longer by the number of inputs.
func goldenTolerance(d DType, fold int) float64 {
	u := math.Ldexp(1, -53)
	if d == Float32 {
		u = math.Ldexp(1, -24)
	}
	return (32 + 4*float64(fold)) * u
}

// openGolden reads all files' cases; each names its file.
func openGolden(t *testing.T) (cases map[string]goldenCase, files map[string]*safetensors.File) {
	t.Helper()
	paths, err := filepath.Glob(goldenFiles)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s (%v)", goldenFiles, err)
	}
	cases, files = map[string]goldenCase{}, map[string]*safetensors.File{}
	for _, path := range paths {
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		var here map[string]goldenCase
		if err := json.Unmarshal([]byte(f.Metadata()["cases"]), &here); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for name, c := range here {
			if files[name] != nil {
				t.Fatalf("case %s is in two files", name)
			}
			cases[name], files[name] = c, f
		}
	}
	return cases, files
}

// TestGoldenOps holds values, vector-Jacobian and Jacobian-vector products to
// PyTorch's: in float64, and in float32 at every level of the processor.
func TestGoldenOps(t *testing.T) {
	cases, files := openGolden(t)
	devices := map[string]*cpu.Device{"float64": cpu.Default()}
	for _, l := range cpu.Levels() {
		d, err := cpu.New(cpu.Options{Level: &l, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		devices["float32 "+l.String()] = d
	}
	covered := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		covered[goldenName(c.Op)] = true
		for _, kind := range slices.Sorted(maps.Keys(devices)) {
			dtype := Float32
			if kind == "float64" {
				dtype = Float64
			}
			for _, layout := range []string{"dense", "views"} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, kind, layout), func(t *testing.T) {
					s := NewScopeOf(devices[kind], Recording, dtype)
					defer s.Close()
					g := goldenRun{t: t, s: s, f: files[name], name: name, goldenCase: c, dense: layout == "dense"}
					g.check()
				})
			}
		}
	}
	for op := range goldenFuncs {
		if !covered[op] {
			t.Errorf("no file has a case of %s", op)
		}
	}
}

// goldenRun is a case on a device. Where dense is not set, all that is read
// from the file becomes views with gaps.
type goldenRun struct {
	t    *testing.T
	s    *Scope
	f    *safetensors.File
	name string
	goldenCase
	dense bool
	fold  int // of the last run
}

func (g *goldenRun) check() {
	run, ok := goldenFuncs[goldenName(g.Op)]
	if !ok {
		g.t.Fatalf("no function for operation %s", g.Op)
	}
	f := func(x []*Tensor) (y *Tensor) {
		in := map[string]*Tensor{}
		for i, name := range g.Inputs {
			in[name] = x[i]
		}
		for _, name := range g.Constants {
			in[name] = g.load("in/" + name)
		}
		y, g.fold = run(in, g.Attributes)
		return y
	}
	var leaves, tangents []*Tensor
	for _, i := range g.Inputs {
		leaves = append(leaves, g.s.Leaf(g.load("in/"+i)))
		tangents = append(tangents, g.load("tangent/"+i))
	}

	y, along := g.s.JVP(f, leaves, tangents)
	tol := goldenTolerance(g.s.DType(), g.fold+len(leaves))
	g.compare("out", y, tol, 0)
	g.compare("jvp", along, tol, g.largest("out"))
	if len(leaves) > 1 {
		g.compare("jvp", g.alongEach(f, leaves, tangents), tol, g.largest("out"))
	}

	y = f(leaves)
	tol = goldenTolerance(g.s.DType(), g.fold)
	g.compare("out", y, tol, 0)
	// A gradient that is nothing (of a softmax over one key) is what terms as
	// large as the other gradients leave behind when they cancel.
	size := 0.0
	for _, i := range g.Inputs {
		size = max(size, g.largest("grad/"+i))
	}
	if !y.NeedsGrad() {
		if size != 0 {
			g.t.Errorf("%s: no gradient flows to any input, in PyTorch up to %g", g.name, size)
		}
		return
	}
	// First recorded, as for gradients of gradients: fused operations have other code for that.
	for _, record := range []bool{true, false} {
		o := GradOptions{Upstream: g.load("grad_out"), CreateGraph: record}
		for i, grad := range g.s.GradOf(y, o, leaves...) {
			g.compare("grad/"+g.Inputs[i], grad, tol, size)
		}
	}
	if len(leaves) > 1 {
		g.gradientsAlone(f, size)
	}
}

// alongEach adds up the derivatives along one tangent at a time, of which each has y's shape.
func (g *goldenRun) alongEach(f func([]*Tensor) *Tensor, leaves, tangents []*Tensor) (sum *Tensor) {
	for i := range leaves {
		one := make([]*Tensor, len(leaves))
		one[i] = tangents[i]
		y, along := g.s.JVP(f, leaves, one)
		if !slices.Equal(along.Shape(), y.Shape()) {
			g.t.Fatalf("derivative along %s alone: shape %v, the value's is %v", g.Inputs[i], along.Shape(), y.Shape())
		}
		if i == 0 {
			sum = along
		} else {
			sum = sum.Add(along)
		}
	}
	return sum
}

// gradientsAlone compares the gradient of each input with the others constant.
func (g *goldenRun) gradientsAlone(f func([]*Tensor) *Tensor, size float64) {
	for i, name := range g.Inputs {
		in := make([]*Tensor, len(g.Inputs))
		for k, other := range g.Inputs {
			if in[k] = g.load("in/" + other); k == i {
				in[k] = g.s.Leaf(in[k])
			}
		}
		y := f(in)
		for _, record := range []bool{true, false} {
			o := GradOptions{Upstream: g.load("grad_out"), CreateGraph: record}
			g.compare("grad/"+name, g.s.GradOf(y, o, in[i])[0], goldenTolerance(g.s.DType(), g.fold), size)
		}
	}
}

// load is a part of the case as a tensor.
func (g *goldenRun) load(part string) *Tensor {
	x := g.part(part)
	if x.DType == "I32" {
		wide, err := x.Int64s()
		if err != nil {
			g.t.Fatal(err)
		}
		values := make([]int32, len(wide))
		for i, v := range wide {
			values[i] = int32(v)
		}
		return g.s.Ints(values, x.Shape...)
	}
	values, shape := g.values(part)
	if g.dense {
		return g.s.Tensor(values, shape...)
	}
	return gappy(g.s, values, shape)
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

func (g *goldenRun) part(part string) *safetensors.Tensor {
	g.t.Helper()
	x, err := g.f.Tensor(g.name + "/" + part)
	if err != nil {
		g.t.Fatal(err)
	}
	return x
}

func (g *goldenRun) values(part string) ([]float64, []int) {
	g.t.Helper()
	x := g.part(part)
	values, err := x.Float64s()
	if err != nil {
		g.t.Fatal(err)
	}
	return values, x.Shape
}

func (g *goldenRun) largest(part string) float64 {
	values, _ := g.values(part)
	m := 0.0
	for _, x := range values {
		m = max(m, math.Abs(x))
	}
	return m
}

// compare compares elements relative to the largest of them, or to size where all are 0.
func (g *goldenRun) compare(part string, result *Tensor, tol, size float64) {
	g.t.Helper()
	want, shape := g.values(part)
	if !slices.Equal(shape, result.Shape()) {
		g.t.Fatalf("%s: shape %v, PyTorch's is %v", part, result.Shape(), shape)
	}
	if m := g.largest(part); m > 0 {
		size = m
	}
	for i, got := range result.Float64s() {
		if d := math.Abs(got - want[i]); !(d <= tol*size) {
			g.t.Errorf("%s: element %d is %.17g, PyTorch's %.17g: off by %.2g of the largest, %.2g allowed", part, i, got, want[i], d/size, tol)
			return
		}
	}
}
