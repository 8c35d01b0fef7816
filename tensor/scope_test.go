package tensor_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/langevin-go/langevin/internal/testenv"
	. "github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

func scope(t testing.TB, mode Mode) *Scope {
	s := NewScope(cpu.Default(), mode)
	t.Cleanup(s.Close)
	return s
}

// panics runs f and gives the error it panicked with.
func panics(t *testing.T, f func()) (err error) {
	t.Helper()
	defer func() {
		r := recover()
		if r == nil {
			t.Fatal("no panic")
		}
		var ok bool
		if err, ok = r.(error); !ok {
			t.Fatalf("panicked with %v, not an error", r)
		}
	}()
	f()
	return nil
}

func param(t testing.TB, shape ...int) *Param {
	p := NewParam(cpu.Default(), Float32, shape...)
	v := make([]float32, p.Elems())
	rng.Normal(v, rng.Key{Seed: 3}, uint64(len(v)))
	if err := p.Set(v); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStaleTensorsPanic(t *testing.T) {
	s := scope(t, Recording)
	x := s.Ones(2, 2)
	for range 3 {
		s.Reset()
		s.Ones(4) // takes a header, but not that of x
		err := panics(t, func() { x.Add(x) })
		var u *UsageError
		if !errors.As(err, &u) || !strings.Contains(err.Error(), "stale") {
			t.Fatalf("got %v", err)
		}
	}
}

func TestKeepOutlivesReset(t *testing.T) {
	s := scope(t, Recording)
	k := s.Keep(s.Full(3, 2))
	s.Reset()
	s.Full(7, 2)
	if got := s.Ones(2).Add(k).Float32s(); got[0] != 4 || got[1] != 4 {
		t.Fatalf("got %v", got)
	}
}

func TestGradGivesMemoryBack(t *testing.T) {
	s := scope(t, Recording)
	w := param(t, 8, 8)
	x := s.Ones(4, 8)
	h := x.MatMul(w).Tanh()
	y := s.Hold(h.Square())
	loss := y.Mean()
	g := s.Grad(loss, []*Param{w})
	if g[0] == nil || len(g[0].Float32s()) != 64 {
		t.Fatal("no gradient")
	}
	loss.Item() // the loss may still be read
	y.Float32s()
	if err := panics(t, func() { h.Float32s() }); !strings.Contains(err.Error(), "given back") {
		t.Fatalf("got %v", err)
	}
}

func TestUnusedAndFrozenParametersGetNoGradient(t *testing.T) {
	s := scope(t, Recording)
	a, b, c := param(t, 3), param(t, 3), param(t, 3)
	c.Frozen = true
	loss := s.Ones(3).Mul(a).Mul(c).Sum()
	g := s.Grad(loss, []*Param{a, b, c})
	if g[0] == nil || g[1] != nil || g[2] != nil {
		t.Fatalf("got %v", g)
	}
}

// Zeros would be wrong for a tensor that the result does depend on, and no gradient is kept for.
func TestGradientsOfWhatIsNoLeaf(t *testing.T) {
	s := scope(t, Recording)
	x, frozen := s.Variable([]float64{1, 2}, 2), param(t, 2)
	frozen.Frozen = true
	h, c := x.Exp(), s.Ones(2)
	y := h.Mul(c).Mul(frozen).Sum()
	for want, leaf := range map[string]*Tensor{
		"tensor 1 is the result of an operation": h,
		"tensor 1 is a constant":                 c,
		"frozen":                                 s.Param(frozen),
		"two scopes":                             scope(t, Recording).Variable([]float64{1, 2}, 2),
	} {
		if err := panics(t, func() { s.GradOf(y, GradOptions{Retain: true}, x, leaf) }); !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if g := s.GradOf(y, GradOptions{}, x, s.Variable([]float64{3}, 1)); g[1].Item() != 0 || g[0].Float64s()[0] == 0 {
		t.Errorf("gradients %v and %v", g[0].Float64s(), g[1].Float64s())
	}
}

func TestReleaseKeepsWhatGradientsNeed(t *testing.T) {
	run := func(release bool) ([]float32, int) {
		s := scope(t, Recording)
		w := param(t, 64, 64)
		h := s.Normal(rng.Key{Seed: 1}, 0, 32, 64)
		for range 6 {
			m := s.Mark()
			y := h.MatMul(w).AddScalar(0.1).Scale(0.3).SiLU().Add(h)
			if release {
				h = s.Release(m, y)
			} else {
				h = y
			}
		}
		used := s.MemoryInUse()
		return s.Grad(h.Square().Mean(), []*Param{w})[0].Float32s(), used
	}
	want, all := run(false)
	got, some := run(true)
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("element %d: %g with Release, %g without", i, got[i], want[i])
		}
	}
	if some >= all*3/4 {
		t.Fatalf("Release left %d of %d bytes", some, all)
	}
}

// Gradients of gradients read no more than gradients do: Release took the rest.
func TestReleaseKeepsWhatGradientsOfGradientsNeed(t *testing.T) {
	run := func(release bool) []float32 {
		s := scope(t, Recording)
		x := s.Variable([]float32{0.3, -0.7, 1.1}, 3)
		m := s.Mark()
		b := x.Scale(2).AddScalar(1)
		y := x.Square().Tanh().MulAdd(x.Sigmoid(), b).Exp().Add(b)
		if release {
			y = s.Release(m, y)
		}
		g := s.GradOf(y.Sum(), GradOptions{CreateGraph: true}, x)[0]
		return s.GradOf(g.Square().Sum(), GradOptions{}, x)[0].Float32s()
	}
	want, got := run(false), run(true)
	for i := range want {
		if want[i] != got[i] || want[i] == 0 {
			t.Fatalf("element %d: %g with Release, %g without", i, got[i], want[i])
		}
	}
}

func TestInferenceReleasesEverything(t *testing.T) {
	s := scope(t, Inference)
	w := param(t, 64, 64)
	h := s.Normal(rng.Key{Seed: 1}, 0, 32, 64)
	base := s.MemoryInUse()
	for range 10 {
		m := s.Mark()
		h = s.Release(m, h.MatMul(w).SiLU().Add(h))
	}
	// The input and the ten kept results, which nobody released.
	if got := s.MemoryInUse(); got > base*12 {
		t.Fatalf("%d bytes in use, the input has %d", got, base)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	testenv.NeedsExactAllocs(t)
	s := scope(t, Recording)
	w, b := param(t, 32, 32), param(t, 32)
	data := make([]float32, 16*32)
	rng.Normal(data, rng.Key{}, 0)
	params := []*Param{w, b}
	step := func() {
		s.Reset()
		x := s.Tensor(data, 16, 32)
		h := x.Linear(w, b).SiLU().LayerNorm(nil, b, Norm{Eps: 1e-5})
		h = Concat(1, h.Slice(1, 0, 16), h.Slice(1, 16, 32)).Reshape(4, 4, 2, 16)
		h = Attention(h, h, h, nil, 0.25).Reshape(16, 32).Softmax()
		s.Grad(h.MSE(x), params)
	}
	for range 8 {
		step()
	}
	if n := testenv.Allocs(t, step); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}

func TestMemoryIsFlat(t *testing.T) {
	s := scope(t, Recording)
	w := param(t, 32, 32)
	var held int
	for i := range 20 {
		s.Reset()
		h := s.Ones(64, 32)
		for range 5 {
			h = h.MatMul(w).Tanh()
		}
		s.Grad(h.Square().Mean(), []*Param{w})
		if i == 1 {
			held = s.MemoryHeld()
		}
	}
	if s.MemoryHeld() != held {
		t.Fatalf("%d bytes held after 20 steps, %d after 2", s.MemoryHeld(), held)
	}
}

func TestManyScopesShareParameters(t *testing.T) {
	w := param(t, 32, 32)
	one := func() []float32 {
		s := NewScope(cpu.Default(), Recording)
		defer s.Close()
		x := s.Normal(rng.Key{Seed: 9}, 0, 8, 32)
		return s.Grad(x.MatMul(w).SiLU().Square().Mean(), []*Param{w})[0].Float32s()
	}
	want := one()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got := one()
				for i := range want {
					if got[i] != want[i] {
						t.Errorf("element %d differs among goroutines", i)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestShapeErrorsNameOperationAndShapes(t *testing.T) {
	s := scope(t, Recording)
	a, b := s.Ones(2, 3), s.Ones(4, 5)
	for _, c := range []struct {
		want string
		f    func()
	}{
		{"add: [2 3] and [4 5]", func() { a.Add(b) }},
		{"MatMul: [2 3] and [4 5]", func() { a.MatMul(b) }},
		{"Concat: [2 3] and [4 5]", func() { Concat(0, a, b) }},
		{"Reshape: [2 3] and [4 5]", func() { a.Reshape(4, 5) }},
		{"Grad: [2 3]", func() { s.Grad(a.Mul(s.Variable(make([]float32, 6), 2, 3)), nil) }},
	} {
		err := panics(t, c.f)
		var e *ShapeError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestDropoutMaskRepeatsWithItsKey(t *testing.T) {
	s := scope(t, Recording)
	x := s.Ones(100, 100)
	if y := x.Dropout(0.5); y != x {
		t.Fatal("dropout without a key must do nothing")
	}
	s.SetDropout(rng.Key{Seed: 1, Step: 4})
	a, b := x.Dropout(0.25).Float32s(), x.Dropout(0.25).Float32s()
	s.SetDropout(rng.Key{Seed: 1, Step: 4})
	c := x.Dropout(0.25).Float32s()
	zeros, same := 0, 0
	for i := range a {
		if a[i] != c[i] {
			t.Fatal("the same key gave another mask")
		}
		if a[i] == 0 {
			zeros++
		} else if a[i] != float32(1/0.75) {
			t.Fatalf("kept element is %g", a[i])
		}
		if a[i] == b[i] {
			same++
		}
	}
	// Binomial(10⁴, ¼): standard deviation 43; five of them.
	if zeros < 2500-217 || zeros > 2500+217 {
		t.Errorf("%d of 10000 dropped at p=0.25", zeros)
	}
	if same == len(a) {
		t.Error("two calls drew one mask")
	}
}

func TestIntsOf(t *testing.T) {
	s := NewScope(cpu.Default(), Inference)
	defer s.Close()
	for _, n := range []int{6, 0, 4} { // memory of the host is used again
		x := s.IntsOf(func(i int) int32 { return int32(n - i*i) }, 2, n/2)
		got := make([]int32, n)
		x.CopyTo(got)
		for i, v := range got {
			if v != int32(n-i*i) {
				t.Errorf("element %d of %d is %d", i, n, v)
			}
		}
	}
}

// Two passes from one state drop the same units; a pass without dropout in between changes nothing.
func TestDropoutState(t *testing.T) {
	s := scope(t, Inference)
	s.SetDropoutFrom(rng.Key{Seed: 5}, 3)
	x := s.Ones(4, 50)
	x.Dropout(0.5)
	at := s.Dropout()
	first, second := x.Dropout(0.5).Float32s(), x.Dropout(0.5).Float32s()
	if slices.Equal(first, second) {
		t.Fatal("two masks are the same")
	}
	s.NoDropout()
	if !slices.Equal(x.Dropout(0.5).Float32s(), x.Float32s()) {
		t.Error("dropped while dropout was off")
	}
	s.SetDropoutState(at)
	if got := x.Dropout(0.5).Float32s(); !slices.Equal(got, first) {
		t.Error("not the first mask again")
	}
	if got := x.Dropout(0.5).Float32s(); !slices.Equal(got, second) {
		t.Error("not the second mask again")
	}
}
