package optim

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor"
)

// Group is a part of the parameters, with an optimiser of its own.
type Group struct {
	Params []*tensor.Param
	Rule   Optimizer // made for Params
	LR     float64   // factor on the learning rate
}

// Groups is an optimiser whose parameters have settings by group. Parameters in
// none of the groups are left alone.
type Groups struct {
	groups []Group
	places [][]int            // of each group's parameters among all
	grads  [][]*tensor.Tensor // of each group
	params int
}

// NewGroups puts groups together; params gives the order of the gradients. A
// parameter in two groups, or in a group and not in params, is an error.
func NewGroups(params []*tensor.Param, groups ...Group) (*Groups, error) {
	at := make(map[*tensor.Param]int, len(params))
	for i, p := range params {
		at[p] = i
	}
	g := &Groups{groups: groups, params: len(params)}
	for _, group := range groups {
		var places []int
		for _, p := range group.Params {
			i, ok := at[p]
			if !ok {
				return nil, fmt.Errorf("optim: parameter %s is in two groups, or not among the parameters", p.Name)
			}
			delete(at, p)
			places = append(places, i)
		}
		g.places = append(g.places, places)
		g.grads = append(g.grads, make([]*tensor.Tensor, len(places)))
	}
	return g, nil
}

// Step updates every group by its rule, at its learning rate.
func (g *Groups) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	if len(grads) != g.params {
		panic(fmt.Sprintf("optim: %d gradients for %d parameters", len(grads), g.params))
	}
	for k, group := range g.groups {
		for j, i := range g.places[k] {
			g.grads[k][j] = grads[i]
		}
		group.Rule.Step(s, g.grads[k], lr*group.LR, scale)
	}
}

// State is that of all groups.
func (g *Groups) State() []*tensor.Param {
	var all []*tensor.Param
	for _, group := range g.groups {
		all = append(all, group.Rule.State()...)
	}
	return all
}

// Steps counts updates made, which all groups make together.
func (g *Groups) Steps() int {
	if len(g.groups) == 0 {
		return 0
	}
	return g.groups[0].Rule.Steps()
}

// SetSteps restores the count.
func (g *Groups) SetSteps(n int) {
	for _, group := range g.groups {
		group.Rule.SetSteps(n)
	}
}

// Average writes the weights to use: those of the groups whose rules average, and the
// parameters themselves of the others. See [AveragesItself].
func (g *Groups) Average(s *tensor.Scope, into []*tensor.Param) {
	for k, group := range g.groups {
		if a, ok := group.Rule.(Averaging); ok {
			part := make([]*tensor.Param, len(g.places[k]))
			for j, i := range g.places[k] {
				part[j] = into[i]
			}
			a.Average(s, part)
			continue
		}
		for j, i := range g.places[k] {
			copyUpdate.Apply(s, nil, into[i:i+1], s.Param(group.Params[j]))
		}
	}
}

// AveragesItself reports whether the weights to use after training with o are those
// of o's Average: for some group, if o consists of groups.
func AveragesItself(o Optimizer) bool {
	if g, ok := o.(*Groups); ok {
		for _, group := range g.groups {
			if AveragesItself(group.Rule) {
				return true
			}
		}
		return false
	}
	_, ok := o.(Averaging)
	return ok
}

// Counters are those of all groups, one after another.
func (g *Groups) Counters() []float64 {
	var all []float64
	for _, group := range g.groups {
		if c, ok := group.Rule.(Counting); ok {
			all = append(all, c.Counters()...)
		}
	}
	return all
}

// SetCounters restores them.
func (g *Groups) SetCounters(all []float64) error {
	for _, group := range g.groups {
		if c, ok := group.Rule.(Counting); ok {
			n := len(c.Counters())
			if n > len(all) {
				return fmt.Errorf("optim: %d counters too few", n-len(all))
			}
			if err := c.SetCounters(all[:n]); err != nil {
				return err
			}
			all = all[n:]
		}
	}
	if len(all) > 0 {
		return fmt.Errorf("optim: %d counters too many", len(all))
	}
	return nil
}
