package student

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// listener is a network that drops units of ones, and remembers which, and what else it was asked.
type listener struct {
	masks    [][]float32
	times    []float64
	scales   []float64
	recorded int // times that it was asked while operations were recorded
}

func (l *listener) on(path diffusion.GaussianPath) diffusion.Model {
	return &diffusion.NetModel{Along: path, Predicts: diffusion.Velocity, Net: func(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
		if x.Scope().Recording() {
			l.recorded++
		}
		l.times = append(l.times, t.Float64s()...)
		if c.Scale != nil {
			l.scales = append(l.scales, c.Scale.Float64s()...)
		}
		y := x.Scope().Ones(x.Shape()...).Dropout(0.5)
		l.masks = append(l.masks, y.Float32s())
		return y.Mul(x)
	}}
}

func continuousOf(b Base) *Continuous {
	o := NewContinuous(b, 0.5)
	o.Distill, o.Max, o.Steps, o.Offset = true, 80, 1, 0.1
	return o
}

// Teachers drop nothing; what the student is compared with drops what the student drops.
func TestSameUnitsAreDropped(t *testing.T) {
	path := diffusion.CondOT{}
	r := diffusion.Regression{Path: path}
	bounds := Bounds{0.002, 80}
	fixed := &Fixed{Count: 10, Rho: 7}
	function := func(m diffusion.Model) diffusion.Model { return NewFunction(m, 0.5, bounds.Min) }
	plain := func(m diffusion.Model) diffusion.Model { return m }
	ones := slices.Repeat([]float32{1}, 64)
	for name, c := range map[string]struct {
		o      diffusion.Bound
		as     func(diffusion.Model) diffusion.Model
		taught int // questions to the teacher
		asked  int // to the student
	}{
		"distillation": {&Consistency{Base: Base{Regression: r}, Bounds: bounds, Curriculum: fixed, Steps: 1, SigmaData: 0.5, Distill: true, Heun: true, Weigh: WeighEven}, function, 2, 2},
		"training":     {&Consistency{Base: Base{Regression: r}, Bounds: bounds, Curriculum: fixed, Steps: 1, SigmaData: 0.5, Weigh: WeighEven}, function, 0, 2},
		"progressive":  {&Progressive{Base: Base{Regression: r}, Grid: []float64{1, 0.75, 0.5, 0.25, 0}, Per: 2}, plain, 2, 1},
		"continuous":   {continuousOf(Base{Regression: r}), plain, 1, 2},
		"imitation":    {&Imitation{Base{Regression: r}}, plain, 1, 1},
	} {
		var taught, asked listener
		if err := c.o.Bind(diffusion.Bindings{Teacher: taught.on(path)}); err != nil {
			t.Fatal(err)
		}
		s := tensor.NewScope(cpu.Default(), tensor.Recording)
		defer s.Close()
		b := &diffusion.Batch{N: 16, Shape: []int{4}, X: make([]float32, 64)}
		rng.Normal(b.X, rng.Key{Seed: 8}, 0)
		var d diffusion.Draw
		c.o.Draw(rng.Key{Seed: 2}, b, &d)
		s.SetDropout(rng.Key{Seed: 3})
		c.o.Loss(s, c.as(asked.on(path)), &d)
		if len(taught.masks) != c.taught || len(asked.masks) != c.asked {
			t.Errorf("%s: %d questions to the teacher and %d to the student, want %d and %d", name, len(taught.masks), len(asked.masks), c.taught, c.asked)
		}
		if taught.recorded != 0 || asked.recorded != 1 {
			t.Errorf("%s: %d answers of the teacher and %d of the student are recorded, want 0 and 1", name, taught.recorded, asked.recorded)
		}
		for _, m := range taught.masks {
			if !slices.Equal(m, ones) {
				t.Errorf("%s: the teacher drops units", name)
			}
		}
		for _, m := range asked.masks {
			if !slices.Equal(m, asked.masks[0]) || slices.Equal(m, ones) {
				t.Errorf("%s: the student does not drop the same units on both sides", name)
			}
		}
	}
}

// exactGaussian is the flow of data N(0, s²) in σ: the consistency function to n_min is
// x̃·√((s²+n_min²)/(s²+n²)), and the estimate of the data x̃·s²/(s²+n²).
type exactGaussian struct {
	path diffusion.GaussianPath
	std  float64
	to   float64 // n_min; below 0: the estimate of the data
}

func (g exactGaussian) Path() diffusion.GaussianPath { return g.path }
func (g exactGaussian) Kind() diffusion.Kind         { return diffusion.X0 }
func (g exactGaussian) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return diffusion.Pred{Kind: diffusion.X0, Value: x.Mul(diffusion.PerSample(x, g.path, diffusion.Step{T: at.T}, func(p, _ diffusion.Point) float64 {
		n := p.NoiseLevel()
		if g.to < 0 {
			return g.std * g.std / (g.std*g.std + n*n) / p.Alpha
		}
		return math.Sqrt((g.std*g.std+g.to*g.to)/(g.std*g.std+n*n)) / p.Alpha
	}))}
}

// The teacher's steps of DDIM and of Heun come to where the exact flow leads at their orders: halving the step
// divides the error by 4 and 8, to a third of that.
func TestTeachersStep(t *testing.T) {
	for name, path := range map[string]diffusion.GaussianPath{"condot": diffusion.CondOT{}, "trig": diffusion.Trig{}, "vp": diffusion.VP{Beta0: 0.1, Beta1: 20}, "edm": diffusion.EDM{SigmaMax: 80}} {
		s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
		defer s.Close()
		teacher := Teacher{exactGaussian{path, 0.5, -1}}
		from := path.Time(-math.Log(1.0))
		off := func(h float64, heun bool) float64 {
			x := s.Full(path.At(from).Alpha, 1, 1) // x̃ = 1
			at := diffusion.Step{T: []float64{from}, Next: []float64{path.Time(-math.Log(1 - h))}}
			y := teacher.Step(x, at, diffusion.Cond{})
			if heun {
				y = teacher.heunStep(x, at, diffusion.Cond{})
			}
			exact := math.Sqrt((0.25 + (1-h)*(1-h)) / 1.25)
			return math.Abs(y.Item()/path.At(at.Next[0]).Alpha - exact)
		}
		for heun, order := range map[bool]float64{false: 4, true: 8} {
			if got := off(0.1, heun) / off(0.05, heun); math.Abs(math.Log(got/order)) > math.Log(4.0/3) {
				t.Errorf("%s, Heun %v: the error of half a step is 1/%.3g, want about 1/%g", name, heun, got, order)
			}
		}
	}
}

// At and below its least noise level a consistency function is x/α, whatever the network says.
func TestFunctionIsItsInputAtLeastNoise(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	for name, on := range paths {
		net := &diffusion.NetModel{Along: on.path, Predicts: on.kind, Net: func(x, _ *tensor.Tensor, _ diffusion.Cond) *tensor.Tensor { return s.Full(7, x.Shape()...) }}
		f := NewFunction(net, 0.5, 0.01)
		x := s.Tensor([]float64{1, -2, 3}, 3, 1)
		at := diffusion.Step{T: []float64{on.path.Time(-math.Log(0.01 * (1 - 1e-12))), on.path.Time(-math.Log(0.004)), on.path.Time(-math.Log(0.02))}}
		got := f.Eval(x, at, diffusion.Cond{}).Value.Float64s()
		for i, want := range []float64{1, -2} {
			if want /= on.path.At(at.T[i]).Alpha; got[i] != want {
				t.Errorf("%s: f is %g at least noise, want %g", name, got[i], want)
			}
		}
		if got[2] == 3/on.path.At(at.T[2]).Alpha {
			t.Errorf("%s: f is its input above least noise", name)
		}
	}
}

// All neighbours of a fixed number of levels come, equally often within five standard deviations.
func TestFixedLevels(t *testing.T) {
	const n, count = 50000, 6
	from, to := make([]float64, n), make([]float64, n)
	c, b := &Fixed{Count: count, Rho: 7}, Bounds{0.002, 80}
	c.Levels(rng.Key{Seed: 4}, b, 0, 1, from, to)
	seen := map[[2]float64]float64{}
	for i := range from {
		seen[[2]float64{from[i], to[i]}]++
	}
	if len(seen) != count-1 {
		t.Fatalf("%d pairs, want %d", len(seen), count-1)
	}
	for pair, k := range seen {
		p := 1.0 / (count - 1)
		if math.Abs(k-n*p) > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%v comes %g times of %d", pair, k, n)
		}
	}
	low, high := math.Inf(1), 0.0
	for pair := range seen {
		low, high = min(low, pair[1]), max(high, pair[0])
	}
	if low != b.Min || high != b.Max {
		t.Errorf("levels from %g to %g", low, high)
	}
	// The levels are those of the bounds that are asked for, also after others.
	c.Levels(rng.Key{Seed: 4}, Bounds{0.01, 80}, 0, 1, from, to)
	if slices.Min(to) != 0.01 {
		t.Errorf("the lowest level is %g", slices.Min(to))
	}
}

// A step's pairs are a function of its number: those of a step late in training are close together.
func TestConsistencyDrawFollowsTheStep(t *testing.T) {
	path := diffusion.EDM{SigmaMax: 80}
	o := &Consistency{Base: Base{Regression: diffusion.Regression{Path: path}}, Bounds: Bounds{0.002, 80}, Steps: 1000, Curriculum: &Easy{Q: 2, K: 8, B: 1, Stages: 8, Mean: -1.1, Std: 2}}
	b := &diffusion.Batch{N: 100, Shape: []int{1}, X: make([]float32, 100)}
	apart := func(step uint64) float64 {
		var d diffusion.Draw
		o.Draw(rng.Key{Seed: 1, Step: step}, b, &d)
		sum := 0.0
		for i := range d.T {
			if !(d.Next[i] < d.T[i]) {
				t.Fatalf("step %d: from %g to %g", step, d.T[i], d.Next[i])
			}
			sum += d.Next[i] / d.T[i] / float64(len(d.T))
		}
		return sum
	}
	first, middle, last, held := apart(0), apart(400), apart(999), apart(math.MaxUint64)
	if !(first < 0.3 && middle > 0.7 && middle < 0.9 && last > 0.97 && held > 0.97) {
		t.Errorf("r/t is %.3g in the first step, %.3g in the middle, %.3g in the last, %.3g on held-out data", first, middle, last, held)
	}
}

// Where nothing is to be asked, below the least noise level, networks are asked at that level: lower times may be none of theirs.
func TestNetworksAreAskedAboveLeastNoise(t *testing.T) {
	path := diffusion.EDM{SigmaMax: 80}
	o := &Consistency{Base: Base{Regression: diffusion.Regression{Path: path}}, Bounds: Bounds{0.002, 80}, Steps: 1000, SigmaData: 0.5, Weigh: WeighEven,
		Curriculum: &Easy{Q: 2, K: 8, B: 1, Stages: 8, Mean: -1.1, Std: 2}}
	b := &diffusion.Batch{N: 50, Shape: []int{1}, X: make([]float32, 50)}
	var d diffusion.Draw
	o.Draw(rng.Key{Seed: 1}, b, &d)
	if slices.Min(d.Next) != 0 {
		t.Fatal("no pair leads to the data")
	}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	var l listener
	if loss := o.Loss(s, NewFunction(l.on(path), 0.5, 0.002), &d).Item(); math.IsNaN(loss) {
		t.Error("the loss is not finite")
	}
	if low := slices.Min(l.times); low < 0.002*(1-1e-9) {
		t.Errorf("the network is asked at %g", low)
	}
}

// Strengths of guidance are drawn where the network is told, uniformly: the mean and the mean square of 2000
// within five standard deviations. A teacher of another range is told its own numbers for them.
func TestStrengthsOfGuidance(t *testing.T) {
	const n = 2000
	b := &diffusion.Batch{N: n, Shape: []int{1}, X: make([]float32, n)}
	var d diffusion.Draw
	base := Base{Regression: diffusion.Regression{Path: diffusion.CondOT{}}, Told: true}
	base.Draw(rng.Key{Seed: 5}, b, &d)
	mean, square := 0.0, 0.0
	for _, v := range d.Scale {
		mean, square = mean+float64(v)/n, square+float64(v)*float64(v)/n
	}
	if math.Abs(mean-0.5) > 5*math.Sqrt(1.0/12/n) || math.Abs(square-1.0/3) > 5*math.Sqrt(4.0/45/n) || slices.Min(d.Scale) < 0 || slices.Max(d.Scale) > 1 {
		t.Errorf("mean %g, mean square %g, want 1/2 and 1/3", mean, square)
	}
	base.Told = false
	if base.Draw(rng.Key{Seed: 5}, b, &d); d.Scale != nil {
		t.Error("a network that is not told has strengths drawn")
	}
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	for _, c := range []struct {
		told           []float64
		offset, factor float64
		want           []float64
	}{
		{[]float64{0, 0.5, 1}, 0.25, 0.5, []float64{0.25, 0.5, 0.75}},
		{[]float64{0, 0.5, 1}, 0.25, 0, []float64{0.25}},
		{nil, 0.25, 0.5, []float64{0.25}},
	} {
		var l listener
		cond := diffusion.Cond{}
		if c.told != nil {
			cond.Scale = s.Tensor(c.told, 3)
		}
		(&Retold{Model: l.on(diffusion.CondOT{}), Offset: c.offset, Factor: c.factor}).Eval(s.Ones(3, 1), diffusion.Step{T: []float64{0.5}}, cond)
		if !slices.Equal(l.scales, c.want) {
			t.Errorf("told %v, the teacher hears %v, want %v", c.told, l.scales, c.want)
		}
	}
}

// The derivative's term comes in over the part of training that is said, and is whole on held-out data; no time is above the highest.
func TestContinuousDraw(t *testing.T) {
	path := diffusion.EDM{SigmaMax: 80}
	o := NewContinuous(Base{Regression: diffusion.Regression{Path: path, Times: &diffusion.LogNormal{Mean: 0, Std: 3}}}, 0.5)
	o.Max, o.Steps, o.WarmUp = 10, 1000, 0.2
	b := &diffusion.Batch{N: 100, Shape: []int{1}, X: make([]float32, 100)}
	var d diffusion.Draw
	for step, want := range map[uint64]float32{0: 0, 50: 0.25, 100: 0.5, 200: 1, 999: 1, math.MaxUint64: 1} {
		o.Draw(rng.Key{Seed: 1, Step: step}, b, &d)
		for i, r := range d.Extra {
			if r != want || d.T[i] > 10*(1+1e-12) {
				t.Fatalf("step %d: r is %g, want %g; the time %g", step, r, want, d.T[i])
			}
		}
		if top := slices.Max(d.T); math.Abs(top-10) > 1e-9 {
			t.Errorf("the highest of a hundred times is %g, want 10", top)
		}
	}
	o.WarmUp = 0
	if o.Draw(rng.Key{Seed: 1}, b, &d); d.Extra[0] != 1 {
		t.Errorf("r is %g without a warm-up", d.Extra[0])
	}
}

// Teachers of other paths, and none, are the caller's bugs and mistakes.
func TestBind(t *testing.T) {
	var l listener
	b := Base{Regression: diffusion.Regression{Path: diffusion.Trig{}}}
	if err := b.Bind(diffusion.Bindings{Teacher: l.on(diffusion.CondOT{})}); err == nil {
		t.Error("a teacher on another path is taken")
	}
	defer func() {
		if recover() == nil {
			t.Error("an objective without its teacher answers")
		}
	}()
	s := tensor.NewScope(cpu.Default(), tensor.Inference)
	defer s.Close()
	var none Base
	none.teacher.Ask(s, func() {})
}

// The exact consistency function has a loss that vanishes with the distance of the levels, as the error of the teacher's
// step does: with neighbours among 400 levels it is next to nothing.
func TestTheExactFunctionIsConsistent(t *testing.T) {
	path := diffusion.CondOT{}
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	o := &Consistency{Base: Base{Regression: diffusion.Regression{Path: path}}, Bounds: Bounds{0.002, 80}, Steps: 1, SigmaData: 0.5, Weigh: WeighEven,
		Distill: true, Heun: true, Curriculum: &Fixed{Count: 400, Rho: 7}}
	if err := o.Bind(diffusion.Bindings{Teacher: exactGaussian{path, 0.5, -1}}); err != nil {
		t.Fatal(err)
	}
	b := &diffusion.Batch{N: 500, Shape: []int{2}, X: make([]float32, 1000)}
	rng.Normal(b.X, rng.Key{Seed: 8}, 0)
	for i := range b.X {
		b.X[i] /= 2
	}
	var d diffusion.Draw
	o.Draw(rng.Key{Seed: 2}, b, &d)
	x := diffusion.Noised(d.Data(s), d.Eps(s), path, diffusion.Step{T: d.T})
	exact := exactGaussian{path, 0.5, 0.002}
	led := o.led(x, diffusion.Step{T: d.T, Next: d.Next}, diffusion.Cond{})
	e := exact.Eval(x, diffusion.Step{T: d.T}, diffusion.Cond{}).Value.Sub(o.answer(exact, led, d.Next, diffusion.Cond{}))
	if got := e.Square().Mean().Item(); !(got < 1e-10) {
		t.Errorf("the loss of the exact function is %g", got)
	}
}

// Every step of the student is drawn, and no time but its steps' beginnings.
func TestProgressiveDraw(t *testing.T) {
	o := &Progressive{Base: Base{Regression: diffusion.Regression{Path: diffusion.CondOT{}}}, Grid: []float64{1, 0.9, 0.7, 0.6, 0.4, 0.1, 0}, Per: 2}
	var d diffusion.Draw
	o.Draw(rng.Key{Seed: 3}, &diffusion.Batch{N: 100, Shape: []int{1}, X: make([]float32, 100)}, &d)
	seen := map[[2]float64]bool{}
	for i := range d.T {
		seen[[2]float64{d.T[i], d.Next[i]}] = true
	}
	if len(seen) != 3 || !seen[[2]float64{1, 0.7}] || !seen[[2]float64{0.7, 0.4}] || !seen[[2]float64{0.4, 0}] {
		t.Errorf("steps %v", seen)
	}
}
