package docgen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type experiment struct {
	Seed int `yaml:"seed" doc:"seed of all randomness"`
}

func TestConfiguration(t *testing.T) {
	text, err := Configuration(experiment{})
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); !strings.HasPrefix(s, "<!-- Generated") || !strings.HasSuffix(s, "## Keys\n\n| key | type | default | meaning |\n|---|---|---|---|\n| `seed` | whole number | `0` | seed of all randomness |\n") {
		t.Errorf("got\n%s", s)
	}
	if _, err := Configuration(struct {
		A int `yaml:"a"`
	}{}); err == nil {
		t.Error("a key without documentation is accepted")
	}
}

func TestWriteAndCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.md")
	if err := Check(path, []byte("a\n"), "make generate"); err == nil || !strings.Contains(err.Error(), "run make generate") {
		t.Errorf("missing file: %v", err)
	}
	if err := Write(path, []byte("a\nb\n")); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"a\nb\n":    "",
		"a\nc\n":    `x.md:2 is out of date, should be "c"`,
		"a\nb":      "x.md:3 and on is out of date",
		"a\nb\n\nc": `x.md:4 is out of date, should be "c"`,
		"a\nb\nc":   `x.md:3 is out of date, should be "c"`,
	} {
		err := Check(path, []byte(text), "make generate")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	before, _ := os.Stat(path)
	if err := Write(path, []byte("a\nb\n")); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("an unchanged file was replaced")
	}
	if err := Write(filepath.Join(filepath.Dir(path), "no", "x.md"), nil); err == nil {
		t.Error("a missing folder is no error")
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}
