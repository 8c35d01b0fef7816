package train

import (
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/flow/discrete"
)

// DescribeSampling says how samples are drawn, in a few words.
func (t *Trained) DescribeSampling() string {
	s := fmt.Sprintf("%s, %d steps", t.SamplerName(), t.How.Steps)
	if dev, err := t.compute(); err == nil && dev != t.Device {
		s += ", in bf16"
	}
	return s + t.How.Guidance.describe() + t.How.Steering.describe()
}

// SamplerName is what the sampler is called by configs, or by the diffusers folder.
func (t *Trained) SamplerName() string {
	if t.SchedulerClass != "" {
		return t.SchedulerClass
	}
	return t.SamplerKind()
}

// describePath says how data turn into noise.
func describePath(p diffusion.GaussianPath) string {
	switch p := p.(type) {
	case diffusion.CondOT, *diffusion.CondOT:
		return "straight lines from data to noise"
	case diffusion.Trig, *diffusion.Trig:
		return "quarter circles from data to noise"
	case *flow.GeodesicPath:
		return fmt.Sprintf("geodesics of %v%s", p.Manifold, describeKappa(p.Scheduler))
	case *discrete.Path:
		return fmt.Sprintf("%v turn into %v ones%s", p, describeSource(p.Source), describeKappa(p.Scheduler))
	case flow.EncDec:
		return "data fade out, then the noise fades in"
	case flow.Interpolant:
		return describePath(p.GaussianPath) + describeLatent(p.Latent)
	case *diffusion.Table:
		return fmt.Sprintf("a table of %.0f levels", p.End())
	case diffusion.EDM:
		return fmt.Sprintf("added to the data, up to %g", p.SigmaMax)
	case diffusion.VE:
		return fmt.Sprintf("added to the data, growing exponentially from %g to %g", p.SigmaMin, p.SigmaMax)
	case diffusion.VP:
		return fmt.Sprintf("at constant variance, at rates from %g to %g", p.Beta0, p.Beta1)
	case diffusion.Cosine:
		return "at constant variance, along the cosine schedule"
	case diffusion.SubVP:
		return fmt.Sprintf("below constant variance, at rates from %g to %g", p.Beta0, p.Beta1)
	}
	return fmt.Sprintf("%T", p)
}

// describeSource says what tokens turn into.
func describeSource(s discrete.Source) string {
	if s == discrete.Mask {
		return "masked"
	}
	return "random"
}

// describeKappa says how fast geodesics are gone, or tokens are lost.
func describeKappa(k flow.Scheduler) string {
	switch k := k.(type) {
	case *flow.CosineKappa:
		return ", from rest to rest"
	case *flow.SineKappa:
		return ", along a quarter of a sine"
	case *flow.PolynomialKappa:
		return fmt.Sprintf(", to the power %g of time from the source", k.Exponent)
	case *flow.PowerKappa:
		return fmt.Sprintf(", to the power %g of time", k.Exponent)
	}
	return ""
}

// describeLatent says what noise there is between the ends.
func describeLatent(l flow.Latent) string {
	switch l := l.(type) {
	case *flow.ConstantLatent:
		return fmt.Sprintf(", with noise of %g all along", l.Sigma)
	case *flow.BridgeLatent:
		return fmt.Sprintf(", with a Brownian bridge of %g in between", l.Sigma)
	case *flow.SineLatent:
		return fmt.Sprintf(", with noise of up to %g in between", l.Scale)
	}
	return fmt.Sprintf(", with %T in between", l)
}

// Facts are what inspect shows: names and values.
func (t *Trained) Facts() [][2]string {
	var rows [][2]string
	add := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	add("path", "%s", t.Path)
	if t.File != t.Path {
		add("weights", "%s", t.File)
	}
	if t.Exp != nil {
		average := ""
		if t.EMA {
			average = ", moving average of the weights"
		}
		add("trained", "%d of %d steps of %d samples%s", t.Step, t.Exp.Steps, t.Exp.Batch, average)
		add("data", "%s", t.Exp.Data.Kind)
		add("objective", "%s", t.Exp.Objective.Kind)
		add("model", "%s", t.Exp.Model.Kind)
		if s := t.student; s != nil {
			add("student", "%s", s.describe())
		}
	} else {
		add("model", "%s, written by diffusers", t.ModelClass)
		add("scheduler", "%s", t.SchedulerClass)
	}
	add("parameters", "%d in %d arrays", countElems(t.Params), len(t.Params))
	if t.Exp != nil && len(t.Exp.Optim.Groups) > 0 {
		groups, err := t.Exp.Optim.describeGroups(t.Params)
		if err != nil { // the patterns were checked before the first step
			groups = []string{err.Error()}
		}
		for _, g := range groups {
			add("group", "%s", g)
		}
	}
	add("samples", "shape %s", strings.ReplaceAll(fmt.Sprint(t.Shape), " ", "×"))
	if t.Classes > 0 {
		null := "with a null class"
		if _, ok := t.Net.Conditions().NullLabel(); !ok {
			null = "without a null class: no classifier-free guidance"
		}
		add("classes", "%d, %s", t.Classes, null)
	}
	if t.TakesPrompts() {
		for _, r := range t.textFacts() {
			add(r[0], "%s", r[1])
		}
	}
	if t.Vector > 0 {
		null := "with a null vector"
		if !t.NullVector {
			null = "without a null vector: no classifier-free guidance"
		}
		add("vector", "of %d numbers, %s", t.Vector, null)
	}
	if c := t.Net.Conditions(); t.Number {
		add("condition", "a number, embedded like a time (class_embed_type timestep)")
	} else if t.Vector == 0 && c.Vector > 0 && !c.Null {
		add("condition", "a vector of %d numbers (class_embed_type identity)", c.Vector)
	}
	add("noise", "%s", describePath(t.Model.Path()))
	add("predicts", "%v", t.Model.Kind())
	add("sampling", "%s", t.DescribeSampling())
	for _, n := range t.Notes {
		add("note", "%s", n)
	}
	return rows
}
