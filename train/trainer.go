package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/record"
)

// Streams of random numbers: the dropout masks of a step, and the first values of
// what an objective learns.
const (
	streamDropout = diffusion.StreamFree + iota
	streamObjective
)

// Trainer is a run in progress.
type Trainer struct {
	exp  *Loaded
	dir  RunDir
	dev  backend.Device
	data *Dataset

	loader  *data.Loader
	ahead   *data.Ahead  // of loader; nil: a step reads its batch itself
	source  *Dataset     // what the flow starts from; nil: normal noise
	starts  *data.Loader // of source, or of pairs
	pairs   *Pairs       // what is trained on in place of the data; nil: the data
	net     Network
	params  []*tensor.Param
	trained []*tensor.Param // those that are not frozen
	own     []*tensor.Param // what the objective learns itself
	updated []*tensor.Param // trained, own
	model   diffusion.Model // of net
	teacher diffusion.Model // that the objective learns from; nil: none
	avg     Network         // the moving average of net; net itself without one
	avgMod  diffusion.Model // of avg
	average []*tensor.Param // of avg, in the order of params; nil without one
	moving  []*tensor.Param // of average, those of trained parameters
	job     *Job
	opt     optim.Optimizer
	sched   optim.Schedule
	ema     *optim.EMA

	scope     *tensor.Scope
	batch     diffusion.Batch
	prompts   *prompter // nil: no captions
	labels    []int32   // of the batch, also where the network is not conditioned on them
	ignored   []int32   // labels of the source
	draw      diffusion.Draw
	part      diffusion.Draw // of draw
	profiles  []profile      // averages that are stored
	targets   []replica      // averages that the objective compares with
	valid     *validator     // nil: no losses on held-out data
	stands    standing
	now       func() time.Time
	began     time.Time // of Run
	outOfTime bool
	parts     *optim.Accumulator // nil: a batch is computed whole

	saved int // bytes that the last forward pass left in scope

	observer diffusion.Observer // the objective, if it is one; else nil
	losses   []float32          // of the step's samples, where they are kept
	levels   noiseLevels        // that losses are recorded by
	moves    movement           // of the weights, in steps that are recorded

	step    int64 // steps done
	skipped int64 // of them, without an update
	inARow  int
	named   []string // samples that warnings have spoken of

	config   []byte // resolved
	initKey  string // that names the initial weights
	made     *newDir
	lock     *record.Lock
	metrics  *record.Metrics
	events   *record.Events
	progress record.Progress
	warn     func(format string, args ...any)
	window   window
	waited   time.Duration   // for batches, in all
	shown    [1]record.Value // beside the progress; here, so that a step allocates nothing
}

// Options say how a run is started.
type Options struct {
	Bare     bool           // without a folder: nothing is written, Run must not be called; for benchmarks
	Device   backend.Device // nil: what the experiment names; another for measurements, see package trace
	Dir      string         // run folder; "": runs/NAME, with a number if that is taken
	Resume   bool           // go on from the newest checkpoint in the folder
	Progress func(label string, start, total int64) record.Progress
	Warn     func(format string, args ...any)
}

// New builds everything that the experiment names and, unless it resumes,
// creates the run's folder. Mistakes in the experiment show before anything is written.
func New(ctx context.Context, exp *Loaded, o Options) (*Trainer, error) {
	own := *exp // adopt may change it
	t := &Trainer{exp: &own, initKey: "init", progress: record.Silent{}, warn: o.Warn, now: time.Now}
	if t.warn == nil {
		t.warn = func(string, ...any) {}
	}
	if err := t.open(ctx, o); err != nil {
		t.discard()
		t.Close()
		return nil, err
	}
	return t, nil
}

// open fills in a trainer. What it has opened when it fails is closed by its caller.
func (t *Trainer) open(ctx context.Context, o Options) (err error) {
	exp := t.exp
	if o.Resume {
		if t.dir, err = findRun(o.Dir, exp.Name); err != nil {
			return err
		}
	}
	if t.dev = o.Device; t.dev == nil {
		if t.dev, err = exp.device(); err != nil {
			return err
		}
	}
	if t.data, err = exp.openDataWarning(ctx, t.warn); err != nil {
		return err
	}
	if err = t.adopt(); err != nil {
		return err
	}
	if err = t.adoptText(); err != nil {
		return err
	}
	if t.config, err = config.Resolved(&exp.Experiment); err != nil {
		return err
	}
	if t.loader, err = data.NewLoader(t.data.Train, data.Options{Seed: exp.Seed, Flip: exp.Flip}); err != nil {
		return exp.at("flip", err)
	}
	if err = t.readPrompts(); err != nil {
		return err
	}
	if err = t.buildModels(); err != nil {
		return err
	}
	if err = t.openPairs(ctx); err != nil {
		return err
	}
	t.ahead = exp.Loading.ahead(t.loader, exp.Batch)
	if t.source, err = exp.openSource(ctx, t.job, t.data.Train.Shape()); err != nil {
		return err
	}
	if err = t.fits(); err != nil {
		return err
	}
	if err = t.buildOptimizer(); err != nil {
		return err
	}
	if err = t.buildAverage(); err != nil {
		return err
	}
	if b, ok := t.job.Objective.(diffusion.Bound); ok {
		if err = b.Bind(diffusion.Bindings{Average: t.avgMod, Weights: t.params, Teacher: t.teacher, Target: t.target}); err != nil {
			return exp.at("objective", err)
		}
	}
	if err = t.buildProfiles(); err != nil {
		return err
	}
	if err = t.openValidation(); err != nil {
		return err
	}
	compute, err := AtPrecision(t.dev, exp.Precision)
	if err != nil {
		return exp.at("precision", err)
	}
	t.scope = tensor.NewScope(compute, tensor.Recording)
	src := t.data.Train
	if size := volume(src.Shape()); exp.Batch > maxSamples/size {
		return exp.places.Errorf("batch", "must be at most %d for samples of shape %v, is %d", maxSamples/size, src.Shape(), exp.Batch)
	}
	t.batch = diffusion.Batch{N: exp.Batch, Shape: src.Shape(), X: make([]float32, exp.Batch*volume(src.Shape()))}
	t.labels = make([]int32, exp.Batch)
	t.prompts.room(&t.batch, exp.Batch)
	if t.classes() > 0 {
		t.batch.Labels = t.labels
	}
	t.vectorRoom(&t.batch, exp.Batch)
	if t.pairs != nil {
		t.batch.Source, t.ignored = make([]float32, len(t.batch.X)), make([]int32, exp.Batch)
	}
	if t.source != nil {
		if t.starts, err = data.NewLoader(t.source.Train, data.Options{Seed: sourceSeed(exp.Seed), Flip: exp.Flip}); err != nil {
			return exp.at("objective.source", err)
		}
		t.batch.Source, t.ignored = make([]float32, len(t.batch.X)), make([]int32, exp.Batch)
	}
	if err = t.tryNetwork(); err != nil || o.Bare {
		return err
	}
	if err = t.rehearse(ctx); err != nil {
		return err
	}
	t.listen()
	if err = t.openDir(o); err != nil {
		return err
	}
	if o.Progress != nil && !t.Finished() {
		t.progress = o.Progress(exp.Name, t.step, exp.Steps)
	}
	return nil
}

func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// classes is the number of classes that the network is conditioned on.
func (t *Trainer) classes() int {
	if t.exp.Conditional {
		return t.data.Train.Classes()
	}
	return 0
}

// buildModels makes the network, its average and the models on them.
func (t *Trainer) buildModels() error {
	job, net, params, err := t.exp.build(t.dev, t.about(), t.prompts)
	if err != nil {
		return err
	}
	t.job, t.net, t.params = job, net, params
	t.model = job.Model(t.net)
	if t.teacher, err = t.openTeacher(); err != nil {
		return t.exp.at("objective", err)
	}
	t.avg, t.avgMod = t.net, t.model
	if t.exp.Init != "" && !t.dir.hasCheckpoint() {
		if err := loadInitial(t.exp.Init, t.net, t.params, t.warn); err != nil {
			return t.exp.at(t.initKey, err)
		}
	}
	if !ofRun(t.exp.Init) { // whose text encoder has been loaded with the rest
		if err := t.loadText(); err != nil {
			return err
		}
	}
	if t.trained, err = t.exp.freeze(t.params); err != nil {
		return err
	}
	if o, ok := job.Objective.(diffusion.Learner); ok {
		t.own = o.Params()
	}
	t.updated = slices.Concat(t.trained, t.own)
	if o, ok := job.Objective.(diffusion.Observer); ok && o.Observes() {
		t.observer = o
	}
	return nil
}

// buildAverage starts the moving average at the weights, if there is to be one. That of
// a parameter which is not trained is the parameter itself.
func (t *Trainer) buildAverage() (err error) {
	if t.exp.EMA == nil && !optim.AveragesItself(t.opt) {
		return nil
	}
	c, err := t.replicate()
	if err != nil {
		return err
	}
	t.avg, t.avgMod, t.average = c.net, t.job.Model(c.net), c.params
	if t.moving = c.moving; t.exp.EMA == nil {
		return nil
	}
	profile, err := t.exp.EMA.Build(AverageArg{})
	if err != nil {
		return t.exp.at("ema", err)
	}
	t.ema, err = optim.NewEMA(t.trained, c.moving, profile)
	return err
}

// settle brings the weights to use up to date where the optimiser averages itself:
// before they are sampled with or saved.
func (t *Trainer) settle() {
	if a, ok := t.opt.(optim.Averaging); ok && t.ema == nil && t.average != nil {
		a.Average(t.scope, t.moving)
	}
}

// build makes the objective and the network of an experiment. The network's
// outputs follow from the objective, and the objective's null condition from the network.
func (l *Loaded) build(dev backend.Device, of about, prompts *prompter) (*Job, Network, []*tensor.Param, error) {
	arg := ObjectiveArg{Shape: of.Shape, Classes: of.Classes, Vector: of.Vector, Levels: of.Levels, Null: -1, Prompt: prompts.null(), Draft: true, Batch: l.Batch, Steps: l.Steps, Device: dev, Init: rng.Key{Seed: l.Seed, Stream: streamObjective}}
	job, err := l.Objective.Build(arg)
	if err != nil {
		return nil, nil, nil, l.at("objective", err)
	}
	shape := ModelArg{Device: dev, Shape: job.inShape(of.Shape), Classes: of.Classes, Vector: of.Vector, TextWidth: l.textWidth(),
		Jump: job.Jump, Scale: job.Scale, OutChannels: job.outChannels(of.Shape), Init: rng.Key{Seed: l.Seed}}
	net, params, err := l.network(shape)
	if err != nil {
		return nil, nil, nil, l.at("model", err)
	}
	arg.Draft = false
	if of.Classes > 0 {
		arg.Null = nullLabel(net)
	}
	arg.NoVector = of.Vector > 0 && nullVector(net)
	if of := nn.FeaturesOf(net); of != nil {
		arg.Features = of.FeatureWidth()
	}
	arg.Twin = func() (Network, []*tensor.Param, error) { return l.network(shape) }
	if job, err = l.Objective.Build(arg); err != nil {
		return nil, nil, nil, l.at("objective", err)
	}
	return job, net, params, nil
}

func (t *Trainer) buildOptimizer() (err error) {
	if t.opt, err = t.exp.optimizer(t.net, t.trained, t.own, rateOf(t.job.Objective)); err != nil {
		return err
	}
	if t.exp.Accumulate > 1 {
		t.parts = optim.NewAccumulator(t.updated)
	}
	if optim.AveragesItself(t.opt) {
		if len(t.own) > 0 {
			return t.exp.places.Errorf("optim.rule", "averages weights itself, which what the objective learns beside the network has no use for: take another rule")
		}
		if t.exp.EMA != nil {
			return t.exp.places.Errorf("ema", "is a second average: the update rule averages weights itself; set ema: null")
		}
		if k := t.exp.Optim.Schedule.Kind; k != "constant" {
			return t.exp.places.Errorf("optim.schedule", "is %s: the update rule takes the place of a schedule; set constant, with a warm-up if need be", k)
		}
	}
	t.sched, err = t.exp.Optim.Schedule.Build(ScheduleArg{})
	return t.exp.at("optim.schedule", err)
}

// Dir is the run's folder, Step the steps done, Params the number of weights,
// Skipped the steps done without an update because a loss or gradient was not finite.
func (t *Trainer) Dir() RunDir    { return t.dir }
func (t *Trainer) Step() int64    { return t.step }
func (t *Trainer) Params() int    { return countElems(t.params) }
func (t *Trainer) Skipped() int64 { return t.skipped }
func (t *Trainer) Data() *Dataset { return t.data }

// Describe says in a few words what is trained on.
func (t *Trainer) Describe() string { return t.data.describe() }

func countElems(params []*tensor.Param) int {
	n := 0
	for _, p := range params {
		n += p.Elems()
	}
	return n
}

// Close ends the run's records and unlocks its folder.
func (t *Trainer) Close() error {
	var errs []error
	t.progress.Finish()
	if t.ahead != nil {
		t.ahead.Close()
	}
	if t.metrics != nil {
		errs = append(errs, t.metrics.Close())
	}
	if t.events != nil {
		errs = append(errs, t.events.Close())
	}
	if t.lock != nil {
		errs = append(errs, t.lock.Unlock())
	}
	if t.scope != nil {
		t.scope.Close()
	}
	if t.valid != nil {
		t.valid.scope.Close()
	}
	return errors.Join(errs...)
}

// Run trains to the last step, or until validation gives up or the time is over: see
// Finished and OutOfTime. When ctx is cancelled it writes a checkpoint and returns
// ctx's error. A run that is finished is left as it is.
func (t *Trainer) Run(ctx context.Context) error {
	if t.Finished() {
		return nil
	}
	t.began = t.now()
	t.window.from = t.began
	missing := t.validationDue()
	if err := t.lookUp(ctx, false); err != nil { // what was being looked at when the run was stopped
		return t.left(ctx, err)
	}
	if missing { // the checkpoint does not know of the loss
		if err := t.Save(); err != nil {
			return err
		}
	}
	for t.step < t.exp.Steps && !t.stale() {
		if ctx.Err() != nil {
			return t.leave(ctx)
		}
		if t.outOfTime = t.exp.MaxTime > 0 && t.now().Sub(t.began) >= t.exp.MaxTime; t.outOfTime {
			return t.Save()
		}
		if err := t.train(ctx); err != nil {
			return t.left(ctx, err)
		}
		last := t.step == t.exp.Steps
		if t.recordDue(t.step) {
			if err := t.log(); err != nil {
				return err
			}
		}
		if t.snapshotDue() {
			if err := t.saveSnapshot(); err != nil {
				return err
			}
		}
		if err := t.lookUp(ctx, true); err != nil {
			return t.left(ctx, err)
		}
		// While gradients are not finite the weights stand still: a checkpoint of
		// them would only push out one from before the trouble.
		if last || t.stale() || t.step%t.exp.Checkpoint.Every == 0 && t.inARow == 0 {
			if err := t.Save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookUp takes the loss on held-out data and draws the picture that are due at the
// present step; after a step that has just been made, or only what is missing.
func (t *Trainer) lookUp(ctx context.Context, fresh bool) error {
	if t.validationDue() {
		if err := t.validate(ctx); err != nil {
			return err
		}
	}
	if fresh && t.pictureDue() || t.pictureMissing() {
		return t.picture(ctx)
	}
	return nil
}

// left is the error of Run for one of its parts: if ctx was cancelled, the run is left in good order.
func (t *Trainer) left(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return t.leave(ctx)
	}
	return err
}

// OutOfTime reports whether Run ended because of max_time; StoppedEarly whether
// validation has given up: no new best since the loss of step best.
func (t *Trainer) OutOfTime() bool                        { return t.outOfTime }
func (t *Trainer) StoppedEarly() (best int64, early bool) { return t.stands.At, t.stale() }

// leave writes a checkpoint because ctx is cancelled.
func (t *Trainer) leave(ctx context.Context) error {
	if err := t.Save(); err != nil {
		return err
	}
	return ctx.Err()
}

// Train makes one step: draw, loss, gradient, clipping, update, average.
func (t *Trainer) Train() error { return t.train(context.Background()) }

// train is Train; when ctx is cancelled it may return ctx's error, and nothing has changed.
func (t *Trainer) train(ctx context.Context) error {
	if err := t.load(); err != nil {
		return err
	}
	t.prompts.captions(&t.batch, t.loader, uint64(t.step)*uint64(t.exp.Batch))
	s := t.scope
	if t.job.Objective.Draw(t.key(), &t.batch, &t.draw); t.draw.Err != nil {
		return fmt.Errorf("step %d: %w", t.step+1, t.draw.Err)
	}
	value, grads, err := t.gradient(ctx)
	if err != nil {
		return err
	}
	norm := optim.GlobalNorm(s, grads)
	var stop error
	if finite(value) && finite(norm) {
		lr := t.exp.Optim.LR * t.sched.Rate(int(t.step), int(t.exp.Steps))
		t.moves.before(t)
		clip := optim.ClipScale(norm, t.exp.Optim.Clip)
		if t.ema != nil {
			t.ema.Step(t.opt, s, grads, lr, clip)
		} else {
			t.opt.Step(s, grads, lr, clip)
		}
		for _, p := range t.profiles {
			p.ema.Update(s)
		}
		for _, p := range t.targets {
			p.ema.Update(s)
		}
		t.inARow = 0
		t.moves.after(t)
		if err := t.histograms(grads); err != nil {
			return err
		}
		if t.observer != nil {
			t.observer.Observe(&t.draw, t.losses)
		}
	} else {
		t.skipped++
		t.inARow++
		t.warnOfData()
		if t.inARow >= t.exp.MaxSkips {
			stop = t.diagnose(value, norm)
		}
	}
	t.step++
	t.window.loss += value
	t.window.norm += norm
	t.window.steps++
	t.levels.add(&t.window, t.draw.T, t.losses)
	t.shown[0] = record.V("loss", value)
	t.progress.Update(t.step, t.shown[:]...)
	return stop
}

// load reads the batch of the step in hand.
func (t *Trainer) load() error {
	from := time.Now()
	defer func() {
		took := time.Since(from)
		t.window.wait += took
		t.waited += took
	}()
	cursor := uint64(t.step) * uint64(t.exp.Batch)
	if t.starts != nil {
		if err := t.starts.Batch(cursor, t.batch.Source, t.ignored); err != nil {
			return err
		}
	}
	if t.batch.Vector != nil {
		t.loader.Vectors(cursor, t.batch.Vector)
	}
	if t.ahead != nil {
		return t.ahead.Batch(cursor, t.batch.X, t.labels)
	}
	return t.loader.Batch(cursor, t.batch.X, t.labels)
}
