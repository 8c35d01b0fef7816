package sampler

import (
	"math"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
)

// In time, on straight and circular paths.
func TestRungeKuttaInTime(t *testing.T) {
	for _, path := range []diffusion.GaussianPath{diffusion.CondOT{}, diffusion.Trig{}} {
		o := &diffusion.Oracle{Of: testMixture(), Along: path, Predicts: diffusion.Velocity}
		grid := func(n int) []float64 {
			g := make([]float64, n+1)
			diffusion.Linspace(g, 1, 0.3)
			return g
		}
		x := sample(t, o, rk("rk4", "time"), []float64{1, 1}, 4, Options{})
		fine := solve(t, o, rk("rk4", "time"), grid(1024), x, 0, nil)
		for i, coarse := range solve(t, o, rk("rk4", "time"), grid(512), x, 0, nil) {
			fine[i] += (fine[i] - coarse) / 15
		}
		for _, method := range tableaus {
			var logs [5]float64
			first := 10
			if method.Order() > 2 { // the next term is small later only
				first = 30
			}
			for k := range logs {
				e := 0.0
				for i, v := range solve(t, o, rk(method.name, "time"), grid(first<<k), x, 0, nil) {
					e += math.Abs(v - fine[i])
				}
				logs[k] = math.Log2(e)
			}
			if got, want := (logs[0]-logs[4])/4, float64(method.Order()); math.Abs(got-want) > 0.15 {
				t.Errorf("%s on %T: order %.3f, want %g (log₂ errors %.2f)", method.name, path, got, want, logs)
			}
		}
	}
}

// Butcher's conditions give the order in the books.
func TestTableauOrder(t *testing.T) {
	want := map[string]int{"midpoint": 2, "heun2": 2, "ralston": 2, "heun3": 3, "kutta3": 3, "rk4": 4, "three_eighths": 4}
	for _, method := range tableaus {
		if err := method.Validate(); err != nil {
			t.Errorf("%s: %v", method.name, err)
		}
		if got := method.Order(); got != want[method.name] {
			t.Errorf("%s: order %d, want %d", method.name, got, want[method.name])
		}
	}
	last := len(dopri.a) - 1
	full := Tableau{A: dopri.a[:last], B: dopri.a[last], C: dopri.c[:last]}
	if err := full.Validate(); err != nil || full.Order() != 4 { // 4 or more
		t.Errorf("Dormand and Prince: order %d, %v", full.Order(), err)
	}
	// The embedded solution is of order 4, so that the error estimate is not 0, and sums to 0.
	low := Tableau{A: dopri.a[:], B: make([]float64, 7), C: dopri.c[:]}
	for i := range low.B {
		low.B[i] = -dopri.e[i]
		if i < last {
			low.B[i] += dopri.a[last][i]
		}
	}
	if err := low.Validate(); err != nil || low.Order() != 4 {
		t.Errorf("the embedded method: order %d, %v", low.Order(), err)
	}
}

// One's own tableau is the method that it describes, and a wrong one is refused by field.
func TestOwnTableau(t *testing.T) {
	o := &diffusion.Oracle{Of: testMixture(), Along: diffusion.EDM{SigmaMax: 5}, Predicts: diffusion.X0}
	named, _ := NamedTableau("kutta3")
	own := &RungeKutta{Coordinate: Coordinate{"sigma"}, Method: "own", Tableau: named}
	grid := []float64{5, 2, 1, 0.5, 0}
	a, b := sample(t, o, own, grid, 3, Options{}), sample(t, o, rk("kutta3", "sigma"), grid, 3, Options{})
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("own gives %v, named %v", a, b)
		}
	}
	half := func() Tableau {
		return Tableau{A: [][]float64{{}, {0.5}}, B: []float64{0, 1}, C: []float64{0, 0.5}}
	}
	for name, c := range map[string]struct {
		change func(k *RungeKutta)
		field  string
	}{
		"weights":    {func(k *RungeKutta) { k.Tableau.B[1] = 0.9 }, "b"},
		"row":        {func(k *RungeKutta) { k.Tableau.A[1][0] = 0.4 }, "c"},
		"implicit":   {func(k *RungeKutta) { k.Tableau.A[1] = []float64{0.25, 0.25} }, "a"},
		"rows":       {func(k *RungeKutta) { k.Tableau.A = k.Tableau.A[:1] }, "a"},
		"nodes":      {func(k *RungeKutta) { k.Tableau.C = nil }, "c"},
		"no weights": {func(k *RungeKutta) { k.Tableau.B = nil }, "b"},
		"outside":    {func(k *RungeKutta) { k.Tableau.A[1][0], k.Tableau.C[1] = 1.5, 1.5 }, "c"},
		"NaN":        {func(k *RungeKutta) { k.Tableau.B[0] = math.NaN() }, "b"},
		"none":       {func(k *RungeKutta) { k.Tableau = Tableau{} }, "tableau"},
		"not own":    {func(k *RungeKutta) { k.Method = "rk4" }, "tableau"},
		"unknown":    {func(k *RungeKutta) { k.Method, k.Tableau = "rk5", Tableau{} }, "method"},
		"variable":   {func(k *RungeKutta) { k.Variable = "t" }, "variable"},
	} {
		k := &RungeKutta{Coordinate: Coordinate{"path"}, Method: "own", Tableau: half()}
		if err := k.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(k)
		err := k.Validate()
		if f, ok := err.(interface{ ConfigField() string }); !ok || f.ConfigField() != c.field {
			t.Errorf("%s: error %v, want one about %s", name, err, c.field)
		}
	}
}
