package train

import (
	"fmt"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/guidance"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Guidance is classifier-free guidance (Ho and Salimans 2022), in either convention.
type Guidance struct {
	Scale  float64  `yaml:"guidance" doc:"scale s of classifier-free guidance, u+s·(c−u): 1 is none, 0 unconditional" range:"[0,inf)"`
	Weight *float64 `yaml:"guidance_weight" doc:"the same as the weight w of (1+w)·c−w·u, s=1+w; instead of guidance" range:"[-1,inf)"`
	From   float64  `yaml:"guidance_from" doc:"smallest time with guidance, as a fraction of the path (0 is data)" range:"[0,1)"`
	To     float64  `yaml:"guidance_to" doc:"largest time with guidance, as a fraction of the path (1 is noise)" range:"(0,1]"`
}

// SetDefaults is no guidance.
func (g *Guidance) SetDefaults() { *g = Guidance{Scale: 1, To: 1} }

// Validate checks that one convention is used.
func (g *Guidance) Validate() error {
	switch {
	case g.Weight != nil && g.Scale != 1:
		return invalid.Field("guidance_weight", "and guidance exclude each other: guidance is 1+guidance_weight")
	case g.To <= g.From:
		return invalid.Field("guidance_to", "must be above guidance_from=%g, is %g", g.From, g.To)
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

// guided is the model under the guidance that was asked for.
func (d *Drawer) guided(q Request, e *encoded) (diffusion.Model, error) {
	s := d.How.EffectiveScale()
	asked := q.Labels != nil && d.Classes > 0 || q.Prompts != nil
	switch {
	case s == 1 || !asked && (d.Classes > 0 || e != nil):
		return d.Model, nil
	case d.Classes == 0 && e == nil:
		return nil, fmt.Errorf("guidance %g: the model has no classes to be guided by", s)
	case d.Null < 0 && q.Prompts == nil:
		return nil, fmt.Errorf("guidance %g: the model has no null class, so there is nothing to be guided away from", s)
	}
	g := &guidance.CFG{Of: d.Model, Scale: s, Classes: d.Null, From: d.How.From, To: d.How.To}
	if e != nil {
		g.Away = e.standIn(e.negative, d.Null)
	}
	return g, nil
}
