package train

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train/classify"
)

// classifierOf trains a classifier on a run's data and writes it.
func classifierOf(t *testing.T, dir RunDir, updates int) string {
	t.Helper()
	cfg := classify.Config{Updates: updates, Batch: 64, Width: 16, Rate: 4e-3}
	k, found, err := TrainClassifier(context.Background(), opened(t, dir), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 5 || found[0].Time != 0 || !(found[0].Accuracy > found[4].Accuracy) {
		t.Errorf("accuracies %v", found)
	}
	path := filepath.Join(t.TempDir(), "classifier.safetensors")
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// A model without classes draws the class that a classifier is asked for; one with classes may be blind to them.
func TestClassifierGuidance(t *testing.T) {
	const data = "data={kind: mixture, components: [{mean: [1.5, 0], std: [0.4]}, {mean: [-1.5, 0], std: [0.4]}]}"
	plain := trained(t, moonsYAML, data, "steps=150", "batch=64", "optim.lr=1e-2", "conditional=false", "sample.guidance=1")
	classes := trained(t, moonsYAML, data, "steps=60", "optim.lr=1e-2", "sample.guidance=1")
	file := classifierOf(t, plain, 150)
	over := "classifier_guidance={file: " + file + ", scale: 2}"
	m := chosen(t, plain, over)
	m.How.Steps = 20
	if n, err := m.AskedClasses(); n != 2 || err != nil {
		t.Fatalf("%d classes can be asked for, %v", n, err)
	}
	q := Request{N: 60, Labels: make([]int32, 60), Seed: 3}
	x := draw(t, m, q)
	right := 0
	for i := range q.N {
		if x[2*i] > 0 {
			right++
		}
	}
	if right < 52 { // without, about half
		t.Errorf("%d of 60 samples are of the class asked for", right)
	}
	m.How.Batch = 7
	if !slices.Equal(draw(t, m, q), x) {
		t.Error("other samples in other batches")
	}
	free := draw(t, chosen(t, plain), Request{N: 60, Seed: 3})
	if got := draw(t, chosen(t, plain, over), Request{N: 60, Seed: 3}); !slices.Equal(got, free) {
		t.Error("without a class asked for, the classifier guides")
	}
	if got := draw(t, chosen(t, plain, "classifier_guidance={file: nowhere, scale: 0}"), q); !slices.Equal(got, free) {
		t.Error("a scale of 0 guides")
	}
	if want, got := "heun, 5 steps, classifier guidance 2", chosen(t, plain, over).DescribeSampling(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// Blind, the class makes a difference by the classifier only.
	two := Request{N: 4, Labels: []int32{0, 1, 0, 1}, Seed: 1}
	blind := draw(t, chosen(t, classes, "classifier_guidance={file: "+file+", scale: 1e-9, blind: true}"), two)
	null := draw(t, chosen(t, classes), Request{N: 4, Seed: 1})
	for i := range null {
		if d := blind[i] - null[i]; d > 1e-5 || d < -1e-5 {
			t.Errorf("blind, value %d is %g, without a class %g", i, blind[i], null[i])
		}
	}
	if slices.Equal(draw(t, chosen(t, classes, over), two), draw(t, chosen(t, classes), two)) {
		t.Error("the classifier changes nothing of a model with classes")
	}
	digits := trained(t, digitsYAML, "steps=1", "sample.every=0")
	for _, c := range []struct {
		dir        RunDir
		over, want string
	}{
		{classes, "classifier_guidance={file: nowhere.safetensors}", "nowhere.safetensors"},
		{classes, "classifier_guidance={file: " + string(classes.Config()) + "}", "classifier_guidance.file"},
		{digits, over, "samples of shape [2]"},
		{classes, "classifier_guidance={file: " + file + ", blind: true} guidance=2", "exclude each other"},
		{classes, "classifier_guidance={scale: 2}", "file"},
		{classes, "classifier_guidance={file: " + file + ", from: 0.5, to: 0.5}", "above from"},
	} {
		m := opened(t, c.dir)
		over := strings.Split(c.over, " guidance=")
		if len(over) > 1 {
			over[1] = "guidance=" + over[1]
		}
		err := m.Choose(Choice{Steps: 2, Overrides: over})
		if err == nil {
			_, err = m.Draw(context.Background(), Request{N: 2, Labels: turns(2, 2)})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.over, err, c.want)
		}
	}
}
