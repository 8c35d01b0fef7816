// Package distill makes few-step students of trained models.
package distill

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/record"
)

// Reflow is rectified flow (Liu et al. 2023): each round makes pairs with the model so far and trains the
// next one on straight lines between them. Everything is kept in a folder, one below it a
// round: pairs-K, round-K; what is there is gone on from, so that a job that was stopped ends as it
// would have.
type Reflow struct {
	Teacher   string       // a run
	Dir       string       // of the job
	Rounds    int          // of rectification after the teacher, which counts as the first
	Pairs     int          // that a round makes
	Real      int          // of these, whose samples are training data: see train.PairsArg
	Choice    train.Choice // how pairs are made
	Seed      uint64       // of pairs: round k has seed + k
	Overrides []string     // of the rounds' experiments

	Steps   []int // of sampling, with which each round is measured; none: it is not
	Samples int   // a measurement
	Paths   int   // ways whose shape is measured

	Progress func(label string, start, total int64) record.Progress
	Warn     func(format string, args ...any)
	Say      func(format string, args ...any) // a line about what begins
}

// Round is what a round of rectification came to; round 1 is the teacher.
type Round struct {
	Round   int           `json:"round"`
	Run     string        `json:"run"`
	Samples int           `json:"samples"` // of each measurement, Ways of the shape, and the seed of both
	Ways    int           `json:"ways"`
	Seed    uint64        `json:"seed"`
	Shape   flow.Shape    `json:"shape"`
	Quality []Measurement `json:"quality,omitempty"`
}

// Measurement is a round's quality with so many steps of Euler's method.
type Measurement struct {
	Steps   int     `json:"steps"`
	Frechet float64 `json:"frechet,omitempty"`        // images
	Correct float64 `json:"class_accuracy,omitempty"` // images with classes
	W2      float64 `json:"w2,omitempty"`             // points
}

// report is the file of a finished round's figures.
const report = "report.json"

// Run makes the rounds and measures each. When ctx is cancelled it leaves everything in good order.
func (r *Reflow) Run(ctx context.Context) ([]Round, error) {
	teacher, err := train.Open(r.Teacher, r.Warn)
	if err != nil {
		return nil, err
	}
	if err := r.check(teacher); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.Dir, 0o777); err != nil {
		return nil, fmt.Errorf("%s: cannot be made: %w", r.Dir, err)
	}
	var rounds []Round
	run := r.Teacher
	for k := 1; ; k++ {
		found, err := r.measured(ctx, k, run)
		if err != nil {
			return rounds, err
		}
		rounds = append(rounds, found)
		if k == r.Rounds+1 {
			return rounds, nil
		}
		if run, err = r.next(ctx, k+1, run); err != nil {
			return rounds, err
		}
	}
}

// check refuses what could not be rectified.
func (r *Reflow) check(t *train.Trained) error {
	switch {
	case t.Exp == nil:
		return fmt.Errorf("%s was not trained here: reflow needs a run, whose config says what to train next", r.Teacher)
	case t.Vector > 0 && !t.NullVector:
		return fmt.Errorf("%s has no null vector, under which the shape of its ways would be measured", r.Teacher)
	case r.Rounds < 1:
		return fmt.Errorf("%d rounds: want at least 1", r.Rounds)
	case r.Pairs < 1:
		return fmt.Errorf("%d pairs: want at least 1", r.Pairs)
	case r.Real < 0 || r.Real > r.Pairs:
		return fmt.Errorf("%d pairs of real samples: want 0 to all of %d", r.Real, r.Pairs)
	}
	switch t.Exp.Objective.Kind {
	case "flow", "reflow", "edm":
		return nil
	}
	return fmt.Errorf("%s was trained by the objective %s: reflow goes on from flow, reflow and edm", r.Teacher, t.Exp.Objective.Kind)
}

// next makes the pairs of a round with the model before it and trains the round.
func (r *Reflow) next(ctx context.Context, k int, before string) (string, error) {
	t, err := train.Open(before, r.Warn)
	if err != nil {
		return "", err
	}
	choice := r.Choice
	if k > 2 && choice.Guidance != nil { // the pairs of round 2 have it in them
		one := 1.0
		choice.Guidance = &one
	}
	if err := t.Choose(choice); err != nil {
		return "", err
	}
	dir := filepath.Join(r.Dir, fmt.Sprintf("pairs-%d", k))
	r.say("round %d: %d pairs of %s, %s", k, r.Pairs, before, t.DescribeSampling())
	p := r.progress(fmt.Sprintf("pairs-%d", k), 0, int64(r.Pairs))
	err = train.MakePairs(ctx, t, train.PairsArg{Dir: dir, Count: r.Pairs, Real: r.Real, Seed: r.Seed + uint64(k), Progress: func(done, _ int) { p.Update(int64(done)) }})
	p.Finish()
	if err != nil {
		return "", err
	}
	run := filepath.Join(r.Dir, fmt.Sprintf("round-%d", k))
	return run, r.train(ctx, t, before, dir, run)
}

// train trains a round on its pairs, from the weights of the model that made them.
func (r *Reflow) train(ctx context.Context, t *train.Trained, before, pairs, run string) error {
	var exp *train.Loaded
	var err error
	resume := train.IsRun(run)
	if resume {
		exp, err = train.LoadExperiment(train.RunDir(run).Config(), r.Overrides)
	} else {
		objective := fmt.Sprintf("{kind: reflow, pairs: %q}", pairs)
		if e, ok := edmSigmaData(t); ok && t.Exp.Objective.Kind == "edm" {
			objective = fmt.Sprintf("{kind: reflow, pairs: %q, sigma_data: %v, sigma_max: %v}", pairs, e, t.Model.Path().End())
		}
		settings := append([]string{"objective=" + objective, fmt.Sprintf("init=%q", before), "name=" + filepath.Base(run), "validation.every=0", "validation.patience=0", "checkpoint.best=false", "flip=false", "sample.guidance=1"}, r.Overrides...)
		exp, err = train.LoadExperiment(train.RunDir(r.Teacher).Config(), settings)
	}
	if err != nil {
		return err
	}
	tr, err := train.New(ctx, exp, train.Options{Dir: run, Resume: resume, Progress: r.Progress, Warn: r.Warn})
	if err != nil {
		return err
	}
	if !tr.Finished() {
		r.say("%s: %d steps on %d pairs", run, exp.Steps, r.Pairs)
	}
	err = tr.Run(ctx)
	if closed := tr.Close(); err == nil {
		err = closed
	}
	return err
}

// edmSigmaData is that of a teacher that is preconditioned.
func edmSigmaData(t *train.Trained) (float64, bool) {
	k, ok := t.Model.Kind().(diffusion.Preconditioned)
	return k.SigmaData, ok
}

// measured gives a round's figures, from its report if there is one.
func (r *Reflow) measured(ctx context.Context, k int, run string) (Round, error) {
	file := filepath.Join(r.Dir, fmt.Sprintf("round-%d-%s", k, report))
	found := Round{}
	if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &found) == nil && r.asked(found) {
		return found, nil
	}
	t, err := train.Open(run, r.Warn)
	if err != nil {
		return Round{}, err
	}
	found = Round{Round: k, Run: run, Samples: r.Samples, Ways: r.Paths, Seed: r.Seed}
	if found.Shape, err = r.shape(ctx, t); err != nil {
		return Round{}, err
	}
	for _, steps := range r.Steps {
		one := 1.0
		if err := t.Choose(train.Choice{Sampler: "euler", Steps: steps, Guidance: &one}); err != nil {
			return Round{}, err
		}
		e, err := train.Eval(ctx, t, train.EvalOptions{N: r.Samples, Seed: r.Seed, Warn: r.Warn})
		if err != nil {
			return Round{}, err
		}
		m := Measurement{Steps: steps}
		if e.Images != nil {
			m.Frechet, m.Correct = float64(e.Images.Frechet), float64(e.Images.ClassAccuracy)
		} else {
			m.W2 = float64(e.Points.W2)
		}
		found.Quality = append(found.Quality, m)
	}
	b, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return Round{}, err
	}
	return found, atomicfile.WriteBytes(file, append(b, '\n'))
}

// asked reports whether figures are those that are asked for, measured as they are.
func (r *Reflow) asked(found Round) bool {
	var steps []int
	for _, q := range found.Quality {
		steps = append(steps, q.Steps)
	}
	return slices.Equal(steps, r.Steps) && found.Samples == r.Samples && found.Ways == r.Paths && found.Seed == r.Seed
}

// pathSteps is the number of Euler's steps along which ways are measured.
const pathSteps = 100

// shape measures the ways of samples of all classes in turn, of no vector and no prompt.
func (r *Reflow) shape(ctx context.Context, t *train.Trained) (flow.Shape, error) {
	s := tensor.NewScope(t.Device, tensor.Inference)
	defer s.Close()
	path := t.Model.Path()
	var model diffusion.Model = t.Model
	if _, ok := path.(diffusion.CondOT); !ok {
		model = diffusion.Along(t.Model, diffusion.CondOT{}) // of EDM's: x/(1+σ), t = σ/(1+σ)
	}
	x := s.Normal(rng.Key{Seed: r.Seed, Stream: pathStream}, 0, append([]int{r.Paths}, t.Shape...)...)
	var cond func(s *tensor.Scope) diffusion.Cond
	if t.Classes > 0 {
		cond = func(s *tensor.Scope) diffusion.Cond {
			labels := make([]int32, r.Paths)
			for i := range labels {
				labels[i] = int32(i % t.Classes)
			}
			return diffusion.Cond{Labels: s.Ints(labels, r.Paths)}
		}
	}
	if none := t.NoPrompt(); none != nil {
		classes := cond
		cond = func(s *tensor.Scope) (c diffusion.Cond) {
			if classes != nil {
				c = classes(s)
			}
			none.Put(s, &c, r.Paths)
			return c
		}
	}
	var shape flow.Shape
	var err error
	s.NoGrad(func() { shape, err = flow.MeasureShape(ctx, s, model, cond, x, pathSteps) })
	return shape, err
}

// pathStream numbers the starts of measured ways.
const pathStream = diffusion.StreamFree + 0x2000

func (r *Reflow) progress(label string, start, total int64) record.Progress {
	if r.Progress == nil {
		return record.Silent{}
	}
	return r.Progress(label, start, total)
}

func (r *Reflow) say(format string, args ...any) {
	if r.Say != nil {
		r.Say(format, args...)
	}
}
