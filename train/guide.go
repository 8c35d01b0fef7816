package train

import (
	"fmt"
	"reflect"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/diffusion/student"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/train/config"
)

// RuleArg and FadeArg are empty: these kinds need nothing but their configs.
type (
	RuleArg struct{}
	FadeArg struct{}
)

// GuidanceRules is the registry of ways to combine the prediction with the condition
// and the one to be guided away from, GuidanceSchedules that of guidance over time. A
// program of one's own adds to them before cli.Main.
var (
	GuidanceRules     = config.NewRegistry[RuleArg, guidance.Rule]("guidance rule", "How the prediction with the condition, c, and the one to be guided away from, u, are combined.")
	GuidanceSchedules = config.NewRegistry[FadeArg, guidance.Schedule]("guidance schedule", "What the weight of guidance, s−1, is multiplied by along the path.")
)

func init() {
	config.Register(GuidanceRules, "cfg", "u+s·(c−u) (Ho and Salimans 2022).",
		func(*struct{}, RuleArg) (guidance.Rule, error) { return nil, nil })
	config.RegisterOptions(GuidanceRules, "apg", "Adaptive projected guidance (Sadat et al. 2024): what lies along the prediction, which oversaturates, counts less; limited and with momentum.", guidance.Rule(new(guidance.APG)))
	config.RegisterOptions(GuidanceRules, "cfg_zero", "CFG-Zero* (Fan et al. 2025), for flows: u is scaled to what of it lies along c, and the first steps do not move.", guidance.Rule(new(guidance.ZeroStar)))
	config.Register(GuidanceSchedules, "constant", "1.",
		func(*struct{}, FadeArg) (guidance.Schedule, error) { return guidance.Constant{}, nil })
	config.RegisterOptions(GuidanceSchedules, "linear", "From 0 at the noise to 2 at the data (Wang et al. 2024), or the other way round.", guidance.Schedule(new(guidance.Linear)))
	config.RegisterOptions(GuidanceSchedules, "cosine", "From 0 at the noise to 2 at the data along a cosine (Wang et al. 2024), or the other way round.", guidance.Schedule(new(guidance.Cosine)))
	config.RegisterOptions(GuidanceSchedules, "points", "Straight lines through the user's own factors.", guidance.Schedule(new(guidance.Points)))
}

// Guidance is classifier-free guidance (Ho and Salimans 2022), in either
// convention, with what later papers have added, and autoguidance. docs/guidance.md explains.
type Guidance struct {
	Scale     float64                                    `yaml:"guidance" doc:"scale s of classifier-free guidance, u+s·(c−u): 1 is none, 0 unconditional" range:"[0,inf)"`
	Weight    *float64                                   `yaml:"guidance_weight" doc:"the same as the weight w of (1+w)·c−w·u, s=1+w; instead of guidance" range:"[-1,inf)"`
	From      float64                                    `yaml:"guidance_from" doc:"smallest time with guidance, as a fraction of the path (0 is data)" range:"[0,1)"`
	To        float64                                    `yaml:"guidance_to" doc:"largest time with guidance, as a fraction of the path (1 is noise)" range:"(0,1]"`
	SigmaFrom float64                                    `yaml:"guidance_sigma_from" doc:"lowest noise level (sigma/alpha) with guidance (Kynkäänniemi et al. 2024)" range:"[0,inf)"`
	SigmaTo   float64                                    `yaml:"guidance_sigma_to" doc:"highest noise level (sigma/alpha) with guidance; 0: no limit" range:"[0,inf)"`
	Over      config.Variant[FadeArg, guidance.Schedule] `yaml:"guidance_schedule" doc:"how strong guidance is along the path"`
	Rule      config.Variant[RuleArg, guidance.Rule]     `yaml:"guidance_rule" doc:"how the two predictions are combined"`
	Rescale   float64                                    `yaml:"guidance_rescale" doc:"part of the conditional prediction's standard deviation that a guided one gets back, against overexposure (Lin et al. 2024: 0.7)" range:"[0,1]"`
	Negative  *int                                       `yaml:"guidance_negative" doc:"class to be guided away from; null: the null class" range:"[0,inf)"`
	With      []Beside                                   `yaml:"guidance_with" doc:"classes or prompts that hold beside a sample's own (Liu et al. 2022)"`
	Auto      *Autoguidance                              `yaml:"autoguidance" doc:"guidance away from a weaker model; goes with and without classifier-free guidance; null: none"`
}

// Beside is a class or a prompt that holds beside others.
type Beside struct {
	Class  *int    `yaml:"class" doc:"the class; null: none" range:"[0,inf)"`
	Prompt string  `yaml:"prompt" doc:"the prompt, of a model that takes prompts"`
	Weight float64 `yaml:"weight" doc:"w of w·(c−null), which is added to the conditional prediction; below 0: not this" range:"(-inf,inf)"`
}

// SetDefaults is one that counts as much as a sample's own.
func (c *Beside) SetDefaults() { c.Weight = 1 }

// Validate checks that it is one of them.
func (c *Beside) Validate() error {
	switch {
	case c.Class == nil && c.Prompt == "":
		return invalid.Field("class", "or prompt must be given")
	case c.Class != nil && c.Prompt != "":
		return invalid.Field("prompt", "and class exclude each other: list them one after another")
	}
	return nil
}

// describe is its name.
func (c *Beside) describe() string {
	if c.Class != nil {
		return fmt.Sprintf("class %d", *c.Class)
	}
	return fmt.Sprintf("%q", c.Prompt)
}

// Autoguidance is guidance away from a weaker model of the same data (Karras et al. 2024).
type Autoguidance struct {
	Model string  `yaml:"model,required" doc:"a run, a checkpoint or a diffusers folder: a smaller network, or one trained less"`
	Scale float64 `yaml:"scale" doc:"s of weak+s·(own−weak); 1 is none" range:"[0,inf)"`
	From  float64 `yaml:"from" doc:"smallest time with it, as a fraction of the path (0 is data)" range:"[0,1)"`
	To    float64 `yaml:"to" doc:"largest time with it, as a fraction of the path (1 is noise)" range:"(0,1]"`
}

// SetDefaults guides at all times.
func (g *Autoguidance) SetDefaults() { g.Scale, g.From, g.To = 2, 0, 1 }

// Validate checks the interval.
func (g *Autoguidance) Validate() error {
	if g.To <= g.From {
		return invalid.Field("to", "must be above from=%g, is %g", g.From, g.To)
	}
	return nil
}

// SetDefaults is no guidance.
func (g *Guidance) SetDefaults() {
	*g = Guidance{Scale: 1, To: 1, Over: GuidanceSchedules.Default("constant"), Rule: GuidanceRules.Default("cfg")}
}

// Validate checks that one convention is used.
func (g *Guidance) Validate() error {
	switch {
	case g.Weight != nil && g.Scale != 1:
		return invalid.Field("guidance_weight", "and guidance exclude each other: guidance is 1+guidance_weight")
	case g.To <= g.From:
		return invalid.Field("guidance_to", "must be above guidance_from=%g, is %g", g.From, g.To)
	case g.SigmaTo != 0 && g.SigmaTo <= g.SigmaFrom:
		return invalid.Field("guidance_sigma_to", "must be above guidance_sigma_from=%g, or 0, is %g", g.SigmaFrom, g.SigmaTo)
	}
	return nil
}

// EffectiveScale is the scale in either convention.
func (g *Guidance) EffectiveScale() float64 {
	if g.Weight != nil {
		return guidance.ScaleOfWeight(*g.Weight)
	}
	return g.Scale
}

// on reports whether there is classifier-free guidance.
func (g *Guidance) on() bool {
	return g.EffectiveScale() != 1 || g.Rule.Kind == "cfg_zero" || len(g.With) > 0
}

// guided is the model under the guidance that was asked for.
func (d *Drawer) guided(q Request, e *encoded) (diffusion.Model, error) {
	m, err := d.autoguided()
	g := &d.How.Guidance
	asked := q.Labels != nil && d.Classes > 0 || q.Prompts != nil || q.Vectors != nil
	switch {
	case err != nil:
		return nil, err
	case d.student != nil && d.student.Told && q.Negative != "":
		return nil, fmt.Errorf("the prompt %q to be guided away from: the network does guidance itself, away from no prompt, as it was taught", q.Negative)
	case d.student != nil && d.student.Told:
		return g.tell(m, d.student.Scales)
	case !g.on() || !asked && (d.Classes > 0 || d.Vector > 0 || e != nil) && len(g.With) == 0:
		return m, nil
	case e != nil && g.Negative != nil:
		return nil, invalid.Field("guidance_negative", "is for classes alone: the model takes prompts, so say it as a negative prompt")
	case d.Classes == 0 && d.Vector == 0 && e == nil:
		return nil, fmt.Errorf("guidance %g: the model has no classes to be guided by", g.EffectiveScale())
	case q.Vectors != nil && !d.NullVector:
		return nil, fmt.Errorf("guidance %g: the model has no null vector, so there is nothing to be guided away from", g.EffectiveScale())
	case d.Null < 0 && q.Prompts == nil && (e == nil || len(g.With) == 0) && (q.Vectors == nil || d.Classes > 0):
		return nil, fmt.Errorf("guidance %g: the model has no null class, so there is nothing to be guided away from", g.EffectiveScale())
	}
	cfg := &guidance.CFG{Of: m, Classes: d.Null, Rescale: g.Rescale}
	cfg.Strength = guidance.Strength{Scale: g.EffectiveScale(), From: g.From, To: g.To, SigmaFrom: g.SigmaFrom, SigmaTo: g.SigmaTo}
	if cfg.Over, err = g.Over.Build(FadeArg{}); err != nil {
		return nil, err
	}
	if cfg.Rule, err = g.Rule.Build(RuleArg{}); err != nil {
		return nil, err
	}
	if e != nil {
		cfg.None = e.standIn(0, d.Null)
		if e.negative != 0 {
			cfg.Away = e.standIn(e.negative, d.Null)
		}
	}
	if g.Negative != nil {
		if *g.Negative >= d.Classes {
			return nil, invalid.Field("guidance_negative", "is %d; the classes are 0 to %d", *g.Negative, d.Classes-1)
		}
		cfg.Away = guidance.Class(*g.Negative)
	}
	for i, c := range g.With {
		at := func(key string) string { return fmt.Sprintf("guidance_with[%d].%s", i, key) }
		w := guidance.Weighted{Weight: c.Weight}
		switch {
		case e != nil && c.Class != nil:
			return nil, invalid.Field(at("class"), "is for models without prompts: say it as a prompt")
		case e != nil:
			w.Is = e.standIn(e.with[i], d.Null)
		case c.Class == nil:
			return nil, invalid.Field(at("prompt"), "is given, and the model takes no prompts")
		case *c.Class >= d.Classes:
			return nil, invalid.Field(at("class"), "is %d; the classes are 0 to %d", *c.Class, d.Classes-1)
		default:
			w.Is = guidance.Class(*c.Class)
		}
		cfg.With = append(cfg.With, w)
	}
	return cfg, nil
}

// tell is a model that knows guidance itself, told the scale. Of scales from and to it knows those between.
func (g *Guidance) tell(m diffusion.Model, known [2]float64) (diffusion.Model, error) {
	plain := *g
	plain.Scale, plain.Weight, plain.Auto = 1, nil, nil
	var none Guidance
	none.SetDefaults()
	s := g.EffectiveScale()
	switch {
	case !reflect.DeepEqual(plain, none):
		return nil, invalid.Field("guidance", "is what the network itself does, at all times and by the rule that it was taught: set its scale alone")
	case s < known[0] || s > known[1]:
		return nil, invalid.Field("guidance", "is %g; the network was taught scales from %g to %g", s, known[0], known[1])
	}
	return &student.Told{Model: m, Scale: (s - known[0]) / (known[1] - known[0])}, nil
}

// autoguided is the model, guided by a weaker one if that was asked for.
func (d *Drawer) autoguided() (diffusion.Model, error) {
	g := d.How.Auto
	if g == nil || g.Scale == 1 {
		return d.Model, nil
	}
	if d.weaker == nil || d.weaker.Path != g.Model {
		t, err := openOn(d.Device, g.Model, func(string, ...any) {})
		if err == nil {
			err = t.Choose(Choice{})
		}
		if err != nil {
			return nil, invalid.Field("autoguidance.model", "cannot be used: %v", err)
		}
		d.weaker = t
	}
	w := d.weaker
	switch {
	case !equalShape(w.Shape, d.Shape):
		return nil, invalid.Field("autoguidance.model", "makes samples of shape %v, the model of %v", w.Shape, d.Shape)
	case w.Classes > 0 && (w.Classes != d.Classes || w.Null != d.Null):
		return nil, invalid.Field("autoguidance.model", "has %d classes and the label %d for none, the model %d and %d (−1: no null class)", w.Classes, w.Null, d.Classes, d.Null)
	case w.Vector != d.Vector && (w.Vector > 0 || w.Classes > 0):
		return nil, invalid.Field("autoguidance.model", "is conditioned on vectors of %d numbers, the model of %d", w.Vector, d.Vector)
	case w.TakesPrompts():
		return nil, invalid.Field("autoguidance.model", "takes prompts, which are encoded for one model at a time: want a weaker model without")
	case w.Number != d.Number:
		return nil, invalid.Field("autoguidance.model", "is not conditioned on what the model is: on a number")
	}
	weak := w.Model
	switch {
	case w.Classes == 0 && w.Vector == 0 && !w.Number:
		weak = unconditioned{weak}
	case d.TakesPrompts():
		weak = unprompted{weak}
	}
	m, err := guidance.NewAuto(d.Model, weak, guidance.Strength{Scale: g.Scale, From: g.From, To: g.To})
	if err != nil {
		return nil, invalid.Field("autoguidance.model", "does not fit: %v", err)
	}
	return m, nil
}

// unconditioned is a model that is told of no condition.
type unconditioned struct{ diffusion.Model }

// Eval drops the condition.
func (m unconditioned) Eval(x *tensor.Tensor, at diffusion.Step, _ diffusion.Cond) diffusion.Pred {
	return m.Model.Eval(x, at, diffusion.Cond{})
}

// unprompted is a model that is told of no prompt.
type unprompted struct{ diffusion.Model }

// Eval drops the prompt.
func (m unprompted) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	c.Text, c.Pooled, c.TextMask = nil, nil, nil
	return m.Model.Eval(x, at, c)
}

// describe says what differs from no guidance.
func (g *Guidance) describe() string {
	s := ""
	if g.on() {
		s = fmt.Sprintf(", guidance %g", g.EffectiveScale())
		if g.Rule.Kind != "cfg" {
			s += " by " + g.Rule.Kind
		}
		if g.Negative != nil {
			s += fmt.Sprintf(" away from class %d", *g.Negative)
		}
	}
	for _, c := range g.With {
		s += fmt.Sprintf(", %g of %s", c.Weight, c.describe())
	}
	if g.Auto != nil && g.Auto.Scale != 1 {
		s += fmt.Sprintf(", autoguidance %g by %s", g.Auto.Scale, g.Auto.Model)
	}
	return s
}
