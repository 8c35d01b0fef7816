package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/langevin-go/langevin/diffusion/sampler"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/metrics"
)

// CompareOptions say how models of the same data are compared by the number of evaluations that a sample takes.
type CompareOptions struct {
	N           int      // samples of each measurement
	Seed        uint64   // of samples, the same starts for all models, and of the choice of sets
	Evaluations []int    // the most that a sample may take, rising
	Solvers     []string // that models which follow trajectories are sampled by, each; none: as their config says
	Guidance    *float64 // the scale of those; nil: as their config says
	Teacher     string   // whose samples from the same starts the others are compared with; "": the first students' own
	Steps       int      // in which it samples, by Heun's method
	Requests    int      // whose latency is measured; 0: none
	Request     int      // samples a request
	Progress    func(what string, done, total int)
	Warn        func(format string, args ...any)
}

// Left is a measurement that was not made, and why.
type Left struct {
	Run, Sampler string
	Evaluations  int
	Why          string
}

// comparison is one in progress.
type comparison struct {
	CompareOptions
	all      []*Trained
	ds       *Dataset
	asked    Request // of all measurements
	labels   []int32 // of what classes these samples are; nil: of none
	teacher  *Trained
	taught   map[float64][]float32 // the teacher's samples, by the scale of guidance
	judge    *metrics.Classifier
	density  func(x []float64) float64 // ln p of the data; nil: not known
	entropy  metrics.Figure            // mean of −ln p of held-out data
	rows     []Compared
	left     []Left
	done, of int
}

// Compare measures models, runs of the same data, by the number of evaluations a sample: each with as many steps as that allows, all from the same
// starts. A student is sampled as it was made to be, other models by every solver, of which the best at each number is marked.
// Mistakes show before anything is sampled.
func Compare(ctx context.Context, runs []string, o CompareOptions) (rows []Compared, left []Left, err error) {
	c := &comparison{CompareOptions: o, taught: map[float64][]float32{}}
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
	if c.Warn == nil {
		c.Warn = func(string, ...any) {}
	}
	if err := c.open(ctx, runs); err != nil {
		return nil, nil, err
	}
	for _, t := range c.all {
		for _, solver := range c.solvers(t) {
			for _, most := range c.Evaluations {
				c.Progress("measuring", c.done, c.of)
				c.done++
				if err := c.measure(ctx, t, solver, most); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	c.Progress("measuring", c.of, c.of)
	markBest(c.rows)
	place := map[string]int{}
	for i, t := range c.all {
		place[t.Path] = i
	}
	slices.SortStableFunc(c.rows, func(a, b Compared) int {
		return cmp.Or(cmp.Compare(place[a.Run], place[b.Run]), cmp.Compare(a.Asked, b.Asked))
	})
	return c.rows, c.left, nil
}

// open opens the models and looks whether they can be compared.
func (c *comparison) open(ctx context.Context, runs []string) error {
	for _, run := range runs {
		t, err := Open(run, c.Warn)
		if err != nil {
			return err
		}
		switch {
		case t.Exp == nil:
			return fmt.Errorf("%s was not trained here: no config names the data to compare with", run)
		case confined(t.Model) != nil:
			return fmt.Errorf("%s is a flow on %v: compare measures pictures and points of flat space", run, confined(t.Model))
		}
		if first := c.all; len(first) > 0 {
			a, b := first[0], t
			same, err := sameData(a.Exp, b.Exp)
			if err != nil {
				return err
			}
			if !same || !alike(a, b) {
				return fmt.Errorf("%s and %s have other data, or are conditioned on other classes, vectors or prompts: nothing can be compared", runs[0], run)
			}
		}
		if t.student == nil && c.Guidance != nil {
			if err := t.Choose(Choice{Guidance: c.Guidance}); err != nil {
				return err
			}
		}
		c.all = append(c.all, t)
	}
	t := c.all[0]
	var err error
	if c.ds, err = t.Dataset(ctx); err != nil {
		return err
	}
	if c.ds.Heldout == nil {
		return t.Exp.places.Errorf("data", "holds nothing out to compare with: set data.heldout")
	}
	if c.asked, c.labels, err = t.heldRequest(c.ds, c.N, c.Seed); err != nil {
		return err
	}
	if c.density = data.DensityOf(c.ds.Train); c.density != nil {
		held, _, err := takeSamples(c.ds.Heldout, c.N)
		if err != nil {
			return err
		}
		c.entropy, _ = surprise(c.density, held, volume(t.Shape))
	}
	if err := c.openTeacher(); err != nil {
		return err
	}
	for _, t := range c.all {
		for _, s := range c.solvers(t) {
			if _, err := Samplers.Lookup(s); err != nil {
				return fmt.Errorf("--solvers: %w", err)
			}
			c.of += len(c.Evaluations)
		}
	}
	return nil
}

// alike reports whether two models are conditioned on the same.
func alike(a, b *Trained) bool {
	return a.Classes == b.Classes && a.Vector == b.Vector && a.TakesPrompts() == b.TakesPrompts()
}

// sameData reports whether two experiments train on the same data.
func sameData(a, b *Loaded) (bool, error) {
	var text [2]string
	for i, l := range []*Loaded{a, b} {
		box := struct {
			Data config.Variant[DataArg, *Dataset] `yaml:"data"`
			Seed uint64                            `yaml:"seed"`
		}{l.Data, 0}
		r, err := config.Resolved(&box)
		if err != nil {
			return false, err
		}
		text[i] = string(r)
	}
	return text[0] == text[1], nil
}

// openTeacher opens what samples are compared with.
func (c *comparison) openTeacher() error {
	path := c.CompareOptions.Teacher
	for _, t := range c.all {
		if path == "" && t.student != nil && t.student.Teacher != "" {
			path = t.student.Teacher
			if s, err := Open(path, c.Warn); err != nil || s.student != nil { // of rounds, the teacher of the first one; it may be gone
				path = ""
			}
		}
	}
	for _, t := range c.all { // else a model among them that is no student
		if path == "" && t.student == nil {
			path = t.Path
		}
	}
	if path == "" {
		return nil
	}
	t, err := Open(path, c.Warn)
	switch {
	case err != nil && c.CompareOptions.Teacher == "":
		return nil
	case err != nil:
		return fmt.Errorf("--teacher: %w", err)
	case !equalShape(t.Shape, c.all[0].Shape) || t.Classes != c.all[0].Classes:
		return fmt.Errorf("--teacher: %s makes samples of shape %v in %d classes, the models compared %v in %d", path, t.Shape, t.Classes, c.all[0].Shape, c.all[0].Classes)
	case !alike(t, c.all[0]):
		return fmt.Errorf("--teacher: %s is conditioned on other vectors or prompts than the models compared", path)
	case t.student != nil && t.student.Maps:
		return fmt.Errorf("--teacher: %s leads to samples at once: there is no trajectory of many steps", path)
	}
	c.teacher = t
	return nil
}

// solvers are what a model is sampled by.
func (c *comparison) solvers(t *Trained) []string {
	if t.student != nil || len(c.Solvers) == 0 {
		return []string{t.SamplerKind()}
	}
	return c.Solvers
}

// request draws the samples of all measurements.
func (c *comparison) request(ctx context.Context, t *Trained) ([]float32, error) {
	return t.Draw(ctx, asking(c.asked, t))
}

// asking is a request as a model can be asked: a student, which does guidance itself, is led away from no prompt.
func asking(q Request, t *Trained) Request {
	if t.student != nil {
		q.Negative = ""
	}
	return q
}

// few asks for n samples like the first ones of a measurement, in turn.
func (c *comparison) few(t *Trained, n int) Request {
	q := Request{N: n, Seed: c.Seed, Negative: c.asked.Negative}
	if c.asked.Labels != nil {
		for i := range n {
			q.Labels = append(q.Labels, c.asked.Labels[i%c.N])
		}
	}
	q.SetPrompts(c.asked.Prompts)
	if c.asked.Vectors != nil {
		q.SetVectors(c.asked.Vectors, t.Vector)
	}
	return asking(q, t)
}

// evaluations are those of a sample.
func (c *comparison) evaluations(ctx context.Context, t *Trained) (int, error) {
	var count sampler.Count
	q := c.few(t, 1)
	q.Count = &count
	_, err := t.Draw(ctx, q)
	return count.Evaluations, err
}

// fit finds the most steps that take no more evaluations.
func (c *comparison) fit(ctx context.Context, t *Trained, most int) (evaluations int, why string, err error) {
	for steps := most; steps >= 1; {
		if s := t.student; s != nil && s.Fixed && steps > s.Steps {
			return 0, fmt.Sprintf("it was made for no more than %d steps", s.Steps), nil
		}
		t.How.Steps = steps
		n, err := c.evaluations(ctx, t)
		switch {
		case ctx.Err() != nil:
			return 0, "", ctx.Err()
		case err != nil:
			return 0, err.Error(), nil
		case n <= most:
			return n, "", nil
		}
		steps = min(steps-1, (steps*most+n-1)/n) // what remains may be one too many
	}
	return 0, "one step takes more evaluations", nil
}

// measure measures a model by a solver.
func (c *comparison) measure(ctx context.Context, t *Trained, solver string, most int) error {
	if t.student == nil && solver != t.SamplerKind() {
		if err := t.Choose(Choice{Sampler: solver}); err != nil {
			return err
		}
	}
	n, why, err := c.fit(ctx, t, most)
	if err != nil {
		return err
	}
	if why == "" && 2*n <= most && most > 1 { // as with fewer, which is measured there
		why = fmt.Sprintf("%d evaluations are the next that its steps take", n)
	}
	if why != "" {
		c.left = append(c.left, Left{t.Path, solver, most, why})
		return nil
	}
	x, err := c.request(ctx, t)
	if err != nil {
		return err
	}
	for i, v := range x {
		if !finite(float64(v)) {
			c.left = append(c.left, Left{t.Path, solver, most, fmt.Sprintf("sample %d is not finite", i/volume(t.Shape))})
			return nil
		}
	}
	nan := metrics.Figure(math.NaN())
	r := Compared{Run: t.Path, Sampler: solver, Asked: most, Steps: t.How.Steps, Evaluations: n, Guidance: t.How.EffectiveScale(),
		Distance: nan, NLL: nan, NLLHeld: nan, Outside: nan, Rare: nan, RareData: nan, Coverage: nan}
	r.Method = t.Exp.Objective.Kind
	if s := t.student; s != nil {
		r.Method, r.Student = s.Method, true
		if !s.Told {
			r.Guidance = s.Scales[0]
		}
	}
	if err := c.apart(ctx, &r, x); err != nil {
		return err
	}
	if err := c.quality(ctx, t, &r, x); err != nil {
		return err
	}
	if r.Latency, err = c.latency(ctx, t); err != nil {
		return err
	}
	c.rows = append(c.rows, r)
	return nil
}

// apart is how far samples are from the teacher's of the same starts.
func (c *comparison) apart(ctx context.Context, r *Compared, x []float32) error {
	if c.teacher == nil {
		return nil
	}
	scale := r.Guidance
	if built := c.teacher.built(); built != 1 {
		scale = built
	}
	if c.taught[scale] == nil {
		c.Progress("the teacher's samples", 0, 1)
		if err := c.teacher.Choose(Choice{Sampler: "heun", Steps: c.Steps}); err != nil {
			return err
		}
		if c.teacher.built() == 1 {
			if err := c.teacher.Choose(Choice{Guidance: &scale}); err != nil {
				return err
			}
		}
		y, err := c.request(ctx, c.teacher)
		if err != nil {
			return fmt.Errorf("the teacher %s: %w", c.teacher.Path, err)
		}
		c.taught[scale] = y
	}
	sum := 0.0
	for i, v := range c.taught[scale] {
		sum += (float64(x[i]) - float64(v)) * (float64(x[i]) - float64(v))
	}
	r.Distance = metrics.Figure(math.Sqrt(sum / float64(len(x))))
	return nil
}

// quality is how near samples are to the data.
func (c *comparison) quality(ctx context.Context, t *Trained, r *Compared, x []float32) error {
	set := &SampleFile{N: c.N, X: x, Labels: c.labels}
	o := EvalOptions{N: c.N, Seed: c.Seed, Samples: set, Classifier: c.judge, Progress: func(string, int, int) {}, Warn: c.Warn}
	if isImage(t.Shape) {
		e, err := c.all[0].evalImages(ctx, c.ds, set, o, metrics.Input{})
		if err != nil {
			return err
		}
		r.Images, c.judge = e.Images, e.Classifier
		return c.classes(ctx, r, x)
	}
	e, err := t.evalPoints(ctx, c.ds, set, o)
	if err != nil {
		return err
	}
	r.Points = e.Points
	if c.density != nil {
		r.NLL, r.Outside = surprise(c.density, x, volume(t.Shape))
		r.NLLHeld = c.entropy
	}
	if m, ok := data.MixtureOf(c.ds.Train); ok {
		shares := m.Shares()
		got := make([]float64, len(shares))
		for i := 0; i < len(x); i += len(x) / c.N {
			got[m.Nearest(x[i:i+len(x)/c.N])]++
		}
		for k, w := range shares {
			r.Modes = append(r.Modes, Mode{metrics.Figure(got[k] / float64(c.N)), metrics.Figure(w)})
		}
		r.rarest()
	}
	return nil
}

// classes is what the classifier takes pictures for: of a model without classes, whether it makes all of them.
func (c *comparison) classes(ctx context.Context, r *Compared, x []float32) error {
	if c.judge == nil {
		return nil
	}
	s := c.all[0].Shape
	read, err := c.judge.Read(ctx, metrics.Images{Pixels: x, H: s[0], W: s[1], C: s[2]})
	if err != nil {
		return err
	}
	got, want := make([]float64, c.judge.Classes), make([]float64, c.judge.Classes)
	for _, k := range read.Predicted() {
		got[k]++
	}
	labels := c.labels // of what was asked for
	if labels == nil {
		if labels, err = labelsOf(c.ds.Train, c.ds.Train.Len()); err != nil {
			return err
		}
	}
	for _, k := range labels {
		want[k]++
	}
	for k := range got {
		r.Modes = append(r.Modes, Mode{metrics.Figure(got[k] / float64(c.N)), metrics.Figure(want[k] / float64(len(labels)))})
	}
	r.rarest()
	return nil
}

// surprise is the mean of −ln p where p is not 0, and the part where it is.
func surprise(log func([]float64) float64, x []float32, dim int) (mean, outside metrics.Figure) {
	p, sum, in := make([]float64, dim), 0.0, 0
	for i := 0; i < len(x); i += dim {
		for k := range p {
			p[k] = float64(x[i+k])
		}
		if l := log(p); !math.IsInf(l, -1) {
			sum -= l
			in++
		}
	}
	n := len(x) / dim
	return metrics.Figure(sum / float64(in)), metrics.Figure(float64(n-in) / float64(n))
}

// latency times requests, one after another, after a few that are not counted.
func (c *comparison) latency(ctx context.Context, t *Trained) (*Latency, error) {
	if c.Requests == 0 {
		return nil, nil
	}
	const warm = 3
	q := c.few(t, c.Request)
	var took []float64
	for i := range c.Requests + warm {
		q.Seed = c.Seed + uint64(i)
		start := time.Now()
		if _, err := t.Draw(ctx, q); err != nil {
			return nil, err
		}
		if i >= warm {
			took = append(took, time.Since(start).Seconds()*1e3)
		}
	}
	l := latencyOf(took)
	return &l, nil
}

// Check refuses options that mean nothing.
func (o *CompareOptions) Check() error {
	switch {
	case len(o.Evaluations) == 0:
		return errors.New("--nfe must name a number of evaluations")
	case o.Steps < 1:
		return fmt.Errorf("--teacher-steps must be at least 1, is %d", o.Steps)
	case o.Requests < 0 || o.Request < 1:
		return fmt.Errorf("--requests must not be negative and --request at least 1, are %d and %d", o.Requests, o.Request)
	}
	for i, n := range o.Evaluations {
		if n < 1 || i > 0 && n <= o.Evaluations[i-1] {
			return fmt.Errorf("--nfe must rise from 1 or above, is %s", strings.Trim(strings.ReplaceAll(fmt.Sprint(o.Evaluations), " ", ","), "[]"))
		}
	}
	return nil
}
