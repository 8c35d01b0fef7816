package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/nn/text"
	"github.com/langevin-go/langevin/tensor/cpu"
	"github.com/langevin-go/langevin/train/data"
)

// promptsYAML is a small transformer on captioned digits, in parts, with losses on what is held out.
const promptsYAML = `
name: prompts
steps: 12
batch: 8
accumulate: 3
data: {kind: digits, captions: true}
conditional: false
text: {tokenizer: {kind: learned, size: 560}, encoder: {width: 8, heads: 2, depth: 1, length: 10}}
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2, prompt: both}
objective: {kind: flow, condition_dropout: 0.3}
optim: {lr: 1e-2}
sample: {steps: 2, every: 6, rows: 1, guidance: 2}
validation: {every: 5, samples: 12}
checkpoint: {every: 4, keep: 0}
log_every: 5
`

// A run that is stopped and goes on is a run that was never stopped, text encoder, tokenizer and drawn captions included.
func TestPromptRunGoesOn(t *testing.T) {
	want := result(t, trained(t, promptsYAML))
	if len(want) < 5 {
		t.Fatalf("only %d files", len(want))
	}
	for _, stop := range []int64{3, 5, 9} {
		dir := filepath.Join(t.TempDir(), "run")
		ctx, cancel := context.WithCancel(context.Background())
		err := trainIn(ctx, experiment(t, promptsYAML), Options{Dir: dir, Progress: watch(func(step int64) {
			if step == stop {
				cancel()
			}
		})})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := trainIn(context.Background(), experiment(t, promptsYAML), Options{Dir: dir, Resume: true}); err != nil {
			t.Fatal(err)
		}
		got := result(t, RunDir(dir))
		if stop%4 != 0 {
			delete(got, filepath.Join("checkpoints", checkpointName(stop))) // of the stop
		}
		sameResult(t, got, want)
	}
}

func promptModel(t *testing.T, overrides ...string) *Trained {
	t.Helper()
	return opened(t, trained(t, promptsYAML, append([]string{"sample.every=0", "steps=40", "validation.every=0"}, overrides...)...))
}

// A sample depends on its own prompt, not on the batch or on what else is asked for; no prompt is the empty one.
func TestSamplesByPrompts(t *testing.T) {
	for _, how := range []string{"attention", "pooled", "both"} {
		m := promptModel(t, "model.prompt="+how)
		size := volume(m.Shape)
		prompts := []string{"a handwritten seven", "three", "a handwritten seven", "", "the digit four"}
		m.How.Batch = 100
		all := draw(t, m, Request{N: 5, Prompts: prompts, Seed: 2})
		at := func(x []float32, i int) []float32 { return x[i*size : (i+1)*size] }
		for _, batch := range []int{1, 2} {
			m.How.Batch = batch
			if !slices.Equal(draw(t, m, Request{N: 5, Prompts: prompts, Seed: 2}), all) {
				t.Errorf("%s: other samples in batches of %d", how, batch)
			}
		}
		changed := slices.Clone(prompts)
		changed[1] = "nine"
		got := draw(t, m, Request{N: 5, Prompts: changed, Seed: 2})
		for i := range prompts {
			if same := slices.Equal(at(got, i), at(all, i)); same != (i != 1) {
				t.Errorf("%s: sample %d is the same: %v, with another prompt for sample 1", how, i, same)
			}
		}
		none := draw(t, m, Request{N: 5, Seed: 2})
		if !slices.Equal(at(none, 3), at(all, 3)) {
			t.Errorf("%s: no prompt is not the empty prompt", how)
		}
		away := draw(t, m, Request{N: 5, Prompts: prompts, Negative: "one", Seed: 2})
		if slices.Equal(at(away, 0), at(all, 0)) {
			t.Errorf("%s: the negative prompt does not matter", how)
		}
		// u+s·(c−u) with u=c is c.
		same := draw(t, m, Request{N: 1, Prompts: prompts[:1], Negative: prompts[0], Seed: 2})
		m.How.Scale = 1
		alone := draw(t, m, Request{N: 1, Prompts: prompts[:1], Seed: 2})
		for k := range same {
			// two branches of equal values: u·(1−s) + c·s rounds three times a step, in four evaluations
			if d := same[k] - alone[k]; d > 1e-5 || d < -1e-5 {
				t.Fatalf("%s: guided away from itself, a sample moves by %g", how, d)
			}
		}
	}
}

// Prompts beside a sample's own: c + Σ w·(c_i − ∅). With none of its own a sample is of the one beside it, with weight 0 there is none,
// and a negative prompt stays what it is.
func TestPromptsBesideOthers(t *testing.T) {
	dir := trained(t, promptsYAML, "sample.every=0", "steps=40", "validation.every=0")
	sample := func(q Request, overrides ...string) []float32 {
		m := opened(t, dir)
		if err := m.Choose(Choice{Steps: 2, Overrides: overrides}); err != nil {
			t.Fatal(err)
		}
		q.N, q.Seed = 2, 3
		return draw(t, m, q)
	}
	seven, three := Request{Prompts: []string{"seven", "seven"}}, Request{Prompts: []string{"three", "three"}}
	away := Request{Prompts: seven.Prompts, Negative: "one"}
	for name, c := range map[string][2][]float32{
		"nothing with three beside it is three": {sample(Request{}, "guidance=1", "guidance_with=[{prompt: three}]"), sample(three, "guidance=1")},
		"half and half of the same":             {sample(Request{}, "guidance=1", "guidance_with=[{prompt: three, weight: 0.5}, {prompt: three, weight: 0.5}]"), sample(three, "guidance=1")},
		"weight 0":                              {sample(seven, "guidance=2", "guidance_with=[{prompt: three, weight: 0}]"), sample(seven, "guidance=2")},
		"weight 0, away from one":               {sample(away, "guidance=2", "guidance_with=[{prompt: three, weight: 0}]"), sample(away, "guidance=2")},
	} {
		if d := apart(c[0], c[1]); d > 1e-5 { // sums of numbers around 1 in two steps of two evaluations
			t.Errorf("%s: %g apart", name, d)
		}
	}
	if apart(sample(seven, "guidance=2", "guidance_with=[{prompt: three}]"), sample(seven, "guidance=2")) < 1e-4 {
		t.Error("a prompt beside changes nothing")
	}
	for over, want := range map[string]string{
		"guidance_with=[{class: 1}]": "guidance_with[0].class is for models without prompts", "guidance_with=[{weight: 1}]": "or prompt must be given", "guidance_with=[{class: 1, prompt: one}]": "exclude each other",
	} {
		m := opened(t, dir)
		err := m.Choose(Choice{Steps: 2, Overrides: []string{over}})
		if err == nil {
			_, err = m.Draw(context.Background(), Request{N: 1})
		}
		wantError(t, err, want)
	}
}

// U-Nets by prompts, in bfloat16 too, and points by theirs.
func TestOtherNetworksByPrompts(t *testing.T) {
	unet := "model={kind: unet, channels: [8, 8], layers: 1, groups: 2, transformer: {heads: [2]}}"
	for name, set := range map[string][]string{
		"unet": {unet}, "unet in bf16": {unet, "precision=bf16"}, "unet, pooled": {"model={kind: unet, channels: [8, 8], layers: 1, groups: 2, head_dim: 4, prompt: pooled}"},
		"optimal transport": {"objective.coupling=ot", "text.mask=false"}, "mlp": {"model={kind: mlp, width: 16, depth: 1}"}, "plain mlp": {"model={kind: plain_mlp}"},
	} {
		m := promptModel(t, append(set, "optim.lr=1e-2")...)
		a := draw(t, m, Request{N: 1, Prompts: []string{"seven"}})
		if slices.Equal(a, draw(t, m, Request{N: 1, Prompts: []string{"one"}})) {
			t.Errorf("%s: the prompt does not matter", name)
		}
	}
}

// Each prompt goes through the encoder once, whatever the number of samples, batches and steps.
func TestPromptsAreEncodedOnce(t *testing.T) {
	m := promptModel(t)
	m.How.Batch = 2
	q := Request{N: 9, Negative: "one"}
	q.SetPrompts([]string{"two", "three", "one"})
	if want := []string{"two", "three", "one", "two", "three", "one", "two", "three", "one"}; !slices.Equal(q.Prompts, want) {
		t.Fatalf("prompts %q", q.Prompts)
	}
	e, err := m.encode(m.Device, q)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if want := []int32{2, 3, 1, 2, 3, 1, 2, 3, 1}; !slices.Equal(e.of, want) || e.text.Shape()[0] != 4 {
		t.Errorf("rows %v of %v", e.of, e.text.Shape())
	}
}

// A checkpoint file alone can be sampled from.
func TestPromptCheckpointAlone(t *testing.T) {
	dir := trained(t, promptsYAML, "sample.every=0")
	b, err := os.ReadFile(filepath.Join(dir.Checkpoints(), checkpointName(12)))
	if err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(alone, b, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := Open(alone, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	q := Request{N: 2, Prompts: []string{"seven", "Somebody's  ONE"}, Seed: 1}
	if !slices.Equal(draw(t, m, q), draw(t, opened(t, dir), q)) {
		t.Error("other samples")
	}
	facts := ""
	for _, f := range m.Facts() {
		facts += f[0] + " " + f[1] + "\n"
	}
	for _, want := range []string{"tokenizer 5", "prompts of up to 10", "1 blocks of width 8", "the empty prompt"} {
		if !strings.Contains(facts, want) {
			t.Errorf("%q is not in\n%s", want, facts)
		}
	}
	if m.PromptFits(strings.Repeat("word ", 20)) || !m.PromptFits("seven") {
		t.Error("which prompts fit is wrong")
	}
}

// A run goes on with its own tokenizer, also when the files that it came from are gone.
func TestRunKeepsItsTokenizer(t *testing.T) {
	tok, err := text.Learn([]string{"a handwritten seven"}, text.LearnOptions{Size: 520, Least: 1, Style: "clip"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(file, tok.JSON(), 0o666); err != nil {
		t.Fatal(err)
	}
	set := []string{"text.tokenizer={kind: files, path: '" + file + "'}", "sample.every=0"}
	dir := trained(t, promptsYAML, set...)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := trainIn(context.Background(), experiment(t, promptsYAML, append(set, "steps=15")...), Options{Dir: string(dir), Resume: true}); err != nil {
		t.Fatal(err)
	}
	if got := opened(t, dir).prompts.tok; string(got.JSON()) != string(tok.JSON()) {
		t.Error("another tokenizer")
	}
	_, err = New(context.Background(), experiment(t, promptsYAML, set...), Options{Bare: true})
	wantError(t, err, "text.tokenizer.path", "cannot be used", file)
}

// A frozen encoder stays as it was, a trained one does not.
func TestFrozenEncoder(t *testing.T) {
	for _, frozen := range []string{"true", "false"} {
		tr := bare(t, promptsYAML, "text.frozen="+frozen, "optim.schedule=constant", "accumulate=1")
		enc := tr.net.(*nn.Prompted).Text
		before := map[string][]float32{}
		for _, p := range nn.NamedParams(enc) {
			before[p.Name] = p.Param.Float32s()
		}
		for range 3 {
			if err := tr.Train(); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range nn.NamedParams(enc) {
			if same := slices.Equal(before[p.Name], p.Param.Float32s()); same != (frozen == "true") {
				t.Errorf("frozen %s: %s stayed: %v", frozen, p.Name, same)
			}
		}
	}
}

// The network begins with the weights that it has without a text encoder.
func TestTextEncoderLeavesFirstWeights(t *testing.T) {
	with := bare(t, promptsYAML, "model.prompt=pooled")
	for _, p := range with.params[:2] {
		if strings.HasPrefix(p.Name, "text.") {
			t.Errorf("%s is among the first", p.Name)
		}
	}
	without := bare(t, strings.Replace(promptsYAML, "text:", "#", 1), "sample.guidance=1")
	byName := map[string][]float32{}
	for _, p := range with.params {
		byName[p.Name] = p.Float32s()
	}
	if p := without.params[0]; !slices.Equal(byName[p.Name], p.Float32s()) {
		t.Errorf("%s begins with other values", p.Name)
	}
}

// Evaluation asks for the captions of held-out samples; the classes asked for are theirs.
func TestEvalPrompts(t *testing.T) {
	m := promptModel(t)
	ds, err := m.Exp.openData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	q := Request{N: 400, Seed: 3}
	labels, err := m.evalPrompts(ds, &q)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range q.Prompts {
		if !slices.Contains(data.DigitCaptions()[labels[i]], p) {
			t.Fatalf("prompt %q for class %d", p, labels[i])
		}
	}
	if len(q.Prompts) != 400 || q.Prompts[0] == q.Prompts[360] && q.Prompts[1] == q.Prompts[361] && q.Prompts[2] == q.Prompts[362] && q.Prompts[3] == q.Prompts[363] {
		t.Error("the second time round the same captions are drawn")
	}
}

func TestTextMistakes(t *testing.T) {
	for want, set := range map[string][]string{
		"text: needs data with captions":            {"data.captions=false"},
		"text.encoder.vocab: is 100; the tokenizer": {"text.encoder.vocab=100"},
		"text.encoder.length: must be from 3":       {"text.encoder.length=2"},
		"text.tokenizer.size: does not go":          {"text.tokenizer.size=300"},
		"model.text_width: is 12; the experiment":   {"model.text_width=12"},
		"text.encoder.heads: must divide":           {"text.encoder.heads=3"},
		"has no attention":                          {"model={kind: mlp, prompt: attention, text_width: 8}"},
	} {
		exp, err := LoadExperiment(write(t, promptsYAML), set)
		if err == nil {
			_, err = New(context.Background(), exp, Options{Bare: true})
		}
		wantError(t, err, strings.Split(want, "|")...)
	}
	gpt2 := filepath.Join("..", "internal", "golden", "testdata", "tokenizers", "gpt2")
	_, err := New(context.Background(), experiment(t, promptsYAML, "text.tokenizer={kind: files, path: "+gpt2+"}"), Options{Bare: true})
	wantError(t, err, "text.encoder.end", "must be given")
	m := opened(t, trained(t, moonsYAML, "steps=1"))
	_, err = m.Draw(context.Background(), Request{N: 1, Prompts: []string{"x"}})
	wantError(t, err, "takes no prompts")
	m = promptModel(t)
	_, err = m.Draw(context.Background(), Request{N: 2, Prompts: []string{"x"}})
	wantError(t, err, "1 prompts for 2 samples")
}

// write puts a config into a file.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "experiment.yaml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// clipFolder has a text encoder of transformers, with a tokenizer beside it that has all its ids.
func clipFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	golden := filepath.Join("..", "internal", "golden", "testdata")
	if err := os.CopyFS(filepath.Join(dir, "text_encoder"), os.DirFS(filepath.Join(golden, "text", "eos"))); err != nil {
		t.Fatal(err)
	}
	const tokenizer = `{"added_tokens":[{"id":20,"content":"<|startoftext|>","special":true},{"id":21,"content":"<|endoftext|>","special":true}],
		"normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
		"post_processor":{"type":"RobertaProcessing","sep":["<|endoftext|>",21],"cls":["<|startoftext|>",20]},
		"model":{"type":"BPE","unk_token":"<|endoftext|>","vocab":{"s":0,"e":1,"v":2,"n":3,"o":4,"t":5,"w":6,"h":7,"r":8,"f":9,"i":10,"a":11,"d":12,"Ġ":13},"merges":[]}}`
	if err := os.MkdirAll(filepath.Join(dir, "tokenizer"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer", "tokenizer.json"), []byte(tokenizer), 0o666); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "text_encoder")
}

// The encoder of a folder keeps its weights, and the run goes on and is sampled from when the folder is gone.
func TestTextEncoderOfTransformers(t *testing.T) {
	from := clipFolder(t)
	set := []string{"text={from: '" + from + "', frozen: true, length: 8}", "sample.every=0"}
	dir := trained(t, promptsYAML, set...)
	want, err := interop.LoadText(from, cpu.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(from)); err != nil {
		t.Fatal(err)
	}
	if err := trainIn(context.Background(), experiment(t, promptsYAML, append(set, "steps=14", "text.encoder={vocab: 24, length: 9, width: 12, hidden: 20, depth: 3, heads: 3, activation: gelu, norm_eps: 1e-3, causal: true, end: 21}")...), Options{Dir: string(dir), Resume: true}); err != nil {
		t.Fatal(err)
	}
	m := opened(t, dir)
	got, theirs := nn.NamedParams(m.encoder.Text), nn.NamedParams(want)
	for i := range theirs {
		if !slices.Equal(got[i].Param.Float32s(), theirs[i].Param.Float32s()) {
			t.Errorf("%s changed", theirs[i].Name)
		}
	}
	if o := m.encoder.Text.Options(); o.Width != 12 || !o.Causal || o.End != 21 || m.prompts.length != 8 {
		t.Errorf("options %+v, length %d", o, m.prompts.length)
	}
	draw(t, m, Request{N: 2, Prompts: []string{"seven", "two"}})
	_, err = New(context.Background(), experiment(t, promptsYAML, set...), Options{Bare: true})
	wantError(t, err, "text.from", "cannot be used", "config.json")
}

func TestTextFromMistakes(t *testing.T) {
	from := clipFolder(t)
	set := "text={from: '" + from + "'}"
	_, err := New(context.Background(), experiment(t, promptsYAML, set, "text.length=10"), Options{Bare: true})
	wantError(t, err, "text.length", "from 3", "to text.encoder.length=9")
	if err := os.RemoveAll(filepath.Join(filepath.Dir(from), "tokenizer")); err != nil {
		t.Fatal(err)
	}
	_, err = New(context.Background(), experiment(t, promptsYAML, set), Options{Bare: true})
	wantError(t, err, "text.from", "has no tokenizer")
}

// Classes and prompts together: each matters, alone and with guidance, and what is not asked for is unknown.
func TestClassesAndPrompts(t *testing.T) {
	for _, null := range []string{"true", "false"} {
		m := promptModel(t, "conditional=true", "model.null_condition="+null)
		labels := func(c int32) []int32 { return []int32{c} }
		q := Request{N: 1, Seed: 4, Labels: labels(3), Prompts: []string{"seven"}}
		seen := map[string]string{}
		try := func(what string, q Request) {
			for _, scale := range []float64{1, 2} {
				m.How.Scale = scale
				if scale != 1 && q.Prompts == nil && null == "false" {
					_, err := m.Draw(context.Background(), q)
					wantError(t, err, "no null class")
					continue
				}
				if scale != 1 && q.Prompts == nil && q.Labels == nil {
					continue // the same as without guidance
				}
				key := fmt.Sprint(draw(t, m, q))
				if old, ok := seen[key]; ok {
					t.Errorf("null class %s: %s at scale %g is %s", null, what, scale, old)
				}
				seen[key] = fmt.Sprintf("%s at scale %g", what, scale)
			}
		}
		try("both", q)
		q.Labels = labels(4)
		try("another class", q)
		q.Prompts = []string{"nine"}
		try("another prompt", q)
		q.Prompts = nil
		try("a class", q)
		if q.Labels = nil; null == "true" {
			try("nothing", q)
			q.Prompts = []string{"nine"}
			try("a prompt", q)
		}
	}
}
