package optim

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/cpu"
)

func named(names ...string) []*tensor.Param {
	var ps []*tensor.Param
	for _, n := range names {
		p := tensor.NewParam(cpu.Default(), tensor.Float32, 1)
		p.Name = n
		ps = append(ps, p)
	}
	return ps
}

var someNames = []string{"in.weight", "in.bias", "blocks.0.fc1.weight", "blocks.0.fc1.bias", "blocks.10.fc1.weight", "norm.weight"}

func TestAssign(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		want     []int
	}{
		{nil, []int{-1, -1, -1, -1, -1, -1}},
		{[]string{"*"}, []int{0, 0, 0, 0, 0, 0}},
		{[]string{"*.bias", "blocks.*"}, []int{-1, 0, 1, 0, 1, -1}},
		{[]string{"blocks.?.*", "/weight$/"}, []int{1, -1, 0, 0, 1, 1}},
		{[]string{"/^blocks[.][0-9]+[.]/", "/norm|in/"}, []int{1, 1, 0, 0, 0, 1}},
		{[]string{"blocks.1*", "/^/"}, []int{1, 1, 1, 1, 0, 1}},
		{[]string{"in.[a-b]ias"}, []int{-1, 0, -1, -1, -1, -1}},
	} {
		got, _, err := Assign(named(someNames...), c.patterns)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, %v; want %v", c.patterns, got, err, c.want)
		}
	}
}

func TestAssignErrors(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		bad      int
		want     string
	}{
		{[]string{"in.*", "block.*.bias"}, 1, "the nearest are blocks.0.fc1.bias"},
		{[]string{"/^nrom[.]/"}, 0, "the nearest are norm.weight"},
		{[]string{"bias"}, 0, "the nearest are in.bias"}, // a glob is over the whole name
		{[]string{"*", "in.bias"}, 1, "belong to groups before it"},
		{[]string{"/a(/"}, 0, "not a regular expression"},
		{[]string{"a["}, 0, "not a pattern"},
		{[]string{""}, 0, "not a pattern"},
	} {
		_, bad, err := Assign(named(someNames...), c.patterns)
		if err == nil || bad != c.bad || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: pattern %d, %v; want pattern %d, %q", c.patterns, bad, err, c.bad, c.want)
		}
		var none *NoMatchError
		if strings.Contains(c.want, "nearest") != errors.As(err, &none) {
			t.Errorf("%q: error of type %T", c.patterns, err)
		}
	}
}

// Groups update as their rules do alone, each at its own rate.
func TestGroupsAreTheirRules(t *testing.T) {
	for name, rule := range all {
		alone := []*tensor.Param{param(t, "a", 3, 2), param(t, "b", 2), param(t, "c", 4)}
		together := []*tensor.Param{param(t, "a", 3, 2), param(t, "b", 2), param(t, "c", 4)}
		first, second := rule(alone[:1]), NewSGD(alone[2:], SGDConfig{Momentum: 0.5})
		g, err := NewGroups(together,
			Group{together[2:], NewSGD(together[2:], SGDConfig{Momentum: 0.5}), 0.25},
			Group{together[:1], rule(together[:1]), 1})
		if err != nil {
			t.Fatal(err)
		}
		s := scope(t)
		for step := range 4 {
			s.Reset()
			grads := []*tensor.Tensor{s.Full(float64(step)-1.5, 3, 2), s.Ones(2), s.Full(0.5, 4)}
			if step == 2 {
				grads[2] = nil
			}
			first.Step(s, grads[:1], 0.1, 0.5)
			second.Step(s, grads[2:], 0.025, 0.5)
			g.Step(s, grads, 0.1, 0.5)
			for i := range alone {
				if !slices.Equal(alone[i].Float32s(), together[i].Float32s()) {
					t.Fatalf("%s: step %d: parameter %d differs from that of its rule alone", name, step, i)
				}
			}
		}
		if g.Steps() != 4 {
			t.Errorf("%s: %d steps counted", name, g.Steps())
		}
		var got, want []string
		for _, p := range g.State() {
			got = append(got, p.Name)
		}
		for _, p := range append(second.State(), first.State()...) {
			want = append(want, p.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: state %q, want %q", name, got, want)
		}
	}
}

func TestGroupsRefuseOverlaps(t *testing.T) {
	p := named("a", "b")
	if _, err := NewGroups(p, Group{Params: p[:1]}, Group{Params: p}); err == nil || !strings.Contains(err.Error(), "parameter a is in two groups") {
		t.Errorf("a parameter in two groups: %v", err)
	}
	if _, err := NewGroups(p[:1], Group{Params: p[1:]}); err == nil || !strings.Contains(err.Error(), "parameter b") {
		t.Errorf("a parameter of no network: %v", err)
	}
}

// The sum of weighed parts, of which some have no gradient.
func TestAccumulator(t *testing.T) {
	ps := named("a", "b", "c")
	a := NewAccumulator(ps)
	s := scope(t)
	for range 2 { // the second sum does not remember the first
		s.Reset()
		a.Add(s, []*tensor.Tensor{s.Full(2, 1), nil, nil}, 0.5)
		s.Reset()
		a.Add(s, []*tensor.Tensor{s.Full(4, 1), s.Full(8, 1), nil}, 0.25)
		got := a.Sum(s)
		if got[0].Item() != 2 || got[1].Item() != 2 || got[2] != nil {
			t.Errorf("sum %v %v %v, want 2, 2, none", got[0], got[1], got[2])
		}
	}
	a.Add(s, []*tensor.Tensor{nil, nil, s.Full(1, 1)}, 1)
	if got := a.Sum(s); got[0] != nil || got[1] != nil || got[2].Item() != 1 {
		t.Errorf("sum %v: parts of the sum before it are still there", got)
	}
}
