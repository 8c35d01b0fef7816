package train

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/train/data"
)

func openPairsOf(t *testing.T, m *Trained, a PairsArg) *Pairs {
	t.Helper()
	if err := MakePairs(context.Background(), m, a); err != nil {
		t.Fatal(err)
	}
	p, err := OpenPairs(a.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// deterministic opens a run and has it sampled in two steps of Euler's.
func deterministic(t *testing.T, run RunDir) *Trained {
	t.Helper()
	m, err := Open(string(run), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Choose(Choice{Sampler: "euler", Steps: 2}); err != nil {
		t.Fatal(err)
	}
	return m
}

// A pair is a start and where the model leads it, whatever file it is in; files that are there are
// kept, and others made again.
func TestPairs(t *testing.T) {
	m := deterministic(t, trained(t, moonsYAML, "steps=2"))
	a := PairsArg{Dir: filepath.Join(t.TempDir(), "pairs"), Count: shardSize + 5, Seed: 7}
	p := openPairsOf(t, m, a)
	if p.Noise.Len() != a.Count || p.Samples.Len() != a.Count || p.Recipe.Seed != 7 || p.Samples.Classes() != 2 {
		t.Fatalf("%d starts, %d samples, %+v", p.Noise.Len(), p.Samples.Len(), p.Recipe)
	}
	classes := map[int]int{}
	for _, i := range []uint64{0, shardSize - 1, shardSize + 4} {
		z, x := make([]float32, 2), make([]float32, 2)
		if _, err := p.Noise.Sample(i, z); err != nil {
			t.Fatal(err)
		}
		label, err := p.Samples.Sample(i, x)
		if err != nil {
			t.Fatal(err)
		}
		classes[label]++
		want, err := m.Draw(context.Background(), Request{N: 1, Noise: z, Labels: []int32{int32(label)}})
		if err != nil || !slices.Equal(want, x) {
			t.Errorf("pair %d: %v leads to %v (%v), kept is %v", i, z, want, err, x)
		}
	}
	first, err := os.ReadFile(shardPath(a.Dir, 0))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(shardPath(a.Dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(shardPath(a.Dir, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPairs(a.Dir); err == nil || !strings.Contains(err.Error(), "1024 of 1029 pairs") {
		t.Errorf("a folder with a part of its pairs: %v", err)
	}
	openPairsOf(t, m, a)
	if again, err := os.ReadFile(shardPath(a.Dir, 1)); err != nil || !slices.Equal(again, second) {
		t.Errorf("pairs that are made again differ (%v)", err)
	}

	// Damage and mixtures are refused by name.
	damaged := slices.Clone(first)
	damaged[len(damaged)-9000] ^= 4
	if err := os.WriteFile(shardPath(a.Dir, 0), damaged, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPairs(a.Dir); err == nil || !strings.Contains(err.Error(), "pairs-00000.safetensors is damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	if err := MakePairs(context.Background(), m, a); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("going on from a damaged file: %v", err)
	}
	if err := os.WriteFile(shardPath(a.Dir, 0), first, 0o666); err != nil {
		t.Fatal(err)
	}
	a.Seed = 8
	if err := MakePairs(context.Background(), m, a); err == nil || !strings.Contains(err.Error(), "made otherwise") {
		t.Errorf("other pairs in the folder: %v", err)
	}
	if _, err := OpenPairs(t.TempDir()); err == nil {
		t.Error("an empty folder was opened")
	}
}

func TestPairsCancelled(t *testing.T) {
	m := deterministic(t, trained(t, moonsYAML, "steps=2"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := filepath.Join(t.TempDir(), "pairs")
	if err := MakePairs(ctx, m, PairsArg{Dir: dir, Count: 10}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left %v", files)
	}
}

// What is trained on are the pairs, in the same order on both sides.
func TestReflowTrainsOnPairs(t *testing.T) {
	m := deterministic(t, trained(t, moonsYAML, "steps=2"))
	dir := filepath.Join(t.TempDir(), "pairs")
	p := openPairsOf(t, m, PairsArg{Dir: dir, Count: 40})
	tr := bare(t, moonsYAML, "objective={kind: reflow, pairs: "+dir+"}", "batch=64", "flip=false")
	if err := tr.Train(); err != nil {
		t.Fatal(err)
	}
	for i := range 64 {
		found := false
		z, x := make([]float32, 2), make([]float32, 2)
		for k := range uint64(40) {
			p.Noise.Sample(k, z)
			label, _ := p.Samples.Sample(k, x)
			if slices.Equal(z, tr.draw.Noise[2*i:2*i+2]) {
				found = slices.Equal(x, tr.draw.X[2*i:2*i+2]) && tr.labels[i] == int32(label)
			}
		}
		if !found {
			t.Fatalf("sample %d of the batch is no pair", i)
		}
	}
	for key, want := range map[string]string{"flip=true": "flip", "validation.every=1": "validation.every"} {
		_, err := New(context.Background(), experiment(t, moonsYAML, "objective={kind: reflow, pairs: "+dir+"}", key), Options{Bare: true})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for data, want := range map[string]string{"8gaussians": "2 classes", "digits": "shape"} {
		_, err := New(context.Background(), experiment(t, moonsYAML, "objective={kind: reflow, pairs: "+dir+"}", "data="+data), Options{Bare: true})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// A preconditioned student begins as its teacher: as the same function on another path.
func TestReflowBeginsAsEDM(t *testing.T) {
	edm := trained(t, moonsYAML, "steps=3", "objective={kind: edm, sigma_data: 0.7}")
	teacher := deterministic(t, edm)
	dir := filepath.Join(t.TempDir(), "pairs")
	openPairsOf(t, teacher, PairsArg{Dir: dir, Count: 20})
	tr := bare(t, moonsYAML, "objective={kind: reflow, pairs: "+dir+", sigma_data: 0.7, huber: 0.001}", "init="+string(edm))
	checkAlong(t, teacher, tr)
	if err := tr.Train(); err != nil {
		t.Fatal(err)
	}
}

func FuzzParsePairs(f *testing.F) {
	for _, meta := range []string{`{"teacher":"x","count":2,"shape":[2],"classes":2}`, `{"count":1,"shape":[]}`, `{"count":9,"shape":[-1]}`, "{"} {
		x := []float32{1, 2, 3, 4}
		var b strings.Builder
		entries := []safetensors.Entry{safetensors.Float32("noise", []int{2, 2}, x), safetensors.Float32("samples", []int{2, 2}, x), safetensors.Int32("labels", []int{2}, []int32{0, 1})}
		if err := safetensors.Write(&b, entries, map[string]string{pairsKey: meta, pairsSum: checksum(x) + checksum(x)}); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(b.String()))
	}
	for texts, n := range map[string]int{`["a","b"]`: 2, `["a"]`: 2, "{": 1, "": 0} {
		x := []float32{1, 2, 3, 4}
		var b strings.Builder
		entries := []safetensors.Entry{safetensors.Float32("noise", []int{2, 2}, x), safetensors.Float32("samples", []int{2, 2}, x), safetensors.Float32("vectors", []int{n, 2}, x[:2*n])}
		if err := safetensors.Write(&b, entries, map[string]string{pairsKey: `{"teacher":"x","count":2,"shape":[2],"vector":2,"prompts":true}`, pairsText: texts, pairsSum: pairsChecksum(x, x, x[:2*n], texts)}); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(b.String()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := safetensors.New(bytes.NewReader(b), int64(len(b)), "pairs")
		if err != nil {
			return
		}
		s, err := parseShard(file)
		if err != nil {
			return
		}
		r, err := parseRecipe(s.recipe)
		if err != nil || len(s.noise) != len(s.samples) || len(s.noise) != len(s.labels)*volume(r.Shape) {
			t.Errorf("%d and %d numbers, %d labels, %+v, %v", len(s.noise), len(s.samples), len(s.labels), r, err)
		}
		if len(s.vectors) != len(s.labels)*r.Vector || r.Prompts && len(s.captions) != len(s.labels) {
			t.Errorf("%d numbers of vectors and %d prompts, %d pairs, %+v", len(s.vectors), len(s.captions), len(s.labels), r)
		}
	})
}

// The first pairs may be made backwards: training samples, each once and with its class, and what the model leads
// them back to (which Invert's own tests hold to the ways there).
func TestPairsOfRealSamples(t *testing.T) {
	m := deterministic(t, trained(t, moonsYAML, "steps=2"))
	a := PairsArg{Dir: filepath.Join(t.TempDir(), "pairs"), Count: shardSize + 40, Real: shardSize + 20, Seed: 7}
	p := openPairsOf(t, m, a)
	ds, err := m.Exp.openData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	order := data.NewOrder(ds.Train.Len(), m.Exp.Seed)
	all := PairsArg{Dir: filepath.Join(t.TempDir(), "drawn"), Count: a.Count, Seed: 7}
	drawn := openPairsOf(t, m, all)
	for _, i := range []int{0, 1, shardSize - 1, shardSize, a.Real - 1, a.Real, a.Count - 1} {
		z, x, want := make([]float32, 2), make([]float32, 2), make([]float32, 2)
		p.Noise.Sample(uint64(i), z)
		label, _ := p.Samples.Sample(uint64(i), x)
		index, _ := order.At(uint64(i))
		class, err := ds.Train.Sample(index, want)
		if err != nil {
			t.Fatal(err)
		}
		if label != class {
			t.Errorf("pair %d has class %d, the training sample %d", i, label, class)
		}
		if i >= a.Real { // a pair like any other
			drawn.Noise.Sample(uint64(i), want)
			if !slices.Equal(z, want) {
				t.Errorf("pair %d starts at %v, without real ones at %v", i, z, want)
			}
			continue
		}
		if !slices.Equal(x, want) {
			t.Errorf("pair %d has the sample %v, want the training sample %v", i, x, want)
		}
		start, err := m.Invert(context.Background(), Request{N: 1, Init: x, Labels: []int32{int32(label)}})
		if err != nil || !slices.Equal(start, z) {
			t.Errorf("pair %d: %v is led back to %v (%v), kept is %v", i, x, start, err, z)
		}
	}

	a.Real = 3
	if err := MakePairs(context.Background(), m, a); err == nil || !strings.Contains(err.Error(), "made otherwise") {
		t.Errorf("another number of real samples in the folder: %v", err)
	}
	a.Dir = filepath.Join(t.TempDir(), "others")
	for _, n := range []int{-1, a.Count + 1} {
		a.Real = n
		if err := MakePairs(context.Background(), m, a); err == nil || !strings.Contains(err.Error(), "real samples") {
			t.Errorf("%d of %d: %v", n, a.Count, err)
		}
	}
	a.Real = 3
	if err := m.Choose(Choice{Sampler: "dopri5"}); err != nil {
		t.Fatal(err)
	}
	if err := MakePairs(context.Background(), m, a); err == nil || !strings.Contains(err.Error(), "such as heun") {
		t.Errorf("a sampler that cannot go back: %v", err)
	}
	few := deterministic(t, trained(t, digitsYAML, "steps=1"))
	a.Count, a.Real = 2000, 1438
	if err := MakePairs(context.Background(), few, a); err == nil || !strings.Contains(err.Error(), "1437 to train on") {
		t.Errorf("more real samples than there are: %v", err)
	}
}

// Pairs keep what their samples are conditioned on, as frequent as in the data: a pair is where the model leads its start under its vector, or its prompt.
// Other models' are refused, and damage to either shows.
func TestPairsKeepConditions(t *testing.T) {
	vectors := trained(t, vectorYAML, lines(t), "sample.guidance=1")
	prompts := trained(t, promptsYAML, "sample={steps: 2, every: 0}", "validation.every=0", "steps=4")
	for name, run := range map[string]RunDir{"vectors": vectors, "prompts": prompts} {
		m := deterministic(t, run)
		a := PairsArg{Dir: filepath.Join(t.TempDir(), "pairs"), Count: 30, Seed: 7}
		p := openPairsOf(t, m, a)
		ds, err := m.Exp.openData(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		order := data.NewOrder(ds.Train.Len(), m.Exp.Seed)
		size := volume(m.Shape)
		for _, i := range []uint64{0, 1, 29} {
			q := Request{N: 1, Noise: make([]float32, size)}
			x := make([]float32, size)
			p.Noise.Sample(i, q.Noise)
			p.Samples.Sample(i, x)
			index, epoch := order.At(i)
			if name == "vectors" {
				q.Vectors = make([]float32, 2)
				kept, _ := data.VectorsOf(p.Samples)
				kept.Vector(i, q.Vectors)
				want := make([]float32, 2)
				of, _ := data.VectorsOf(ds.Train)
				if of.Vector(index, want); !slices.Equal(want, q.Vectors) {
					t.Errorf("pair %d has the vector %v, the data's is %v", i, q.Vectors, want)
				}
			} else {
				kept, _ := data.CaptionsOf(p.Samples)
				of, _ := data.CaptionsOf(ds.Train)
				q.Prompts = kept.Captions(i)
				if want := data.CaptionOf(of, m.Exp.Seed, index, epoch); len(q.Prompts) != 1 || q.Prompts[0] != want {
					t.Errorf("pair %d has the prompts %q, the data's is %q", i, q.Prompts, want)
				}
			}
			if want := draw(t, m, q); !slices.Equal(want, x) {
				t.Errorf("%s: pair %d is another sample than the model leads to", name, i)
			}
		}
		path := shardPath(a.Dir, 0)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name == "prompts" {
			at := bytes.Index(b, []byte(pairsText))
			b[at+len(pairsText)+12] ^= 1 // a letter of the first prompt
		} else {
			b[len(b)-4] ^= 1
		}
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPairs(a.Dir); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: damaged: %v", name, err)
		}
	}
	plain := filepath.Join(t.TempDir(), "plain")
	openPairsOf(t, deterministic(t, trained(t, vectorYAML, lines(t), "conditional=false", "sample.guidance=1")), PairsArg{Dir: plain, Count: 4})
	_, err := New(context.Background(), experiment(t, vectorYAML, lines(t), "objective={kind: reflow, pairs: "+plain+"}"), Options{Bare: true})
	wantError(t, err, "objective.pairs", "vectors of 0 numbers")
	pictures := filepath.Join(t.TempDir(), "pictures")
	openPairsOf(t, deterministic(t, trained(t, promptsYAML, "text=null", "sample={steps: 2, every: 0}", "validation.every=0", "steps=1")), PairsArg{Dir: pictures, Count: 4})
	_, err = New(context.Background(), experiment(t, promptsYAML, "validation.every=0", "objective={kind: reflow, pairs: "+pictures+"}"), Options{Bare: true})
	wantError(t, err, "objective.pairs", "keep no prompts")
}
