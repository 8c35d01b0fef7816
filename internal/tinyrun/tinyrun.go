// Package tinyrun is a small experiment that goes through all that a run reads, writes and remembers, for
// programs that kill runs or let them go on for long.
package tinyrun

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

// File is the experiment's, beside which its pictures are. Its run is started from that folder.
const File = "experiment.yaml"

// experiment has pictures decoded by workers, cut and mirrored at random, captions drawn, a moving average,
// stored averages, losses on held-out data with the best kept, pictures on the way.
const experiment = `
name: tiny
seed: 3
steps: %d
batch: 4
accumulate: 2
flip: true
data: {kind: folder, dir: pictures, height: 4, width: 4, crop: resized, heldout: 4, captions: txt, memory: 0}
loading: {workers: 2, ahead: 3}
text: {tokenizer: {kind: learned, size: 520}, length: 8, encoder: {width: 8, depth: 1, heads: 1, length: 8}}
model: {kind: dit, patch: 2, width: 16, depth: 1, heads: 2}
optim: {lr: 3e-3, schedule: {kind: cosine, warmup: 5}}
ema: {decay: 0.9}
post_hoc: {every: 12}
validation: {every: 8}
sample: {steps: 2, every: 20, rows: 2}
checkpoint: {every: 4, keep: 2, keep_every: 40, best: true}
log_every: 3
`

// Prepare makes the experiment of so many steps and its pictures in dir.
func Prepare(dir string, steps int) error {
	for k := range 20 {
		path := filepath.Join(dir, "pictures", string(rune('a'+k%2)), fmt.Sprintf("%02d.png", k))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		m := image.NewNRGBA(image.Rect(0, 0, 10+k%3, 9))
		for i := range m.Pix {
			m.Pix[i] = uint8(i * (k + 1))
		}
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := png.Encode(f, m); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		caption := fmt.Sprintf("picture %d\nnumber %d\n", k, k)
		if err := atomicfile.WriteBytes(strings.TrimSuffix(path, ".png")+".txt", []byte(caption)); err != nil {
			return err
		}
	}
	return atomicfile.WriteBytes(filepath.Join(dir, File), fmt.Appendf(nil, experiment, steps))
}
