package cli_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const tinyPromptsYAML = `
name: prompts
steps: 8
batch: 8
data: {kind: digits, captions: true}
conditional: false
text: {tokenizer: {kind: learned, size: 560}, encoder: {width: 8, heads: 2, depth: 1, length: 10}}
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}
objective: {kind: flow, condition_dropout: 0.3}
sample: {steps: 2, every: 0, guidance: 2}
`

// From captions to samples by prompts, and what may be said wrongly about them.
func TestPrompts(t *testing.T) {
	long(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "prompts.yaml"), tinyPromptsYAML)
	o := succeeds(t, dir, "train", "prompts.yaml")
	if want := `sample runs/prompts --prompt "a handwritten seven" --n 16`; !strings.Contains(o.stdout, want) {
		t.Errorf("%q is not in %s", want, o.stdout)
	}
	write(t, filepath.Join(dir, "list.txt"), "three\n\n  a handwritten seven \n")
	write(t, filepath.Join(dir, "none.txt"), " \n\n")
	write(t, filepath.Join(dir, "plain.yaml"), strings.Replace(strings.Replace(tinyPromptsYAML, "text:", "#", 1), "guidance: 2", "guidance: 1", 1))
	succeeds(t, dir, "train", "plain.yaml", "name=plain")

	sample := func(args ...string) []byte {
		t.Helper()
		succeeds(t, dir, append([]string{"sample", "runs/prompts", "--n", "4", "--out", "x.npy"}, args...)...)
		return read(t, filepath.Join(dir, "x.npy"))
	}
	seven, none := sample("--prompt", "a handwritten seven"), sample()
	if bytes.Equal(seven, none) || !bytes.Equal(none, sample("--prompt", "")) {
		t.Error("no prompt is not the empty prompt")
	}
	if turns := sample("--prompt", "three", "--prompt", "a handwritten seven"); !bytes.Equal(turns, sample("--prompts", "list.txt")) || bytes.Equal(turns, seven) {
		t.Error("a file of prompts is not the prompts")
	}
	if !bytes.Equal(seven, sample("prompts=[a handwritten seven]")) {
		t.Error("prompts of the config are not those of the command line")
	}
	if away := sample("--prompt", "a handwritten seven", "--negative", "one"); bytes.Equal(away, seven) || !bytes.Equal(away, sample("--prompt", "a handwritten seven", "negative=one")) {
		t.Error("the negative prompt does not do what it should")
	}
	if o := succeeds(t, dir, "sample", "runs/prompts", "--n", "1", "--out", "x.npy", "--prompt", strings.Repeat("seven ", 30)); !strings.Contains(o.stderr, "its end is cut off") {
		t.Errorf("no warning of a long prompt: %s", o.stderr)
	}

	o = succeeds(t, dir, "inspect", "runs/prompts")
	for _, want := range []string{"tokenizer", "prompts of up to 10", "text encoder 1 blocks of width 8", "none is the empty prompt"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in\n%s", want, o.stdout)
		}
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(succeeds(t, dir, "eval", "runs/prompts", "--n", "20", "--json").stdout), &report); err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(report); !strings.Contains(strings.ToLower(string(text)), "accuracy") {
		t.Errorf("no accuracy in %s", text)
	}

	fails(t, 1, dir, []string{"sample", "runs/plain", "--prompt", "x"}, "--prompt", "takes no prompts", "text section")
	fails(t, 1, dir, []string{"sample", "runs/plain", "--negative", "x"}, "--negative", "takes no prompts")
	fails(t, 2, dir, []string{"sample", "runs/prompts", "--prompt", "x", "--prompts", "list.txt"}, "exclude each other")
	fails(t, 1, dir, []string{"sample", "runs/prompts", "--prompts", "none.txt"}, "none.txt", "want one a line")
	fails(t, 1, dir, []string{"sample", "runs/prompts", "--prompts", "missing.txt"}, "missing.txt", "no such file")
	fails(t, 1, dir, []string{"sample", "runs/prompts", "--negative", "one"}, "--negative", "--prompt")
	fails(t, 1, dir, []string{"sample", "runs/prompts", "--prompt", "x", "--negative", "one", "--guidance", "1"}, "--negative", "--guidance")
	fails(t, 1, dir, []string{"train", "plain.yaml", "text={}", "data.captions=false"}, "text", "needs data with captions")
}
