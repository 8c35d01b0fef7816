package trace

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/backend/backendtest"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// A recorded device computes what the device does.
func TestCompliance(t *testing.T) {
	for _, on := range []bool{false, true} {
		tr := New(cpu.Default())
		if on {
			tr.Start()
		}
		backendtest.RunEvery(t, tr.Device(), 10, backend.Float32)
		if n := len(tr.Rows()); (n > 0) != on {
			t.Errorf("recording %t: %d rows", on, n)
		}
	}
}

// optionalInterfaces are the interfaces of package backend but Device, with their methods.
func optionalInterfaces(t *testing.T) map[string][]string {
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.Name != "Device" {
				if i, ok := s.Type.(*ast.InterfaceType); ok {
					for _, m := range i.Methods.List {
						for _, name := range m.Names {
							all[s.Name.Name] = append(all[s.Name.Name], name.Name)
						}
					}
				}
			}
			return true
		})
	}
	return all
}

// Every optional interface of a device reaches through the tracer: one that did
// not would change what is computed, and hide it.
func TestEveryOptionalInterfaceIsThere(t *testing.T) {
	dev := reflect.TypeOf(cpu.Default())
	traced := reflect.TypeOf(New(cpu.Default()).Device())
	interfaces := optionalInterfaces(t)
	if len(interfaces["Norm"]) != 2 || len(interfaces["Softmax"]) != 2 {
		t.Fatalf("read the interfaces as %v", interfaces)
	}
	for name, methods := range interfaces {
		for _, m := range methods {
			_, has := dev.MethodByName(m)
			if _, passes := traced.MethodByName(m); has && !passes {
				t.Errorf("backend.%s: the tracer hides %s", name, m)
			}
		}
	}
}

// A device without an optional interface has none when recorded.
func TestNoInterfaceIsInvented(t *testing.T) {
	type (
		norms     = backend.Norm
		softmaxes = backend.Softmax
		lowers    = backend.Lowered
	)
	d := cpu.Default()
	for _, dev := range []backend.Device{
		struct{ backend.Device }{d},
		struct {
			backend.Device
			norms
		}{d, d},
		struct {
			backend.Device
			softmaxes
		}{d, d},
		struct {
			backend.Device
			lowers
		}{d, d},
		struct {
			backend.Device
			norms
			lowers
		}{d, d, d},
		struct {
			backend.Device
			softmaxes
			lowers
		}{d, d, d},
		struct {
			backend.Device
			norms
			softmaxes
		}{d, d, d},
		d,
	} {
		got := New(dev).Device()
		has := func(x backend.Device) (in [3]bool) {
			_, in[0] = x.(backend.Norm)
			_, in[1] = x.(backend.Softmax)
			_, in[2] = x.(backend.Lowered)
			return in
		}
		if a, b := has(dev), has(got); a != b {
			t.Errorf("%T has norms, softmaxes, a lowered form: %v; recorded %v", dev, a, b)
		}
	}
}

// The lowered form of a recorded device is recorded, on the same memory, as its own kind.
func TestLowered(t *testing.T) {
	tr := New(cpu.Default())
	full := tr.Device()
	low := full.(backend.Lowered).BF16()
	if low == full || low.(backend.Lowered).BF16() != low || full.(backend.Lowered).BF16() != low || !backend.SameMemory(full, low) {
		t.Error("the forms of the device do not know each other")
	}
	if alone := New(cpu.Default().BF16()).Device(); alone.(backend.Lowered).BF16() != alone {
		t.Error("the lowered form is not its own lowered form")
	}
	tr.Start()
	s := tensor.NewScope(low, tensor.Inference)
	defer s.Close()
	a := s.Normal(rng.Key{}, 0, 4, 4)
	a.MatMul(a).SiLU()
	if r := only(t, tr, Gemm); !r.BF16 || r.Kind() != "gemm bf16" {
		t.Errorf("a product in bfloat16 is recorded as %s", r.Kind())
	}
	if r := only(t, tr, Elementwise); r.BF16 || r.Kind() != "elementwise" {
		t.Errorf("an activation in float32 is recorded as %s", r.Kind())
	}
}

// only is the one row of an operation.
func only(t *testing.T, tr *Tracer, op Op) Row {
	t.Helper()
	var found []Row
	for _, r := range tr.Rows() {
		if r.Op == op {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d rows of %v, want 1: %+v", len(found), op, tr.Rows())
	}
	return found[0]
}

// What calls stand for, worked out by hand.
func TestCounts(t *testing.T) {
	tr := New(cpu.Default())
	s := tensor.NewScope(tr.Device(), tensor.Recording)
	defer s.Close()
	normal := func(shape ...int) *tensor.Tensor { return s.Normal(rng.Key{}, 0, shape...) }
	leaf := func(shape ...int) *tensor.Tensor { return s.Leaf(normal(shape...)) }
	grad := func(y *tensor.Tensor, x ...*tensor.Tensor) {
		up := normal(y.Shape()...)
		tr.Start()
		s.GradOf(y, tensor.GradOptions{Upstream: up}, x...)
		tr.Stop()
	}
	for _, c := range []struct {
		name                 string
		run                  func()
		op                   Op
		detail               string
		flops, read, written int64
	}{
		{"product", func() { a, b := normal(3, 5), normal(5, 7); tr.Start(); a.MatMul(b) }, Gemm,
			"3×7×5 nn", 2 * 3 * 7 * 5, 4 * (15 + 35), 4 * 21},
		{"product with a transposed matrix", func() { a, b := normal(3, 5), normal(7, 5); tr.Start(); a.MatMul(b.T()) }, Gemm,
			"3×7×5 nt", 2 * 3 * 7 * 5, 4 * (15 + 35), 4 * 21},
		{"batch of products", func() { a, b := normal(2, 3, 5), normal(2, 5, 7); tr.Start(); a.MatMul(b) }, Gemm,
			"2 of 3×7×5 nn", 2 * 2 * 3 * 7 * 5, 4 * 2 * (15 + 35), 4 * 2 * 21},
		// y is 2×3×3×8: 144 outputs of 3·3·4 products each.
		{"convolution", func() {
			x, w := normal(2, 5, 5, 4), normal(3, 3, 4, 8)
			tr.Start()
			x.Conv(w, nil, tensor.Conv2D(2, 1))
		}, ConvForward, "2×5×5, 4→8, kernel 3×3, stride 2", 2 * 144 * 36, 4 * (200 + 288), 4 * 144},
		{"its weights' gradient", func() {
			x, w := normal(2, 5, 5, 4), leaf(3, 3, 4, 8)
			grad(x.Conv(w, nil, tensor.Conv2D(2, 1)), w)
		}, ConvWeightGrad, "2×5×5, 4→8, kernel 3×3, stride 2", 2 * 144 * 36, 4 * (200 + 144), 4 * 288},
		{"its input's gradient", func() {
			x, w := leaf(2, 5, 5, 4), normal(3, 3, 4, 8)
			grad(x.Conv(w, nil, tensor.Conv2D(2, 1)), x)
		}, ConvInputGrad, "2×5×5, 4→8, kernel 3×3, stride 2", 2 * 144 * 36, 4 * (144 + 288), 4 * 200},
		// Two products of 2·3·6·6 rows and columns by 4; lse is 2·3·6.
		{"attention", func() {
			q := leaf(2, 6, 3, 4)
			tr.Start()
			tensor.Attention(q, q, q, nil, 1)
		}, Attention, "batch 2, 6×6 tokens, 3 heads of 4", 2 * 2 * 2 * 3 * 6 * 6 * 4, 4 * 3 * 144, 4 * (144 + 36)},
		{"its gradient", func() {
			q, k, v := leaf(2, 6, 3, 4), leaf(2, 6, 3, 4), leaf(2, 6, 3, 4)
			grad(tensor.Attention(q, k, v, nil, 1), q, k, v)
		}, AttentionGrad, "batch 2, 6×6 tokens, 3 heads of 4", 5 * 2 * 2 * 3 * 6 * 6 * 4, 4 * (5*144 + 36), 4 * 3 * 144},
		{"layer norm", func() { x := leaf(2, 3, 8); tr.Start(); x.LayerNorm(nil, nil, tensor.Norm{Eps: 1e-5}) }, NormForward,
			"layer, 2×3×8", 8 * 48, 4 * 48, 4 * (48 + 6 + 6)},
		{"softmax", func() { x := normal(3, 8); tr.Start(); x.Softmax() }, SoftmaxForward, "3×8", 5 * 24, 4 * 24, 4 * 24},
		{"sum over rows", func() { x := normal(3, 8); tr.Start(); x.Sum(0) }, Reduce, "sum, (3)×8", 24, 4 * 24, 4 * 8},
		{"chain", func() { x := normal(3, 8); tr.Start(); x.Add(normalRow(s)) }, Elementwise, "add, 3×8", 24, 4 * (24 + 8), 4 * 24},
		{"normals", func() { tr.Start(); normal(3, 8) }, Random, "normal, 3×8", 0, 0, 4 * 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Reset()
			tr.Reset()
			c.run()
			tr.Stop()
			r := only(t, tr, c.op)
			if r.Detail != c.detail || r.FLOPs != c.flops || r.Read != c.read || r.Written != c.written || r.Calls != 1 || r.Time <= 0 {
				t.Errorf("got %+v, want %q, %d operations, %d and %d bytes", r, c.detail, c.flops, c.read, c.written)
			}
		})
	}
}

func normalRow(s *tensor.Scope) *tensor.Tensor { return s.Normal(rng.Key{}, 0, 8) }

// A program is counted by its instructions: fused ones twice.
func TestOperationsOfPrograms(t *testing.T) {
	p := &backend.Program{Inputs: 2, Scalars: 1, Outputs: []int32{4}, Code: []backend.Instr{
		{Op: backend.OpInput}, {Op: backend.OpInput, A: 1}, {Op: backend.OpScalar},
		{Op: backend.OpExp, A: 0}, {Op: backend.OpMulAdd, A: 3, B: 1, C: 2}}}
	if n := operations(p); n != 3 {
		t.Errorf("%d operations, want 3", n)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	tr := New(cpu.Default())
	tr.Start()
	s := tensor.NewScope(tr.Device(), tensor.Inference)
	defer s.Close()
	step := func() {
		s.Reset()
		x := s.Normal(rng.Key{}, 0, 16, 32)
		x.MatMul(x.T()).Softmax().Sum(1)
		x.LayerNorm(nil, nil, tensor.Norm{Eps: 1e-5}).SiLU()
	}
	step()
	if n := testenv.Allocs(t, step); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// Counts of many goroutines add up.
func TestManyGoroutines(t *testing.T) {
	tr := New(cpu.Default())
	tr.Start()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s := tensor.NewScope(tr.Device(), tensor.Inference)
			defer s.Close()
			for range 50 {
				s.Reset()
				s.Normal(rng.Key{}, 0, 4, 4)
			}
		})
	}
	all.Wait()
	if r := only(t, tr, Random); r.Calls != 400 || r.Written != 400*64 {
		t.Errorf("%+v, want 400 calls of 64 bytes", r)
	}
	total := tr.Total()
	if tr.Reset(); total.Calls <= 400 || len(tr.Rows()) != 0 || tr.Total().Calls != 0 {
		t.Errorf("total %+v; after Reset %+v", total, tr.Total())
	}
}
