package train

import (
	"fmt"
	"math"
	"os"
	"time"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/train/record"
)

// Recording says what is recorded beside the metrics.
type Recording struct {
	Histograms int64 `yaml:"histograms" doc:"training steps between histograms of each parameter's weights and gradients, with its update ratio, in TensorBoard's events; 0: none" range:"[0,inf)"`
}

// window gathers figures between two records.
type window struct {
	loss, norm float64
	steps      int
	from       time.Time
	wait       time.Duration // for batches
	levels     [levelBins]levelSum
}

// levelSum is what a noise level's samples have lost.
type levelSum struct{ loss, n float64 }

// levelBins is how many parts losses are recorded by.
const levelBins = 10

// noiseLevels sorts losses by how much noise samples had. The zero value sorts none.
type noiseLevels struct {
	path   diffusion.GaussianPath // nil: none are recorded
	byTime bool                   // where α and σ are no signal and noise: parts of the path, in place of ln(σ/α)
	keys   [levelBins]string
}

// newNoiseLevels are ten parts, of ln(σ/α) from below −4 to 4 and above, or of the path's time.
func newNoiseLevels(path diffusion.GaussianPath, byTime bool) noiseLevels {
	l := noiseLevels{path: path, byTime: byTime}
	for k := range l.keys {
		if byTime {
			l.keys[k] = fmt.Sprintf("%s%.2f", LossByTime, (float64(k)+0.5)/levelBins)
		} else {
			l.keys[k] = fmt.Sprintf("%s%+.1f", LossByNoise, float64(k)+0.5-levelBins/2)
		}
	}
	return l
}

// LossByNoise begins the keys of metrics that are the mean training loss of samples by their ln(σ/α), of which the key ends
// with the middle of a part 1 wide; the first and the last part have all that lies beyond. LossByTime begins those by time, as
// a fraction of the path, where there is no such thing.
const (
	LossByNoise = "loss_by_noise/"
	LossByTime  = "loss_by_time/"
)

// bin is the part of a time.
func (l *noiseLevels) bin(t float64) int {
	var at float64
	if l.byTime {
		at = t / l.path.End() * levelBins
	} else {
		at = levelBins/2 - l.path.HalfLogSNR(t)
	}
	if !(at > 0) { // −∞ and what is no number, too
		return 0
	}
	return int(min(at, levelBins-1))
}

// add counts a step's losses, if they were kept.
func (l *noiseLevels) add(w *window, times []float64, losses []float32) {
	if l.path == nil || len(losses) != len(times) {
		return
	}
	for i, v := range losses {
		if s := &w.levels[l.bin(times[i])]; finite(float64(v)) {
			s.loss += float64(v)
			s.n++
		}
	}
}

// values are the means of the parts that have samples.
func (l *noiseLevels) values(w *window, to []record.Value) []record.Value {
	for k, s := range w.levels {
		if s.n > 0 {
			to = append(to, record.V(l.keys[k], s.loss/s.n))
		}
	}
	return to
}

// savedLevels is what a checkpoint has of the levels; nil: nothing was gathered.
func (w *window) savedLevels() (out [][2]float64Bits) {
	any := false
	for _, s := range w.levels {
		out = append(out, [2]float64Bits{float64Bits(s.loss), float64Bits(s.n)})
		any = any || s.n > 0
	}
	if !any {
		return nil
	}
	return out
}

// restoreLevels takes up what savedLevels has left.
func (w *window) restoreLevels(saved [][2]float64Bits) {
	for k, s := range saved[:min(len(saved), levelBins)] {
		w.levels[k] = levelSum{float64(s[0]), float64(s[1])}
	}
}

// listen has losses recorded by noise level.
func (t *Trainer) listen() {
	t.draw.Wants = true
	t.levels = newNoiseLevels(t.model.Path(), confined(t.model) != nil)
}

// recordDue reports whether a record of metrics belongs to a step.
func (t *Trainer) recordDue(step int64) bool {
	return step%t.exp.LogEvery == 0 || step == t.exp.Steps
}

// log writes a record of the steps since the last one.
func (t *Trainer) log() error {
	n := float64(max(1, t.window.steps))
	took := math.Max(1e-9, time.Since(t.window.from).Seconds())
	values := []record.Value{
		record.V("train/loss", t.window.loss/n),
		record.V("train/grad_norm", t.window.norm/n),
		record.V("train/lr", t.exp.Optim.LR*t.sched.Rate(int(t.step-1), int(t.exp.Steps))),
	}
	values = t.moves.values(t.step, values)
	values = t.levels.values(&t.window, values)
	values = append(values,
		record.V("train/skipped", float64(t.skipped)),
		record.V(record.WallPrefix+"steps_per_s", n/took),
		record.V(record.WallPrefix+"samples_per_s", n*float64(t.exp.Batch)/took),
		record.V(record.WallPrefix+"data_wait", min(1, t.window.wait.Seconds()/took)),
		record.V(record.WallPrefix+"memory_mib", float64(t.scope.MemoryHeld())/(1<<20)),
		record.V(record.WallPrefix+"memory_peak_mib", float64(t.scope.MemoryPeak())/(1<<20)))
	if n, some := t.data.corrupt(); some { // of this process: reading ahead, it may have met some of later steps
		values = append(values, record.V(record.WallPrefix+"corrupt", float64(n)))
	}
	t.window = window{from: time.Now()}
	if err := t.metrics.Write(t.step, values...); err != nil {
		return unwritten(err)
	}
	return unwritten(t.events.Scalars(t.step, values...))
}

// recordPicture puts a picture that was written among the events.
func (t *Trainer) recordPicture(key, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return noRead(path, err, "the picture that was just written")
	}
	return unwritten(t.events.PNG(t.step, key, b))
}
