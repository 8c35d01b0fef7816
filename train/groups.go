package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// ParamGroup are settings of the parameters whose names match.
type ParamGroup struct {
	Match       string                                     `yaml:"match,required" doc:"names of the group's parameters: a glob over the whole name, in which * stands for any characters, as in blocks.*.bias, or a regular expression between slashes, as in /norm|bias$/"`
	Frozen      bool                                       `yaml:"frozen" doc:"leave them as they are: no gradient, no state of the optimiser"`
	LR          float64                                    `yaml:"lr" doc:"factor on optim.lr" range:"(0,inf)"`
	WeightDecay *float64                                   `yaml:"weight_decay" doc:"instead of that of the rule; null: the rule's" range:"[0,inf)"`
	Rule        *config.Variant[OptimArg, optim.Optimizer] `yaml:"rule" doc:"their update rule; null: optim.rule"`
}

// SetDefaults changes nothing.
func (g *ParamGroup) SetDefaults() { g.LR = 1 }

// Validate refuses settings that frozen parameters have no use for.
func (g *ParamGroup) Validate() error {
	switch {
	case g.Frozen && g.LR != 1:
		return invalid.Field("lr", "means nothing for frozen parameters")
	case g.Frozen && g.WeightDecay != nil:
		return invalid.Field("weight_decay", "means nothing for frozen parameters")
	case g.Frozen && g.Rule != nil:
		return invalid.Field("rule", "means nothing for frozen parameters")
	}
	return nil
}

// assign gives each parameter its place in optim.groups, or −1.
func (o *Optim) assign(params []*tensor.Param) (group []int, bad int, err error) {
	patterns := make([]string, len(o.Groups))
	for i, g := range o.Groups {
		patterns[i] = g.Match
	}
	return optim.Assign(params, patterns)
}

// freeze marks the parameters that the experiment freezes, and gives the others:
// those that are trained.
func (l *Loaded) freeze(params []*tensor.Param) (trained []*tensor.Param, err error) {
	group, bad, err := l.Optim.assign(params)
	if err != nil {
		return nil, l.places.Errorf(fmt.Sprintf("optim.groups[%d].match", bad), "%v", err)
	}
	for i, p := range params {
		if k := group[i]; k >= 0 && l.Optim.Groups[k].Frozen {
			p.Frozen = true
		}
		if !p.Frozen {
			trained = append(trained, p)
		}
	}
	if len(trained) == 0 {
		return nil, l.places.Errorf("optim.groups", "freeze all %d parameters: nothing is left to train", len(params))
	}
	return trained, nil
}

// settings are those of parameters that are updated alike.
type settings struct {
	group   int     // in optim.groups; −1: none
	rate    float64 // factor on the learning rate beside the group's
	noDecay bool
}

// optimizer makes what updates the parameters of net that are trained, and others of the
// objective's own, to which no group's settings apply, at a rate: one rule, or one for each kind of settings.
func (l *Loaded) optimizer(net Network, trained, own []*tensor.Param, rate float64) (optim.Optimizer, error) {
	kinds, of, err := l.Optim.split(net, trained)
	if err != nil {
		return nil, err
	}
	for _, p := range own {
		k := settings{group: -1, rate: rate}
		if of[k] == nil {
			kinds = append(kinds, k)
		}
		of[k] = append(of[k], p)
	}
	var groups []optim.Group
	for _, k := range kinds {
		g, err := l.group(k, OptimArg{Params: of[k], Tables: nn.EmbeddingTables(net)})
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	if len(groups) == 1 && groups[0].LR == 1 {
		return groups[0].Rule, nil
	}
	return optim.NewGroups(slices.Concat(trained, own), groups...)
}

// rateOf is the rate of what an objective learns itself.
func rateOf(o diffusion.Objective) float64 {
	if p, ok := o.(diffusion.Paced); ok {
		return p.Rate()
	}
	return 1
}

// split sorts parameters by their settings, in the order in which these come up.
func (o *Optim) split(net Network, trained []*tensor.Param) (kinds []settings, of map[settings][]*tensor.Param, err error) {
	all := nn.Params(net) // patterns are about these, also where frozen ones are left out
	group, _, err := o.assign(all)
	if err != nil {
		return nil, nil, err
	}
	of = make(map[settings][]*tensor.Param)
	tables := nn.EmbeddingTables(net)
	for i, p := range all {
		if !slices.Contains(trained, p) {
			continue
		}
		k := settings{group: group[i], rate: 1}
		explicit := k.group >= 0 && o.Groups[k.group].WeightDecay != nil
		k.noDecay = o.Decay == "weights" && !explicit && (len(p.Shape()) < 2 || slices.Contains(tables, p))
		if of[k] == nil {
			kinds = append(kinds, k)
		}
		of[k] = append(of[k], p)
	}
	return kinds, of, nil
}

// group makes the rule of the parameters of one kind of settings.
func (l *Loaded) group(k settings, arg OptimArg) (optim.Group, error) {
	rule, factor, key := l.Optim.Rule, 1.0, "optim.rule"
	var decay *float64
	decayKey := "optim.decay"
	if k.group >= 0 {
		g := l.Optim.Groups[k.group]
		factor, decay = g.LR, g.WeightDecay
		decayKey = fmt.Sprintf("optim.groups[%d].weight_decay", k.group)
		if g.Rule != nil {
			rule, key = *g.Rule, fmt.Sprintf("optim.groups[%d].rule", k.group)
		}
	}
	if k.noDecay {
		decay = new(float64)
	}
	if decay != nil {
		var err error
		if rule, err = withWeightDecay(rule, *decay); err != nil {
			return optim.Group{}, l.at(decayKey, err)
		}
	}
	opt, err := rule.Build(arg)
	return optim.Group{Params: arg.Params, Rule: opt, LR: factor * k.rate}, l.at(key, err)
}

// withWeightDecay is an update rule with another weight decay.
func withWeightDecay(rule config.Variant[OptimArg, optim.Optimizer], decay float64) (config.Variant[OptimArg, optim.Optimizer], error) {
	box := struct {
		Rule config.Variant[OptimArg, optim.Optimizer] `yaml:"rule"`
	}{rule}
	base, err := config.Resolved(&box)
	if err != nil {
		return rule, err
	}
	if err := config.Decode("", base, []string{fmt.Sprintf("rule.weight_decay=%v", decay)}, &box); err != nil {
		return rule, fmt.Errorf("the update rule %s has no weight_decay that could be %g", rule.Kind, decay)
	}
	return box.Rule, nil
}

// describeGroups says what each group of parameters is and what holds for it.
func (o *Optim) describeGroups(params []*tensor.Param) ([]string, error) {
	group, _, err := o.assign(params)
	if err != nil {
		return nil, err
	}
	arrays, elems := make([]int, len(o.Groups)+1), make([]int, len(o.Groups)+1)
	for i, p := range params {
		k := group[i]
		if k < 0 {
			k = len(o.Groups)
		}
		arrays[k]++
		elems[k] += p.Elems()
	}
	var lines []string
	for k, g := range o.Groups {
		lines = append(lines, fmt.Sprintf("%s: %d parameters in %d arrays, %s", g.Match, elems[k], arrays[k], g.describe(o)))
	}
	if arrays[len(o.Groups)] > 0 {
		lines = append(lines, fmt.Sprintf("others: %d parameters in %d arrays, lr %g, %s", elems[len(o.Groups)], arrays[len(o.Groups)], o.LR, o.Rule.Kind))
	}
	return lines, nil
}

func (g *ParamGroup) describe(o *Optim) string {
	if g.Frozen {
		return "frozen"
	}
	rule := o.Rule.Kind
	if g.Rule != nil {
		rule = g.Rule.Kind
	}
	parts := []string{fmt.Sprintf("lr %g", o.LR*g.LR), rule}
	if g.WeightDecay != nil {
		parts = append(parts, fmt.Sprintf("weight decay %g", *g.WeightDecay))
	}
	return strings.Join(parts, ", ")
}
