package metrics

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/backend"
)

// FileError says which file cannot be used, where in it, why, and what would be right.
type FileError = badfile.Error

// Kinds of [FileError], for errors.Is. An error of reading has the operating system's.
var (
	ErrFormat = badfile.ErrFormat                                        // truncated, corrupt, or no classifier
	ErrStale  = errors.New("classifier of other data or another recipe") // see LoadClassifier
)

// recipeVersion goes up with every change of the network or of its training.
const recipeVersion = 1

// Fingerprint names what a classifier is trained from: every pixel and label,
// the config and the recipe. Equal fingerprints mean the same classifier (on machines of the same kind).
func Fingerprint(train Images, classes int, cfg ClassifierConfig) string {
	cfg = cfg.withDefaults()
	h := sha256.New()
	var b [4096]byte
	le := binary.LittleEndian
	for _, v := range []int{recipeVersion, train.H, train.W, train.C, train.Len(), classes, cfg.Updates, cfg.Batch} {
		h.Write(le.AppendUint64(b[:0], uint64(v)))
	}
	h.Write(le.AppendUint64(b[:0], cfg.Seed))
	for part := range slices.Chunk(train.Pixels, len(b)/4) {
		out := b[:0]
		for _, x := range part {
			out = le.AppendUint32(out, math.Float32bits(x))
		}
		h.Write(out)
	}
	for part := range slices.Chunk(train.Labels, len(b)/4) {
		out := b[:0]
		for _, l := range part {
			out = le.AppendUint32(out, uint32(l))
		}
		h.Write(out)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Fingerprint is what the classifier was trained from: see the function of that name.
func (k *Classifier) Fingerprint() string { return k.fingerprint }

// classifierKey is the metadata entry that describes a classifier, as JSON.
const classifierKey = "langevin.classifier"

const classifierFormat = 1

type classifierHeader struct {
	Format      int     `json:"format"`
	Height      int     `json:"height"`
	Width       int     `json:"width"`
	Channels    int     `json:"channels"`
	Classes     int     `json:"classes"`
	Scale       float32 `json:"feature_scale"`
	Fingerprint string  `json:"fingerprint"`
	CRC32C      uint32  `json:"crc32c"` // of all weights, little endian, in the network's order
}

// Bounds of what a file may ask for before anything is allocated.
const (
	maxFileSide     = 1 << 14
	maxFileChannels = 64
	maxFileClasses  = 1 << 16
)

// Save writes the classifier to a safetensors file, whole or not at all.
func (k *Classifier) Save(path string) error {
	var entries []safetensors.Entry
	sum := uint32(0)
	for _, p := range k.params() {
		v := p.Float32s()
		sum = addCRC(sum, v)
		entries = append(entries, safetensors.Float32(p.Name, p.Shape(), v))
	}
	text, err := json.Marshal(classifierHeader{classifierFormat, k.H, k.W, k.C, k.Classes, k.scale, k.fingerprint, sum})
	if err != nil {
		return err
	}
	return safetensors.WriteFile(path, entries, map[string]string{classifierKey: string(text), "format": "pt"})
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func addCRC(sum uint32, values []float32) uint32 {
	var b [4]byte
	for _, v := range values {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		sum = crc32.Update(sum, castagnoli, b[:])
	}
	return sum
}

// LoadClassifier reads a classifier that Save wrote. A fingerprint other than
// the one wanted is an error of kind ErrStale; "" takes any.
func LoadClassifier(dev backend.Device, path, fingerprint string) (*Classifier, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readClassifier(dev, f, fingerprint)
}

func readClassifier(dev backend.Device, f *safetensors.File, fingerprint string) (*Classifier, error) {
	h, err := readHeader(f)
	if err != nil {
		return nil, err
	}
	if fingerprint != "" && h.Fingerprint != fingerprint {
		return nil, badfile.New(f.Path(), ErrStale, "the classifier was trained on other data or with another recipe; delete the file and it will be made anew").In(classifierKey)
	}
	// Shapes first, from the file's header: nothing is allocated for a classifier that the file does not hold.
	if err := checkShapes(f, paramShapes(h.Height, h.Width, h.Channels, h.Classes)); err != nil {
		return nil, err
	}
	k := newClassifier(dev, h.Height, h.Width, h.Channels, h.Classes)
	k.scale, k.fingerprint = h.Scale, h.Fingerprint
	return k, k.readWeights(f, h.CRC32C)
}

// checkShapes reports tensors that are missing, too many, or of another dtype or shape.
func checkShapes(f *safetensors.File, want []paramShape) error {
	for _, w := range want {
		t, err := f.Tensor(w.name)
		if err != nil {
			return err
		}
		if t.DType != safetensors.F32 || !slices.Equal(t.Shape, w.shape) {
			return badfile.New(f.Path(), ErrFormat, "is %v of shape %v, want F32 of %v", t.DType, t.Shape, w.shape).In("tensor " + w.name)
		}
	}
	for _, name := range f.Names() {
		if !slices.ContainsFunc(want, func(w paramShape) bool { return w.name == name }) {
			return badfile.New(f.Path(), ErrFormat, "is no part of a classifier").In("tensor " + name)
		}
	}
	return nil
}

func readHeader(f *safetensors.File) (h classifierHeader, err error) {
	text, ok := f.Metadata()[classifierKey]
	if !ok {
		return h, badfile.New(f.Path(), ErrFormat, "the metadata has no %s: this is no classifier", classifierKey)
	}
	bad := func(format string, args ...any) error {
		return badfile.New(f.Path(), ErrFormat, format, args...).In(classifierKey)
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return h, bad("cannot be read: %v", err)
	}
	in := func(v, most int) bool { return v >= 1 && v <= most }
	switch {
	case h.Format != classifierFormat:
		return h, bad("has format %d, want %d", h.Format, classifierFormat)
	case !in(h.Height, maxFileSide) || !in(h.Width, maxFileSide) || !in(h.Channels, maxFileChannels):
		return h, bad("pictures of %d×%d×%d, want 1 to %d pixels a side and 1 to %d channels", h.Height, h.Width, h.Channels, maxFileSide, maxFileChannels)
	case h.Classes < 2 || h.Classes > maxFileClasses:
		return h, bad("%d classes, want 2 to %d", h.Classes, maxFileClasses)
	case !(h.Scale > 0) || math.IsInf(float64(h.Scale), 0):
		return h, bad("feature_scale %v, want a positive number", h.Scale)
	}
	return h, nil
}

func (k *Classifier) readWeights(f *safetensors.File, crc uint32) error {
	sum := uint32(0)
	for _, p := range k.params() {
		t, err := f.Tensor(p.Name)
		if err != nil {
			return err
		}
		v, err := t.Float32s()
		if err != nil {
			return err
		}
		sum = addCRC(sum, v)
		if err := p.Set(v); err != nil {
			return fmt.Errorf("%s: %w", f.Path(), err)
		}
	}
	if sum != crc {
		return badfile.New(f.Path(), ErrFormat, "the weights' CRC-32C is %08x, want %08x: the file is damaged; delete it and it will be made anew", sum, crc)
	}
	return nil
}

// CachedClassifier gives the classifier for this data and config from the file
// at path, if that holds it, and else trains it and writes the file. A file that is
// damaged or of other data is replaced; one that cannot be written is an error.
func CachedClassifier(ctx context.Context, dev backend.Device, path string, train Images, classes int, cfg ClassifierConfig, progress func(done, total int)) (*Classifier, error) {
	if k, err := LoadClassifier(dev, path, Fingerprint(train, classes, cfg)); err == nil {
		return k, nil
	}
	k, err := TrainClassifier(ctx, dev, train, classes, cfg, progress)
	if err != nil {
		return nil, err
	}
	return k, k.Save(path)
}
