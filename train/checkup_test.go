package train

import (
	"math"
	"slices"
	"testing"
)

// kinds are what a checkup of a run warns of.
func checkup(t *testing.T, m *Trained) (kinds []string) {
	t.Helper()
	rows, warnings, err := m.Checkup()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != m.How.Steps+1 {
		t.Errorf("%d rows of %d steps", len(rows), m.How.Steps)
	}
	for _, w := range warnings {
		kinds = append(kinds, w.Kind)
	}
	return kinds
}

func TestCheckupOfRuns(t *testing.T) {
	for _, c := range []struct {
		train, sample []string
		want          []string
	}{
		{nil, nil, nil},
		{[]string{"objective.shift=3"}, []string{"grid={kind: uniform, shift: 9}"}, []string{"double shift"}},
		{[]string{"objective.shift=3"}, []string{"grid={kind: uniform, shift: 3}"}, nil},
		{[]string{"objective.shift_tokens=1024"}, []string{"grid={kind: uniform, shift_tokens: 1024}"}, nil},
		{[]string{"objective.shift_tokens=1024"}, []string{"grid={kind: uniform, shift: 3.5254214873653824}"}, []string{"double shift"}}, // e^{2·.63}
		{[]string{"objective={kind: ddpm, loss: vlb, times: {kind: uniform, from: 0.5}}"}, nil, []string{"outside training"}},
		{[]string{"objective={kind: edm}"}, nil, nil},
		{[]string{"objective={kind: edm, times: {kind: uniform, to: 0.1}}"}, nil, []string{"outside training"}},
		{[]string{"objective={kind: dsm, sde: vp}"}, nil, nil},
		{[]string{"objective={kind: dsm, sde: vp, beta_max: 8}"}, nil, []string{"terminal SNR"}},
		{[]string{"objective={kind: dsm, sde: ve}"}, nil, nil},
		{[]string{"objective={kind: ddpm}"}, nil, nil},
		{[]string{"objective={kind: ddpm}"}, []string{"grid={kind: table, spacing: leading}"}, []string{"last entry"}},
		{[]string{"objective={kind: ddpm, schedule: squaredcos_cap_v2}"}, nil, []string{"amplified error"}},
		{[]string{"objective={kind: ddpm, schedule: squaredcos_cap_v2}"}, []string{"clip.range=3"}, nil},
		{[]string{"objective={kind: ddpm, zero_terminal_snr: true, predict: v}"}, nil, nil},
		{[]string{"objective={kind: ddpm, times: {kind: uniform, from: 0.5}}"}, nil, []string{"outside training"}},
		{nil, []string{"grid={kind: times, times: [1, 0.5, 0.2, 0, 0]}", "steps=4"}, []string{"repeated step"}},
		{[]string{"objective={kind: flow, predict: eps}"}, nil, nil},
		{[]string{"objective={kind: flow, predict: eps}"}, []string{"grid=uniform"}, []string{"no signal"}},
	} {
		m := opened(t, trained(t, moonsYAML, append(c.train, "steps=1")...))
		if err := m.Choose(Choice{Steps: 10, Overrides: c.sample}); err != nil {
			t.Fatal(err)
		}
		if got := checkup(t, m); !slices.Equal(got, c.want) {
			t.Errorf("%v, %v: warns of %q, want %q", c.train, c.sample, got, c.want)
		}
	}
}

// What a folder's network says of pure noise is measured.
func TestCheckupOfAFolder(t *testing.T) {
	m, err := Open("../internal/golden/testdata/pipelines/unet-ddim", func(f string, a ...any) { t.Errorf(f, a...) })
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Choose(Choice{Steps: 10}); err != nil {
		t.Fatal(err)
	}
	got := checkup(t, m) // random weights, leading spacing
	if !slices.Equal(got, []string{"prediction type", "last entry"}) {
		t.Errorf("warns of %q", got)
	}
	a, err := m.noiseSlope(m.Times[0])
	if err != nil || math.Abs(a) > 0.3 {
		t.Errorf("the network's answer has %g of the noise, %v", a, err)
	}
}
