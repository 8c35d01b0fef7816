package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/rng"
	"github.com/langevin-go/langevin/train/data"
)

// Pairs are starts of a model's flow and the samples that it leads to: what reflow trains on. A
// folder of them has files pairs-00000.safetensors, …, each with the tensors "noise" and "samples" (n,
// shape…), perhaps "labels" (n) and "vectors" (n,D), and in its metadata how they were made, and perhaps what the samples were to be like.
type Pairs struct {
	Noise, Samples data.Source // sample i of one belongs to sample i of the other; labels, vectors and captions are the samples'
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
	Real     int     `json:"real,omitempty"`    // the first pairs, whose samples are training data
	Vector   int     `json:"vector,omitempty"`  // numbers of the vector that each is conditioned on; 0: none
	Prompts  bool    `json:"prompts,omitempty"` // each is conditioned on a prompt
}

// pairsKey names the recipe in a file's metadata, pairsText the prompts, a list in JSON, pairsSum the checksum of its arrays and prompts.
const (
	pairsKey  = "langevin.pairs"
	pairsText = "langevin.prompts"
	pairsSum  = "langevin.crc32c"
)

// shardSize is the number of pairs a file, which is what is lost when a process is killed.
const shardSize = 1024

// PairsArg says which pairs to make.
type PairsArg struct {
	Dir      string
	Count    int
	Real     int // of these, made backwards: training samples, each once, that the model leads back to their starts
	Seed     uint64
	Like     *Loaded // whose data say which classes pairs have; nil: the model's own
	Progress func(done, total int)
}

// MakePairs draws starts, lets the model lead them to samples, and keeps both in a folder. What is
// there already, from a call that was stopped, is not made again. Labels, vectors and captions are those of the model's
// training data in turn.
//
// Pairs of real samples (Lee et al. 2024, "Improving the training of rectified flows", section 4.3) keep a model's errors
// from adding up over rounds; they need a sampler that [Drawer.Invert] can run backwards.
func MakePairs(ctx context.Context, t *Trained, a PairsArg) error {
	if a.Real < 0 || a.Real > a.Count {
		return fmt.Errorf("%d of %d pairs cannot have real samples", a.Real, a.Count)
	}
	known, err := t.pairData(ctx, a)
	if err != nil {
		return err
	}
	recipe, err := t.recipe(a, known)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.Dir, 0o777); err != nil {
		return unwritten(err)
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
			if err := t.makeShard(ctx, path, recipe, from, n, known, a); err != nil {
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

func (t *Trained) recipe(a PairsArg, known pairData) (string, error) {
	var all []float32
	for _, p := range t.Params {
		all = append(all, p.Float32s()...)
	}
	r := PairRecipe{Teacher: checksum(all), Count: a.Count, Shape: t.Shape, Classes: t.Classes, Seed: a.Seed, Sampler: t.DescribeSampling(), Guidance: t.How.EffectiveScale(), Real: a.Real,
		Vector: known.vector, Prompts: known.captions != nil}
	b, err := json.Marshal(r)
	return string(b), err
}

// pairData is what the training data say of the pairs.
type pairData struct {
	labels   []int32   // as frequent as in the data; nil for a model without classes
	vector   int       // numbers of a vector; 0: none
	vectors  []float32 // (count,vector)
	captions []string  // nil: the model takes no prompts, or the student none
	real     []float32 // the samples of the first pairs
}

// pairData takes from the data what the model that makes pairs and what is trained on them are conditioned on, both.
func (t *Trained) pairData(ctx context.Context, a PairsArg) (known pairData, err error) {
	of := a.Like
	if of == nil {
		of = t.Exp
	}
	conditional := of != nil && of.Conditional && t.Vector > 0
	prompted := of != nil && of.Text != nil && t.TakesPrompts()
	if t.Classes == 0 && a.Real == 0 && !conditional && !prompted {
		return known, nil
	}
	ds, err := of.openData(ctx)
	if err != nil {
		return known, err
	}
	if n := ds.Train.Len(); n != data.Infinite && a.Real > n {
		return known, fmt.Errorf("%d pairs of real samples: there are %d to train on", a.Real, n)
	}
	order := data.NewOrder(ds.Train.Len(), of.Seed)
	n := a.Real
	if t.Classes > 0 || conditional || prompted {
		n = a.Count
	}
	if t.Classes > 0 {
		known.labels = make([]int32, n)
	}
	vectors, ok := data.VectorsOf(ds.Train)
	if conditional {
		if !ok || vectors.VectorSize() != t.Vector {
			return known, fmt.Errorf("the data have vectors of %d numbers, the model is conditioned on %d", data.VectorSize(ds.Train), t.Vector)
		}
		known.vector, known.vectors = t.Vector, make([]float32, n*t.Vector)
	}
	captions, ok := data.CaptionsOf(ds.Train)
	if prompted {
		if !ok {
			return known, errors.New("the data have no captions, and the model takes prompts")
		}
		known.captions = make([]string, n)
	}
	x := make([]float32, volume(t.Shape))
	for i := range n {
		index, epoch := order.At(uint64(i))
		label, err := ds.Train.Sample(index, x)
		if err != nil {
			return known, err
		}
		if known.labels != nil {
			known.labels[i] = int32(label)
		}
		if conditional {
			vectors.Vector(index, known.vectors[i*t.Vector:(i+1)*t.Vector])
		}
		if prompted {
			known.captions[i] = data.CaptionOf(captions, of.Seed, index, epoch)
		}
		if i < a.Real {
			known.real = append(known.real, x...)
		}
	}
	return known, nil
}

// streamPairs numbers the starts of pairs: row i is the start of pair i, whatever file it is in.
const streamPairs = streamSource + 1

func (t *Trained) makeShard(ctx context.Context, path, recipe string, from, n int, known pairData, a PairsArg) error {
	size := volume(t.Shape)
	var labels []int32
	if known.labels != nil {
		labels = known.labels[from : from+n]
	}
	backwards := min(max(a.Real-from, 0), n)
	noise, x, err := t.invertedPairs(ctx, from, backwards, known, a)
	if err != nil {
		return err
	}
	if backwards < n {
		starts, made, err := t.drawnPairs(ctx, from+backwards, n-backwards, known, a)
		if err != nil {
			return err
		}
		noise, x = append(noise, starts...), append(x, made...)
	}
	for i := range x {
		if !finite(float64(x[i])) || !finite(float64(noise[i])) {
			return fmt.Errorf("pair %d is not finite: the model leads from %g to %g", from+i/size, noise[i], x[i])
		}
	}
	shape := append([]int{n}, t.Shape...)
	entries := []safetensors.Entry{safetensors.Float32("noise", shape, noise), safetensors.Float32("samples", shape, x)}
	meta := map[string]string{pairsKey: recipe}
	if labels != nil {
		entries = append(entries, safetensors.Int32("labels", []int{n}, labels))
	}
	vectors := known.vectors[from*known.vector : (from+n)*known.vector]
	if known.vector > 0 {
		entries = append(entries, safetensors.Float32("vectors", []int{n, known.vector}, vectors))
	}
	if known.captions != nil {
		texts, err := json.Marshal(known.captions[from : from+n])
		if err != nil {
			return err
		}
		meta[pairsText] = string(texts)
	}
	meta[pairsSum] = pairsChecksum(noise, x, vectors, meta[pairsText])
	return unwritten(safetensors.WriteFile(path, entries, meta))
}

// pairsChecksum is that of a file's arrays and prompts.
func pairsChecksum(noise, samples, vectors []float32, texts string) string {
	sum := checksum(noise) + checksum(samples)
	if len(vectors) > 0 {
		sum += checksum(vectors)
	}
	if texts != "" {
		sum += fmt.Sprintf("%08x", crc32.Checksum([]byte(texts), castagnoli))
	}
	return sum
}

// drawnPairs leads n starts, the first of which is that of pair from, to samples.
func (t *Trained) drawnPairs(ctx context.Context, from, n int, known pairData, a PairsArg) (noise, samples []float32, err error) {
	size := volume(t.Shape)
	noise = make([]float32, n*size)
	if t.Source != nil {
		if err := startFrom(t.Source, a.Seed, uint64(from), noise); err != nil {
			return nil, nil, fmt.Errorf("the source: %w", err)
		}
	} else {
		for i := range n {
			rng.Normal(noise[i*size:(i+1)*size], rng.Key{Seed: a.Seed, Stream: streamPairs}, uint64(from+i))
		}
	}
	q := t.pairRequest(from, n, known, a)
	q.Noise = noise
	samples, err = t.Draw(ctx, q)
	return noise, samples, err
}

// invertedPairs leads n training samples back to starts.
func (t *Trained) invertedPairs(ctx context.Context, from, n int, known pairData, a PairsArg) (noise, samples []float32, err error) {
	if n == 0 {
		return nil, nil, nil
	}
	size := volume(t.Shape)
	q := t.pairRequest(from, n, known, a)
	q.Init = slices.Clone(known.real[from*size : (from+n)*size])
	noise, err = t.Invert(ctx, q)
	return noise, q.Init, err
}

// pairRequest asks for n pairs, the first of which is from.
func (t *Trained) pairRequest(from, n int, known pairData, a PairsArg) Request {
	q := Request{N: n, Seed: a.Seed, Still: true}
	if known.labels != nil {
		q.Labels = known.labels[from : from+n]
	}
	if known.vector > 0 {
		q.Vectors = known.vectors[from*known.vector : (from+n)*known.vector]
	}
	if known.captions != nil {
		q.Prompts = known.captions[from : from+n]
	}
	if a.Progress != nil {
		q.Progress = func(done, total int) { a.Progress(from+n*done/total, a.Count) }
	}
	return q
}

func shardPath(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("pairs-%05d.safetensors", i))
}

// shard is the content of a file of pairs.
type shard struct {
	recipe         string
	noise, samples []float32
	labels         []int32   // 0 without classes
	vectors        []float32 // nil: none
	captions       []string  // nil: none
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
	if err := s.parseConditions(f, r, n); err != nil {
		return nil, err
	}
	if want, got := f.Metadata()[pairsSum], pairsChecksum(s.noise, s.samples, s.vectors, f.Metadata()[pairsText]); want != got {
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

// parseConditions reads the vectors and the prompts of n pairs.
func (s *shard) parseConditions(f *safetensors.File, r PairRecipe, n int) error {
	if r.Vector > 0 {
		t, err := f.Tensor("vectors")
		if err != nil {
			return err
		}
		if !equalShape(t.Shape, []int{n, r.Vector}) {
			return fmt.Errorf("%s: tensor vectors has shape %v, want (%d, %d)", f.Path(), t.Shape, n, r.Vector)
		}
		if s.vectors, err = t.Float32s(); err != nil {
			return err
		}
	}
	if r.Prompts {
		if err := json.Unmarshal([]byte(f.Metadata()[pairsText]), &s.captions); err != nil {
			return fmt.Errorf("%s: metadata %q: want a list of prompts: %w", f.Path(), pairsText, err)
		}
		if len(s.captions) != n {
			return fmt.Errorf("%s: metadata %q: %d prompts for %d pairs", f.Path(), pairsText, len(s.captions), n)
		}
	}
	return nil
}

// parseRecipe reads a recipe and refuses what cannot be.
func parseRecipe(text string) (r PairRecipe, err error) {
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, err
	}
	if r.Count < 1 || r.Classes < 0 || r.Vector < 0 || r.Vector > 1<<20 || len(r.Shape) < 1 || len(r.Shape) > 4 {
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
	var noise, samples, vectors []float32
	var labels []int32
	var captions []string
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
		vectors, captions = append(vectors, s.vectors...), append(captions, s.captions...)
	}
	shape, classes := p.Recipe.Shape, p.Recipe.Classes
	p.Samples = data.InMemoryOn(shape, samples, labels, classes, vectors, captions)
	p.Noise = data.InMemory(shape, noise, labels, classes)
	return &p, nil
}
