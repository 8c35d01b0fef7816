package sampler

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

// The adaptive solver's error follows its tolerance, in every variable, with a
// number of evaluations that grows as that of a method of order 5.
func TestDopri5(t *testing.T) {
	vp := diffusion.VP{Beta0: 0.1, Beta1: 20}
	for _, c := range []struct {
		variable string
		path     diffusion.GaussianPath
		grid     []float64
	}{
		{"sigma", vp, []float64{0.9, 0.05}},
		{"lambda", vp, []float64{0.9, 0.05}},
		{"path", vp, []float64{0.9, 0.05}},
		{"time", diffusion.CondOT{}, []float64{1, 0.02}},
		{"lambda", diffusion.CondOT{}, []float64{0.98, 0.02}},
		{"sigma", diffusion.EDM{SigmaMax: 80}, []float64{80, 0.02}},
	} {
		o := &diffusion.Oracle{Of: testMixture(), Along: c.path, Predicts: diffusion.Velocity}
		run := func(tol float64, grid []float64) ([]float64, Count) {
			d := new(Dopri5)
			d.SetDefaults()
			d.Variable, d.RTol, d.ATol = c.variable, tol, tol
			var n Count
			return sample(t, o, d, grid, 5, Options{Count: &n}), n
		}
		truth, _ := run(1e-13, c.grid)
		var before Count
		for _, tol := range []float64{1e-3, 1e-5, 1e-7, 1e-9} {
			got, n := run(tol, c.grid)
			worst := 0.0
			for i := range got {
				worst = max(worst, math.Abs(got[i]-truth[i]))
			}
			// The error of a step is kept to tol·(1+|x|); fewer than 200 steps add up, and
			// the flow to the data contracts them or stretches them by less than 10 between modes.
			if worst > 2000*tol {
				t.Errorf("%s on %T, tolerance %g: off by %g", c.variable, c.path, tol, worst)
			}
			// Order 5: a hundredth of the error takes 100^(1/5) = 2.5 times the steps.
			if before.Evaluations > 100 && n.Evaluations > 4*before.Evaluations {
				t.Errorf("%s on %T: %d evaluations for %g, %d for a hundred times that", c.variable, c.path, n.Evaluations, tol, before.Evaluations)
			}
			before = n
			if again, m := run(tol, []float64{c.grid[0], (c.grid[0] + c.grid[1]) / 2, c.grid[1]}); again[0] != got[0] || m != n {
				t.Errorf("%s on %T: inner times of the grid change the result", c.variable, c.path)
			}
		}
	}
}

// wall is a model whose velocity is infinite at ½.
type wall struct{ diffusion.CondOT }

func (m wall) Path() diffusion.GaussianPath { return m.CondOT }
func (wall) Kind() diffusion.Kind           { return diffusion.Velocity }
func (wall) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	n := x.Dim(0)
	v := x.Scope().TensorOf(func(i int) float64 { return 1 / math.Pow(at.At(i)-0.5, 2) }, n, 1)
	return diffusion.Pred{Value: x.Scale(0).Add(v), Kind: diffusion.Velocity}
}

func TestDopri5Ends(t *testing.T) {
	s := tensor.NewScopeOf(cpu.Default(), tensor.Inference, tensor.Float64)
	defer s.Close()
	d := new(Dopri5)
	d.SetDefaults()
	run := func(m diffusion.Model, grid []float64, o Options) error {
		s.Reset()
		_, err := Sample(context.Background(), s, m, d, grid, s.Ones(2, 2), o)
		return err
	}
	if err := run(wall{}, []float64{1, 0}, Options{}); err == nil || !strings.Contains(err.Error(), "too small at time 0.5") {
		t.Errorf("a singular velocity: %v", err)
	}
	flow := &diffusion.Oracle{Of: testMixture(), Along: diffusion.CondOT{}, Predicts: diffusion.Velocity}
	d.RTol, d.ATol, d.Attempts = 1e-8, 1e-8, 3
	if err := run(flow, []float64{1, 0}, Options{}); err == nil || !strings.Contains(err.Error(), "after 3 steps") {
		t.Errorf("too few attempts: %v", err)
	}
	d.Attempts = 1000
	// Progress names the grid's interval, rises, and ends with the last.
	last, calls := 0, 0
	if err := run(flow, []float64{1, 0.7, 0.4, 0.2, 0}, Options{Progress: func(i, n int, data *tensor.Tensor) {
		if i < last || n != 4 || data == nil {
			t.Errorf("progress %d of %d after %d", i, n, last)
		}
		last = i
		calls++
	}}); err != nil || last != 3 || calls < 6 {
		t.Errorf("%d calls, the last for interval %d, %v", calls, last, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls = 0
	s.Reset()
	_, err := Sample(ctx, s, flow, d, []float64{1, 0}, s.Ones(2, 2), Options{Progress: func(int, int, *tensor.Tensor) {
		if calls++; calls == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || calls != 2 {
		t.Errorf("cancelled after 2 steps: %d calls, %v", calls, err)
	}
	d.Variable = "sigma"
	if err := run(flow, []float64{1, 0}, Options{}); err != nil {
		t.Errorf("in sigma from alpha=0: %v", err)
	}
	d.Variable = "time"
	if err := run(flow, []float64{0.001, 0}, Options{}); err != nil { // below Final: one step
		t.Error(err)
	}
	for field, change := range map[string]func(d *Dopri5){
		"rtol": func(d *Dopri5) { d.RTol, d.ATol = 0, 0 }, "atol": func(d *Dopri5) { d.ATol = -1 },
		"first": func(d *Dopri5) { d.First = d.Final }, "final": func(d *Dopri5) { d.Final = 0 }, "attempts": func(d *Dopri5) { d.Attempts = 0 }, "variable": func(d *Dopri5) { d.Variable = "" },
	} {
		bad := *d
		change(&bad)
		if f, ok := bad.Validate().(interface{ ConfigField() string }); !ok || f.ConfigField() != field {
			t.Errorf("%s: %v", field, bad.Validate())
		}
	}
}

// The controller of Hairer and Wanner's DOPRI5, by hand: h·.9·e^(−.17)·e_before^.04
// within [.2, 10], no longer steps after a rejection, which leaves e_before alone.
func TestStepControl(t *testing.T) {
	d := new(Dopri5)
	d.SetDefaults()
	a := &adaptive{
		Dopri5: d, ax: axis{"time", diffusion.CondOT{}}, target: 1000,
		u: []float64{0}, h: []float64{1}, before: []float64{0.5}, failed: []float64{0},
	}
	at, before := 0.0, 0.5
	for i, c := range []struct {
		e, factor float64
		accepted  bool
	}{
		{0.25, 0.9 * math.Pow(0.25, -0.17) * math.Pow(0.5, 0.04), true},
		{0.5, 0.9 * math.Pow(0.5, -0.17) * math.Pow(0.25, 0.04), true},
		{32, 0.9 * 0.5, false},
		{1e5, 0.2, false},
		{math.NaN(), 0.2, false},
		{0.1, 1, true}, // after a rejection
		{0, 10, true},
		{0.5, 0.9 * math.Pow(0.5, -0.17) * math.Pow(1e-4, 0.04), true},
	} {
		h := a.h[0]
		if got := a.judge(0, c.e); got != c.accepted {
			t.Errorf("%d: an error of %g: accepted is %v", i, c.e, got)
		}
		if c.accepted {
			at, before = at+h, max(c.e, 1e-4)
		}
		if math.Abs(a.h[0]/h-c.factor) > 1e-14 || a.u[0] != at || a.before[0] != before {
			t.Errorf("%d: after an error of %g the step is %.15g times as long, want %.15g; at %g, error before %g", i, c.e, a.h[0]/h, c.factor, a.u[0], a.before[0])
		}
	}
	// A step that would leave a crumb, or lead past the end, goes to the end.
	a.target = a.u[0] + a.h[0]*0.5
	a.h[0] = (a.target - a.u[0]) / 2
	a.judge(0, 0.3)
	if a.u[0]+a.h[0] != a.target {
		t.Errorf("from %g by %g, but the end is %g", a.u[0], a.h[0], a.target)
	}
}
