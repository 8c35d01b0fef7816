package train

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// Average writes a checkpoint to path whose weights to use are the mean of those of several: of each its moving
// average, if it has one. All else is that of the one with the most steps. A run among paths stands for its newest
// last checkpoints; a single mean of them (a model soup, Wortsman et al. 2022) often does what a lower learning rate would.
func Average(paths []string, last int, path string, warn func(format string, args ...any)) (n int, err error) {
	var files []string
	for _, p := range paths {
		if !IsRun(p) {
			files = append(files, p)
			continue
		}
		found, err := listCheckpoints(RunDir(p).Checkpoints())
		if err != nil {
			return 0, err
		}
		if len(found) < last {
			return 0, fmt.Errorf("%s has %d checkpoints, not %d: more are kept with checkpoint.keep", p, len(found), last)
		}
		files = append(files, found[:last]...)
	}
	if len(files) < 2 {
		return 0, fmt.Errorf("%d checkpoints have no mean: name at least two", len(files))
	}
	var all []*checkpoint
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	newest := 0
	for i, f := range files {
		c, err := openWhole(f)
		if err != nil {
			return 0, err
		}
		all = append(all, c)
		if c.state.Step > all[newest].state.Step {
			newest = i
		}
	}
	base := all[newest]
	var entries []safetensors.Entry
	st := base.state
	st.Bare, st.CRC32C = "", make(map[string]string)
	for _, c := range all {
		if !bytes.Equal(c.tokenizer, base.tokenizer) {
			return 0, fmt.Errorf("%s and %s read prompts by different vocabularies", c.path, base.path)
		}
	}
	for _, name := range base.file.Names() {
		bare, ok := strings.CutPrefix(name, base.weights())
		if !ok {
			continue
		}
		x, err := base.file.Tensor(name)
		if err != nil {
			return 0, err
		}
		mean := make([]float64, volume(x.Shape))
		for _, c := range all {
			y, err := c.file.Tensor(c.weights() + bare)
			if err != nil {
				return 0, fmt.Errorf("%w: want checkpoints of one network", err)
			}
			if !equalShape(x.Shape, y.Shape) {
				return 0, fmt.Errorf("%s: tensor %s has shape %v, in %s %v: want checkpoints of one network", c.path, bare, y.Shape, base.path, x.Shape)
			}
			v, err := c.values(c.weights() + bare)
			if err != nil {
				return 0, err
			}
			for k, f := range v {
				mean[k] += float64(f) / float64(len(all))
			}
		}
		values := make([]float32, len(mean))
		for k, f := range mean {
			values[k] = float32(f)
		}
		st.CRC32C[emaPrefix+bare] = checksum(values)
		entries = append(entries, safetensors.Float32(emaPrefix+bare, x.Shape, values))
	}
	return len(all), writeCheckpoint(path, st, base.texts, entries)
}
