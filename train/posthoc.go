package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/optim"
	"github.com/langevin-go/langevin/tensor"
)

// PostHoc says which averages are stored, so that any other can be reconstructed
// after training (Karras et al. 2024).
type PostHoc struct {
	SigmaRel []float64 `yaml:"sigma_rel" doc:"widths of the power-function averages that are stored; each takes memory for a copy of the weights"`
	Every    int64     `yaml:"every" doc:"steps between snapshots of them, which all stay in the run's folder averages" range:"[1,inf)"`
}

// SetDefaults takes the paper's widths.
func (p *PostHoc) SetDefaults() { p.SigmaRel, p.Every = []float64{0.05, 0.1}, 1000 }

// Validate checks the widths.
func (p *PostHoc) Validate() error {
	if len(p.SigmaRel) == 0 {
		return invalid.Field("sigma_rel", "must name at least one width")
	}
	for i, s := range p.SigmaRel {
		if err := (&optim.PowerEMA{SigmaRel: s}).Validate(); err != nil {
			return err
		}
		if slices.Contains(p.SigmaRel[:i], s) {
			return invalid.Field("sigma_rel", "has %g twice", s)
		}
	}
	return nil
}

// profile is one of the stored averages.
type profile struct {
	ema    *optim.EMA
	params []*tensor.Param
}

// buildProfiles starts the stored averages.
func (t *Trainer) buildProfiles() error {
	if t.exp.PostHoc == nil {
		return nil
	}
	for _, s := range t.exp.PostHoc.SigmaRel {
		var p profile
		for _, w := range t.trained {
			q := tensor.NewParam(w.Device(), w.DType(), w.Shape()...)
			q.Name, q.Frozen = w.Name, true
			p.params = append(p.params, q)
		}
		var err error
		if p.ema, err = optim.NewEMA(t.trained, p.params, optim.PowerEMA{SigmaRel: s}); err != nil {
			return err
		}
		t.profiles = append(t.profiles, p)
	}
	return nil
}

// profilePrefix begins the names of a stored average's arrays.
func profilePrefix(i int) string { return fmt.Sprintf("average.%d.", i) }

// snapshotKey is the metadata of a snapshot file.
const snapshotKey = "langevin.averages"

// snapshot is that metadata.
type snapshot struct {
	Updates  int               `json:"updates"` // that the averages have taken in
	SigmaRel []float64         `json:"sigma_rel"`
	CRC32C   map[string]string `json:"crc32c"`
}

// snapshotDue reports whether the averages are to be stored at the present step.
func (t *Trainer) snapshotDue() bool {
	return len(t.profiles) > 0 && t.profiles[0].ema.Steps() > 0 && (t.step%t.exp.PostHoc.Every == 0 || t.step == t.exp.Steps)
}

// saveSnapshot stores the averages.
func (t *Trainer) saveSnapshot() error {
	meta := snapshot{Updates: t.profiles[0].ema.Steps(), SigmaRel: t.exp.PostHoc.SigmaRel, CRC32C: make(map[string]string)}
	var entries []safetensors.Entry
	for i, p := range t.profiles {
		for _, q := range p.params {
			name, values := profilePrefix(i)+q.Name, q.Float32s()
			meta.CRC32C[name] = checksum(values)
			entries = append(entries, safetensors.Float32(name, q.Shape(), values))
		}
	}
	blob, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.dir.Averages(), 0o777); err != nil {
		return notMade(t.dir, err)
	}
	return safetensors.WriteFile(filepath.Join(t.dir.Averages(), checkpointName(t.step)), entries, map[string]string{snapshotKey: string(blob)})
}

// dropSnapshots removes those of steps after the present one, from which a run that
// goes on starts again.
func (t *Trainer) dropSnapshots() error {
	paths, err := listCheckpoints(t.dir.Averages())
	if err != nil {
		return err
	}
	for _, p := range paths {
		if filepath.Base(p) > checkpointName(t.step) {
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	if _, err := os.Stat(t.dir.Averages()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return atomicfile.Sweep(t.dir.Averages())
}

// storedAverage is one of the averages in a snapshot file.
type storedAverage struct {
	optim.Snapshot
	file  *safetensors.File
	path  string
	place int
	sums  map[string]string
}

// openSnapshots opens all snapshots of a run, oldest first.
func openSnapshots(run RunDir) (all []storedAverage, close func(), err error) {
	var files []*safetensors.File
	close = func() {
		for _, f := range files {
			f.Close()
		}
	}
	paths, err := listCheckpoints(run.Averages())
	if err != nil {
		return nil, close, err
	}
	for _, path := range slices.Backward(paths) {
		f, err := safetensors.Open(path)
		if err != nil {
			return nil, close, err
		}
		files = append(files, f)
		var meta snapshot
		if err := json.Unmarshal([]byte(f.Metadata()[snapshotKey]), &meta); err != nil || meta.Updates < 1 {
			return nil, close, fmt.Errorf("%s: not a snapshot of averages: its metadata has no %q that can be read", path, snapshotKey)
		}
		for i, s := range meta.SigmaRel {
			all = append(all, storedAverage{optim.Snapshot{Step: meta.Updates, SigmaRel: s}, f, path, i, meta.CRC32C})
		}
	}
	return all, close, nil
}

// values are the average of one parameter.
func (a storedAverage) values(name string, shape []int) ([]float32, error) {
	name = profilePrefix(a.place) + name
	x, err := a.file.Tensor(name)
	if err != nil {
		return nil, err
	}
	if !equalShape(x.Shape, shape) {
		return nil, fmt.Errorf("%s: tensor %s has shape %v, the run's newest checkpoint %v", a.path, name, x.Shape, shape)
	}
	v, err := x.Float32s()
	if err != nil {
		return nil, err
	}
	if got := checksum(v); got != a.sums[name] {
		return nil, fmt.Errorf("%s: tensor %s is damaged: checksum %s, stored %s", a.path, name, got, a.sums[name])
	}
	return v, nil
}

// Reconstruct writes a checkpoint to path that has, as its moving average, the
// power-function average of width sigmaRel after so many updates (0: all), put
// together from the snapshots that a run with post_hoc has stored.
func Reconstruct(run string, sigmaRel float64, updates int, path string, warn func(format string, args ...any)) error {
	if !IsRun(run) {
		return fmt.Errorf("%s is no run: averages are put together from a run's snapshots", run)
	}
	stored, done, err := openSnapshots(RunDir(run))
	defer done()
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		return fmt.Errorf("%s has no snapshots of averages: they are stored by training with post_hoc", run)
	}
	if updates == 0 {
		updates = stored[len(stored)-1].Step
	}
	list := make([]optim.Snapshot, len(stored))
	for i, s := range stored {
		list[i] = s.Snapshot
	}
	weights, err := optim.PostHoc(list, optim.Snapshot{Step: updates, SigmaRel: sigmaRel})
	if err != nil {
		return fmt.Errorf("%s: %w", run, err)
	}
	c, err := newestOf(run, warn)
	if err != nil {
		return err
	}
	defer c.Close()
	entries, sums, err := combine(c, stored, weights)
	if err != nil {
		return err
	}
	st := c.state
	st.CRC32C = sums
	return writeCheckpoint(path, st, c.texts, entries)
}

// combine sums the stored averages of every parameter, in float64; what was frozen is
// taken from the checkpoint.
func combine(c *checkpoint, stored []storedAverage, weights []float64) (entries []safetensors.Entry, sums map[string]string, err error) {
	sums = make(map[string]string)
	for _, name := range c.file.Names() {
		bare, ok := strings.CutPrefix(name, modelPrefix)
		if !ok {
			continue
		}
		x, err := c.file.Tensor(name)
		if err != nil {
			return nil, nil, err
		}
		values, err := c.values(name)
		if err != nil {
			return nil, nil, err
		}
		if stored[0].file.Has(profilePrefix(0) + bare) {
			total := make([]float64, len(values))
			for i, s := range stored {
				if weights[i] == 0 {
					continue
				}
				v, err := s.values(bare, x.Shape)
				if err != nil {
					return nil, nil, err
				}
				for k, f := range v {
					total[k] += weights[i] * float64(f)
				}
			}
			for k, f := range total {
				values[k] = float32(f)
			}
		}
		sums[emaPrefix+bare] = checksum(values)
		entries = append(entries, safetensors.Float32(emaPrefix+bare, x.Shape, values))
	}
	return entries, sums, nil
}
