package diffusion

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/langevin-go/langevin/tensor/rng"
)

func paths() map[string]GaussianPath {
	linear, _ := Betas(BetaLinear, 1000, 1e-4, 0.02)
	scaled, _ := Betas(BetaScaledLinear, 100, 8.5e-3, 0.12)
	cosine, _ := Betas(BetaCosine, 1000, 0, 0)
	table := func(b []float64, how Interpolation) GaussianPath {
		p, err := NewTable(b, how)
		if err != nil {
			panic(err)
		}
		return p
	}
	return map[string]GaussianPath{
		"condot":        CondOT{},
		"condot .1":     CondOT{SigmaMin: 0.1},
		"trig":          Trig{},
		"edm":           EDM{SigmaMax: 80},
		"ve":            VE{SigmaMin: 0.01, SigmaMax: 50},
		"vp":            VP{Beta0: 0.1, Beta1: 20},
		"vp constant":   VP{Beta0: 5, Beta1: 5},
		"subvp":         SubVP{VP{Beta0: 0.1, Beta1: 20}},
		"cosine":        Cosine{Shift: 0.008},
		"cosine 0":      Cosine{},
		"linear table":  table(linear, InterpolateLinear),
		"log table":     table(linear, InterpolateLog),
		"scaled table":  table(scaled, InterpolateLog),
		"cosine table":  table(cosine, InterpolateLog),
		"zero snr":      table(RescaleZeroSNR(linear), InterpolateLinear),
		"table of one":  table([]float64{0.5}, InterpolateLog),
		"zero snr of 2": table([]float64{0.5, 1}, InterpolateLog),
	}
}

var kinds = []Kind{Eps, X0, V, Score, Velocity, DataVelocity, Preconditioned{SigmaData: 0.5}, Preconditioned{SigmaData: 1}}

func unitFloat(i int) float64 { return rng.Float64(rng.Key{Seed: 41}, 0, i) }

// Any prediction determines any other, exactly, wherever it does at all.
func TestConversions(t *testing.T) {
	for name, path := range paths() {
		for trial := range 40 {
			p := path.At(path.End() * (0.001 + 0.998*unitFloat(trial)))
			x0, eps := 2*unitFloat(trial+100)-1, 4*unitFloat(trial+200)-2
			x := p.Alpha*x0 + p.Sigma*eps
			value := func(k Kind) float64 { a, b := k.Of(p); return a*x0 + b*eps }
			for _, from := range kinds {
				for _, to := range kinds {
					m, ok := TryConvert(from, to, p)
					if !ok {
						t.Fatalf("%s at %g: %v does not determine %v", name, p.T, from, to)
					}
					got, want := m.OnX*x+m.OnValue*value(from), value(to)
					// Relative to the terms that are added up: where they cancel, so
					// do their roundings' effects not.
					if scale := math.Abs(m.OnX*x) + math.Abs(m.OnValue*value(from)); !(math.Abs(got-want) <= 1e-12*scale) {
						t.Errorf("%s at %g: %v → %v gives %.17g, want %.17g", name, p.T, from, to, got, want)
					}
				}
			}
		}
	}
}

// What the ends of paths determine, and what they do not.
func TestConversionsAtTheEnds(t *testing.T) {
	zero := Point{T: 1, Alpha: 0, Sigma: 1, DAlpha: -1, DSigma: 1}  // CondOT's noise
	clean := Point{T: 0, Alpha: 1, Sigma: 0, DAlpha: -1, DSigma: 1} // and data
	for _, c := range []struct {
		at       Point
		from, to Kind
		want     Mix
		ok       bool
	}{
		{zero, Eps, X0, Mix{}, false},
		{zero, Eps, Velocity, Mix{}, false},
		{zero, Eps, Eps, Mix{0, 1}, true},
		{zero, Score, X0, Mix{}, false},
		{zero, V, X0, Mix{0, -1}, true},
		{zero, V, Eps, Mix{1, 0}, true},
		{zero, Velocity, X0, Mix{1, -1}, true},
		{zero, X0, Velocity, Mix{1, -1}, true},
		{zero, X0, Eps, Mix{1, 0}, true},
		{zero, Preconditioned{SigmaData: 0.5}, X0, Mix{0, 0.5}, true},
		{clean, X0, Eps, Mix{}, false},
		{clean, X0, Velocity, Mix{}, false},
		{clean, Eps, X0, Mix{1, 0}, true},
		{clean, Eps, Velocity, Mix{-1, 1}, true},
		{clean, V, Eps, Mix{0, 1}, true},
		{clean, Velocity, Eps, Mix{1, 1}, true},
		{clean, Velocity, X0, Mix{1, 0}, true},
		{clean, Preconditioned{SigmaData: 0.5}, Eps, Mix{0, -1}, true},
	} {
		got, ok := TryConvert(c.from, c.to, c.at)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%v → %v where α=%g: %v, %t; want %v, %t", c.from, c.to, c.at.Alpha, got, ok, c.want, c.ok)
		}
	}
	defer func() {
		var e *UndeterminedError
		if err, _ := recover().(error); !errors.As(err, &e) || e.From != Eps || e.To != X0 {
			t.Errorf("Convert panics with %v", err)
		}
	}()
	Convert(Eps, X0, zero)
}

// Karras et al. 2022, table 1, written out.
func TestPreconditioning(t *testing.T) {
	const sd = 0.5
	for _, sigma := range []float64{0.002, 0.3, 0.5, 7, 80} {
		p := EDM{SigmaMax: 80}.At(sigma)
		skip, out := sd*sd/(sigma*sigma+sd*sd), sigma*sd/math.Sqrt(sigma*sigma+sd*sd)
		m := Convert(Preconditioned{SigmaData: sd}, X0, p)
		close(t, fmt.Sprint("c_skip at ", sigma), m.OnX, skip, 1e-14)
		close(t, fmt.Sprint("c_out at ", sigma), m.OnValue, out, 1e-14)
		close(t, fmt.Sprint("c_in at ", sigma), Preconditioned{SigmaData: sd}.InputScale(p), 1/math.Sqrt(sigma*sigma+sd*sd), 1e-14)
		close(t, fmt.Sprint("c_noise at ", sigma), EDMInput(p), math.Log(sigma)/4, 1e-14)
		// The loss weight (σ²+sd²)/(σ·sd)² of the data's error is 1 on the network's output.
		close(t, "weight", EffectiveWeight(Even{X0}, Preconditioned{SigmaData: sd}, p)*(sigma*sigma+sd*sd)/(sigma*sigma*sd*sd), 1, 1e-13)
	}
	// With unit data and a variance-preserving path it is −v.
	p := VP{0.1, 20}.At(0.4)
	a, b := Preconditioned{SigmaData: 1}.Of(p)
	va, vb := V.Of(p)
	close(t, "F on x0", a, -va, 1e-14)
	close(t, "F on ε", b, -vb, 1e-14)
}

func TestWorkedNumbers(t *testing.T) {
	// Data 5, noise −1 on the straight path, .6 of the way to the data: all four predictions.
	p := CondOT{}.At(0.4)
	const x0, eps = 5.0, -1.0
	x := p.Alpha*x0 + p.Sigma*eps
	close(t, "x", x, 2.6, 1e-15)
	for k, want := range map[Kind]float64{DataVelocity: 6, Velocity: -6, Score: 2.5, Eps: -1, X0: 5} {
		a, b := k.Of(p)
		close(t, k.String(), a*x0+b*eps, want, 1e-14)
		for to, other := range map[Kind]float64{DataVelocity: 6, Score: 2.5, Eps: -1, X0: 5} {
			m := Convert(k, to, p)
			close(t, fmt.Sprint(k, "→", to), m.OnX*x+m.OnValue*want, other, 1e-13)
		}
	}
	// Data 5, noise −1.2.
	close(t, "x", p.Alpha*5+p.Sigma*-1.2, 2.52, 1e-14)
	a, b := Score.Of(p)
	close(t, "score", a*5+b*-1.2, 3, 1e-14)
	a, b = DataVelocity.Of(p)
	close(t, "velocity", a*5+b*-1.2, 6.2, 1e-14)
	// Conditional score of (3,−1) at (2.5,0), α=.7, σ=.3: −(x−αz)/σ².
	q := Point{Alpha: 0.7, Sigma: 0.3}
	m := Convert(X0, Score, q)
	close(t, "score 0", m.OnX*2.5+m.OnValue*3, -4.4444444444, 1e-9)
	close(t, "score 1", m.OnValue*-1, -7.7777777778, 1e-9)
	// ε (.6,−.3) at (1.68,−.7) with α=.4, σ=.6 says the data is (3.3,−1.3).
	m = Convert(Eps, X0, Point{Alpha: 0.4, Sigma: 0.6})
	close(t, "x̂0 0", m.OnX*1.68+m.OnValue*0.6, 3.3, 1e-14)
	close(t, "x̂0 1", m.OnX*-0.7+m.OnValue*-0.3, -1.3, 1e-14)
	// ā=.01.
	table, err := NewTableOf([]float64{0.5, 0.01}, InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	r := table.At(2)
	close(t, "α", r.Alpha, 0.1, 1e-15)
	close(t, "σ", r.Sigma, 0.9949874371, 1e-9)
	close(t, "SNR", r.SNR(), 0.0101010101, 1e-9)
	close(t, "λ", table.HalfLogSNR(2), -2.2975599251, 1e-9)
}

func close(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*(1+math.Abs(want))) {
		t.Errorf("%s is %.17g, want %.17g", what, got, want)
	}
}

func TestPredictionText(t *testing.T) {
	for _, name := range Eps.Choices() {
		var k Prediction
		if err := k.UnmarshalText([]byte(name)); err != nil {
			t.Error(err)
		}
		if b, _ := k.MarshalText(); string(b) != name {
			t.Errorf("%s is written as %s", name, b)
		}
	}
	var k Prediction
	if k.UnmarshalText([]byte("epsilon")) == nil {
		t.Error("reads a name that there is not")
	}
}
