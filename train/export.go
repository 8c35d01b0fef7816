package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// Export writes the weights to use of a run or checkpoint, its moving average if it has one and raw is false, to
// path: a safetensors file in which parameters have their own names, without optimiser and all else that only training
// needs. It can be sampled from like a checkpoint.
func Export(from string, raw bool, path string, warn func(format string, args ...any)) error {
	c, err := openSaved(from, warn)
	if err != nil {
		return err
	}
	defer c.Close()
	if raw {
		if err := c.useRaw(); err != nil {
			return err
		}
	}
	prefix := c.weights()
	st := c.state
	st.CRC32C = make(map[string]string)
	if st.Bare == "" {
		if st.Bare = bareModel; prefix == emaPrefix {
			st.Bare = bareAverage
		}
	}
	var entries []safetensors.Entry
	for _, name := range c.file.Names() {
		bare, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		x, err := c.file.Tensor(name)
		if err != nil {
			return err
		}
		values, err := c.values(name)
		if err != nil {
			return err
		}
		st.CRC32C[bare] = checksum(values)
		entries = append(entries, safetensors.Float32(bare, x.Shape, values))
	}
	return writeCheckpoint(path, st, c.texts, entries)
}

// useRaw has the weights themselves be those to use, and not their average.
func (c *checkpoint) useRaw() error {
	if c.state.Bare == bareAverage || c.state.Bare == "" && !c.hasModel() {
		return fmt.Errorf("%s has only an average of the weights", c.path)
	}
	c.raw = true
	return nil
}

// hasModel reports whether there are the weights themselves.
func (c *checkpoint) hasModel() bool {
	return slices.ContainsFunc(c.file.Names(), func(name string) bool { return strings.HasPrefix(name, modelPrefix) })
}
