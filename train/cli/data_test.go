package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shards is a folder with what Python wrote: seven pictures of 3×4 in three classes.
func shards(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../data/testdata")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// From archives to a table to arrays and back to what trains: each step says what it did, and the last has the pictures of the first.
func TestDataInspectStatsConvert(t *testing.T) {
	dir, files := t.TempDir(), shards(t)
	o := succeeds(t, dir, "data", "inspect", files+"/tar", "height=3", "width=4", "captions=json.text", "--verify")
	for _, want := range []string{"kind       tar\n", "7 samples of shape [3 4 3] in 3 classes", "class      2                        3\n", `such as "picture 0"`, "files      7 .png; 4×3 to 4×3 pixels", "captions: json.text\n", "verified   7 samples"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("inspect does not say %q:\n%s", want, o.stdout)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o777); err != nil {
		t.Fatal(err)
	}
	succeeds(t, dir, "data", "convert", files+"/tar", "a.parquet", "height=3", "width=4", "captions=json.text")
	o = succeeds(t, dir, "data", "convert", "a.parquet", "b/x.tar", "height=3", "width=4", "captions=captions", "--shard", "3", "--original")
	if !strings.Contains(o.stdout, "7 samples → b/x-00000.tar … b/x-00002.tar (3 files)") {
		t.Errorf("convert says %q", o.stdout)
	}
	succeeds(t, dir, "data", "convert", "b/x-*.tar", "c.npz", "height=3", "width=4")
	succeeds(t, dir, "data", "convert", "c.npz", "d.safetensors")
	var tables []string
	for _, args := range [][]string{{files + "/tar", "height=3", "width=4"}, {"c.npz"}, {"d.safetensors"}, {"d.safetensors", "memory=0"}} {
		table, _, ok := strings.Cut(succeeds(t, dir, append([]string{"data", "stats"}, args...)...).stdout, "7 samples of shape [3 4 3], ")
		if !ok || !strings.Contains(table, "channel 2") || !strings.Contains(table, "class 0: 2\nclass 1: 2\nclass 2: 3\n") && !strings.Contains(table, "class 0") {
			t.Fatalf("stats %v: %s", args, table)
		}
		tables = append(tables, table)
	}
	for _, table := range tables[1:] {
		if table != tables[0] {
			t.Errorf("other figures:\n%s\nwant\n%s", table, tables[0])
		}
	}
	// What inspect prints is the data section of an experiment.
	o = succeeds(t, dir, "data", "inspect", "b/x-*.tar", "height=4", "width=4", "memory=0", "crop=resized")
	_, section, ok := strings.Cut(o.stdout, "\n\n")
	if !ok || !strings.Contains(o.stdout, "decoded whenever they are needed") {
		t.Fatalf("%s", o.stdout)
	}
	write(t, filepath.Join(dir, "x.yaml"), section+"model: {kind: dit, patch: 2, width: 8, depth: 1, heads: 1}\nsteps: 3\nbatch: 4\nsample: {every: 0}\nlog_every: 1\n")
	succeeds(t, dir, "train", "x.yaml", "loading.workers=2")
	if m := string(read(t, filepath.Join(dir, "runs/x/metrics.jsonl"))); !strings.Contains(m, `"wall/data_wait":`) {
		t.Errorf("the records do not say how long steps waited: %s", m)
	}
	o = succeeds(t, dir, "data", "stats", "x.yaml", "data.height=2")
	if !strings.Contains(o.stdout, "7 samples of shape [2 4 3]") {
		t.Errorf("%s", o.stdout)
	}
	succeeds(t, dir, "data", "convert", "digits", "held.npz", "--part", "heldout")
	if o = succeeds(t, dir, "data", "stats", "held.npz"); !strings.Contains(o.stdout, "360 samples of shape [8 8 1]") {
		t.Errorf("%s", o.stdout)
	}
	if o = succeeds(t, dir, "data", "stats", "moons", "--samples", "500"); !strings.Contains(o.stdout, "500 samples of shape [2]") {
		t.Errorf("%s", o.stdout)
	}
}

func TestDataMistakes(t *testing.T) {
	dir, files := t.TempDir(), shards(t)
	fails(t, 2, dir, []string{"data", "look"}, `unknown command "look"`)
	fails(t, 2, dir, []string{"data", "inspect"}, "missing: SOURCE")
	fails(t, 2, dir, []string{"data", "convert", "digits", "height=3"}, "missing: OUT")
	fails(t, 2, dir, []string{"data", "stats", "digits", "extra"}, `"extra" is one argument too many`)
	fails(t, 2, dir, []string{"data", "stats", "digits", "--samples", "0"}, "--samples must be at least 1")
	fails(t, 2, dir, []string{"data", "convert", "digits", "x.npz", "--part", "both"}, "--part must be train or heldout")
	fails(t, 1, dir, []string{"data", "inspect", "nothing"}, "nothing: there is no such file or folder; want an experiment's YAML file")
	fails(t, 1, dir, []string{"data", "inspect", files + "/exif.json"}, "its name does not show what it is")
	fails(t, 1, dir, []string{"data", "inspect", files + "/tar", "width=4"}, "data.height")
	fails(t, 1, dir, []string{"data", "convert", "digits", "x.zip"}, "want a file .npz, .safetensors, .tar or .parquet")
	fails(t, 1, dir, []string{"data", "convert", "moons", "x.npz"}, "endless")
	fails(t, 1, dir, []string{"data", "convert", files + "/arrays.npz", "x.npz", "--part", "heldout"}, "holds no samples out")
	write(t, filepath.Join(dir, "x.npz"), "mine")
	fails(t, 1, dir, []string{"data", "convert", "digits", "x.npz"}, "x.npz is there already")
	if string(read(t, filepath.Join(dir, "x.npz"))) != "mine" {
		t.Error("overwritten")
	}
	succeeds(t, dir, "data", "convert", "digits", "x.npz", "--overwrite")
	for _, name := range []string{"pics", "sub"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "pics/a.png"), "no picture")
	b, err := os.ReadFile(files + "/exif-1.jpg")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "pics/b.jpg"), string(b))
	o := langevin(t, dir, "data", "inspect", "pics", "height=4", "width=4", "max_corrupt=0.5", "--verify")
	if o.code != 1 || !strings.Contains(o.stdout, "corrupt    pics/a.png: the file begins with") || !strings.Contains(o.stderr, "1 of 2 samples are corrupt") {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	fails(t, 1, filepath.Join(dir, "sub"), []string{"data", "convert", "../pics", "y.tar", "height=4", "width=4", "memory=0"}, "a.png: the file begins with")
}
