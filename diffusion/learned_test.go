package diffusion

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// The score of the data is the optimum of score matching, exact and sliced, by whatever a model
// predicts; the score of other data is not.
func TestOptimumOfScoreMatching(t *testing.T) {
	s := scope64(t, tensor.Recording)
	data, other := testMixture(), testMixture()
	other.Means = [][]float64{{2.5, -1.5}, {-2, 1.6}, {1.5, 2.5}}
	for _, kind := range []Kind{Score, Eps, X0, V} {
		for _, probes := range []int{0, 1, 3} {
			o := &ScoreMatching{Probes: probes, Regression: Regression{Path: VP{0.1, 20}, Times: &Uniform{From: 0.02, To: 0.98}, Weighting: SNR{}}}
			if mean, err := slopeAtZero(s, o, data, &Oracle{data, o.Path, kind}); !(math.Abs(mean) <= 5*err) {
				t.Errorf("%v, %d probes: the slope at the oracle is %.3g ± %.2g, want 0", kind, probes, mean, err)
			}
			if mean, err := slopeAtZero(s, o, data, &Oracle{other, o.Path, kind}); math.Abs(mean) < 5*err {
				t.Errorf("%v, %d probes: the slope at the oracle of other data is %.3g ± %.2g", kind, probes, mean, err)
			}
		}
	}
}

// bent is a score of two numbers that is not one of any mixture.
type bent struct {
	path  GaussianPath
	scale float64
}

func (b bent) Path() GaussianPath { return b.path }
func (b bent) Kind() Kind         { return Score }
func (b bent) Eval(x *tensor.Tensor, _ Step, _ Cond) Pred {
	return Pred{Value: x.Tanh().Scale(-b.scale).Add(x.Roll(1, 1).Sin()), Kind: Score}
}

// Score matching differs from denoising score matching by a number that the model does not change: for
// two models, their losses differ by as much under one as under the other, but for the sampling error of
// means over the same samples.
func TestScoreMatchingIsDenoising(t *testing.T) {
	const n = 1 << 14
	s, data := scope64(t, tensor.Inference), testMixture()
	path := VE{0.3, 3}
	r := Regression{Path: path, Times: &Uniform{From: 0.2, To: 0.9}, Weighting: Even{Score}}
	sm := &ScoreMatching{Regression: r}
	var d Draw
	r.Draw(rng.Key{Seed: 5}, batchOf(data, rng.Key{Seed: 6}, n), &d)
	// Each sample's difference, of which the mean is compared with its standard error.
	each := func(scale float64) (dsm, ism []float64) {
		s.Reset()
		m := bent{path, scale}
		dsm = r.losses(r.eval(s, m, &d, Step{T: d.T})).Float64s()
		x := Noised(d.Data(s), d.Eps(s), path, Step{T: d.T})
		score := func(x *tensor.Tensor) *tensor.Tensor { return m.Eval(x, Step{T: d.T}, Cond{}).Value }
		ism = perSample(score(x).Square()).Add(sm.divergence(s, &d, score, x)).Float64s()
		mean := 0.0
		for _, v := range ism {
			mean += v / n
		}
		close(t, "the loss", sm.Loss(s, m, &d).Item(), mean, 1e-12)
		return slices.Clone(dsm), slices.Clone(ism)
	}
	dsm1, ism1 := each(0.5)
	dsm2, ism2 := each(2)
	var sum, sum2, effect float64
	for i := range n {
		v := (dsm1[i] - ism1[i]) - (dsm2[i] - ism2[i])
		sum += v / n
		sum2 += v * v / n
		effect += (dsm1[i] - dsm2[i]) / n
	}
	err := math.Sqrt((sum2 - sum*sum) / n)
	if !(math.Abs(sum) <= 4*err) {
		t.Errorf("the difference of the losses changes with the model by %.3g ± %.2g", sum, err)
	}
	if math.Abs(effect) < 20*err {
		t.Errorf("the models' losses differ by %.3g only, at a standard error of %.2g", effect, err)
	}
}

// By each sample's own random sign in one dimension, the sliced estimate is exact; in more it
// is right on average.
func TestSlicedEstimate(t *testing.T) {
	s := scope64(t, tensor.Inference)
	x := s.Normal(rng.Key{Seed: 3}, 0, 7, 2)
	f := func(x *tensor.Tensor) *tensor.Tensor { return bent{scale: 1.3}.Eval(x, Step{}, Cond{}).Value }
	one := func(x *tensor.Tensor) *tensor.Tensor { return x.Sin() }
	d := &Draw{N: 7, NoiseKey: rng.Key{Seed: 4}}
	exact, sliced := &ScoreMatching{}, &ScoreMatching{Probes: 4000}
	y := x.Slice(1, 0, 1)
	a, b := exact.divergence(s, d, one, y).Float64s(), (&ScoreMatching{Probes: 1}).divergence(s, d, one, y).Float64s()
	for i := range a {
		close(t, "the divergence of one number", b[i], a[i], 1e-14)
	}
	a, b = exact.divergence(s, d, f, x).Float64s(), sliced.divergence(s, d, f, x).Float64s()
	for i := range a {
		// The off-diagonal derivatives, of at most 1 each, are what the signs leave.
		if math.Abs(a[i]-b[i]) > 5*2/math.Sqrt(4000) {
			t.Errorf("sample %d: %g by directions, %g", i, b[i], a[i])
		}
	}
}

// The loss with a learned uncertainty against its formula, and without anything learned the loss
// without.
func TestUncertainty(t *testing.T) {
	s, data := scope64(t, tensor.Recording), testMixture()
	path := EDM{80}
	plain := Regression{Path: path, Times: &LogNormal{-1.2, 1.2}}
	learned := plain
	learned.Uncertainty = NewUncertainty(s.Device(), tensor.Float64, rng.Key{Seed: 1})
	m := perturbed{&Oracle{data, path, Preconditioned{SigmaData: 0.5}}, tensor.NewParam(s.Device(), tensor.Float64, 1)}
	if err := m.theta.Set([]float32{0.25}); err != nil {
		t.Fatal(err)
	}
	var d Draw
	plain.Draw(rng.Key{Seed: 2}, batchOf(data, rng.Key{Seed: 3}, 64), &d)
	close(t, "the loss before training", learned.Loss(s, m, &d).Item(), plain.Loss(s, m, &d).Item(), 1e-14)

	w := learned.Uncertainty.Weight
	values := make([]float32, w.Elems())
	for i := range values {
		values[i] = float32(0.1 * math.Sin(float64(i)))
	}
	if err := w.Set(values); err != nil {
		t.Fatal(err)
	}
	errs := plain.losses(plain.eval(s, m, &d, Step{T: d.T})).Float64s()
	logVar := learned.Uncertainty.Log(s, path, Step{T: d.T}).Float64s()
	want := 0.0
	for i, e := range errs {
		u := 0.0
		for k, v := range values {
			u += float64(v) * math.Sqrt2 * math.Cos(learned.Uncertainty.freq[k]*math.Log(d.T[i])/4+learned.Uncertainty.phase[k])
		}
		close(t, "u", logVar[i], u, 1e-12)
		want += (e/math.Exp(u) + u) / float64(d.N)
	}
	close(t, "the loss", learned.Loss(s, m, &d).Item(), want, 1e-12)
	if p := learned.Params(); len(p) != 1 || p[0] != w || plain.Params() != nil {
		t.Errorf("parameters %v", p)
	}

	// At the ends, where ln(σ/α) is infinite, u is a number.
	for _, v := range learned.Uncertainty.Log(s, CondOT{}, Step{T: []float64{0, 1}}).Float64s() {
		if !finite(v) {
			t.Errorf("u is %g at an end", v)
		}
	}
}

// The uncertainty that minimises the loss is the logarithm of the errors.
func TestUncertaintyLearnsTheErrors(t *testing.T) {
	s := scope64(t, tensor.Recording)
	u := NewUncertainty(s.Device(), tensor.Float64, rng.Key{Seed: 1})
	at := Step{}
	var errs []float64
	for i := range 40 {
		sigma := math.Exp(-4 + 0.2*float64(i))
		at.T, errs = append(at.T, sigma), append(errs, 0.1+sigma/(1+sigma))
	}
	for range 400 {
		s.Reset()
		loss := attenuated.Apply(nil, s.Tensor(errs, 40), u.Log(s, EDM{80}, at)).Mean()
		g := s.Grad(loss, []*tensor.Param{u.Weight})[0].Float64s()
		w := u.Weight.Float32s()
		for i := range w {
			w[i] -= float32(0.02 * g[i])
		}
		if err := u.Weight.Set(w); err != nil {
			t.Fatal(err)
		}
	}
	s.Reset()
	for i, v := range u.Log(s, EDM{80}, at).Float64s() {
		if i > 2 && i < 37 && math.Abs(v-math.Log(errs[i])) > 0.1 { // gradient descent has not ended
			t.Errorf("at σ=%.3g: ln of the error is %.3f, learned %.3f", at.T[i], math.Log(errs[i]), v)
		}
	}
}

// byLoss has seen losses of 1+bin, History of them each.
func byLoss(t *testing.T, p GaussianPath, bins int) *ByLoss {
	d := &ByLoss{Bins: bins, History: 3, Floor: 0.1}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		var times []float64
		var losses []float32
		for b := range bins {
			f := (float64(b) + 0.25*float64(i+1)) / float64(bins)
			times, losses = append(times, onClock(p, f)), append(losses, float32(1+b))
		}
		if d.Time(p, 0.4) != onClock(p, 0.4) || d.Importance(p, 0.4*p.End()) != 1 {
			t.Error("not uniform before all bins have their losses")
		}
		d.Observe(p, times, losses)
	}
	return d
}

// Times have the density that the losses ask for, and the factors undo it: means over them are
// those over uniform times.
func TestTimesByLoss(t *testing.T) {
	for name, p := range map[string]GaussianPath{"condot": CondOT{}, "edm": EDM{80}, "table": linearTable(t, 24)} {
		const bins, n = 8, 1 << 16
		d := byLoss(t, p, bins)
		count := make([]float64, bins)
		var mean, want, at float64
		f := func(t float64) float64 { return math.Cos(3*t/p.End()) + 0.3 }
		for i := range n {
			u := (float64(i) + 0.5) / n
			time := d.Time(p, u)
			if time < at || time > p.End() {
				t.Fatalf("%s: the time at %g is %g, below it %g", name, u, time, at)
			}
			at = time
			count[d.bin(p, time)] += 1.0 / n
			mean += d.Importance(p, time) * f(time) / n
			want += f(onClock(p, u)) / n
		}
		for b, got := range count {
			close(t, fmt.Sprint(name, " bin ", b), got, 0.9*float64(1+b)/36+0.1/bins, bins*1.0/n)
		}
		// A sum over n points of a function with bins jumps.
		close(t, name+": the mean", mean, want, 2*bins*1.4/n+1.0/n)
	}
}

// By default a table's entries are told apart, as in the paper: one whose loss is a thousand times the others' is drawn for
// half of the samples, not its neighbours with it.
func TestTimesByLossOfEveryEntry(t *testing.T) {
	const entries, n = 1000, 1 << 16
	p := linearTable(t, entries)
	d := new(ByLoss)
	d.SetDefaults()
	for range d.History {
		var times []float64
		losses := make([]float32, entries)
		for i := range losses {
			times, losses[i] = append(times, float64(i+1)), 1
		}
		losses[entries-1] = entries - 1
		d.Observe(p, times, losses)
	}
	last := 0.0
	for i := range n {
		if d.Time(p, (float64(i)+0.5)/n) == entries {
			last += 1.0 / n
		}
	}
	close(t, "the last entry's share", last, 0.999*0.5+0.001/entries, 2.0/n)
	close(t, "its factor", d.Importance(p, entries), 1/(entries*(0.999*0.5+0.001/entries)), 1e-9)
	close(t, "that of the entry before", d.Importance(p, entries-1), 1/(entries*(0.999*0.5/(entries-1)+0.001/entries)), 1e-9)
	if flow := new(ByLoss); flow.bins(CondOT{}) != 100 {
		t.Errorf("%d bins on a path without entries", flow.bins(CondOT{}))
	}
}

func TestTimesByLossRemember(t *testing.T) {
	p := CondOT{}
	d := byLoss(t, p, 5)
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	again := &ByLoss{Bins: 5, History: 3, Floor: 0.1}
	if err := json.Unmarshal(b, again); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if u := (float64(i) + 0.5) / 50; again.Time(p, u) != d.Time(p, u) {
			t.Errorf("the time at %g is %g, before it was stored %g", u, again.Time(p, u), d.Time(p, u))
		}
	}
	// Only the newest count, and what is not finite does not.
	d.Observe(p, []float64{0.1, 0.1, 0.1, 0.1, 0.1}, []float32{7, 8, float32(math.NaN()), 9, float32(math.Inf(1))})
	if got := d.losses[0]; !slices.Equal(got, []float64{7, 8, 9}) {
		t.Errorf("remembers %v", got)
	}
	for text, want := range map[string]string{`[[1]]`: "1 bins", `[[1,2,3,4],[],[],[],[]]`: "4 losses", `{}`: "cannot unmarshal"} {
		if err := json.Unmarshal([]byte(text), again); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// An objective with such times tells each sample's loss, and its loss is their mean weighted by the factors.
func TestLossesByTime(t *testing.T) {
	s, data := scope64(t, tensor.Recording), testMixture()
	p := CondOT{}
	r := &Regression{Path: p, Times: byLoss(t, p, 4)}
	if !r.Observes() || (&Regression{Path: p, Times: &Uniform{To: 1}}).Observes() {
		t.Error("which objectives observe")
	}
	var d Draw
	for _, n := range []int{32, 20} {
		r.Draw(rng.Key{Seed: 2}, batchOf(data, rng.Key{Seed: 3}, n), &d)
		s.Reset()
		m := &Oracle{data, p, Velocity}
		got := r.Loss(s, m, &d).Item()
		want := r.losses(r.eval(s, m, &d, Step{T: d.T})).Float64s()
		mean := 0.0
		for i, l := range d.Losses() {
			close(t, "a sample's loss", float64(l), want[i], 1e-6) // kept as float32
			mean += want[i] * r.Times.(*ByLoss).Importance(p, d.T[i]) / float64(n)
		}
		close(t, "the loss", got, mean, 1e-12)
	}
	before, err := r.MarshalState()
	if err != nil {
		t.Fatal(err)
	}
	r.Observe(&d, d.Losses())
	after, err := r.MarshalState()
	if err != nil || string(before) == string(after) {
		t.Errorf("nothing was observed (%v)", err)
	}
	if err := r.UnmarshalState(before); err != nil {
		t.Error(err)
	}
}

// The bound over all steps of a table against the textbook formulas, for fixed variances.
func TestVLB(t *testing.T) {
	s, data := scope64(t, tensor.Inference), testMixture()
	const entries = 24
	table := linearTable(t, entries)
	b := batchOf(data, rng.Key{Seed: 3}, 1)
	for i := range b.X {
		b.X[i] = float32(math.Round(float64(b.X[i])*8)) / 8 // one of 17 levels
		b.X[i] = min(max(b.X[i], -1), 1)
	}
	x := []float64{float64(b.X[0]), float64(b.X[1])}
	all := &Batch{N: entries, Shape: []int{2}}
	for range entries {
		all.X = append(all.X, b.X...)
	}
	var d Draw
	v := &VLB{Regression: Regression{Path: table, Stratified: true}, Levels: 17}
	v.Draw(rng.Key{Seed: 4}, all, &d)
	m := &Oracle{data, table, V}
	for _, large := range []bool{false, true} {
		v.Large = large
		got := v.Loss(s, m, &d).Item()
		guess := m.Eval(Noised(d.Data(s), d.Eps(s), table, Step{T: d.T}), Step{T: d.T}, Cond{}).As(X0, Noised(d.Data(s), d.Eps(s), table, Step{T: d.T}), table, Step{T: d.T}).Float64s()
		want := 0.0
		for i, time := range d.T {
			if time != float64(i+1) {
				t.Fatalf("times %v", d.T)
			}
			q := NewPosterior(table.At(time), table.At(time-1))
			variance := q.Small
			switch {
			case large:
				variance = q.Large
			case i == 0:
				variance = NewPosterior(table.At(2), table.At(1)).Small
			}
			for k := range 2 {
				mean := guess[2*i+k]
				if i == 0 {
					cdf := func(z float64) float64 { return 0.5 * (1 + math.Erf((z-mean)/math.Sqrt(2*variance))) }
					lo, hi := cdf(x[k]-1.0/16), cdf(x[k]+1.0/16)
					if x[k] < -0.99 {
						lo = 0
					} else if x[k] > 0.99 {
						hi = 1
					}
					want -= math.Log2(max(hi-lo, 1e-12)) / 2
					continue
				}
				apart := q.OnX0 * (x[k] - mean)
				want += (math.Log(variance/q.Small) + (q.Small+apart*apart)/variance - 1) / 2 / math.Ln2 / 2
			}
		}
		close(t, fmt.Sprintf("the bound with large variance %v", large), got, want, 1e-10)
	}
}

func TestGeometricLevels(t *testing.T) {
	d := &Levels{Count: 5, SigmaMin: 0.01, SigmaMax: 1}
	for name, p := range map[string]GaussianPath{"ve": VE{0.001, 5}, "edm": EDM{80}, "condot": CondOT{}} {
		for i, want := range []float64{0.01, 0.0316227766, 0.1, 0.316227766, 1} {
			for _, u := range []float64{(float64(i) + 0.001) / 5, (float64(i) + 0.999) / 5} {
				close(t, fmt.Sprint(name, " level ", i), p.At(d.Time(p, u)).NoiseLevel(), want, 1e-8)
			}
		}
	}
	table := linearTable(t, 50)
	if at := d.Time(table, 0.5); at != math.Round(at) || at < 1 || at > 50 {
		t.Errorf("time %g of a table", at)
	}
}

// What would not be a number at some time is refused before training.
func TestRegressionCheck(t *testing.T) {
	for name, c := range map[string]struct {
		r      *Regression
		own    Kind
		others []Kind
		want   string
	}{
		"fine":           {&Regression{Path: CondOT{}}, Velocity, []Kind{Eps}, ""},
		"score at 0":     {&Regression{Path: EDM{80}, Times: &Levels{1, 1e-300, 1e-300}}, Eps, []Kind{Score}, ""},
		"no signal":      {&Regression{Path: CondOT{}, Times: fixedTime(1)}, Eps, []Kind{X0}, "times reach time 1"},
		"no noise":       {&Regression{Path: CondOT{}, Times: fixedTime(0)}, X0, []Kind{Score}, "times reach time 0"},
		"infinite score": {&Regression{Path: CondOT{}, Times: fixedTime(0)}, Score, nil, "predict score is not finite"},
		"weight":         {&Regression{Path: CondOT{}, Times: fixedTime(0), Weighting: SNR{}}, X0, nil, "weighting is"},
	} {
		err := c.r.Check(c.own, c.others...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

type fixedTime float64

func (f fixedTime) Time(GaussianPath, float64) float64 { return float64(f) }
