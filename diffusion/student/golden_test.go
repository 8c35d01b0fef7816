package student

import (
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	results "github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/tensor/rng"
)

// goldenFile holds losses and gradients of PyTorch: see internal/golden/README.md.
const goldenFile = "../../internal/golden/testdata/diffusion/students.safetensors"

type golden struct{ results.File }

func openGolden(t *testing.T) golden { return golden{results.Open(t, goldenFile)} }

func (g golden) cases(key string) map[string][]any {
	g.T.Helper()
	var all map[string][]any
	if g.JSON(key, &all); len(all) == 0 {
		g.T.Fatalf("%s: none", key)
	}
	return all
}

// perceptron is the network of the golden file.
type perceptron map[string]*tensor.Param

func (g golden) network(who string) perceptron {
	g.T.Helper()
	w := perceptron{}
	names := []string{"w1", "wt", "ws", "b1", "emb", "w2", "b2", "wj"}
	if who == "head" {
		names = []string{"h1", "c1", "h2", "c2"}
	}
	for _, k := range names {
		v, shape := g.Floats(who+"/"+k), g.Shape(who+"/"+k)
		w[k] = tensor.NewParam(cpu.Default(), tensor.Float64, shape...)
		if err := w[k].Set64(v); err != nil {
			g.T.Fatal(err)
		}
		w[k].Frozen = who != "student"
	}
	return w
}

func (w perceptron) forward(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
	return w.features(x, t, c).MatMul(w["w2"]).Add(w["b2"])
}

// trained has the gradients of w asked for.
func (w perceptron) trained() perceptron {
	for _, p := range w {
		p.Frozen = false
	}
	return w
}

// judge is a head on the features of a network that predicts kind.
type judge struct {
	of   *diffusion.NetModel
	head perceptron
}

func judgeOf(w, head perceptron, path diffusion.GaussianPath, kind diffusion.Kind) judge {
	m := w.on(path, kind)
	m.Net = w.features
	return judge{m, head}
}

func (j judge) Logits(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	h := j.of.Eval(x, at, c).Value.MatMul(j.head["h1"]).Add(j.head["c1"]).SiLU()
	return h.MatMul(j.head["h2"]).Add(j.head["c2"]).Reshape(x.Dim(0))
}

func (w perceptron) features(x, t *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
	s := x.Scope()
	column := func(t *tensor.Tensor) *tensor.Tensor { return t.Reshape(t.Elems(), 1) }
	h := x.MatMul(w["w1"]).Add(column(t).Mul(w["wt"])).Add(w["b1"]).Add(s.Param(w["emb"]).Gather(c.Labels))
	if c.Scale != nil {
		h = h.Add(column(c.Scale).Mul(w["ws"]))
	}
	if c.Jump != nil {
		h = h.Add(column(c.Jump).Mul(w["wj"]))
	}
	return h.Tanh()
}

func (w perceptron) on(path diffusion.GaussianPath, kind diffusion.Kind) *diffusion.NetModel {
	m := &diffusion.NetModel{Net: w.forward, Along: path, Predicts: kind}
	if _, ok := path.(diffusion.EDM); ok {
		m.TimeInput = diffusion.EDMInput
	}
	return m
}

// paths are those of the golden file, and what networks predict on them.
var paths = map[string]struct {
	path diffusion.GaussianPath
	kind diffusion.Kind
}{
	"edm":    {diffusion.EDM{SigmaMax: 80}, diffusion.Preconditioned{SigmaData: 0.5}},
	"condot": {diffusion.CondOT{}, diffusion.Velocity},
	"vp":     {diffusion.VP{Beta0: 0.1, Beta1: 20}, diffusion.Eps},
}

var predictions = map[string]diffusion.Kind{"v": diffusion.V, "eps": diffusion.Eps, "x0": diffusion.X0}

// draw has the golden file's data, noise and conditions at times of a case.
func (g golden) draw(from, to []float64, told bool) *diffusion.Draw {
	data, shape, noise := g.Floats("data"), g.Shape("data"), g.Floats("noise")
	d := &diffusion.Draw{N: shape[0], Shape: shape[1:], X: narrowed(data), Noise: narrowed(noise), T: from, Next: to}
	for _, l := range g.Ints("labels") {
		d.Labels = append(d.Labels, int32(l))
	}
	if told {
		scale := g.Floats("scale")
		d.Scale = narrowed(scale)
	}
	return d
}

func narrowed(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// exact is a bound for float64: both sides are some fifty operations of numbers whose condition is up to 10⁴, at noise level 80 and 0.002.
const exact = 1e-10

// compare holds a loss and gradients to PyTorch's, to exact.
func (g golden) compare(name string, o diffusion.Objective, m diffusion.Model, w perceptron, d *diffusion.Draw) {
	g.T.Helper()
	g.compareTo(name, exact, o, m, w, d)
}

func (g golden) compareTo(name string, tol float64, o diffusion.Objective, m diffusion.Model, w perceptron, d *diffusion.Draw) {
	g.T.Helper()
	g.compareAll(name, tol, o, m, w, nil, nil, d)
}

// compareAll has a critic's gradients, too, and those of a head on features.
func (g golden) compareAll(name string, tol float64, o diffusion.Objective, m diffusion.Model, w, critic, head perceptron, d *diffusion.Draw) {
	g.T.Helper()
	s := tensor.NewScopeOf(cpu.Default(), tensor.Recording, tensor.Float64)
	defer s.Close()
	loss := o.Loss(s, m, d)
	near := func(what string, got, want []float64) {
		g.T.Helper()
		size := 0.0
		for _, v := range want {
			size = max(size, math.Abs(v))
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= tol*size) || size == 0 {
				g.T.Errorf("%s: %s %d is %.15g, PyTorch's %.15g", name, what, i, got[i], want[i])
				return
			}
		}
	}
	var wanted []string
	var params []*tensor.Param
	for where, of := range map[string]perceptron{"/grad/": w, "/critic/": critic, "/head/": head} {
		for k, p := range of {
			if g.Has(name + where + k) {
				wanted, params = append(wanted, name+where+k), append(params, p)
			}
		}
	}
	if len(params) < 3 {
		g.T.Errorf("%s: PyTorch has gradients of %v only", name, wanted)
	}
	grads := s.Grad(loss, params)
	near("loss", loss.Float64s(), g.Floats(name+"/loss"))
	for i, k := range wanted {
		if grads[i] == nil {
			g.T.Errorf("%s: there is no gradient", k)
			continue
		}
		near(k, grads[i].Float64s(), g.Floats(k))
	}
}

func TestConsistencyAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	for name, c := range g.cases("consistency") {
		on := paths[c[0].(string)]
		student, bounds := g.network("student"), Bounds{Min: 0.002, Max: 80}
		f := func(w perceptron) diffusion.Model {
			return NewFunction(w.on(on.path, on.kind), 0.5, bounds.Min)
		}
		o := &Consistency{Base: Base{Regression: diffusion.Regression{Path: on.path}}, Bounds: bounds, Steps: 1, SigmaData: 0.5,
			Distill: strings.HasPrefix(name, "cd"), Heun: c[1] == "heun", Huber: c[2].(float64), Weigh: Weigh(c[3].(string))}
		var teacher diffusion.Model = g.network("teacher").on(on.path, on.kind)
		if scales, ok := c[6].([]any); ok {
			o.Told = true
			teacher = &Guided{Of: teacher, Null: 2, From: scales[0].(float64), To: scales[1].(float64)}
		}
		if c[5].(bool) {
			o.Decay = 0.5
		}
		if err := o.Bind(diffusion.Bindings{Teacher: teacher, Target: func(decay float64) (diffusion.Model, error) {
			if decay != 0.5 {
				t.Errorf("an average of decay %g is asked for", decay)
			}
			return f(g.network("target")), nil
		}}); err != nil {
			t.Fatal(err)
		}
		from := g.Floats(name + "/t")
		to := g.Floats(name + "/r")
		g.compare(name, o, f(student), student, g.draw(from, to, o.Told))
	}
}

func TestProgressiveAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	weightings := map[string]diffusion.Weighting{"truncated_snr": diffusion.TruncatedSNR{}, "snr_plus_one": diffusion.SNRPlusOne{}}
	for name, c := range g.cases("progressive") {
		kind, path := predictions[c[0].(string)], diffusion.Trig{}
		student := g.network("student")
		grid := g.Floats(name + "/grid")
		o := &Progressive{Base: Base{Regression: diffusion.Regression{Path: path, Weighting: weightings[c[1].(string)]}},
			Grid: grid, Per: int(c[2].(float64) / c[3].(float64))}
		var teacher diffusion.Model = g.network("teacher").on(path, kind)
		if scale := c[4].(float64); scale != 1 {
			teacher = &Guided{Of: teacher, Null: 2, From: scale, To: scale}
		}
		if err := o.Bind(diffusion.Bindings{Teacher: teacher}); err != nil {
			t.Fatal(err)
		}
		from := g.Floats(name + "/t")
		to := g.Floats(name + "/s")
		// PyTorch's weights are of the data's error; a v or ε of it is finite at all of these times.
		g.compare(name, o, student.on(path, kind), student, g.draw(from, to, false))
	}
}

func TestGuidanceAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	for name, c := range g.cases("guidance") {
		student, path := g.network("student"), diffusion.CondOT{}
		from, to := c[0].(float64), c[1].(float64)
		o := &Imitation{Base{Regression: diffusion.Regression{Path: path}, Told: from != to}}
		teacher := &Guided{Of: g.network("teacher").on(path, diffusion.Velocity), Null: 2, From: from, To: to}
		if err := o.Bind(diffusion.Bindings{Teacher: teacher}); err != nil {
			t.Fatal(err)
		}
		at := g.Floats(name + "/t")
		g.compare(name, o, student.on(path, diffusion.Velocity), student, g.draw(at, nil, o.Told))
	}
}

// iCT's numbers of levels and probabilities and ECT's pairs are those of the papers; draws have the
// probabilities within five standard deviations.
func TestCurriculaAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	improved := &Improved{First: 10, Last: 1280, Mean: -1.1, Std: 2, Rho: 7}
	for i, step := range g.Ints("ict/steps") {
		if got, want := improved.Count(step, 10000), int(g.Ints("ict/counts")[i]); got != want {
			t.Errorf("%d levels at step %d, want %d", got, step, want)
		}
	}
	levels := g.Floats("ict/levels")
	p := g.Floats("ict/probabilities")
	const n = 200000
	from, to := make([]float64, n), make([]float64, n)
	improved.Levels(rng.Key{Seed: 3}, Bounds{0.002, 80}, 0, 10000, from, to)
	counts := make([]float64, len(p))
	for i := range from {
		found := false
		for j := range p {
			if near(from[i], levels[j+1]) && near(to[i], levels[j]) {
				counts[j]++
				found = true
			}
		}
		if !found {
			t.Fatalf("the levels %g and %g are no neighbours", from[i], to[i])
		}
	}
	for j := range p {
		if sd := math.Sqrt(n * p[j] * (1 - p[j])); math.Abs(counts[j]-n*p[j]) > 5*sd+1 {
			t.Errorf("pair %d was drawn %g times, want %g ± %g", j, counts[j], n*p[j], sd)
		}
	}
	at := g.Floats("ect/levels")
	for stage, name := range map[int64]string{0: "ect/below-0", 3: "ect/below-3", 7: "ect/below-7"} {
		want := g.Floats(name)
		for i, level := range at {
			// The distribution is put at that level, without a width.
			easy := &Easy{Q: 2, K: 8, B: 1, Stages: 8, Mean: math.Log(level), Std: 0}
			easy.Levels(rng.Key{}, Bounds{0.002, 80}, stage*100+50, 800, from[:1], to[:1])
			if !near(from[0], level) || math.Abs(to[0]-want[i]) > 1e-12*level {
				t.Errorf("stage %d: %g and %g, want %g and %g", stage, from[0], to[0], level, want[i])
			}
		}
	}
}

// near allows for the roundings of powers.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }

func TestContinuousAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	for name, c := range g.cases("continuous") {
		on := paths[c[0].(string)]
		student := g.network("student")
		o := NewContinuous(Base{Regression: diffusion.Regression{Path: on.path}}, 0.5)
		o.Distill, o.Offset, o.MeanSquare, o.Max = c[1] == "teacher", c[3].(float64), c[4].(bool), 80
		var teacher diffusion.Model = g.network("teacher").on(on.path, on.kind)
		if scale := c[5].(float64); scale != 1 {
			teacher = &Guided{Of: teacher, Null: 2, From: scale, To: scale}
		}
		if err := o.Bind(diffusion.Bindings{Teacher: teacher}); err != nil {
			t.Fatal(err)
		}
		at := g.Floats(name + "/t")
		d := g.draw(at, nil, false)
		for range d.N {
			d.Extra = append(d.Extra, float32(c[2].(float64)))
		}
		// Derivatives of coefficients have errors of 1e-9 of them (see logStep), which numbers up to 60 multiply.
		g.compareTo(name, 1e-7, o, student.on(on.path, on.kind), student, d)
	}
}

func TestLatentConsistencyAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	for name, c := range g.cases("latent") {
		on := paths[c[0].(string)]
		student := g.network("student")
		f := func(w perceptron) diffusion.Model {
			return &LatentFunction{Of: w.on(on.path, on.kind), SigmaData: 0.5, Scale: 1e4}
		}
		o := &Consistency{Base: Base{Regression: diffusion.Regression{Path: on.path}}, Bounds: Bounds{Min: on.path.At(1e-3).NoiseLevel()}, Steps: 1,
			Curriculum: &Skips{on.path, int(c[1].(float64))}, Distill: true, Huber: 0.001, Each: true, Weigh: WeighEven}
		var teacher diffusion.Model = g.network("teacher").on(on.path, on.kind)
		if scales, ok := c[3].([]any); ok {
			o.Told = true
			teacher = &Guided{Of: teacher, Null: 2, From: scales[0].(float64), To: scales[1].(float64)}
		}
		if c[2].(bool) {
			o.Decay = 0.5
		}
		if err := o.Bind(diffusion.Bindings{Teacher: teacher, Target: func(float64) (diffusion.Model, error) { return f(g.network("target")), nil }}); err != nil {
			t.Fatal(err)
		}
		from := g.Floats(name + "/t")
		to := g.Floats(name + "/s")
		g.compare(name, o, f(student), student, g.draw(from, to, o.Told))
		// Draws are pairs such as these.
		var d diffusion.Draw
		o.Draw(rng.Key{Seed: 4}, &diffusion.Batch{N: 300, Shape: []int{1}, X: make([]float32, 300)}, &d)
		seen := map[int]bool{}
		for i := range d.T {
			j := math.Round(d.Next[i] * c[1].(float64))
			if math.Abs(d.T[i]*c[1].(float64)-j-1) > 1e-9 || math.Abs(d.Next[i]*c[1].(float64)-j) > 1e-9 {
				t.Fatalf("%s: from %g to %g", name, d.T[i], d.Next[i])
			}
			seen[int(j)] = true
		}
		if len(seen) != int(c[1].(float64)) {
			t.Errorf("%s: %d of %g pairs are drawn", name, len(seen), c[1])
		}
	}
}

func TestTrajectoryAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	for name, c := range g.cases("trajectory") {
		on := paths[c[0].(string)]
		student, bounds := g.network("student"), Bounds{Min: 0.002, Max: 80}
		of := func(w perceptron) diffusion.Model {
			m := w.on(on.path, on.kind)
			m.Jumps = true
			return &Transition{Of: m, Least: bounds.Min}
		}
		o := &Trajectory{Base: Base{Regression: diffusion.Regression{Path: on.path}}, Bounds: bounds, Count: int(c[1].(float64)), Rho: 7, Reach: 18,
			SigmaData: 0.5, Huber: c[5].(float64), Denoise: c[6].(float64), Balance: c[7].(bool), Decay: 0.5}
		var teacher diffusion.Model = g.network("teacher").on(on.path, on.kind)
		if scale := c[8].(float64); scale != 1 {
			teacher = &Guided{Of: teacher, Null: 2, From: scale, To: scale}
		}
		late := float32(0)
		if c[10].(bool) {
			late = 1
		}
		var other, head perceptron
		if o.Adversarial = c[9].(float64); o.Adversarial > 0 {
			other, head = g.network("judge").trained(), g.network("head").trained()
			o.Judge = func() (Judge, []*tensor.Param) { return judgeOf(other, head, on.path, on.kind), nil }
		}
		if err := o.Bind(diffusion.Bindings{Teacher: teacher, Target: func(float64) (diffusion.Model, error) { return of(g.network("target")), nil }}); err != nil {
			t.Fatal(err)
		}
		d := g.draw(g.Floats(name+"/t"), g.Floats(name+"/s"), false)
		o.levels = levelsOf(o.Bounds, o.Count, o.Rho, nil)
		for i := range d.N {
			d.Extra = append(d.Extra, float32(c[2].([]any)[i].(float64)), float32(c[3].([]any)[i].(float64)), late)
		}
		g.compareAll(name, exact, o, of(student), student, other, head, d)
	}
}

func TestMatchingAgainstPyTorch(t *testing.T) {
	g := openGolden(t)
	for name, c := range g.cases("matching") {
		on := paths[c[0].(string)]
		student, critic := g.network("student"), g.network("target").trained()
		o := &Matching{Base: Base{Regression: diffusion.Regression{Path: on.path}}, Every: 2, Pace: 1}
		for _, at := range c[1].([]any) {
			o.Steps = append(o.Steps, at.(float64))
		}
		var mine perceptron
		if c[5] == "network" {
			mine = critic
			o.Twin = func() (diffusion.Model, []*tensor.Param) { return critic.on(on.path, on.kind), nil }
		}
		var head perceptron
		if o.Adversarial, o.JudgeWeight = c[6].(float64), c[7].(float64); o.Adversarial > 0 {
			head = g.network("head").trained()
			o.Judge = func() (Judge, []*tensor.Param) { return judgeOf(critic, head, on.path, on.kind), nil }
		}
		o.Params()
		var teacher diffusion.Model = g.network("teacher").on(on.path, on.kind)
		if scale := c[4].(float64); scale != 1 {
			teacher = &Guided{Of: teacher, Null: 2, From: scale, To: scale}
		}
		if err := o.Bind(diffusion.Bindings{Teacher: teacher}); err != nil {
			t.Fatal(err)
		}
		d := g.draw(g.Floats(name+"/t"), g.Floats(name+"/next"), false)
		for i := range d.N {
			turn := float32(0)
			if c[3].(bool) {
				turn = 1
			}
			d.Extra = append(d.Extra, float32(c[2].([]any)[i].(float64)), turn)
		}
		o.drawn = func(s *tensor.Scope, d *diffusion.Draw, which uint32) *tensor.Tensor {
			file, ok := map[uint32]string{streamOn: "noise-on", streamCritic: "noise-critic", streamMade: "noise-made", streamData: "noise-data", streamFool: "noise-fool"}[which]
			if !ok {
				file = "noise-anew"
			}
			return s.Tensor(narrowed(g.Floats(file)), d.N, 3)
		}
		g.compareAll(name, exact, o, student.on(on.path, on.kind), student, mine, head, d)
	}
}
