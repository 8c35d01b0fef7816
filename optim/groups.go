package optim

import (
	"fmt"
	"slices"

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
	params []*tensor.Param
	alone  []int               // places of parameters that are in no group
	moving [][][]*tensor.Param // averages of each group
}

// NewGroups puts groups together; params gives the order of the gradients. A
// parameter in two groups, or in a group and not in params, is an error.
func NewGroups(params []*tensor.Param, groups ...Group) (*Groups, error) {
	at := make(map[*tensor.Param]int, len(params))
	for i, p := range params {
		at[p] = i
	}
	g := &Groups{groups: groups, params: params}
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
	for i, p := range params {
		if _, left := at[p]; left {
			g.alone = append(g.alone, i)
		}
	}
	return g, nil
}

// Step updates every group by its rule, at its learning rate.
func (g *Groups) Step(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64) {
	for k, group := range g.groups {
		group.Rule.Step(s, g.part(k, grads), lr*group.LR, scale)
	}
}

// part is the gradients of group k.
func (g *Groups) part(k int, grads []*tensor.Tensor) []*tensor.Tensor {
	if len(grads) != len(g.params) {
		panic(fmt.Sprintf("optim: %d gradients for %d parameters", len(grads), len(g.params)))
	}
	for j, i := range g.places[k] {
		g.grads[k][j] = grads[i]
	}
	return g.grads[k]
}

func (g *Groups) of(params []*tensor.Param) bool { return slices.Equal(g.params, params) }

func (g *Groups) stepAlong(s *tensor.Scope, grads []*tensor.Tensor, lr, scale float64, averages [][]*tensor.Param, rest float64) {
	if g.moving == nil {
		g.moving = make([][][]*tensor.Param, len(g.groups))
		for k := range g.groups {
			g.moving[k] = make([][]*tensor.Param, len(g.places[k]))
		}
	}
	for k, group := range g.groups {
		part := g.part(k, grads)
		if f, ok := group.Rule.(followed); ok {
			for j, i := range g.places[k] {
				g.moving[k][j] = averages[i]
			}
			f.stepAlong(s, part, lr*group.LR, scale, g.moving[k], rest)
			continue
		}
		group.Rule.Step(s, part, lr*group.LR, scale)
		for _, i := range g.places[k] {
			move(s, averages[i], g.params[i], rest)
		}
	}
	for _, i := range g.alone {
		move(s, averages[i], g.params[i], rest)
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
