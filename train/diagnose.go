package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/flow"
	"github.com/langevin-go/langevin/tensor"
)

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// DivergedError says that training stopped because losses or gradients were not finite.
type DivergedError struct {
	Step int64 // that was not made any more, counted from 1
	msg  string
}

func (e *DivergedError) Error() string { return e.msg }

// diagnose says where numbers went wrong first in the step in hand, whose weights
// stand as they were before it, and how to go on.
func (t *Trainer) diagnose(loss, norm float64) error {
	where, hint := t.findFault()
	return &DivergedError{t.step + 1, fmt.Sprintf("training stopped at step %d: loss (%g) or gradient norm (%g) was not finite for %d steps in a row, first in %s; %s%s",
		t.step+1, loss, norm, t.inARow, where, hint, t.remedy())}
}

// findFault looks at the data and the weights, and then computes the step again
// looking at every result.
func (t *Trainer) findFault() (where, hint string) {
	if bad := t.badSamples(); len(bad) > 0 {
		return bad[0], "mend or remove it"
	}
	for _, p := range t.params {
		if v := p.Float32s(); !allFinite(v) {
			return fmt.Sprintf("weight %s (%s)", p.Name, spread(v)), t.slower()
		}
	}
	w := &inspector{}
	t.scope.Watch(w.see)
	defer t.scope.Watch(nil)
	defer func(m diffusion.Model) { t.model = m }(t.model)
	t.model = watchedModel{t.model, w}
	_, grads, err := t.gradient(context.Background())
	switch {
	case w.found != "":
		where = w.found
	case err != nil:
		where = "a gradient that cannot be computed again: " + err.Error()
	default:
		where = fmt.Sprintf("the gradient's norm: all its elements are finite, the largest %.3g, and the sum of their squares is not", largest(grads))
	}
	return where, t.slower()
}

// inspector remembers the first result that is not finite.
type inspector struct {
	found    string
	inModel  bool
	lastName string // of the parameter met last: what is behind it belongs to its layer
}

func (w *inspector) see(e tensor.Event) {
	if e.Param != "" {
		w.lastName = e.Param
	}
	if w.found != "" || e.Out.DType() == tensor.Int32 {
		return
	}
	out := e.Out.Float32s()
	if allFinite(out) {
		return
	}
	part := "the loss"
	switch {
	case e.Backward:
		part = "the backward pass"
	case w.inModel:
		part = "the network's forward pass"
	}
	at := ""
	switch {
	case e.Param != "":
		at = " with " + e.Param
	case w.lastName != "" && e.Backward:
		at = ", before " + w.lastName
	case w.lastName != "":
		at = ", after " + w.lastName
	}
	var from []string
	for _, in := range e.In {
		if in != nil && in.DType() != tensor.Int32 {
			from = append(from, spread(in.Float32s()))
		}
	}
	w.found = fmt.Sprintf("%s: %s%s gives %s", part, e.Op, at, spread(out))
	if len(from) > 0 {
		w.found += " from " + strings.Join(from, " and ")
	}
}

// watchedModel tells a inspector what the network computes.
type watchedModel struct {
	diffusion.Model
	w *inspector
}

func (m watchedModel) Eval(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) diffusion.Pred {
	m.w.inModel = true
	defer func() { m.w.inModel = false }()
	return m.Model.Eval(x, at, c)
}

// Field is that of a model of whole steps.
func (m watchedModel) Field(x, t, jump *tensor.Tensor, c diffusion.Cond) *tensor.Tensor {
	m.w.inModel = true
	defer func() { m.w.inModel = false }()
	return m.Model.(flow.StepModel).Field(x, t, jump, c)
}

// spread says in which range values lie, and how many are not finite.
func spread(v []float32) string {
	lo, hi, nan, inf := math.Inf(1), math.Inf(-1), 0, 0
	for _, x := range v {
		switch f := float64(x); {
		case math.IsNaN(f):
			nan++
		case math.IsInf(f, 0):
			inf++
		default:
			lo, hi = min(lo, f), max(hi, f)
		}
	}
	var parts []string
	if nan > 0 {
		parts = append(parts, fmt.Sprintf("%d NaN", nan))
	}
	if inf > 0 {
		parts = append(parts, fmt.Sprintf("%d Inf", inf))
	}
	if lo <= hi {
		parts = append(parts, fmt.Sprintf("values in [%.3g, %.3g]", lo, hi))
	}
	return strings.Join(parts, ", ")
}

func allFinite(v []float32) bool {
	return !slices.ContainsFunc(v, func(x float32) bool { return !finite(float64(x)) })
}

func largest(grads []*tensor.Tensor) (size float64) {
	for _, g := range grads {
		if g == nil {
			continue
		}
		for _, x := range g.Float32s() {
			size = max(size, math.Abs(float64(x)))
		}
	}
	return size
}

// badSamples names the samples of the batch in hand that have values which are not finite.
func (t *Trainer) badSamples() (names []string) {
	size := volume(t.batch.Shape)
	for i := range t.batch.N {
		x := t.batch.X[i*size : (i+1)*size]
		if allFinite(x) {
			continue
		}
		index, _ := t.loader.At(uint64(t.step)*uint64(t.exp.Batch) + uint64(i))
		names = append(names, fmt.Sprintf("the data: sample %d has %s", index, spread(x)))
	}
	return names
}

// maxNamed is how many bad samples a run names in warnings.
const maxNamed = 10

// warnOfData names bad samples of a step that was skipped, each once.
func (t *Trainer) warnOfData() {
	for _, name := range t.badSamples() {
		if len(t.named) < maxNamed && !slices.Contains(t.named, name) {
			t.named = append(t.named, name)
			t.warn("step %d is skipped because of %s", t.step+1, name)
		}
	}
}

// slower is how to keep numbers from growing beyond measure.
func (t *Trainer) slower() string {
	hint := fmt.Sprintf("lower optim.lr (%g)", t.exp.Optim.LR)
	if t.exp.Optim.Clip == 0 {
		hint += ", set optim.clip"
	}
	if t.exp.Precision != Float32 {
		hint += ", compute in precision: float32"
	}
	return hint + " or look at the scale of the data"
}

// remedy is how to go on after numbers have gone wrong.
func (t *Trainer) remedy() string {
	if t.dir != "" {
		if paths, err := listCheckpoints(t.dir.Checkpoints()); err == nil && len(paths) > 0 {
			return fmt.Sprintf(", and go on with --resume from the newest checkpoint, %s", paths[0])
		}
	}
	return " and start again"
}
