package cli_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	goldenfile "github.com/langevin-go/langevin/internal/golden"
	"github.com/langevin-go/langevin/internal/safetensors"
)

func figures(t *testing.T, text string) map[string]any {
	t.Helper()
	if strings.Count(text, "\n") != 1 {
		t.Errorf("more than a line of JSON:\n%s", text)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// beside wants each figure as a number, with that of held-out data beside it.
func beside(t *testing.T, v map[string]any, keys ...string) {
	t.Helper()
	for _, k := range keys {
		for _, k := range []string{k, k + "_heldout"} {
			if _, ok := v[k].(float64); !ok {
				t.Errorf("%s is %v, want a number", k, v[k])
			}
		}
	}
}

func TestEvalImages(t *testing.T) {
	long(t)
	dir := workplace(t)
	first := succeeds(t, dir, "eval", "runs/digits", "--n", "40", "--json")
	v := figures(t, first.stdout)
	beside(t, v, "class_accuracy", "frechet", "precision", "recall", "median_train_distance")
	if v["n"] != 40.0 || v["n_heldout"] != 360.0 || v["n_train"] != 1437.0 {
		t.Errorf("sets of %v, %v and %v, want 40, 360 and 1437", v["n"], v["n_heldout"], v["n_train"])
	}
	// What the issue demands of the classifier.
	if v["class_accuracy_heldout"].(float64) < 0.97 {
		t.Errorf("the classifier recognises %v of held-out digits", v["class_accuracy_heldout"])
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "runs/digits/classifier.safetensors")); len(files) != 1 {
		t.Error("the classifier is not kept beside the run")
	}
	// Again, with the classifier that was kept: the same figures; and as a table.
	if again := succeeds(t, dir, "eval", "runs/digits", "--n", "40", "--json"); again.stdout != first.stdout {
		t.Errorf("a second time\n%s, was\n%s", again.stdout, first.stdout)
	}
	table := succeeds(t, dir, "eval", "runs/digits", "--n", "40")
	for _, want := range []string{"runs/digits, step 6, heun, 2 steps", "class accuracy", "recall"} {
		if !strings.Contains(table.stdout, want) {
			t.Errorf("%q is not in\n%s", want, table.stdout)
		}
	}
	if other := succeeds(t, dir, "eval", "runs/digits", "--n", "40", "--json", "--seed", "1"); other.stdout == first.stdout {
		t.Error("another seed gives the same figures")
	}
}

// Samples that went through a file are measured like those that eval draws itself;
// without labels nothing is said of classes. Samples are of all classes in turn.
func TestEvalOfAFile(t *testing.T) {
	long(t)
	dir := workplace(t)
	for run, n := range map[string]string{"runs/digits": "40", "runs/tiny": "60"} {
		drawn := succeeds(t, dir, "eval", run, "--n", n, "--json")
		succeeds(t, dir, "sample", run, "--n", n, "--out", "s.safetensors")
		if run == "runs/digits" {
			label(t, filepath.Join(dir, "s.safetensors"), func(i int) int32 { return int32(i % 10) })
		}
		read := succeeds(t, dir, "eval", run, "--samples", "s.safetensors", "--json")
		was, is := figures(t, drawn.stdout), figures(t, read.stdout)
		// Three steps of heun, the last of which is Euler's: two evaluations each, and one. Digits: two steps.
		evaluations, steps := 5., 3.
		if run == "runs/digits" {
			evaluations, steps = 3, 2
		}
		for k, v := range map[string]any{"run": run, "sampler": "heun", "steps": steps, "guidance": 1., "evaluations": evaluations, "step": was["step"]} {
			if was[k] != v || is[k] != nil {
				t.Errorf("%s: %s is %v of samples drawn and %v of those read, want %v and nothing", run, k, was[k], is[k], v)
			}
			delete(was, k)
		}
		if !reflect.DeepEqual(was, is) {
			t.Errorf("%s: drawn\n%v, read\n%v", run, was, is)
		}
	}
	succeeds(t, dir, "sample", "runs/digits", "--n", "20", "--class", "none", "--out", "s.safetensors")
	o := succeeds(t, dir, "eval", "runs/digits", "--samples", "s.safetensors")
	if !strings.Contains(o.stdout, "samples of s.safetensors") {
		t.Errorf("the file is not named in\n%s", o.stdout)
	}
	o = succeeds(t, dir, "eval", "runs/digits", "--samples", "s.safetensors", "--json")
	if v := figures(t, o.stdout); v["class_accuracy"] != nil || v["n"] != 20.0 {
		t.Errorf("accuracy %v of %v samples without labels, want null of 20", v["class_accuracy"], v["n"])
	}
	fails(t, 1, dir, []string{"eval", "runs/tiny", "--samples", "s.safetensors"}, "s.safetensors", "samples", "[20 1 8 8]", "(N, 2)")
	fails(t, 1, dir, []string{"eval", "runs/tiny", "--samples", "none.safetensors"}, "none.safetensors")
	fails(t, 2, dir, []string{"eval", "runs/tiny", "--samples", "s.safetensors", "--n", "30"}, "--samples", "--n")
	label(t, filepath.Join(dir, "s.safetensors"), func(i int) int32 { return int32(7 + i) })
	fails(t, 1, dir, []string{"eval", "runs/digits", "--samples", "s.safetensors"}, "labels", "sample 3", "class 10", "0 to 9")
}

// label adds labels to a file of samples.
func label(t *testing.T, path string, class func(i int) int32) {
	t.Helper()
	x, shape := samplesOf(t, path)
	values, labels := make([]float32, len(x)), make([]int32, shape[0])
	for i, v := range x {
		values[i] = float32(v)
	}
	for i := range labels {
		labels[i] = class(i)
	}
	err := safetensors.WriteFile(path, []safetensors.Entry{
		safetensors.Float32("samples", shape, values), safetensors.Int32("labels", shape[:1], labels),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func TestEvalPoints(t *testing.T) {
	dir := workplace(t)
	first := succeeds(t, dir, "eval", "runs/tiny", "--n", "60", "--json")
	beside(t, figures(t, first.stdout), "w2", "sliced_w2", "energy_distance", "mmd", "precision", "recall")
	if again := succeeds(t, dir, "eval", "runs/tiny", "--n", "60", "--json"); again.stdout != first.stdout {
		t.Errorf("a second time\n%s, was\n%s", again.stdout, first.stdout)
	}
}

// A run's folder that cannot keep the classifier can be measured all the same.
func TestEvalWithoutItsCache(t *testing.T) {
	long(t)
	dir := workplace(t)
	if err := os.Mkdir(filepath.Join(dir, "runs/digits/classifier.safetensors"), 0o777); err != nil {
		t.Fatal(err)
	}
	o := succeeds(t, dir, "eval", "runs/digits", "--n", "20", "--json")
	beside(t, figures(t, o.stdout), "class_accuracy")
	if want := "warning: the classifier will have to be trained again next time: write runs/digits/classifier.safetensors"; !strings.Contains(o.stderr, want) {
		t.Errorf("%q is not in\n%s", want, o.stderr)
	}
}

// Data without a held-out part cannot be compared with.
func TestEvalWithoutHeldout(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "images.idx"), string(idx([]byte{9, 8, 8}, make([]byte, 9*64))))
	write(t, filepath.Join(dir, "a.yaml"), strings.Replace(tinyDigitsYAML, "data: digits", "data: {kind: idx, images: images.idx}", 1))
	succeeds(t, dir, "train", "a.yaml", "--run", "r")
	fails(t, 1, dir, []string{"eval", "r"}, "data", "heldout")
}

func TestInspect(t *testing.T) {
	dir := workplace(t)
	copyPipeline(t, "dit-ddim", filepath.Join(dir, "pipe"))
	for path, want := range map[string][]string{
		"runs/tiny": {"runs/tiny", "step-00000040.safetensors", "40 of 40 steps of 16 samples, moving average", "moons", "flow", "mlp", "1714 in 11 arrays", "shape [2]", "2, with a null class", "straight lines", "velocity", "heun, 3 steps"},
		"runs/digits/checkpoints/step-00000006.safetensors": {"6 of 6 steps", "digits", "dit", "shape [8×8×1]", "10, with a null class"},
		"pipe": {"DiTTransformer2DModel, written by diffusers", "DDIMScheduler", "shape [8×8×1]", "10, with a null class", "a table of 1000 levels", "eps", "50 steps"},
	} {
		o := succeeds(t, dir, "inspect", path)
		for _, w := range want {
			if !strings.Contains(o.stdout, w) {
				t.Errorf("inspect %s: %q is not in\n%s", path, w, o.stdout)
			}
		}
		with := succeeds(t, dir, "inspect", path, "--params")
		if extra := strings.Count(with.stdout, "\n") - strings.Count(o.stdout, "\n"); extra < 8 {
			t.Errorf("inspect %s --params: %d lines more", path, extra)
		}
	}
}

func TestEvalLikelihood(t *testing.T) {
	long(t)
	dir := workplace(t)
	o := succeeds(t, dir, "eval", "runs/tiny", "--likelihood", "--n", "20", "--tolerance", "1e-3", "--json")
	v := figures(t, o.stdout)
	for _, split := range []string{"heldout", "train"} {
		s, ok := v[split].(map[string]any)
		if !ok || s["n"] != 20.0 {
			t.Fatalf("%s is %v", split, v[split])
		}
		for _, k := range []string{"nll", "nll_error", "bits_per_dim", "bits_per_dim_error"} {
			if _, ok := s[k].(float64); !ok {
				t.Errorf("%s of %s is %v, want a number", k, split, s[k])
			}
		}
	}
	o = succeeds(t, dir, "eval", "runs/digits", "--likelihood", "--n", "10", "--tolerance", "1e-2", "--bits")
	for _, want := range []string{"runs/digits, step 6", "bits/dim, −log2 p(x|class)", "held-out", "±", "17 levels"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in\n%s", want, o.stdout)
		}
	}
	fails(t, 2, dir, []string{"eval", "runs/tiny", "--bits"}, "--bits", "--likelihood")
	fails(t, 2, dir, []string{"eval", "runs/tiny", "--likelihood", "--guidance", "2"}, "--likelihood", "--guidance")
	fails(t, 2, dir, []string{"eval", "runs/tiny", "--likelihood", "--divergence", "none"}, "--divergence", "exact")
	fails(t, 2, dir, []string{"eval", "runs/tiny", "--likelihood", "--tolerance", "0"}, "--tolerance", "is 0")
	fails(t, 2, dir, []string{"eval", "runs/tiny", "--likelihood", "--probes", "0"}, "--probes", "at least 1")
}

func TestInspectSteps(t *testing.T) {
	dir := workplace(t)
	o := succeeds(t, dir, "inspect", "runs/tiny", "--sampler", "euler", "--steps", "4")
	for _, want := range []string{"euler, 4 steps", "log-SNR", "    3        0.25    0.750000        0.25", "  end           0"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in\n%s", want, o.stdout)
		}
	}
	if strings.Contains(o.stdout, "warning") {
		t.Errorf("warns of nothing wrong:\n%s", o.stdout)
	}
	if o = succeeds(t, dir, "inspect", "runs/tiny"); strings.Contains(o.stdout, "log-SNR") {
		t.Errorf("a table that nobody asked for:\n%s", o.stdout)
	}
	o = succeeds(t, dir, "inspect", "runs/tiny", "grid={kind: times, times: [1, 0.5, 0, 0]}", "steps=3")
	if !strings.Contains(o.stdout, "warning      repeated step: the last step goes from time 0") {
		t.Errorf("no warning of a repeated step in\n%s", o.stdout)
	}
	fails(t, 2, dir, []string{"inspect", "runs/tiny", "--steps", "0"}, "--steps")
	fails(t, 1, dir, []string{"inspect", "runs/tiny", "stepz=3"}, "stepz", "unknown key")
}

// smallVision writes a DINOv2 folder: a network of one block, whose features are of 8 numbers.
func smallVision(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.json"), `{"model_type":"dinov2","hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"image_size":56,"patch_size":28,"mlp_ratio":2}`)
	shapes := map[string][]int{
		"embeddings.cls_token": {1, 1, 8}, "embeddings.position_embeddings": {1, 5, 8}, "embeddings.mask_token": {1, 8},
		"embeddings.patch_embeddings.projection.weight": {8, 3, 28, 28}, "embeddings.patch_embeddings.projection.bias": {8}, "layernorm.weight": {8}, "layernorm.bias": {8},
	}
	for name, shape := range map[string][]int{
		"norm1.weight": {8}, "norm1.bias": {8}, "norm2.weight": {8}, "norm2.bias": {8}, "layer_scale1.lambda1": {8}, "layer_scale2.lambda1": {8},
		"attention.attention.query.weight": {8, 8}, "attention.attention.query.bias": {8}, "attention.attention.key.weight": {8, 8}, "attention.attention.key.bias": {8},
		"attention.attention.value.weight": {8, 8}, "attention.attention.value.bias": {8}, "attention.output.dense.weight": {8, 8}, "attention.output.dense.bias": {8},
		"mlp.fc1.weight": {16, 8}, "mlp.fc1.bias": {16}, "mlp.fc2.weight": {8, 16}, "mlp.fc2.bias": {8},
	} {
		shapes["encoder.layer.0."+name] = shape
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), goldenfile.Ruled(shapes), nil); err != nil {
		t.Fatal(err)
	}
}

// Pictures are compared in a network's features; statistics of the training data, kept in a file, give the same figures.
func TestEvalFeatures(t *testing.T) {
	long(t)
	dir := workplace(t)
	smallVision(t, filepath.Join(dir, "dino"))
	args := []string{"eval", "runs/digits", "--n", "30", "--features", "dinov2:dino", "--metrics", "frechet,frechet_all,kid,recall", "--json"}
	first := succeeds(t, dir, append(args, "--save-reference", "digits.npz")...)
	v := figures(t, first.stdout)
	beside(t, v, "frechet", "frechet_all", "kid", "kid_deviation", "recall")
	if v["features"] != "dinov2" || v["feature_dim"] != 8.0 || len(v["feature_hash"].(string)) != 64 || v["class_accuracy"] != nil || v["precision"] != nil {
		t.Errorf("features %v of %v, class accuracy %v, precision %v", v["features"], v["feature_dim"], v["class_accuracy"], v["precision"])
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "runs/digits/classifier.safetensors")); len(files) != 0 {
		t.Error("a classifier was trained that nobody asked for")
	}
	w := figures(t, succeeds(t, dir, append(args, "--reference", "digits.npz")...).stdout)
	if w["reference_file"] != "digits.npz" {
		t.Errorf("reference_file is %v", w["reference_file"])
	}
	for _, k := range []string{"frechet", "frechet_heldout", "frechet_all", "kid", "kid_deviation", "recall", "recall_heldout"} {
		// The floor is of sets that a file's features have no labels to mix evenly.
		// The factor of a covariance that was read is another one: rounding, of eight eigenvalues whose ratio is below 1e8.
		if a, b := v[k].(float64), w[k].(float64); math.Abs(a-b) > 1e-7*math.Abs(a) {
			t.Errorf("%s is %g, with statistics from a file %g", k, a, b)
		}
	}
	table := succeeds(t, dir, "eval", "runs/digits", "--n", "30", "--features", "dinov2:dino", "--metrics", "frechet", "--reference", "digits.npz")
	for _, want := range []string{"compared with digits.npz", "features: dinov2 (8, weights", "Fréchet distance (lower)"} {
		if !strings.Contains(table.stdout, want) {
			t.Errorf("%q is not in\n%s", want, table.stdout)
		}
	}
	fails(t, 1, dir, []string{"eval", "runs/digits", "--reference", "digits.npz"}, "digits.npz", "features of dinov2, not of classifier")
	// Of points, too, what is named is measured.
	v = figures(t, succeeds(t, dir, "eval", "runs/tiny", "--n", "60", "--metrics", "kid,w2", "--json").stdout)
	beside(t, v, "kid", "w2")
	if v["frechet"] != nil {
		t.Errorf("frechet is %v", v["frechet"])
	}
}

func TestEvalFeatureMistakes(t *testing.T) {
	dir := workplace(t)
	smallVision(t, filepath.Join(dir, "dino"))
	write(t, filepath.Join(dir, "bad.npz"), "no archive")
	digits := func(args ...string) []string { return append([]string{"eval", "runs/digits", "--n", "20"}, args...) }
	fails(t, 1, dir, digits("--features", "clip:x"), `"clip:x" is no network of features`, "inception:FILE.safetensors", "dinov2:FOLDER")
	fails(t, 1, dir, digits("--features", "inception:none.safetensors"), "none.safetensors")
	fails(t, 1, dir, digits("--features", "inception:dino/model.safetensors"), "dino/model.safetensors", "472 missing", "Conv2d_1a_3x3.conv.weight")
	fails(t, 1, dir, digits("--metrics", "fid"), `"fid"`, "class_accuracy", "frechet_all")
	fails(t, 1, dir, digits("--reference", "bad.npz"), "bad.npz", "no .npz file")
	fails(t, 2, dir, digits("--reference", "stats.pt"), "--reference", ".npz")
	fails(t, 2, dir, digits("--save-reference", "stats"), "--save-reference", ".npz")
	fails(t, 2, dir, digits("--save-reference", "a.npz", "--reference", "b.npz"), "--reference", "--save-reference")
	fails(t, 1, dir, digits("--save-reference", "none/a.npz"), "none")
	fails(t, 1, dir, []string{"eval", "runs/tiny", "--n", "20", "--features", "dinov2:dino"}, "--features", "pictures")
	fails(t, 1, dir, []string{"eval", "runs/tiny", "--n", "20", "--metrics", "class_accuracy"}, "class_accuracy", "w2")
	fails(t, 2, dir, []string{"eval", "runs/tiny", "--likelihood", "--metrics", "w2"}, "--likelihood", "--metrics")
	fails(t, 2, dir, []string{"eval", "--compare", "runs/tiny", "--features", "dinov2:dino"}, "--compare", "--features")
}
