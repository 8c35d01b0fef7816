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

func FuzzReadClassifier(f *testing.F) {
	k, err := short(1, 3)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "k")
	if err := k.Save(path); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:2000])
	f.Add(bytes.Replace(whole, []byte(`\"classes\":10`), []byte(`\"classes\":99`), 1))
	f.Add(bytes.Replace(whole, []byte(`\"format\":1`), []byte(`\"format\":{`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := safetensors.New(bytes.NewReader(b), int64(len(b)), "fuzzed")
		if err != nil {
			return
		}
		if k, err := readClassifier(cpu.Default(), file, ""); err == nil {
			// What is accepted works.
			if _, err := k.Read(background, Images{Pixels: make([]float32, k.H*k.W*k.C), H: k.H, W: k.W, C: k.C}); err != nil {
				t.Error(err)
			}
		}
	})
}
