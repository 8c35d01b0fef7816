package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor"
)

// A checkpoint is one safetensors file, written whole or not at all: the
// weights under "model.", their moving average under "ema.", the optimiser's
// moments under "optim.", what the objective learns beside the network under
// "objective.", and in the metadata the state below and the resolved config, so
// that the file alone says what it is.
const (
	modelPrefix     = "model."
	emaPrefix       = "ema."
	optimPrefix     = "optim."
	objectivePrefix = "objective."

	stateKey  = "langevin.state"
	configKey = "langevin.config"
	tokensKey = "langevin.tokenizer" // a tokenizer.json, if the network takes prompts
	sumKey    = "langevin.crc32c"    // of the texts above

	checkpointFormat = 1
)

// checkpointState is everything of a run that is not an array.
type checkpointState struct {
	about
	Format     int   `json:"format"`
	Step       int64 `json:"step"` // steps done
	OptimSteps int   `json:"optim_steps"`
	EMASteps   int   `json:"ema_steps"`
	// What the optimiser counts beside its steps.
	OptimCounters []float64Bits `json:"optim_counters,omitempty"`
	Averaged      int           `json:"averaged,omitempty"` // updates that stored averages have taken in
	Validation    *standing     `json:"validation,omitempty"`
	Skipped       int64         `json:"skipped"`  // steps whose gradient was not finite
	InARow        int           `json:"in_a_row"` // of them, the last ones
	// What the next record of metrics has gathered so far.
	WindowLoss  float64Bits `json:"window_loss"`
	WindowNorm  float64Bits `json:"window_norm"`
	WindowSteps int         `json:"window_steps"`
	// Sum of losses and samples of each noise level.
	WindowLevels [][2]float64Bits  `json:"window_levels,omitempty"`
	Objective    json.RawMessage   `json:"objective,omitempty"`
	Bare         string            `json:"bare,omitempty"` // of an export, what its arrays are, whose names have no prefix; "": no export
	CRC32C       map[string]string `json:"crc32c"`         // of each array's bytes
}

// float64Bits is a number in JSON by its bits, because JSON knows no NaN.
type float64Bits float64

func (f float64Bits) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%016x", math.Float64bits(float64(f))), nil
}

func (f *float64Bits) UnmarshalText(b []byte) error {
	u, err := strconv.ParseUint(string(b), 16, 64)
	*f = float64Bits(math.Float64frombits(u))
	return err
}

// What an export's arrays are.
const (
	bareAverage = "average"
	bareModel   = "model"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// group is a prefix with the parameters that are saved under it.
type group struct {
	prefix string
	params []*tensor.Param
	spare  func(name string) bool // tells arrays that a checkpoint may have beside them; nil: none
	absent []*tensor.Param        // those that a checkpoint may lack: they stay as they are
}

// texts are the parts of a checkpoint that are documents of their own.
type texts struct {
	config    []byte // resolved
	tokenizer []byte // nil: the network takes no prompts
}

// saveCheckpoint writes a checkpoint to path.
func saveCheckpoint(path string, st checkpointState, tx texts, groups ...group) error {
	st.Format = checkpointFormat
	st.CRC32C = make(map[string]string)
	var entries []safetensors.Entry
	for _, g := range groups {
		for _, p := range g.params {
			name := g.prefix + p.Name
			values := p.Float32s()
			st.CRC32C[name] = checksum(values)
			entries = append(entries, safetensors.Float32(name, p.Shape(), values))
		}
	}
	return writeCheckpoint(path, st, tx, entries)
}

// writeCheckpoint writes the file of a state that has the arrays' checksums.
func writeCheckpoint(path string, st checkpointState, tx texts, entries []safetensors.Entry) error {
	blob, err := json.Marshal(st)
	if err != nil {
		return err
	}
	meta := map[string]string{stateKey: string(blob), configKey: string(tx.config), "format": "pt"}
	if tx.tokenizer != nil {
		meta[tokensKey] = string(tx.tokenizer)
	}
	meta[sumKey] = textChecksum(meta)
	return safetensors.WriteFile(path, entries, meta)
}

// textChecksum is that of the metadata; each array has its own in the state.
func textChecksum(meta map[string]string) string {
	all := meta[stateKey] + "\n" + meta[configKey]
	if tok, ok := meta[tokensKey]; ok {
		all += "\n" + tok
	}
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(all), castagnoli))
}

func checksum(values []float32) string {
	h := uint32(0)
	var buf [4096]byte
	for len(values) > 0 {
		n := min(len(values), len(buf)/4)
		for i, v := range values[:n] {
			b := math.Float32bits(v)
			buf[4*i], buf[4*i+1], buf[4*i+2], buf[4*i+3] = byte(b), byte(b>>8), byte(b>>16), byte(b>>24)
		}
		h = crc32.Update(h, castagnoli, buf[:4*n])
		values = values[n:]
	}
	return fmt.Sprintf("%08x", h)
}

// checkpoint is an open checkpoint file.
type checkpoint struct {
	path  string
	file  *safetensors.File
	state checkpointState
	raw   bool // the weights to use are not the average, though there is one
	texts
}

// openCheckpoint reads the header and the state; arrays are read by load.
func openCheckpoint(path string) (*checkpoint, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	c, err := readCheckpoint(f)
	if err != nil {
		f.Close()
	}
	return c, err
}

// readCheckpoint is openCheckpoint of an open file, which stays open.
func readCheckpoint(f *safetensors.File) (*checkpoint, error) {
	path, meta := f.Path(), f.Metadata()
	c := &checkpoint{path: path, file: f, texts: texts{config: []byte(meta[configKey])}}
	if tok, ok := meta[tokensKey]; ok {
		c.tokenizer = []byte(tok)
	}
	blob, ok := meta[stateKey]
	if !ok {
		return nil, fmt.Errorf("%s: not a checkpoint of a run: its metadata has no %q", path, stateKey)
	}
	if want, got := meta[sumKey], textChecksum(meta); want != got {
		return nil, fmt.Errorf("%s: the checkpoint's metadata is damaged: checksum %s, stored %q", path, got, want)
	}
	if err := json.Unmarshal([]byte(blob), &c.state); err != nil {
		return nil, fmt.Errorf("%s: metadata %q: %w", path, stateKey, err)
	}
	if err := c.state.check(); err != nil {
		return nil, fmt.Errorf("%s: metadata %q: %w", path, stateKey, err)
	}
	return c, nil
}

// check refuses what cannot be: a checkpoint may come from anywhere.
func (s *checkpointState) check() error {
	if s.Format > checkpointFormat {
		return fmt.Errorf("format %d, of a later version; this one reads formats up to %d", s.Format, checkpointFormat)
	}
	if s.Format < 1 {
		return fmt.Errorf("format %d is impossible", s.Format)
	}
	if s.Bare != "" && s.Bare != bareAverage && s.Bare != bareModel {
		return fmt.Errorf("an export of %q is impossible", s.Bare)
	}
	if s.Step < 0 {
		return fmt.Errorf("step %d is impossible", s.Step)
	}
	return s.about.check()
}

func (c *checkpoint) Close() error { return c.file.Close() }

// verify reads every array and compares checksums.
func (c *checkpoint) verify() error {
	names := c.file.Names()
	if len(names) != len(c.state.CRC32C) {
		return fmt.Errorf("%s: the file has %d tensors, the checkpoint had %d", c.path, len(names), len(c.state.CRC32C))
	}
	for _, name := range names {
		if _, err := c.values(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *checkpoint) values(name string) ([]float32, error) {
	t, err := c.file.Tensor(name)
	if err != nil {
		return nil, err
	}
	v, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	if want, got := c.state.CRC32C[name], checksum(v); want != got {
		return nil, fmt.Errorf("%s: tensor %s is damaged: checksum %s, stored %s", c.path, name, got, want)
	}
	return v, nil
}

// load reads all parameters of the groups. Every array must be there in the
// right shape, and none may be left over under the groups' prefixes.
func (c *checkpoint) load(groups ...group) error {
	wanted := make(map[string]bool)
	for _, g := range groups {
		for _, p := range g.params {
			name := g.prefix + p.Name
			wanted[name] = true
			if !c.file.Has(name) && slices.Contains(g.absent, p) {
				continue
			}
			t, err := c.file.Tensor(name)
			if err != nil {
				return err
			}
			if !equalShape(t.Shape, p.Shape()) {
				return fmt.Errorf("%s: tensor %s has shape %v, this model wants %v", c.path, name, t.Shape, p.Shape())
			}
			v, err := c.values(name)
			if err != nil {
				return err
			}
			if err := p.Set(v); err != nil {
				return err
			}
		}
	}
	for _, name := range c.file.Names() {
		for _, g := range groups {
			if strings.HasPrefix(name, g.prefix) && !wanted[name] && (g.spare == nil || !g.spare(name)) {
				return fmt.Errorf("%s: tensor %s has no place in this model", c.path, name)
			}
		}
	}
	return nil
}

func equalShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// checkpointName is the file name of a step's checkpoint.
func checkpointName(step int64) string { return fmt.Sprintf("step-%08d.safetensors", step) }

// listCheckpoints gives the checkpoints in dir, newest first.
func listCheckpoints(dir string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	steps := make(map[string]int64)
	for _, f := range files {
		var step int64
		if _, err := fmt.Sscanf(f.Name(), "step-%d.safetensors", &step); err == nil && f.Name() == checkpointName(step) {
			path := filepath.Join(dir, f.Name())
			found, steps[path] = append(found, path), step
		}
	}
	sort.Slice(found, func(i, j int) bool { return steps[found[i]] > steps[found[j]] })
	return found, nil
}

// newestCheckpoint opens the newest checkpoint in dir that is whole; warn is
// told of damaged ones. It gives nil when there is none.
func newestCheckpoint(dir string, warn func(format string, args ...any)) (c *checkpoint, err error) {
	for range 3 { // a run that goes on may remove a checkpoint between looking and opening
		if c, err = firstWhole(dir, warn); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return c, err
}

func firstWhole(dir string, warn func(format string, args ...any)) (*checkpoint, error) {
	paths, err := listCheckpoints(dir)
	if err != nil {
		return nil, err
	}
	for i, p := range paths {
		c, err := openWhole(p)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if i == len(paths)-1 {
			return nil, fmt.Errorf("none of the %d checkpoints in %s can be used, the oldest of them because %w", len(paths), dir, err)
		}
		warn("%v; going back to the checkpoint before it, %s", err, filepath.Base(paths[i+1]))
	}
	return nil, nil
}

// openWhole opens a checkpoint all of which is as it was written.
func openWhole(path string) (*checkpoint, error) {
	c, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	if err := c.verify(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// pruneCheckpoints removes all but the newest keep checkpoints, and those of every
// every-th step if that is above 0; a keep of 0 keeps all.
func pruneCheckpoints(dir string, keep int, every int64) error {
	if keep <= 0 {
		return nil
	}
	paths, err := listCheckpoints(dir)
	if err != nil {
		return err
	}
	for _, p := range paths[min(keep, len(paths)):] {
		var step int64
		if _, err := fmt.Sscanf(filepath.Base(p), "step-%d.safetensors", &step); err != nil {
			return err
		}
		if every > 0 && step%every == 0 {
			continue
		}
		if err := os.Remove(p); err != nil {
			return err
		}
	}
	return nil
}
