package data

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inShards is what testdata/shards.py wrote into its files.
type inShards struct {
	Pixels   [][]float32
	Labels   []int
	Captions [][]string
	Names    []string
}

func shardsGolden(t testing.TB) (g inShards) {
	t.Helper()
	text, err := os.ReadFile("testdata/shards.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil || len(g.Pixels) != 7 {
		t.Fatal(err, len(g.Pixels))
	}
	return g
}

// check compares a source of the pictures as they are with what Python wrote.
func (g inShards) check(t *testing.T, what string, s Source, err error, captions func(k int) []string) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if s.Len() != 7 || s.Classes() != 3 {
		t.Errorf("%s: %d samples in %d classes", what, s.Len(), s.Classes())
		return
	}
	c, _ := CaptionsOf(s)
	if (c == nil) != (captions == nil) {
		t.Fatalf("%s: captions %v", what, c)
	}
	for k := range 7 {
		x, label := sample(t, s, k)
		for i, v := range g.Pixels[k] {
			if x[i] != float32(2*v)/255-1 {
				t.Errorf("%s: byte %d of picture %d is %g, want that of %g", what, i, k, x[i], v)
				break
			}
		}
		if label != g.Labels[k] {
			t.Errorf("%s: label %d of picture %d, want %d", what, label, k, g.Labels[k])
		}
		if captions != nil && !slices.Equal(c.Captions(uint64(k)), captions(k)) {
			t.Errorf("%s: captions %q of picture %d, want %q", what, c.Captions(uint64(k)), k, captions(k))
		}
		if b, ending, ok, err := Original(s, uint64(k)); !ok || err != nil || ending != ".png" || !strings.HasPrefix(string(b), "\x89PNG") {
			t.Errorf("%s: original %d: %q, %v, %v", what, k, ending, ok, err)
		}
	}
}

var asTheyAre = Pictures{Height: 3, Width: 4, Channels: 3}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a-00.tar", "a-01.tar", "a-02.TAR", "b-00.tar", "notes.txt", ".hidden.tar"} {
		write(t, dir, name, nil)
	}
	for pattern, want := range map[string]string{
		"":                   "a-00.tar a-01.tar a-02.TAR b-00.tar",
		"a-01.tar":           "a-01.tar",
		"a-*.tar":            "a-00.tar a-01.tar",
		"?-00.tar":           "a-00.tar b-00.tar",
		"a-{00..01}.tar":     "a-00.tar a-01.tar",
		"{a,b}-{00..00}.tar": "a-00.tar b-00.tar",
		"{b-*,a-01}.tar":     "b-00.tar a-01.tar",
	} {
		got, err := Shards(filepath.Join(dir, pattern), ".tar")
		for i := range got {
			got[i] = filepath.Base(got[i])
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %s", pattern, got, err, want)
		}
	}
	for pattern, want := range map[string]error{
		"a-{00..07}.tar": fs.ErrNotExist, "c*": ErrEmpty, "a-{00": ErrOption, "a-{1..x}": ErrOption, "a-{5..2}": ErrOption, "{0..60000}{0..60000}": ErrOption, "[": ErrOption, "no.tar": fs.ErrNotExist,
	} {
		if got, err := Shards(filepath.Join(dir, pattern), ".tar"); !errors.Is(err, want) {
			t.Errorf("%q: %q, %v; want %v", pattern, got, err, want)
		}
	}
	if _, err := Shards(t.TempDir(), ".tar"); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Shards("", ".tar"); !errors.Is(err, ErrOption) {
		t.Errorf("no path: %v", err)
	}
}

// A file that is another one now is an error, and no corrupt sample.
func TestChangedShard(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile("testdata/tar/train-000000.tar")
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, "a.tar", b)
	p := asTheyAre
	p.Memory = -1
	s, err := OpenTar(context.Background(), Tar{Path: path, Pictures: p})
	if err != nil {
		t.Fatal(err)
	}
	sample(t, s, 0)
	write(t, dir, "a.tar", append(b, make([]byte, 512)...))
	if _, err = s.Sample(0, make([]float32, 36)); err == nil || Corrupt(err) || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Sample(0, make([]float32, 36)); !errors.Is(err, fs.ErrNotExist) || Corrupt(err) {
		t.Errorf("got %v", err)
	}
}
