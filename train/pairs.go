package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
)

// Pairs are starts of a model's flow and the samples that it leads to: what reflow trains on. A
// folder of them has files pairs-00000.safetensors, …, each with the tensors "noise" and "samples" (n,
// shape…), perhaps "labels" (n), and in its metadata how they were made.
type Pairs struct {
	Noise, Samples data.Source // sample i of one belongs to sample i of the other; labels are the samples'
	Recipe         PairRecipe
}

// PairRecipe is how a folder of pairs was made. It is part of every file, so that no two are mixed.
type PairRecipe struct {
	Teacher  string  `json:"teacher"` // checksum of the weights
	Count    int     `json:"count"`   // pairs in all files
	Shape    []int   `json:"shape"`
	Classes  int     `json:"classes"`
	Seed     uint64  `json:"seed"`
	Sampler  string  `json:"sampler"` // as text, with its settings
	Guidance float64 `json:"guidance"`
}

// pairsKey names the recipe in a file's metadata, pairsSum the checksum of its arrays.
const (
	pairsKey = "langevin.pairs"
	pairsSum = "langevin.crc32c"
)

// shardSize is the number of pairs a file, which is what is lost when a process is killed.
const shardSize = 1024

// PairsArg says which pairs to make.
type PairsArg struct {
	Dir      string
	Count    int
	Seed     uint64
	Like     *Loaded // whose data say which classes pairs have; nil: the model's own
	Progress func(done, total int)
}

// MakePairs draws starts, lets the model lead them to samples, and keeps both in a folder. What is
// there already, from a call that was stopped, is not made again. Labels are those of the model's
// training data in turn.
func MakePairs(ctx context.Context, t *Trained, a PairsArg) error {
	recipe, err := t.recipe(a)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.Dir, 0o777); err != nil {
		return unwritten(err)
	}
	labels, err := t.pairLabels(ctx, a)
	if err != nil {
		return err
	}
	for from := 0; from < a.Count; from += shardSize {
		n := min(shardSize, a.Count-from)
		path := shardPath(a.Dir, from/shardSize)
		old, err := readShard(path)
		switch {
		case err == nil && old.recipe != recipe:
			return fmt.Errorf("%s holds pairs made otherwise (%s; now %s): name another folder", path, old.recipe, recipe)
		case err == nil && len(old.labels) == n:
		case err == nil || errors.Is(err, fs.ErrNotExist):
			if err := t.makeShard(ctx, path, recipe, from, n, labels, a); err != nil {
				return err
			}
		default:
			return err
		}
		if a.Progress != nil {
			a.Progress(from+n, a.Count)
		}
	}
	return nil
}

func (t *Trained) recipe(a PairsArg) (string, error) {
	var all []float32
	for _, p := range t.Params {
		all = append(all, p.Float32s()...)
	}
	r := PairRecipe{Teacher: checksum(all), Count: a.Count, Shape: t.Shape, Classes: t.Classes, Seed: a.Seed, Sampler: t.DescribeSampling(), Guidance: t.How.EffectiveScale()}
	b, err := json.Marshal(r)
	return string(b), err
}

// pairLabels are the classes of the pairs, as frequent as in the data; nil for a model without.
func (t *Trained) pairLabels(ctx context.Context, a PairsArg) ([]int32, error) {
	if t.Classes == 0 {
		return nil, nil
	}
	of := a.Like
	if of == nil {
		of = t.Exp
	}
	ds, err := of.openData(ctx)
	if err != nil {
		return nil, err
	}
	order := data.NewOrder(ds.Train.Len(), of.Seed)
	x, labels := make([]float32, volume(t.Shape)), make([]int32, a.Count)
	for i := range labels {
		index, _ := order.At(uint64(i))
		label, err := ds.Train.Sample(index, x)
		if err != nil {
			return nil, err
		}
		labels[i] = int32(label)
	}
	return labels, nil
}

// streamPairs numbers the starts of pairs: row i is the start of pair i, whatever file it is in.
const streamPairs = streamSource + 1

func (t *Trained) makeShard(ctx context.Context, path, recipe string, from, n int, labels []int32, a PairsArg) error {
	size := volume(t.Shape)
	noise := make([]float32, n*size)
	if t.Source != nil {
		if err := startFrom(t.Source, a.Seed, uint64(from), noise); err != nil {
			return fmt.Errorf("the source: %w", err)
		}
	} else {
		for i := range n {
			rng.Normal(noise[i*size:(i+1)*size], rng.Key{Seed: a.Seed, Stream: streamPairs}, uint64(from+i))
		}
	}
	q := Request{N: n, Seed: a.Seed, Noise: noise, Still: true}
	if labels != nil {
		q.Labels = labels[from : from+n]
	}
	if a.Progress != nil {
		q.Progress = func(done, total int) { a.Progress(from+n*done/total, a.Count) }
	}
	x, err := t.Draw(ctx, q)
	if err != nil {
		return err
	}
	for i, v := range x {
		if !finite(float64(v)) {
			return fmt.Errorf("the model leads start %d to a sample that is not finite (%g)", from+i/size, v)
		}
	}
	shape := append([]int{n}, t.Shape...)
	entries := []safetensors.Entry{safetensors.Float32("noise", shape, noise), safetensors.Float32("samples", shape, x)}
	meta := map[string]string{pairsKey: recipe, pairsSum: checksum(noise) + checksum(x)}
	if labels != nil {
		entries = append(entries, safetensors.Int32("labels", []int{n}, q.Labels))
	}
	return unwritten(safetensors.WriteFile(path, entries, meta))
}

func shardPath(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("pairs-%05d.safetensors", i))
}

// shard is the content of a file of pairs.
type shard struct {
	recipe         string
	noise, samples []float32
	labels         []int32 // 0 without classes
}

func readShard(path string) (*shard, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseShard(f)
}

func parseShard(f *safetensors.File) (*shard, error) {
	path := f.Path()
	s := &shard{recipe: f.Metadata()[pairsKey]}
	r, err := parseRecipe(s.recipe)
	if err != nil {
		return nil, fmt.Errorf("%s: metadata %q: %w: it is no file of pairs", path, pairsKey, err)
	}
	n := 0
	for name, to := range map[string]*[]float32{"noise": &s.noise, "samples": &s.samples} {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		if len(t.Shape) != len(r.Shape)+1 || !equalShape(t.Shape[1:], r.Shape) {
			return nil, fmt.Errorf("%s: tensor %s has shape %v, want (n, %s)", path, name, t.Shape, joinInts(r.Shape))
		}
		if *to, err = t.Float32s(); err != nil {
			return nil, err
		}
		n = t.Shape[0]
	}
	if len(s.noise) != len(s.samples) {
		return nil, fmt.Errorf("%s: %d starts and %d samples: want as many of both", path, len(s.noise)/volume(r.Shape), len(s.samples)/volume(r.Shape))
	}
	if want, got := f.Metadata()[pairsSum], checksum(s.noise)+checksum(s.samples); want != got {
		return nil, fmt.Errorf("%s is damaged: checksum %s, stored %q; remove it, and it is made again", path, got, want)
	}
	s.labels = make([]int32, n)
	if r.Classes == 0 {
		return s, nil
	}
	t, err := f.Tensor("labels")
	if err != nil {
		return nil, err
	}
	labels, err := t.Int64s()
	if err != nil {
		return nil, err
	}
	if len(labels) != n {
		return nil, fmt.Errorf("%s: %d labels for %d pairs", path, len(labels), n)
	}
	for i, l := range labels {
		if l < 0 || l >= int64(r.Classes) {
			return nil, fmt.Errorf("%s: pair %d has class %d, want 0 to %d", path, i, l, r.Classes-1)
		}
		s.labels[i] = int32(l)
	}
	return s, nil
}

// parseRecipe reads a recipe and refuses what cannot be.
func parseRecipe(text string) (r PairRecipe, err error) {
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, err
	}
	if r.Count < 1 || r.Classes < 0 || len(r.Shape) < 1 || len(r.Shape) > 4 {
		return r, fmt.Errorf("%d pairs of shape %v in %d classes are impossible", r.Count, r.Shape, r.Classes)
	}
	for _, d := range r.Shape {
		if d < 1 || d > 1<<20 {
			return r, fmt.Errorf("shape %v is impossible", r.Shape)
		}
	}
	return r, nil
}

// OpenPairs reads a folder that MakePairs has filled.
func OpenPairs(dir string) (*Pairs, error) {
	var p Pairs
	var noise, samples []float32
	var labels []int32
	for i := 0; i == 0 || len(labels) < p.Recipe.Count; i++ {
		s, err := readShard(shardPath(dir, i))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && i > 0 {
				err = fmt.Errorf("%s: %d of %d pairs are there: let reflow make the others", dir, len(labels), p.Recipe.Count)
			}
			return nil, err
		}
		r, err := parseRecipe(s.recipe)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			p.Recipe = r
		} else if fmt.Sprint(r) != fmt.Sprint(p.Recipe) {
			return nil, fmt.Errorf("%s: its pairs were made otherwise than those of the files before it", shardPath(dir, i))
		}
		noise, samples, labels = append(noise, s.noise...), append(samples, s.samples...), append(labels, s.labels...)
	}
	shape, classes := p.Recipe.Shape, p.Recipe.Classes
	p.Samples = data.InMemory(shape, samples, labels, classes)
	p.Noise = data.InMemory(shape, noise, labels, classes)
	return &p, nil
}
