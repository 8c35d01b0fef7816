package metrics

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/cpu"
)

func TestClassifierFile(t *testing.T) {
	k := must[*Classifier](t)(short(1, 3))
	path := filepath.Join(t.TempDir(), "classifier.safetensors")
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	l := must[*Classifier](t)(LoadClassifier(cpu.Default(), path, k.Fingerprint()))
	if !slices.Equal(weights(k), weights(l)) || l.Fingerprint() != k.Fingerprint() || l.H != 8 || l.Classes != 10 {
		t.Error("the file holds another classifier than was saved")
	}
	a, b := must[Reading](t)(k.Read(background, digits()[1])), must[Reading](t)(l.Read(background, digits()[1]))
	if !slices.Equal(a.Logits.X, b.Logits.X) || !slices.Equal(a.Features.X, b.Features.X) {
		t.Error("the loaded classifier reads differently")
	}
	if _, err := LoadClassifier(cpu.Default(), path, "other"); !errors.Is(err, ErrStale) {
		t.Errorf("another fingerprint: %v, want ErrStale", err)
	}
	if _, err := LoadClassifier(cpu.Default(), path, ""); err != nil {
		t.Errorf("any fingerprint: %v", err)
	}

	whole := must[[]byte](t)(os.ReadFile(path))
	damage := func(f func(b []byte) []byte) error {
		t.Helper()
		if err := os.WriteFile(path, f(bytes.Clone(whole)), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := LoadClassifier(cpu.Default(), path, "")
		return err
	}
	for name, f := range map[string]func(b []byte) []byte{
		"a bit of the weights": func(b []byte) []byte { b[len(b)-100] ^= 1; return b },
		"truncated":            func(b []byte) []byte { return b[:len(b)-4] },
		"empty":                func(b []byte) []byte { return nil },
		"another size":         func(b []byte) []byte { return bytes.Replace(b, []byte(`\"height\":8`), []byte(`\"height\":9`), 1) },
		"no channels":          func(b []byte) []byte { return bytes.Replace(b, []byte(`\"channels\":1`), []byte(`\"channels\":0`), 1) },
		"another name":         func(b []byte) []byte { return bytes.Replace(b, []byte(`"head.bias"`), []byte(`"head.bibs"`), 1) },
		"other metadata": func(b []byte) []byte {
			return bytes.Replace(b, []byte(classifierKey), []byte("langevin.classifiex"), 1)
		},
	} {
		var e *FileError
		if err := damage(f); !errors.As(err, &e) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want a *FileError that names the file", name, err)
		}
	}
}

func TestCachedClassifier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classifier.safetensors")
	train := stripes(20, 8, 8, 1)
	trained := 0
	get := func(im Images, cfg ClassifierConfig) *Classifier {
		cfg.Updates, cfg.Batch = 5, 8
		return must[*Classifier](t)(CachedClassifier(background, cpu.Default(), path, im, 2, cfg, func(int, int) { trained++ }))
	}
	first := get(train, ClassifierConfig{})
	if trained != 5 {
		t.Errorf("%d updates, want 5", trained)
	}
	if again := get(train, ClassifierConfig{}); trained != 5 || !slices.Equal(weights(first), weights(again)) {
		t.Errorf("the same data and config train again (%d updates) or give another classifier", trained)
	}
	get(train, ClassifierConfig{Seed: 1})
	if trained != 10 {
		t.Errorf("another seed: %d updates, want 10", trained)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o666); err != nil {
		t.Fatal(err)
	}
	get(train, ClassifierConfig{Seed: 1})
	if trained != 15 {
		t.Errorf("a damaged file: %d updates, want 15", trained)
	}
}

func TestFingerprint(t *testing.T) {
	base := stripes(4, 8, 8, 1)
	seen := map[string]string{}
	add := func(name string, im Images, classes int, cfg ClassifierConfig) {
		f := Fingerprint(im, classes, cfg)
		if other, ok := seen[f]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[f] = name
	}
	add("base", base, 2, ClassifierConfig{})
	add("classes", base, 3, ClassifierConfig{})
	add("seed", base, 2, ClassifierConfig{Seed: 1})
	add("updates", base, 2, ClassifierConfig{Updates: 7})
	add("batch", base, 2, ClassifierConfig{Batch: 7})
	im := base
	im.H, im.W = 4, 16
	add("shape", im, 2, ClassifierConfig{})
	im = base
	im.Pixels = slices.Clone(base.Pixels)
	im.Pixels[255] += 0.5
	add("last pixel", im, 2, ClassifierConfig{})
	im = base
	im.Labels = slices.Clone(base.Labels)
	im.Labels[3] ^= 1
	add("last label", im, 2, ClassifierConfig{})
	if Fingerprint(base, 2, ClassifierConfig{}) != Fingerprint(base, 2, ClassifierConfig{}.withDefaults()) {
		t.Error("defaults written out change the fingerprint")
	}
}

// FuzzReadClassifier feeds the description of a classifier; the container around it has a
// fuzz test of its own. The file holds one weight only: whatever the description says,
// that is an error about the file, found before anything is allocated.
func FuzzReadClassifier(f *testing.F) {
	good := `{"format":1,"height":8,"width":8,"channels":1,"classes":10,"feature_scale":0.5,"fingerprint":"ab","crc32c":1}`
	f.Add(good)
	f.Add(strings.Replace(good, `"classes":10`, `"classes":65537`, 1))
	f.Add(strings.Replace(good, `"height":8`, `"height":9223372036854775807`, 1))
	f.Add(strings.Replace(good, `"feature_scale":0.5`, `"feature_scale":-1e-50`, 1))
	f.Add(`{"format":`)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		weight := []safetensors.Entry{safetensors.Float32("head.bias", []int{10}, make([]float32, 10))}
		if err := safetensors.Write(&b, weight, map[string]string{classifierKey: text}); err != nil {
			return // not UTF-8
		}
		file, err := safetensors.New(bytes.NewReader(b.Bytes()), int64(b.Len()), "fuzzed")
		if err != nil {
			t.Fatal(err)
		}
		var e *FileError
		if _, err := readClassifier(cpu.Default(), file, ""); !errors.As(err, &e) || e.Path != "fuzzed" {
			t.Errorf("%q: %v, want a *FileError that names the file", text, err)
		}
		if text == good && e.Item != `tensor "conv1.weight"` {
			t.Errorf("a good description: %v, want an error about the first weight", e)
		}
	})
}
