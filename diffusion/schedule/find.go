package schedule

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/internal/invalid"
)

// Wanted is a sampling run for which a scheduler is sought.
type Wanted struct {
	Path      diffusion.GaussianPath
	Predicts  diffusion.Kind
	Variance  diffusion.Variance
	TimeInput func(p diffusion.Point) float64 // what the network is told, as diffusers' networks take it

	Name    string // of the sampler
	Sampler sampler.Sampler
	Grid    []float64
	Clip    sampler.Clip

	Betas   *Betas  // how the path's table was made; nil: not known
	ZeroSNR bool    // and then rescaled
	Rho     float64 // of the grid of Karras's levels; 0: 7
}

// Found is a scheduler that makes the steps of a run, with what a run tells it besides its config.
type Found struct {
	Scheduler Scheduler
	Even      bool    // the times are given to it: equal steps
	Eta       float64 // arguments of its step
	Rederive  bool
	InitScale float64 // as [Plan] has it
}

// Find is the inverse of [Scheduler.Plan]: a scheduler whose plan for as many steps is the run that is wanted. Where there is none, the error names the
// setting to which diffusers has no equivalent, and what would be right.
func Find(w Wanted) (*Found, error) {
	drafts, err := w.drafts()
	if err != nil {
		return nil, err
	}
	var nearest *mismatch
	for s := range drafts {
		p, err := s.Plan(len(w.Grid) - 1)
		if err != nil {
			if nearest == nil {
				nearest = &mismatch{0, invalid.Field("steps", "do not go with %s: %v", s.Class(), err)}
			}
			continue
		}
		m := w.differs(s, p)
		if m == nil {
			return found(s, p), nil
		}
		if nearest == nil || m.rank > nearest.rank {
			nearest = m
		}
	}
	return nil, nearest.err
}

func found(s Scheduler, p *Plan) *Found {
	f := &Found{Scheduler: s, InitScale: p.InitScale}
	switch s := s.(type) {
	case *DDIM:
		f.Eta, f.Rederive = s.Eta, s.UseClippedModelOutput
	case *FlowMatchEuler:
		f.Even = s.Even
	case *FlowMatchHeun:
		f.Even = s.Even
	}
	return f
}

// mismatch is what a scheduler does otherwise than the run; the higher the rank, the nearer they are.
type mismatch struct {
	rank float64
	err  error
}

// draft is a config by its fields. Those that a class lacks are passed over.
type draft map[string]any

func (d draft) with(more draft) draft {
	d = maps.Clone(d)
	maps.Copy(d, more)
	return d
}

func (d draft) as(class string) (Scheduler, error) {
	d = maps.Clone(d)
	betas, _ := d[trainedBetas].([]float64) // which are many
	delete(d, trainedBetas)
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	fields, err := parse(text)
	if err != nil {
		return nil, err
	}
	s, err := decode(class, fields)
	if err == nil && betas != nil {
		targets(reflect.ValueOf(s).Elem())[trainedBetas].Set(reflect.ValueOf(betas))
		err = s.Validate()
	}
	return s, err
}

const trainedBetas = "trained_betas"

// drafts are the schedulers among which the run's may be, at least one.
func (w *Wanted) drafts() (iter.Seq[Scheduler], error) {
	switch p := w.Path.(type) {
	case *diffusion.Table:
		return w.onTable(p)
	case diffusion.CondOT:
		if p.SigmaMin != 0 {
			return nil, invalid.Field("sigma_min", "is %g: diffusers' flows have no noise on the data, which is sigma_min: 0", p.SigmaMin)
		}
		return w.onLines(p)
	case diffusion.EDM:
		return w.onLevels()
	}
	return nil, invalid.Field("objective", "has a path that no scheduler of diffusers goes along: want ddpm, flow with straight lines (interpolant: condot), or edm")
}

// class is the one that the sampler's name stands for on the path.
func (w *Wanted) class(classes map[string]string, what string) (string, error) {
	class, ok := classes[w.Name]
	var between bool
	switch w.Name {
	case "dpm2", "dpm2_ancestral", "dpmpp_sde":
		between = true
	}
	if ok && !between {
		return class, nil
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(classes)), func(n string) bool { return n == "dpm2" || n == "dpm2_ancestral" || n == "dpmpp_sde" || n == "deis" })
	valid := strings.Join(names, ", ")
	if between {
		return "", invalid.Field("sampler", "is %s, which looks between the times of the grid, where diffusers tells networks other times: want one of %s", w.Name, valid)
	}
	return "", invalid.Field("sampler", "is %s, for which diffusers has no scheduler %s: want one of %s", w.Name, what, valid)
}

// onTable are the classes for discrete tables, with every spacing of the times.
func (w *Wanted) onTable(table *diffusion.Table) (iter.Seq[Scheduler], error) {
	class, err := w.class(samplerClasses, "on a table")
	if err != nil {
		return nil, err
	}
	prediction := ""
	for name, kind := range predictionKinds {
		if kind == w.Predicts && name != "original_sample" {
			prediction = name
		}
	}
	if prediction == "" {
		return nil, invalid.Field("predict", "is %v, which no scheduler of diffusers takes on a table: want eps, x0 or v", w.Predicts)
	}
	base := draft{"prediction_type": prediction}.with(w.clipping()).with(w.options())
	var refused error
	for _, betas := range w.betas(table) {
		base := base.with(betas)
		if refused = w.onSameTable(base, class, table); refused == nil {
			return w.spaced(base, class), nil
		}
	}
	return nil, invalid.Field("sampler", "%s does not go with %s: %v", w.Name, class, refused)
}

// spaced are a class's schedulers with every spacing of the times.
func (w *Wanted) spaced(base draft, class string) iter.Seq[Scheduler] {
	return func(yield func(Scheduler) bool) {
		var before []Scheduler
		for _, respacing := range []draft{{}, {"use_karras_sigmas": true}, {"use_exponential_sigmas": true}, {"use_beta_sigmas": true}} {
			for _, spacing := range []draft{{"timestep_spacing": sampler.Trailing}, {"timestep_spacing": sampler.Leading}, {"timestep_spacing": sampler.Leading, "steps_offset": 1}, {"timestep_spacing": sampler.Linspace}} {
				for _, final := range []string{"zero", "sigma_min"} {
					s, err := base.with(respacing).with(spacing).with(draft{"final_sigmas_type": final}).as(class)
					if err != nil || slices.ContainsFunc(before, func(o Scheduler) bool { return reflect.DeepEqual(o, s) }) { // the class may lack fields
						continue
					}
					before = append(before, s)
					if d, ok := s.(*DDIM); ok {
						how := w.Sampler.(*sampler.DDIM)
						d.Eta, d.UseClippedModelOutput = how.Eta, how.Rederive
					}
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// onSameTable is an error unless the class can have such a config, and it has the path's noise levels.
func (w *Wanted) onSameTable(d draft, class string, table *diffusion.Table) error {
	d = d.with(draft{"final_sigmas_type": "sigma_min"}) // which any algorithm may have
	s, err := d.as(class)
	if err != nil {
		return err
	}
	p, err := s.Training()
	if err != nil {
		return err
	}
	other, ok := p.Path.(*diffusion.Table)
	if !ok || other.Len() != table.Len() {
		return invalid.Field("schedule", "has other entries there")
	}
	for t := 1; t <= table.Len(); t++ {
		// ā is a product of up to thousands of factors, each rounded: 1e4·2⁻⁵³; the last may be 0.
		if a, b := table.AlphaBar(t), other.AlphaBar(t); math.Abs(a-b) > 1e-11*(a+1e-9) {
			return invalid.Field("schedule", "has other noise levels than it can have: entry %d is ā=%g, and would be %g", t, a, b)
		}
	}
	return nil
}

// betas are the fields of the noise schedule: by its name, where that is known, and in full.
func (w *Wanted) betas(table *diffusion.Table) []draft {
	n := table.Len()
	variances := make([]float64, n)
	for i := range variances {
		variances[i] = 1 - table.AlphaBar(i+1)/table.AlphaBar(i)
	}
	full := draft{"num_train_timesteps": n, trainedBetas: variances}
	if w.Betas == nil {
		return []draft{full}
	}
	named := draft{
		"num_train_timesteps": n, "beta_schedule": w.Betas.BetaSchedule, "beta_start": w.Betas.BetaStart, "beta_end": w.Betas.BetaEnd,
		"rescale_betas_zero_snr": w.ZeroSNR,
	}
	return []draft{named, full}
}

func (w *Wanted) clipping() draft {
	c := w.Clip
	switch {
	case c.Quantile > 0:
		return draft{"clip_sample": false, "thresholding": true, "dynamic_thresholding_ratio": c.Quantile, "sample_max_value": c.Max}
	case c.Range > 0:
		return draft{"clip_sample": true, "clip_sample_range": c.Range}
	}
	return draft{"clip_sample": false}
}

// options are the sampler's, as fields.
func (w *Wanted) options() draft {
	switch how := w.Sampler.(type) {
	case *sampler.DDPM:
		if how.Variance == sampler.Learned {
			return draft{"variance_type": "learned_range"}
		}
		return draft{"variance_type": how.Variance}
	case *sampler.DPMMultistep:
		return dpmOptions(how.DPM).with(draft{"lower_order_final": how.LowerOrderFinal, "euler_at_final": how.EulerAtFinal})
	case *sampler.DPMSinglestep:
		return dpmOptions(how.DPM).with(draft{"lower_order_final": how.LowerOrderFinal})
	case *sampler.UniPC:
		return draft{
			"predict_x0": how.Algorithm == sampler.DPMSolverPP, "solver_order": how.Order, "solver_type": how.B,
			"lower_order_final": how.LowerOrderFinal, "disable_corrector": append([]int{}, how.NoCorrector...),
		}
	}
	return draft{}
}

func dpmOptions(o sampler.DPM) draft {
	return draft{"algorithm_type": o.Algorithm, "solver_order": o.Order, "solver_type": o.Type}
}

// onLines are the classes for flows on straight lines: with their own times, and with equal steps.
func (w *Wanted) onLines(p diffusion.CondOT) (iter.Seq[Scheduler], error) {
	class, err := w.class(flowClasses, "on straight lines")
	if err != nil {
		return nil, err
	}
	if w.Predicts != diffusion.Velocity {
		return nil, invalid.Field("predict", "is %v, which no scheduler of diffusers takes on straight lines: want velocity", w.Predicts)
	}
	count := w.TimeInput(p.At(1))
	if n := math.Round(count); !near(n, count) || n < 1 || n > maxTimesteps {
		return nil, invalid.Field("time_scale", "is %g, and has to be a number of timesteps in diffusers: want a whole number, such as 1000", count)
	}
	base := draft{"num_train_timesteps": int(math.Round(count))}
	own, err := base.as(class)
	if err != nil {
		return nil, err
	}
	even, err := base.with(draft{"shift": w.shift()}).as(class)
	if err != nil {
		return nil, err
	}
	Evenly(even)
	return slices.Values([]Scheduler{own, even}), nil
}

// shift is the factor that equal steps are shifted by, if that is what the grid is.
func (w *Wanted) shift() float64 {
	n := len(w.Grid) - 1
	if n < 2 {
		return 1
	}
	t, u := w.Grid[1], float64(n-1)/float64(n)
	if !(t > 0 && t < 1) {
		return 1
	}
	return short(t * (1 - u) / (u * (1 - t)))
}

// onLevels are the classes of EDM.
func (w *Wanted) onLevels() (iter.Seq[Scheduler], error) {
	class, err := w.class(edmClasses, "for EDM")
	if err != nil {
		return nil, err
	}
	kind, ok := w.Predicts.(diffusion.Preconditioned)
	if !ok {
		return nil, invalid.Field("predict", "is %v, and diffusers' EDM classes are for networks under EDM's preconditioning", w.Predicts)
	}
	n := len(w.Grid) - 1
	rho := w.Rho
	if rho == 0 {
		rho = 7
	}
	base := draft{
		"sigma_data": kind.SigmaData, "sigma_min": short(w.Grid[n-1]), "sigma_max": short(w.Grid[0]), "rho": rho, "prediction_type": "epsilon",
	}.with(w.clipping()).with(w.options())
	if kind.Negative {
		base["prediction_type"] = "v_prediction"
	}
	var out []Scheduler
	var refused error
	for _, levels := range []string{"karras", "exponential"} {
		s, err := base.with(draft{"sigma_schedule": levels}).as(class)
		if err != nil {
			refused = err
			continue
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, invalid.Field("sampler", "%s does not go with %s: %v", w.Name, class, refused)
	}
	return slices.Values(out), nil
}

// short is a number without what rounding has added in its last digits.
func short(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 12, 64), 64)
	if err != nil {
		return x
	}
	return y
}

// near reports whether two numbers differ by rounding alone: the sums and powers behind them are some
// thousand roundings long, 1e3·2⁻⁵³, and shortened numbers have twelve digits.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }

// differs is what a scheduler's plan does otherwise than the run; nil: nothing.
func (w *Wanted) differs(s Scheduler, p *Plan) *mismatch {
	class, n := s.Class(), len(w.Grid)-1
	differ := func(rank float64, field, format string, args ...any) *mismatch {
		return &mismatch{rank, invalid.Field(field, format, args...)}
	}
	if what := w.sameSampler(p); what != "" {
		return differ(1, "sampler", "%s, to which %s has no equivalent%s", w.Name, class, what)
	}
	if w.Variance == diffusion.VarianceLearned && p.Variance != w.Variance {
		return differ(1, "variance", "is learned, which %s does not take", class)
	}
	if w.Clip != p.Clip && (w.Clip.On() || p.Clip.On()) && !sameClip(w.Clip, p.Clip) {
		return differ(2, "clip", "of the estimate of the data has no equivalent in %s: leave it off, or take the sampler ddpm or ddim", class)
	}
	if len(p.Grid) != n+1 {
		return differ(4, "grid", "has %d steps, %s would make %d", n, class, len(p.Grid)-1)
	}
	for i, t := range w.Grid {
		if a, b := w.Path.At(t), p.Path.At(p.Grid[i]); !near(t, p.Grid[i]) || !near(a.Sigma, b.Sigma) {
			return differ(4+float64(i)/float64(n+1), "grid", "has as time %d of the steps %.6g, and %s would have %.6g%s", i+1, t, class, p.Grid[i], w.gridHint())
		}
	}
	if a, ok := w.Sampler.(*sampler.DDPM); ok && a.Variance != sampler.FixedSmall && a.FinalNoise != p.Sampler.(*sampler.DDPM).FinalNoise {
		return differ(5, "sampler", "ddpm, to which %s has no equivalent with final_noise: %v, variance: %s and these times: it adds noise in the last step exactly if that begins above the table's first entry", class, a.FinalNoise, a.Variance)
	}
	if next := w.strides(p); next >= 0 {
		return differ(5, "steps", "are %d, which do not divide the table's entries: %s goes in equal strides, whatever the next time is", n, class)
	}
	for i, t := range w.Grid[:n] {
		at := w.Path.At(t)
		if mine, theirs := w.TimeInput(at), p.TimeInput(at); math.Abs(mine-theirs) > 1e-9*max(1, math.Abs(theirs)) {
			return differ(6, "time_scale", "has the network told %.6g in step %d, and %s tells it %.6g%s", mine, i+1, class, theirs, w.scaleHint())
		}
	}
	return nil
}

// gridHint is what times would be right.
func (w *Wanted) gridHint() string {
	switch w.Path.(type) {
	case *diffusion.Table:
		return ": take grid: {kind: table, spacing: trailing} or auto"
	case diffusion.EDM:
		return ": take the grid karras"
	}
	return ": take the grid uniform"
}

// scaleHint is what scale of the time would be right.
func (w *Wanted) scaleHint() string {
	switch p := w.Path.(type) {
	case *diffusion.Table:
		return fmt.Sprintf(": train with time_scale: %d, as many as the objective's steps", p.Len())
	case diffusion.EDM:
		return ": train with time_scale: 1"
	}
	return ""
}

func sameClip(a, b sampler.Clip) bool {
	return a.Range == b.Range && a.Quantile == b.Quantile && (a.Quantile == 0 || a.Max == b.Max)
}

// strides is the first step of DDIM that does not lead to the grid's next time; −1: there is none.
func (w *Wanted) strides(p *Plan) int {
	d, ok := p.Sampler.(*sampler.DDIM)
	if !ok || d.Stride == 0 {
		return -1
	}
	last := len(w.Grid) - 1
	for i := range last {
		next := w.Grid[i] - d.Stride
		if next < 1 {
			next = w.Grid[last]
		}
		if !near(next, w.Grid[i+1]) {
			return i
		}
	}
	return -1
}

// sameSampler says what of the sampler's options is otherwise in a plan; "": nothing.
func (w *Wanted) sameSampler(p *Plan) (what string) {
	if reflect.TypeOf(w.Sampler) != reflect.TypeOf(p.Sampler) {
		return " with these options"
	}
	switch a := w.Sampler.(type) {
	case *sampler.DDPM:
		b := *p.Sampler.(*sampler.DDPM)
		// Of the posterior's variance what diffusers adds in the last step is its floor, noise of 1e-10. The others' is looked at with the times.
		b.FinalNoise = a.FinalNoise
		if *a != b {
			return " with variance: " + a.Variance
		}
	case *sampler.DDIM:
		b := *p.Sampler.(*sampler.DDIM)
		if a.Eta != b.Eta || a.Rederive != b.Rederive {
			return " with these options"
		}
	case *sampler.Euler:
		return w.sameIntegration(a.Integration, p.Sampler.(*sampler.Euler).Integration)
	case *sampler.Heun:
		return w.sameIntegration(a.Integration, p.Sampler.(*sampler.Heun).Integration)
	case *sampler.DPMMultistep:
		b := *p.Sampler.(*sampler.DPMMultistep)
		if a.Order < 3 { // says nothing then
			b.Third = a.Third
		}
		if a.Third != b.Third {
			return " with third: " + a.Third + ": it has the published coefficients, third: published"
		}
		if *a != b {
			return " with these options"
		}
	case *sampler.UniPC:
		b := *p.Sampler.(*sampler.UniPC)
		if len(a.NoCorrector) == 0 && len(b.NoCorrector) == 0 {
			b.NoCorrector = a.NoCorrector
		}
		if !reflect.DeepEqual(*a, b) {
			return " with these options"
		}
	default:
		if !reflect.DeepEqual(w.Sampler, p.Sampler) {
			return " with these options"
		}
	}
	return ""
}

// sameIntegration compares the variables of two solvers.
func (w *Wanted) sameIntegration(a, b sampler.Integration) string {
	if a.Churn.Amount != 0 {
		return " with churn: leave it 0"
	}
	if _, edm := w.Path.(diffusion.EDM); edm { // time is the noise level
		return ""
	}
	if sigma := a.Variable == "sigma" || a.Variable == "path" && diffusion.VariableOf(w.Path) == diffusion.InSigma; sigma != (b.Variable == "sigma") {
		return fmt.Sprintf(" with variable: %s: take variable: %s", a.Variable, b.Variable)
	}
	return ""
}
