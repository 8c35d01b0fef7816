package train

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/train/record"
)

// eventTags are the tags of a run's event files with how many values each has, and of histograms how many numbers
// the last counted and the sum of their squares.
func eventTags(t *testing.T, dir RunDir) (tags map[string]int, counted, squares map[string]float64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir.Events(), "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("event files %v, %v", files, err)
	}
	tags, counted, squares = map[string]int{}, map[string]float64{}, map[string]float64{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			n := binary.LittleEndian.Uint64(b)
			for _, value := range fieldsOf(t, b[12:12+n], 5) { // Summary
				for _, v := range fieldsOf(t, value, 1) { // Value
					tag := string(fieldsOf(t, v, 1)[0])
					tags[tag]++
					if h := fieldsOf(t, v, 5); h != nil { // HistogramProto: num, sum_squares
						number := func(field protowire.Number) float64 {
							if f := fieldsOf(t, h[0], field); f != nil { // 0 is left out
								return math.Float64frombits(binary.LittleEndian.Uint64(f[0]))
							}
							return 0
						}
						counted[tag], squares[tag] = number(3), number(5)
					}
				}
			}
			b = b[n+16:]
		}
	}
	return tags, counted, squares
}

// fieldsOf are a message's fields of a number, as bytes.
func fieldsOf(t *testing.T, m []byte, want protowire.Number) (out [][]byte) {
	t.Helper()
	for len(m) > 0 {
		num, typ, n := protowire.ConsumeTag(m)
		size := protowire.ConsumeFieldValue(num, typ, m[n:])
		if n < 0 || size < 0 {
			t.Fatal("no message")
		}
		v := m[n : n+size]
		if typ == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(v)
		}
		if num == want {
			out = append(out, v)
		}
		m = m[n+size:]
	}
	return out
}

// What is recorded changes nothing in what is trained: not one bit of a checkpoint.
func TestRecordingChangesNothing(t *testing.T) {
	for _, text := range []string{moonsYAML, learningYAML} {
		bits := func(of func(*Trainer), set ...string) []string {
			dir := filepath.Join(t.TempDir(), "run")
			tr, err := New(context.Background(), experiment(t, text, set...), Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			of(tr)
			if err := tr.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			return paramBits(tr)
		}
		most := bits(func(*Trainer) {}, "record.histograms=3", "log_every=1")
		least := bits(func(tr *Trainer) { tr.draw.Wants, tr.levels = false, noiseLevels{} }, "log_every=1000")
		if strings.Join(most, " ") != strings.Join(least, " ") {
			t.Error("recording has changed the weights")
		}
	}
}

func paramBits(tr *Trainer) (out []string) {
	for _, p := range tr.params {
		out = append(out, p.Name+checksum(p.Float32s()))
	}
	return out
}

// The levels' means, weighed by their samples, are the loss; they are resumed with it (TestResumeIsExact compares metrics).
func TestLossByNoise(t *testing.T) {
	for _, c := range []struct {
		text string
		set  []string
	}{
		{moonsYAML, nil},
		{moonsYAML, []string{"accumulate=3"}},
		{moonsYAML, []string{"objective={kind: edm}", "sample.steps=3"}},
		{moonsYAML, []string{"objective={kind: shortcut, steps: 8}", "sample.sampler=jump"}},
		{moonsYAML, []string{"objective={kind: sm, sde: vp}"}},
		{digitsYAML, []string{"sample.every=0", "objective.weighting=even"}},
		{digitsYAML, []string{"sample.every=0"}},
		{tokensYAML, nil},
	} {
		tr, err := New(context.Background(), experiment(t, c.text, c.set...), Options{Dir: filepath.Join(t.TempDir(), "run")})
		if err != nil {
			t.Fatalf("%v: %v", c.set, err)
		}
		for range 3 {
			if err := tr.Train(); err != nil {
				t.Fatal(err)
			}
		}
		sum, n := 0.0, 0.0
		for _, s := range tr.window.levels {
			sum, n = sum+s.loss, n+s.n
		}
		want := tr.window.loss / 3
		// Means of up to a few hundred float32 numbers, in another order: 2^-24·√n each, and a thousand times that for sums of both signs.
		if got := sum / n; int(n) != 3*tr.exp.Batch || math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
			t.Errorf("%v: %g of %g samples, the loss is %g of %d", c.set, got, n, want, 3*tr.exp.Batch)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Parts of ln(σ/α) are 1 wide; the outermost have what lies beyond, pure noise and no noise too.
func TestNoiseLevelBins(t *testing.T) {
	l := newNoiseLevels(diffusion.CondOT{}, false)
	for level, want := range map[float64]string{-90: "-4.5", -4.01: "-4.5", -3.99: "-3.5", -0.01: "-0.5", 0.01: "+0.5", 3.99: "+3.5", 4.01: "+4.5", 90: "+4.5"} {
		t1 := 1 / (1 + math.Exp(-level)) // σ/α = t/(1−t)
		if got := l.keys[l.bin(t1)]; got != LossByNoise+want {
			t.Errorf("ln(σ/α) = %g is in %s, want %s", level, got, want)
		}
	}
	if l.bin(0) != 0 || l.bin(1) != levelBins-1 {
		t.Errorf("data are in part %d, noise in %d", l.bin(0), l.bin(1))
	}
	l = newNoiseLevels(diffusion.CondOT{}, true)
	for at, want := range map[float64]string{0: "0.05", 0.449: "0.45", 1: "0.95"} {
		if got := l.keys[l.bin(at)]; got != LossByTime+want {
			t.Errorf("time %g is in %s, want %s", at, got, want)
		}
	}
}

// The update ratio is that of plain gradient descent: the weights of one step after the other, from the checkpoints.
func TestUpdateRatio(t *testing.T) {
	dir := trained(t, moonsYAML, "steps=12", "log_every=6", "checkpoint.every=1", "checkpoint.keep=0", "record.histograms=6")
	weights := func(step int64) []float32 {
		c, err := openCheckpoint(filepath.Join(dir.Checkpoints(), fmt.Sprintf("step-%08d.safetensors", step)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var all []float32
		for _, name := range c.file.Names() {
			if strings.HasPrefix(name, modelPrefix) {
				v, err := c.values(name)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, v...)
			}
		}
		return all
	}
	records, err := record.ReadMetrics(dir.Metrics())
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		var w2, d2 float64
		now, was := weights(r.Step), weights(r.Step-1)
		for i, w := range now {
			d := float64(w) - float64(was[i])
			w2, d2 = w2+float64(w)*float64(w), d2+d*d
		}
		norm, _ := r.Get("train/weight_norm")
		ratio, ok := r.Get("train/update_ratio")
		// Sums of at most 2¹⁰ squares in float32: less than 2¹⁰·2⁻²⁴ of them.
		if !ok || math.Abs(norm/math.Sqrt(w2)-1) > 1e-4 || math.Abs(ratio/math.Sqrt(d2/w2)-1) > 1e-4 {
			t.Errorf("step %d: norm %g and ratio %g, want %g and %g", r.Step, norm, ratio, math.Sqrt(w2), math.Sqrt(d2/w2))
		}
	}
}

// TensorBoard gets a histogram of each parameter's weights and gradients with all of their numbers, and pictures.
func TestEventsOfARun(t *testing.T) {
	dir := trained(t, digitsYAML, "record.histograms=7", "sample.peek=true", "log_every=1")
	tags, counted, squares := eventTags(t, dir)
	trainedAs := opened(t, dir)
	for _, p := range trainedAs.Params {
		for _, kind := range []string{"weights/", "gradients/"} {
			if tags[kind+p.Name] != 2 || counted[kind+p.Name] != float64(p.Elems()) {
				t.Errorf("%s%s: %d histograms of %g numbers, want 2 of %d", kind, p.Name, tags[kind+p.Name], counted[kind+p.Name], p.Elems())
			}
		}
		if tags["update_ratio/"+p.Name] != 2 {
			t.Errorf("%d update ratios of %s, want 2", tags["update_ratio/"+p.Name], p.Name)
		}
	}
	for tag, want := range map[string]int{"samples": 2, "peek": 2, "train/loss": 14, "train/update_ratio": 14, "wall/samples_per_s": 14} {
		if tags[tag] != want {
			t.Errorf("%s: %d values, want %d", tag, tags[tag], want)
		}
	}
	// Together they have the norms that the last step's record states: sums of some 10⁴ squares in float32, of which roundings take less than 10⁴·2⁻²⁴.
	records, err := record.ReadMetrics(dir.Metrics())
	if err != nil {
		t.Fatal(err)
	}
	for kind, key := range map[string]string{"weights/": "train/weight_norm", "gradients/": "train/grad_norm"} {
		sum := 0.0
		for tag, v := range squares {
			if strings.HasPrefix(tag, kind) {
				sum += v
			}
		}
		if want, ok := records[len(records)-1].Get(key); !ok || math.Abs(math.Sqrt(sum)/want-1) > 1e-3 {
			t.Errorf("the norm of %s is %g, the record says %g", kind, math.Sqrt(sum), want)
		}
	}
	for _, step := range []int64{7, 14} {
		if _, err := os.Stat(dir.Sample("peek", step)); err != nil {
			t.Error(err)
		}
	}
	if tags, _, _ := eventTags(t, trained(t, moonsYAML)); tags["samples"] != 0 || tags["weights/"+trainedAs.Params[0].Name] != 0 {
		t.Errorf("a run without pictures and histograms has the tags %v", tags)
	}
}

func TestPeekThatCannotBe(t *testing.T) {
	_, err := New(context.Background(), experiment(t, tokensYAML, "sample.peek=true", "sample.every=5"), Options{Dir: filepath.Join(t.TempDir(), "run")})
	wantError(t, err, "sample.peek")
}

// Recording the losses of samples allocates nothing in steps between records.
func TestRecordingAllocatesNothing(t *testing.T) {
	for _, text := range []string{moonsYAML, digitsYAML} {
		tr, err := New(context.Background(), experiment(t, text, "steps=100000", "log_every=90000", "sample.every=0"), Options{Dir: filepath.Join(t.TempDir(), "run")})
		if err != nil {
			t.Fatal(err)
		}
		if !tr.draw.Wants {
			t.Fatal("losses are not kept")
		}
		stepsAllocateNothing(t, tr.exp.Name, tr)
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
