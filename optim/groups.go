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
