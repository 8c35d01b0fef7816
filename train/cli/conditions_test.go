package cli_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// tableYAML is of points that depend on two numbers.
const tableYAML = `
name: table
steps: 10
batch: 4
data: {kind: csv, path: table.csv, samples: [x, y], vectors: [a, b], heldout: 10}
model: {kind: mlp, width: 8, depth: 1}
sample: {steps: 2, every: 10, guidance: 1.5}
`

// A vector on the command line, several in turn, or a file of them are one and the same.
func TestSampleConditions(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "table.yaml"), tableYAML)
	write(t, filepath.Join(dir, "table.csv"), "x,y,a,b\n"+strings.Repeat("1,2,0.5,-1\n-1,0,-0.5,1\n0.5,1,0,0.25\n", 9))
	said := succeeds(t, dir, "train", "table.yaml").stdout
	if !strings.Contains(said, `sample runs/table --condition "0.5, 0.5"`) {
		t.Errorf("nothing is said of conditions:\n%s", said)
	}
	sample := func(args ...string) []byte {
		succeeds(t, dir, append([]string{"sample", "runs/table", "--n", "4", "--out", "x.npy"}, args...)...)
		b := read(t, filepath.Join(dir, "x.npy"))
		return b[len(b)-4*2*4:]
	}
	one, other, none := sample("--condition", "0.5, -1"), sample("--condition=-0.5,1"), sample()
	if bytes.Equal(one, other) || bytes.Equal(one, none) {
		t.Error("the condition makes no difference")
	}
	file := filepath.Join(dir, "v.npy")
	if err := gorgonia.WriteNPY(file, gorgonia.Dense([]int{2, 2}, []float64{0.5, -1, -0.5, 1})); err != nil {
		t.Fatal(err)
	}
	turns, listed := sample("--condition", "0.5,-1", "--condition=-0.5,1"), sample("--condition", "v.npy")
	if !bytes.Equal(turns, listed) {
		t.Error("vectors in a file are others than the same ones on the command line")
	}
	for i := range 4 {
		if want := [][]byte{one, other}[i%2]; !bytes.Equal(turns[8*i:8*i+8], want[8*i:8*i+8]) {
			t.Errorf("sample %d of vectors in turn is not that of its vector", i)
		}
	}
	if !strings.Contains(succeeds(t, dir, "inspect", "runs/table").stdout, "of 2 numbers, with a null vector") {
		t.Error("inspect says nothing of vectors")
	}
	succeeds(t, dir, "eval", "runs/table", "--n", "10")
	if o := succeeds(t, dir, "eval", "runs/table", "--likelihood", "--n", "10", "--tolerance", "0.01"); !strings.Contains(o.stdout, "p(x|vector)") {
		t.Errorf("the likelihood is of\n%s", o.stdout)
	}
	for condition, parts := range map[string][]string{
		"1":           {"--condition 1", "1 numbers", "on 2"},
		"1,2,3":       {"3 numbers", "on 2"},
		"1,x":         {`"x"`, "number"},
		"1,Inf":       {`"Inf"`, "finite"},
		"nowhere.npy": {"nowhere.npy"},
	} {
		fails(t, 1, dir, []string{"sample", "runs/table", "--condition", condition}, parts...)
	}
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	succeeds(t, dir, "train", "tiny.yaml")
	fails(t, 1, dir, []string{"sample", "runs/tiny", "--condition", "1"}, "--condition", "no vector")
	succeeds(t, dir, "reflow", "runs/table", "--pairs", "4") // the pairs keep them
	if !strings.Contains(succeeds(t, dir, "inspect", "runs/table-reflow/round-2").stdout, "of 2 numbers, with a null vector") {
		t.Error("inspect says nothing of the vectors of a round")
	}
}

// Tokens go through the same commands as pictures.
func TestTokensByCommand(t *testing.T) {
	long(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tokens.yaml"), `
name: tokens
steps: 6
batch: 8
data: digits
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}
objective: discrete_flow
sample: {steps: 3, every: 6, rows: 2}
`)
	succeeds(t, dir, "train", "tokens.yaml")
	o := succeeds(t, dir, "sample", "runs/tokens", "--class", "7", "--n", "4", "--guidance", "1.5", "sampler.eta=0.5")
	if !strings.HasPrefix(o.stdout, "samples.png: 4 samples, ctmc, 3 steps, guidance 1.5") {
		t.Errorf("said %q", o.stdout)
	}
	succeeds(t, dir, "sample", "runs/tokens", "--sampler", "unmask", "--n", "2", "--out", "x.safetensors")
	fails(t, 1, dir, []string{"sample", "runs/tokens", "--sampler", "heun"}, "ctmc or unmask", "17 tokens")
	fails(t, 1, dir, []string{"reflow", "runs/tokens", "--pairs", "4"}, "discrete_flow")
	v := figures(t, succeeds(t, dir, "eval", "runs/tokens", "--n", "20", "--json").stdout)
	beside(t, v, "class_accuracy", "frechet")
	l := figures(t, succeeds(t, dir, "eval", "runs/tokens", "--likelihood", "--n", "10", "--bound-times", "4", "--json").stdout)
	bound := l["heldout"].(map[string]any)["bound"].(map[string]any)
	if l["method"] != "bound" || l["levels"] != 17.0 || bound["times"] != 4.0 || !(bound["bits_per_dim"].(float64) > 0) {
		t.Errorf("the likelihood is %v", l)
	}
	table := succeeds(t, dir, "eval", "runs/tokens", "--likelihood", "--n", "10", "--bound-times", "4", "--bits").stdout
	for _, want := range []string{"held-out", "bits/dim", "at most", "4 times"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
}
