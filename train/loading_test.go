package train

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
)

// paint makes a folder of n small pictures in two classes with a caption each, of which numbers 3 and 6 are corrupt.
func paint(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	for k := range n {
		path := filepath.Join(dir, fmt.Sprintf("%c/%02d.png", 'a'+k%2, k))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		m := image.NewRGBA(image.Rect(0, 0, 10+k%3, 9))
		for i := range m.Pix {
			m.Pix[i] = uint8(i*(k+1)) | 3
		}
		m.Set(0, 0, color.White)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, m); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if k == 3 || k == 6 {
			if err := os.WriteFile(path, []byte("no picture"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(strings.TrimSuffix(path, ".png")+".txt", fmt.Appendf(nil, "picture %d\nnumber %d\n", k, k), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const paintingsYAML = `
name: paintings
seed: 3
steps: 26
batch: 4
flip: true
data: {kind: folder, height: 4, width: 4, crop: resized, max_corrupt: 0.2, heldout: 3, captions: txt}
text: {tokenizer: {kind: learned, size: 520}, length: 12, encoder: {width: 8, depth: 1, heads: 1, length: 12}}
model: {kind: dit, patch: 2, width: 16, depth: 1, heads: 2}
optim: {lr: 3e-3}
validation: {every: 5}
sample: {steps: 2, every: 0}
checkpoint: {every: 6, keep: 3}
log_every: 5
`

// weights are the tensors of a run's newest checkpoint.
func weights(t *testing.T, dir RunDir) map[string][]byte {
	t.Helper()
	paths, err := listCheckpoints(dir.Checkpoints())
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	f, err := safetensors.Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]byte{}
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if out[name], err = x.Bytes(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Pictures cut at random, one of them corrupt, captions drawn: the same weights and metrics whatever reads them, and after an interruption.
func TestLoadingDoesNotChangeTraining(t *testing.T) {
	dir := paint(t, 15)
	first := trained(t, paintingsYAML, "data.dir="+dir, "loading.workers=0")
	for _, set := range [][]string{{"loading.workers=1", "loading.ahead=1"}, {"loading.workers=4", "loading.ahead=5"}, {"data.memory=0"}} {
		other := trained(t, paintingsYAML, append(set, "data.dir="+dir)...)
		if !maps.EqualFunc(weights(t, first), weights(t, other), slices.Equal) {
			t.Errorf("%v: other weights", set)
		}
		if a, b := metricsOf(t, first), metricsOf(t, other); !slices.Equal(a, b) {
			t.Errorf("%v: metrics\n%s\nwant\n%s", set, b, a)
		}
	}
	set := []string{"data.dir=" + dir, "loading.workers=3"}
	resumesExactly(t, trained(t, paintingsYAML, set...), paintingsYAML, set...)
}

// Corrupt samples are named once, counted in the records, and too many of them end the run with what may be done.
func TestCorruptSamplesInTraining(t *testing.T) {
	dir := paint(t, 15)
	var told []string
	exp := experiment(t, paintingsYAML, "data.dir="+dir)
	run := RunDir(filepath.Join(t.TempDir(), "run"))
	err := trainIn(context.Background(), exp, Options{Dir: string(run), Warn: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	if len(told) != 2 || !strings.Contains(told[0], "a corrupt sample is passed over: "+filepath.Join(dir, "a/06.png")+": the file begins with") || !strings.Contains(told[1], "b/03.png") {
		t.Errorf("told %q", told)
	}
	text, err := os.ReadFile(run.Metrics())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"wall/corrupt":2`, `"wall/data_wait":`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the records have no %s:\n%s", want, text)
		}
	}
	err = trainIn(context.Background(), experiment(t, paintingsYAML, "data.dir="+dir, "data.max_corrupt=0"), Options{Dir: filepath.Join(t.TempDir(), "run")})
	wantError(t, err, ".png", "this is not a PNG")
}

// Every kind of files is opened by its config, relative paths from where the program was started.
func TestDatasetsOfFiles(t *testing.T) {
	files, err := filepath.Abs("data/testdata")
	if err != nil {
		t.Fatal(err)
	}
	cifar := t.TempDir()
	if err := os.WriteFile(filepath.Join(cifar, "train.bin"), make([]byte, 2*3074), 0o666); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		data string
		want string // of Describe
	}{
		"tar":         {"{kind: tar, path: " + files + "/tar, height: 3, width: 4, captions: json.text, heldout: 2}", "5 samples of shape [3 4 3] in 3 classes"},
		"streamed":    {"{kind: tar, path: " + files + "/tar, height: 3, width: 4, labels: '', memory: 0, filter: lanczos, crop: none}", "7 samples of shape [3 4 3]"},
		"parquet":     {"{kind: parquet, path: '" + files + "/parquet/*.parquet', height: 2, width: 2, channels: 1, captions: texts, memory: 0}", "7 samples of shape [2 2 1] in 3 classes"},
		"plain":       {"{kind: parquet, path: " + files + "/parquet-plain.parquet, image: jpg, labels: class, height: 2, width: 2}", "7 samples of shape [2 2 3] in 3 classes"},
		"npz":         {"{kind: npz, path: " + files + "/arrays.npz, vectors: points}", "3 samples of shape [2 4 3] in 2 classes, each with a vector of 2 numbers"},
		"safetensors": {"{kind: safetensors, path: " + files + "/arrays.safetensors, vectors: vectors, memory: 0}", "3 samples of shape [2 4 3] in 2 classes, each with a vector of 2 numbers"},
		"last":        {"{kind: safetensors, path: " + files + "/arrays.safetensors, samples: last, channels_last: true, labels: '', heldout: 1}", "2 samples of shape [2 4 3]"},
		"cifar":       {"{kind: cifar, dir: " + cifar + ", coarse: true}", "2 samples of shape [32 32 3] in 20 classes"},
	} {
		exp := experiment(t, "data: "+c.data+"\nmodel: mlp\n")
		d, err := exp.openData(context.Background())
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := d.describe(); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
		if _, _, err := takeSamples(d.Train, 100); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	file := filepath.Join(t.TempDir(), "experiment.yaml")
	for text, want := range map[string]string{
		"{kind: tar, path: x, height: 4, width: 4, channels: 2}":         "channels",
		"{kind: folder, dir: x, height: 4, width: 4, scale: [0.5, 0.2]}": "scale",
		"{kind: parquet, path: x, height: 4, width: 4, ratio: [1]}":      "ratio",
		"{kind: folder, dir: x, height: 4, width: 4, filter: nearest}":   "filter",
		"{kind: folder, dir: x, height: 4, width: 4, crop: left}":        "crop",
		"{kind: folder, dir: x, height: 4, width: 4, max_corrupt: 1.5}":  "max_corrupt",
		"{kind: safetensors, path: x, memory: -1}":                       "memory",
		"{kind: npz, path: x, classes: -1}":                              "classes",
	} {
		_, err := ReadExperiment(file, []byte("data: "+text+"\nmodel: mlp\n"), nil)
		wantError(t, err, "data."+want)
	}
}
