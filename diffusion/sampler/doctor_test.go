package sampler

import (
	"math"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/diffusion"
)

func tableOf(t *testing.T, schedule diffusion.BetaSchedule, zero bool) *diffusion.Table {
	t.Helper()
	start, end := 1e-4, 0.02
	if schedule == diffusion.BetaScaledLinear {
		start, end = 0.00085, 0.012
	}
	b, err := diffusion.Betas(schedule, 1000, start, end)
	if err != nil {
		t.Fatal(err)
	}
	if zero {
		b = diffusion.RescaleZeroSNR(b)
	}
	p, err := diffusion.NewTable(b, diffusion.InterpolateLog)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func times(t *testing.T, g Grid, path diffusion.GaussianPath, n int) []float64 {
	t.Helper()
	grid, err := g.Times(path, n)
	if err != nil {
		t.Fatal(err)
	}
	return grid
}

// Each warning is given where it is due and not beside it.
func TestDiagnose(t *testing.T) {
	flow, edm := diffusion.CondOT{}, diffusion.EDM{SigmaMax: 80}
	ddpm, sd, zero := tableOf(t, diffusion.BetaLinear, false), tableOf(t, diffusion.BetaScaledLinear, false), tableOf(t, diffusion.BetaLinear, true)
	cosine := tableOf(t, diffusion.BetaCosine, false)
	trailing, leading := &TableGrid{Spacing: Trailing}, &TableGrid{Spacing: Leading}
	uniform := times(t, &UniformGrid{Shift: 1}, flow, 10)
	karras := new(KarrasGrid)
	karras.SetDefaults()
	narrow := new(KarrasGrid)
	narrow.SetDefaults()
	narrow.SigmaMin, narrow.SigmaMax = 0.05, 20
	// As diffusers' flow matching makes it: ends shifted, then all.
	twice := make([]float64, 10)
	diffusion.Linspace(twice, 1, diffusion.Shift(3, 0.001))
	for i, v := range twice {
		twice[i] = diffusion.Shift(3, v)
	}
	twice = append(twice, 0)
	once := times(t, &UniformGrid{Shift: 3}, flow, 10)
	unknown := math.NaN()
	for name, c := range map[string]struct {
		c    Checkup
		want []string
	}{
		"flow":  {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: uniform, TrainedFrom: 1e-6, TrainedTo: 1 - 1e-6, NoiseSlope: 0.9}, nil},
		"edm":   {Checkup{Path: edm, Predicts: diffusion.Preconditioned{SigmaData: 0.5}, Grid: times(t, karras, edm, 18), TrainedFrom: 0.001, TrainedTo: 80, NoiseSlope: unknown}, nil},
		"ddpm":  {Checkup{Path: ddpm, Predicts: diffusion.Eps, Grid: times(t, trailing, ddpm, 20), TrainedFrom: 1, TrainedTo: 1000, NoiseSlope: 1}, nil},
		"all":   {Checkup{Path: ddpm, Predicts: diffusion.Eps, Grid: times(t, leading, ddpm, 1000), NoiseSlope: unknown}, nil},
		"ztsnr": {Checkup{Path: zero, Predicts: diffusion.V, Grid: times(t, trailing, zero, 20), NoiseSlope: 0}, nil},

		"shift of training and sampling alike": {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: once, TrainShift: 3, Shift: 3, NoiseSlope: unknown}, nil},
		"shift twice":                          {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: times(t, &UniformGrid{Shift: 9}, flow, 10), TrainShift: 3, Shift: 9, NoiseSlope: unknown}, []string{DoubleShift}},
		"shift by 1 twice":                     {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: uniform, TrainShift: 1, Shift: 1, NoiseSlope: unknown}, nil},
		"end shifted twice":                    {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: twice, Shift: 3, First: 0.001, NoiseSlope: unknown}, []string{DoubleShift}},
		"end shifted once":                     {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: append(slices.Clone(once[:9]), diffusion.Shift(3, 0.001), 0), Shift: 3, First: 0.001, NoiseSlope: unknown}, nil},

		"signal left":       {Checkup{Path: sd, Predicts: diffusion.V, Grid: times(t, trailing, sd, 20), NoiseSlope: unknown}, []string{TerminalSNR}},
		"signal left, eps":  {Checkup{Path: sd, Predicts: diffusion.Eps, Grid: times(t, trailing, sd, 20), NoiseSlope: unknown}, []string{TerminalSNR}},
		"ε without signal":  {Checkup{Path: zero, Predicts: diffusion.Eps, Grid: times(t, trailing, zero, 20), NoiseSlope: unknown}, []string{NoSignal}},
		"ε of a flow":       {Checkup{Path: flow, Predicts: diffusion.Eps, Grid: uniform, NoiseSlope: unknown}, []string{NoSignal}},
		"ε of a later flow": {Checkup{Path: flow, Predicts: diffusion.Eps, Grid: append([]float64{0.95}, uniform[1:]...), NoiseSlope: unknown}, nil},

		// α' = 0.1, σ' = 0.9 and σ/α = 999: (0.1·999 − 0.9)/√(0.1²+0.9²) = 109.
		"ε just behind the end": {Checkup{Path: flow, Predicts: diffusion.Eps, Grid: append([]float64{0.999}, uniform[1:]...), NoiseSlope: unknown}, []string{Amplified}},
		"ε, cosine":             {Checkup{Path: cosine, Predicts: diffusion.Eps, Grid: times(t, trailing, cosine, 50), NoiseSlope: unknown}, []string{Amplified}},
		"score, cosine":         {Checkup{Path: cosine, Predicts: diffusion.Score, Grid: times(t, trailing, cosine, 1000), NoiseSlope: unknown}, []string{Amplified}},
		"ε, cosine, limited":    {Checkup{Path: cosine, Predicts: diffusion.Eps, Grid: times(t, trailing, cosine, 50), Clipped: true, NoiseSlope: unknown}, nil},
		"v, cosine":             {Checkup{Path: cosine, Predicts: diffusion.V, Grid: times(t, trailing, cosine, 50), NoiseSlope: unknown}, nil},
		"ε, linear, few steps":  {Checkup{Path: ddpm, Predicts: diffusion.Eps, Grid: times(t, trailing, ddpm, 5), NoiseSlope: unknown}, nil},

		"v called ε":           {Checkup{Path: ddpm, Predicts: diffusion.Eps, Grid: times(t, trailing, ddpm, 20), NoiseSlope: 0.05}, []string{WrongKind}},
		"ε called v":           {Checkup{Path: ddpm, Predicts: diffusion.V, Grid: times(t, trailing, ddpm, 20), NoiseSlope: 0.97}, []string{WrongKind}},
		"the other direction":  {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: uniform, NoiseSlope: -0.95}, []string{WrongKind}},
		"like nothing":         {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: uniform, NoiseSlope: 5}, []string{WrongKind}},
		"where there is data":  {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: uniform[3:], NoiseSlope: 0}, nil},
		"claimed":              {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: uniform, NoiseSlope: unknown, Claimed: "epsilon"}, []string{WrongKind}},
		"a score's large size": {Checkup{Path: edm, Predicts: diffusion.Score, Grid: times(t, karras, edm, 5), NoiseSlope: -1. / 6400}, nil},

		"repeated last":   {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: append(slices.Clone(uniform), 0), NoiseSlope: unknown}, []string{RepeatedStep}},
		"repeated inside": {Checkup{Path: flow, Predicts: diffusion.Velocity, Grid: []float64{1, 0.5, 0.5, 0}, NoiseSlope: unknown}, []string{RepeatedStep}},

		"leading":             {Checkup{Path: ddpm, Predicts: diffusion.Eps, Grid: times(t, leading, ddpm, 20), TrainedFrom: 1, TrainedTo: 1000, NoiseSlope: unknown}, []string{LastEntry}},
		"leading with offset": {Checkup{Path: ddpm, Predicts: diffusion.Eps, Grid: times(t, &TableGrid{Spacing: Leading, Offset: 49}, ddpm, 20), NoiseSlope: unknown}, nil},

		"σ above training":  {Checkup{Path: edm, Predicts: diffusion.X0, Grid: times(t, karras, edm, 18), TrainedFrom: 0.001, TrainedTo: 20, NoiseSlope: unknown}, []string{OutsideTrained}},
		"σ below training":  {Checkup{Path: edm, Predicts: diffusion.X0, Grid: times(t, karras, edm, 18), TrainedFrom: 0.05, TrainedTo: 80, NoiseSlope: unknown}, []string{OutsideTrained}},
		"σ within training": {Checkup{Path: edm, Predicts: diffusion.X0, Grid: times(t, narrow, edm, 18), TrainedFrom: 0.05, TrainedTo: 20, NoiseSlope: unknown}, nil},
		"both":              {Checkup{Path: edm, Predicts: diffusion.X0, Grid: times(t, karras, edm, 18), TrainedFrom: 0.05, TrainedTo: 20, NoiseSlope: unknown}, []string{OutsideTrained, OutsideTrained}},
	} {
		var got []string
		for _, w := range Diagnose(&c.c) {
			got = append(got, w.Kind)
			if w.Text == "" || w.String() != w.Kind+": "+w.Text {
				t.Errorf("%s: says %q", name, w)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: warns of %q, want %q", name, Diagnose(&c.c), c.want)
		}
	}
}

func TestRows(t *testing.T) {
	rows := Rows(diffusion.CondOT{}, []float64{1, 0.5, 0.2, 0})
	want := []Row{
		{0, 1, 0, 1, math.Inf(1), math.Inf(-1), -0.5, math.Inf(1)},
		{1, 0.5, 0.5, 0.5, 1, 0, -0.3, 2 * math.Log(4)},
		{2, 0.2, 0.8, 0.2, 0.25, 2 * math.Log(4), -0.2, math.Inf(1)},
		{3, 0, 1, 0, 0, math.Inf(1), math.NaN(), math.NaN()},
	}
	for i, r := range rows {
		a := []float64{r.T, r.Alpha, r.Sigma, r.NoiseLevel, r.LogSNR, r.DT, r.DLogSNR}
		w := want[i]
		b := []float64{w.T, w.Alpha, w.Sigma, w.NoiseLevel, w.LogSNR, w.DT, w.DLogSNR}
		for k := range a {
			if !(math.Abs(a[k]-b[k]) < 1e-12 || a[k] == b[k] || math.IsNaN(a[k]) && math.IsNaN(b[k])) {
				t.Errorf("row %d, column %d: %g, want %g", i, k, a[k], b[k])
			}
		}
		if r.Step != i {
			t.Errorf("row %d is step %d", i, r.Step)
		}
	}
}
