package train

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/train/classify"
	"github.com/langevin-go/langevin/train/config"
)

// ConstraintArg and CostArg are what constraints and costs are made for.
type (
	ConstraintArg struct{ Shape []int } // of a sample
	CostArg       struct{ Shape []int }
)

// Constraints is the registry of sets that samples are to lie in, Costs that of what they
// are to have little of. A program of one's own adds to them before cli.Main.
var (
	Constraints = config.NewRegistry[ConstraintArg, guidance.Constraint]("constraint", "What the estimate of the data is projected onto at each step, so that samples keep to it.")
	Costs       = config.NewRegistry[CostArg, guidance.Cost]("cost", "What samples are steered to have little of.")
)

// Steering is what samples are steered by besides their class.
type Steering struct {
	Classifier  *ClassifierGuidance                                  `yaml:"classifier_guidance" doc:"guidance by the gradient of a noise-aware classifier, which the classifier command trains (Dhariwal and Nichol 2021); null: none"`
	Cost        *CostGuidance                                        `yaml:"cost" doc:"steers samples to a low cost (Chung et al. 2023; Janner et al. 2022); null: none"`
	Constraints []config.Variant[ConstraintArg, guidance.Constraint] `yaml:"constraints" doc:"what samples are to keep to; projected on one after another"`
}

// ClassifierGuidance is how a classifier steers.
type ClassifierGuidance struct {
	File  string  `yaml:"file,required" doc:"classifier of noisy samples that the classifier command has written"`
	Scale float64 `yaml:"scale" doc:"s of score + s·∇ln p(class|x_t)" range:"[0,inf)"`
	Blind bool    `yaml:"blind" doc:"do not tell the model itself the class, as one without classes never is"`
	From  float64 `yaml:"from" doc:"smallest time with it, as a fraction of the path (0 is data)" range:"[0,1)"`
	To    float64 `yaml:"to" doc:"largest time with it, as a fraction of the path (1 is noise)" range:"(0,1]"`
}

// SetDefaults guides at all times.
func (g *ClassifierGuidance) SetDefaults() { g.Scale, g.From, g.To = 1, 0, 1 }

// Validate checks the interval.
func (g *ClassifierGuidance) Validate() error {
	if g.To <= g.From {
		return invalid.Field("to", "must be above from=%g, is %g", g.From, g.To)
	}
	return nil
}

// CostGuidance is how a cost steers.
type CostGuidance struct {
	Of      config.Variant[CostArg, guidance.Cost] `yaml:"of,required" doc:"the cost J, as −ln of a likelihood"`
	Scale   float64                                `yaml:"scale" doc:"s of score − s·∇J" range:"[0,inf)"`
	Through bool                                   `yaml:"through" doc:"take the gradient through the network, which costs a backward pass; false: take its Jacobian to be that of standard normal data"`
	From    float64                                `yaml:"from" doc:"smallest time with it, as a fraction of the path (0 is data)" range:"[0,1)"`
	To      float64                                `yaml:"to" doc:"largest time with it, as a fraction of the path (1 is noise)" range:"(0,1]"`
}

// SetDefaults goes through the network at all times.
func (g *CostGuidance) SetDefaults() { g.Scale, g.Through, g.From, g.To = 1, true, 0, 1 }

// Validate checks the interval.
func (g *CostGuidance) Validate() error {
	if g.To <= g.From {
		return invalid.Field("to", "must be above from=%g, is %g", g.From, g.To)
	}
	return nil
}

type knownConfig struct {
	File string `yaml:"file,required" doc:"safetensors file with the tensor known, (C,H,W) for images or a sample's shape, and perhaps mask, likewise, 1 where the value is known and 0 elsewhere"`
}

type knownCost struct {
	File string  `yaml:"file,required" doc:"as the constraint's"`
	Std  float64 `yaml:"std" doc:"standard deviation of the known values' errors" range:"(0,inf)"`
}

func (c *knownCost) SetDefaults() { c.Std = 0.1 }

type meanCost struct {
	Value float64 `yaml:"value,required" doc:"mean that a sample's values should have" range:"(-inf,inf)"`
	Std   float64 `yaml:"std" doc:"how far from it a mean may be, as a standard deviation" range:"(0,inf)"`
}

func (c *meanCost) SetDefaults() { c.Std = 0.1 }

func init() {
	config.Register(Constraints, "box", "Values between two bounds.",
		func(c *guidance.Box, _ ConstraintArg) (guidance.Constraint, error) { return c, nil })
	config.Register(Constraints, "mean", "Samples whose values have a given mean or sum.",
		func(c *guidance.Mean, _ ConstraintArg) (guidance.Constraint, error) { return c, nil })
	config.Register(Constraints, "known", "Samples of which some values are given: inpainting.",
		func(c *knownConfig, a ConstraintArg) (guidance.Constraint, error) { return readKnown(c.File, a.Shape) })

	config.Register(Costs, "known", "Values of a part of a sample, measured with normal errors (Song et al. 2023, ΠGDM).",
		func(c *knownCost, a CostArg) (guidance.Cost, error) {
			k, err := readKnown(c.File, a.Shape)
			if err != nil {
				return nil, err
			}
			return guidance.Near(k, c.Std), nil
		})
	config.Register(Costs, "mean", "The mean of a sample's values, measured with a normal error.",
		func(c *meanCost, _ CostArg) (guidance.Cost, error) {
			return guidance.NearMean(c.Value, c.Std), nil
		})
}

// readKnown reads what is known of a sample.
func readKnown(path string, shape []int) (*guidance.Known, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, invalid.Field("file", "cannot be used: %v", noRead(path, err, "a safetensors file with the tensor known"))
	}
	defer f.Close()
	read := func(name string) ([]float32, error) {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, invalid.Field("file", "cannot be used: %v", err)
		}
		dims := channelsFirstShape(shape)
		if !equalShape(t.Shape, dims) {
			return nil, invalid.Field("file", "%s: tensor %s has shape %v, want (%s)", path, name, t.Shape, joinInts(dims))
		}
		x, err := t.Float32s()
		if err != nil {
			return nil, invalid.Field("file", "%s: tensor %s: %v", path, name, err)
		}
		if len(shape) == 3 {
			x = channelsLast(x, 1, shape)
		}
		return x, nil
	}
	k := &guidance.Known{}
	if k.Values, err = read("known"); err != nil {
		return nil, err
	}
	for i, v := range k.Values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, invalid.Field("file", "%s: tensor known: value %d is %g, must be finite", path, i, v)
		}
	}
	if f.Has("mask") {
		if k.Mask, err = read("mask"); err != nil {
			return nil, err
		}
		for i, m := range k.Mask {
			if m != 0 && m != 1 {
				return nil, invalid.Field("file", "%s: tensor mask: value %d is %g, must be 0 or 1", path, i, m)
			}
		}
	}
	return k, nil
}

// steered is m with the cost and the constraints that were asked for.
func (d *Drawer) steered(m diffusion.Model, q Request) (diffusion.Model, error) {
	m, err := d.classified(m, q)
	if err != nil {
		return nil, err
	}
	if g := d.How.Cost; g != nil && g.Scale != 0 {
		j, err := g.Of.Build(CostArg{d.Shape})
		if err != nil {
			return nil, fmt.Errorf("cost.of: %w", err)
		}
		m = &guidance.Costed{Of: m, J: j, Through: g.Through, Strength: guidance.Strength{Scale: g.Scale, From: g.From, To: g.To}}
	}
	to, err := d.constraint()
	if err != nil || to == nil {
		return m, err
	}
	c := &guidance.Constrained{Of: m, To: to}
	if q.Violated != nil {
		c.Report = func(at diffusion.Step, violation []float64) { q.Violated(at.Index, at.Count, violation) }
	}
	return c, nil
}

// classified reports whether there is classifier guidance.
func (g *Steering) classified() bool { return g.Classifier != nil && g.Classifier.Scale != 0 }

// classified is m with the classifier that was asked for.
func (d *Drawer) classified(m diffusion.Model, q Request) (diffusion.Model, error) {
	g := d.How.Classifier
	if !d.How.Steering.classified() || q.Labels == nil {
		return m, nil
	}
	k, err := d.openClassifier()
	if err != nil {
		return nil, err
	}
	blind := g.Blind || d.Classes == 0
	switch {
	case d.Number:
		return nil, invalid.Field("classifier_guidance", "does not go with a model that is conditioned on a number")
	case blind && d.Classes > 0 && d.Null < 0:
		return nil, invalid.Field("classifier_guidance.blind", "needs a model with a null class, or without classes")
	case blind && d.Classes > 0 && d.How.Guidance.on():
		return nil, invalid.Field("classifier_guidance.blind", "and guidance %g exclude each other: a model that is not told the class has none to be guided by", d.How.EffectiveScale())
	}
	null := -1
	if d.Classes > 0 {
		null = d.Null
	}
	return &guidance.Classified{Of: m, By: k.On(d.Model.Path()), Blind: blind, Classes: null,
		Strength: guidance.Strength{Scale: g.Scale, From: g.From, To: g.To}}, nil
}

// openClassifier opens the classifier, once.
func (d *Drawer) openClassifier() (*classify.Classifier, error) {
	path := d.How.Classifier.File
	if d.classifier != nil && d.classifierFile == path {
		return d.classifier, nil
	}
	k, err := classify.Load(d.Device, path)
	switch {
	case err != nil:
		return nil, invalid.Field("classifier_guidance.file", "cannot be used: %v", noRead(path, err, "a classifier that the classifier command has written"))
	case !equalShape(k.Shape, d.Shape):
		return nil, invalid.Field("classifier_guidance.file", "is for samples of shape %v; the model's have %v", k.Shape, d.Shape)
	case d.Classes > 0 && k.Classes != d.Classes:
		return nil, invalid.Field("classifier_guidance.file", "knows %d classes; the model %d", k.Classes, d.Classes)
	}
	d.classifier, d.classifierFile = k, path
	return k, nil
}

// AskedClasses is the number of classes that samples can be asked to be of: the model's, or
// those of the classifier that guides one without.
func (d *Drawer) AskedClasses() (int, error) {
	if d.Classes > 0 || !d.How.Steering.classified() {
		return d.Classes, nil
	}
	k, err := d.openClassifier()
	if err != nil {
		return 0, err
	}
	return k.Classes, nil
}

// constraint is all constraints, nil if there are none.
func (d *Drawer) constraint() (guidance.Constraint, error) {
	if len(d.How.Constraints) == 0 {
		return nil, nil
	}
	var all guidance.All
	for i, v := range d.How.Constraints {
		c, err := v.Build(ConstraintArg{d.Shape})
		if err != nil {
			return nil, fmt.Errorf("constraints[%d]: %w", i, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// describe says what differs from not being steered.
func (g *Steering) describe() string {
	s := ""
	if g.classified() {
		s = fmt.Sprintf(", classifier guidance %g", g.Classifier.Scale)
	}
	if g.Cost != nil && g.Cost.Scale != 0 {
		s += fmt.Sprintf(", cost %s × %g", g.Cost.Of.Kind, g.Cost.Scale)
	}
	for i, c := range g.Constraints {
		if i == 0 {
			s += ", within"
		}
		s += " " + c.Kind
	}
	return s
}
