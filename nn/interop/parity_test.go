package interop

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

const golden = "../../internal/golden/testdata"

// goldenCase is a network with inputs and results of diffusers in float64.
type goldenCase struct {
	f      *safetensors.File
	config *Config
	model  nn.Model
	slots  []slot
}

func openGolden(t *testing.T, path string) *goldenCase {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c, err := ParseConfig(path, []byte(f.Metadata()["config"]))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.New(nn.NewBlankInit(cpu.Default()))
	if err != nil {
		t.Fatal(err)
	}
	ss, err := slots(m)
	if err != nil {
		t.Fatal(err)
	}
	g := &goldenCase{f, c, m, ss}
	count := 0
	for _, s := range ss {
		v, err := join(s, func(name string) ([]float32, error) { return f32(t, f, "param/"+name), nil })
		if err == nil {
			err = s.param.Set(v)
		}
		if err != nil {
			t.Fatal(err)
		}
		count += s.param.Elems()
	}
	if want := f.Metadata()["parameters"]; strconv.Itoa(count) != want {
		t.Errorf("%d parameters, want %s", count, want)
	}
	return g
}

func get(t *testing.T, f *safetensors.File, name string) *safetensors.Tensor {
	t.Helper()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func f32(t *testing.T, f *safetensors.File, name string) []float32 {
	t.Helper()
	v, err := get(t, f, name).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func f64(t *testing.T, f *safetensors.File, name string) []float64 {
	t.Helper()
	x := get(t, f, name)
	if x.DType == safetensors.I64 {
		n, err := x.Int64s()
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float64, len(n))
		for i, k := range n {
			v[i] = float64(k)
		}
		return v
	}
	v, err := x.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// image is an (N,C,H,W) tensor of the file as (N,H,W,C).
func image(t *testing.T, s *tensor.Scope, f *safetensors.File, name string) *tensor.Tensor {
	x := get(t, f, name)
	return s.Tensor(f64(t, f, name), x.Shape...).Permute(0, 2, 3, 1).Contiguous()
}

// nchw is an (N,H,W,C) tensor's values in the file's order.
func nchw(x *tensor.Tensor) []float64 { return x.Permute(0, 3, 1, 2).Float64s() }

func norm(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

func distance(a, b []float64) float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return norm(d)
}

// text puts an encoded prompt of the file into c.
func (g *goldenCase) text(t *testing.T, s *tensor.Scope, c *nn.Cond) {
	if !g.f.Has("in/encoder_hidden_states") {
		return
	}
	c.Text = s.Variable(f64(t, g.f, "in/encoder_hidden_states"), get(t, g.f, "in/encoder_hidden_states").Shape...)
	if g.f.Has("in/encoder_attention_mask") {
		c.TextMask = s.Tensor(f64(t, g.f, "in/encoder_attention_mask"), get(t, g.f, "in/encoder_attention_mask").Shape...)
	}
}

// conditions of the file: labels, or the vector that this library has in their place.
func (g *goldenCase) cond(t *testing.T, s *tensor.Scope) (c nn.Cond, vector *tensor.Tensor) {
	if !g.f.Has("in/class_labels") {
		return nn.Cond{}, nil
	}
	x := get(t, g.f, "in/class_labels")
	if o := g.model.Conditions(); o.Vector > 0 {
		v := s.Variable(f64(t, g.f, "in/class_labels"), x.Shape[0], o.Vector)
		return nn.Cond{Vector: v}, v
	}
	labels, err := x.Int64s()
	if err != nil {
		t.Fatal(err)
	}
	small := make([]int32, len(labels))
	for i, l := range labels {
		small[i] = int32(l)
	}
	return nn.Cond{Labels: s.Ints(small, len(small))}, nil
}

// The bound of the issue: ‖a−b‖ ≤ tol·(‖b‖ + 1e-3·‖all gradients‖). 1e-4 in float32 and
// 1e-9 in float64.
func testParity(t *testing.T, path string, dtype tensor.DType, tol float64) {
	g := openGolden(t, path)
	nn.Convert(g.model, dtype)
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, dtype)
	defer s.Close()
	x := s.Leaf(image(t, s, g.f, "in/sample"))
	times := f64(t, g.f, "in/timestep")
	c, vector := g.cond(t, s)
	g.text(t, s, &c)
	y := g.model.Forward(x, s.Tensor(times, len(times)), c)

	want := f64(t, g.f, "out/sample")
	if e := distance(nchw(y), want); !(e <= tol*norm(want)) {
		t.Errorf("output differs by %.3g of %.3g", e, norm(want))
	}

	leaves := []*tensor.Tensor{x}
	var trained []slot
	for _, sl := range g.slots {
		if !sl.param.Frozen {
			leaves, trained = append(leaves, s.Param(sl.param)), append(trained, sl)
		}
	}
	if vector != nil {
		leaves = append(leaves, vector)
	}
	if c.Text != nil {
		leaves = append(leaves, c.Text)
	}
	grads := s.GradOf(y, tensor.GradOptions{Upstream: image(t, s, g.f, "in/grad_output")}, leaves...)

	got := map[string][]float64{"grad_in/sample": nchw(grads[0])}
	for i, sl := range trained {
		parts, err := split(sl, grads[i+1].Float64s())
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range parts {
			got["grad/"+name] = v
		}
	}
	if vector != nil && g.f.Has("grad_in/class_labels") {
		got["grad_in/class_labels"] = grads[1+len(trained)].Float64s()
	}
	if c.Text != nil {
		got["grad_in/encoder_hidden_states"] = grads[len(grads)-1].Float64s()
	}
	total := 0.0
	var names []string
	for _, name := range g.f.Names() {
		if strings.HasPrefix(name, "grad") {
			names = append(names, name)
		}
		if strings.HasPrefix(name, "grad/") {
			n := norm(f64(t, g.f, name))
			total += n * n
		}
	}
	total = math.Sqrt(total)
	worst := 0.0
	for _, name := range names {
		want := f64(t, g.f, name)
		if len(got[name]) != len(want) {
			t.Errorf("%s: %d elements, want %d", name, len(got[name]), len(want))
			continue
		}
		e, scale := distance(got[name], want), norm(want)+1e-3*total
		worst = max(worst, e/scale)
		if !(e <= tol*scale) {
			t.Errorf("%s differs by %.3g of %.3g", name, e, scale)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s: diffusers has no such gradient", name)
	}
	t.Logf("%d gradients, the worst off by %.2g", len(names), worst)
}

func TestParityWithDiffusers(t *testing.T) {
	paths, err := filepath.Glob(golden + "/*/*.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	paths = slices.DeleteFunc(paths, func(p string) bool {
		kind := filepath.Base(filepath.Dir(p))
		return kind != "unet" && kind != "textunet" && kind != "dit"
	})
	if len(paths) < 8 {
		t.Fatalf("only %d golden files", len(paths))
	}
	for _, p := range paths {
		name := filepath.Base(filepath.Dir(p)) + "/" + strings.TrimSuffix(filepath.Base(p), ".safetensors")
		t.Run(name+"/float64", func(t *testing.T) { testParity(t, p, tensor.Float64, 1e-9) })
		t.Run(name+"/float32", func(t *testing.T) { testParity(t, p, tensor.Float32, 1e-4) })
	}
}
