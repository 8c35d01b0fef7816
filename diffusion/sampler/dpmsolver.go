package sampler

import (
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/invalid"
)

// Algorithms and variants of DPM-Solver.
const (
	DPMSolver   = "dpmsolver"   // in the noise (Lu et al. 2022a)
	DPMSolverPP = "dpmsolver++" // in the data (Lu et al. 2022b)

	Midpoint = "midpoint" // the slope's weight is half of the value's
	HeunType = "heun"     // the slope is integrated exactly

	Exact     = "exact"     // of order 3
	Published = "published" // half the weight on the second difference
)

// DPM are the options that DPM-Solver's multistep and single-step forms share.
type DPM struct {
	Algorithm string `yaml:"algorithm" doc:"what is interpolated: the estimate of the data, or of the noise" oneof:"dpmsolver++ dpmsolver"`
	Order     int    `yaml:"order" doc:"order of the method" range:"[1,3]"`
	Type      string `yaml:"type" doc:"the correction of order 2, and the single-step method of order 3: midpoint or heun, as diffusers calls them" oneof:"midpoint heun"`
}

// SetDefaults is DPM-Solver++(2).
func (d *DPM) SetDefaults() { d.Algorithm, d.Order, d.Type = DPMSolverPP, 2, Midpoint }

// Validate checks the names and the order.
func (d *DPM) Validate() error {
	if err := oneOf("algorithm", d.Algorithm, DPMSolverPP, DPMSolver); err != nil {
		return err
	}
	if err := oneOf("type", d.Type, Midpoint, HeunType); err != nil {
		return err
	}
	return checkOrder(d.Order, 3)
}

func (d *DPM) form() form { return d.Algorithm == DPMSolverPP }

func oneOf(name, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return invalid.Field(name, "must be one of %s, is %q", strings.Join(choices, ", "), value)
}

// midpoint halves the value's moment into the slope's: h·M_0/2 in place of M_1.
func (l *leap) midpoint() { l.moment[1] = l.h * l.moment[0] / 2 }

// DPMMultistep is DPM-Solver with values from earlier steps: DPM-Solver++(2M) of Lu et
// al. 2022b (algorithm 2), its extension to order 3, and the same in the noise.
type DPMMultistep struct {
	DPM    `yaml:",inline"`
	Third  string `yaml:"third" doc:"coefficients of order 3: exact; or published, those of the authors' code and diffusers, which weigh the second difference half and are of order 2" oneof:"exact published"`
	Ending `yaml:",inline"`
}

// SetDefaults is DPM-Solver++(2M) as diffusers has it.
func (d *DPMMultistep) SetDefaults() {
	d.DPM.SetDefaults()
	d.Third, d.Ending = Exact, Ending{LowerOrderFinal: true}
}

// Validate checks the names and the order.
func (d *DPMMultistep) Validate() error {
	if err := d.DPM.Validate(); err != nil {
		return err
	}
	return oneOf("third", d.Third, Exact, Published)
}

// Sample integrates the polynomial through the newest estimates. (The published
// order 3 takes ((e^{−h}−1+h)/h² − ½)·D2 for the second difference D2 = h²·m”/2, while
// ∫_0^h e^{τ−h}τ² dτ·m”/2 is twice that.)
func (d *DPMMultistep) Sample(r *Run) {
	f, past := d.form(), r.History(d.Order-1)
	for st := range r.Steps() {
		order := d.order(st, d.Order, past.Len())
		if order == 1 {
			x, m := f.edge(r, st.From, st.To)
			if bounded(st.From) {
				past.Push(st.From, m)
			}
			r.X = x
			continue
		}
		m := f.estimate(r, st.From)
		l := f.leap(st.From, st.To)
		switch {
		case order == 2 && d.Type == Midpoint:
			l.midpoint()
		case order == 3 && d.Third == Published:
			l.moment[2] /= 2
		}
		r.X = l.through(r, st.From, r.X, m, past, order)
		past.Push(st.From, m)
	}
}

// Reversible: the steps hold in both directions.
func (*DPMMultistep) Reversible() bool { return true }
