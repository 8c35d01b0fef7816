package text

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/langevin-go/langevin/internal/safetensors"
)

const golden = "../../internal/golden/testdata/tokenizers"

// goldenText is a text with what transformers makes of it.
type goldenText struct {
	Text    string  `json:"text"`
	IDs     []int32 `json:"ids"`
	Decoded string  `json:"decoded"`
	Padded  []int32 `json:"padded"` // to 77
	Short   []int32 `json:"short"`  // cut or padded to 8
}

func readGolden(t *testing.T, style string) (cases []goldenText, corpus []string, merges [][2]string) {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(golden, style, "cases.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for key, into := range map[string]any{"cases": &cases, "corpus": &corpus, "merges": &merges} {
		if err := json.Unmarshal([]byte(f.Metadata()[key]), into); err != nil {
			t.Fatal(key, err)
		}
	}
	if len(cases) < 50 {
		t.Fatalf("only %d texts", len(cases))
	}
	return cases, corpus, merges
}

// tokenizers are those of a folder by every way to read them.
func tokenizers(t *testing.T, style string) map[string]*Tokenizer {
	t.Helper()
	dir := filepath.Join(golden, style)
	out := map[string]*Tokenizer{}
	var err error
	if out["folder"], err = Open(dir); err != nil {
		t.Fatal(err)
	}
	if out["tokenizer.json"], err = Open(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	if out["vocab.json"], err = ReadFiles(filepath.Join(dir, "vocab.json"), filepath.Join(dir, "merges.txt")); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"folder", "vocab.json"} {
		if out["written again from "+from], err = Parse("again", out[from].JSON()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Ids and decoded texts are those of transformers, exactly.
func TestGolden(t *testing.T) {
	for _, style := range []string{"gpt2", "clip"} {
		cases, _, _ := readGolden(t, style)
		for how, tok := range tokenizers(t, style) {
			for _, c := range cases {
				if got := tok.Encode(c.Text); !slices.Equal(got, c.IDs) {
					t.Errorf("%s from %s: %q is %v, want %v", style, how, c.Text, got, c.IDs)
				}
				if c.Padded == nil {
					continue
				}
				for _, want := range [][]int32{c.Padded, c.Short} {
					got, n, whole := tok.Fit(c.Text, len(want))
					if !slices.Equal(got, want) || n != min(len(c.IDs), len(want)) || whole != (len(c.IDs) <= len(want)) {
						t.Errorf("%s from %s: %q fits as %v (%d, %v), want %v", style, how, c.Text, got, n, whole, want)
					}
				}
			}
		}
	}
}

func TestGoldenDecode(t *testing.T) {
	for _, style := range []string{"gpt2", "clip"} {
		cases, _, _ := readGolden(t, style)
		tok := tokenizers(t, style)["folder"]
		for _, c := range cases {
			if got := tok.Decode(c.IDs); got != c.Decoded {
				t.Errorf("%s: %v is %q, want %q", style, c.IDs, got, c.Decoded)
			}
		}
	}
}

// Merges learned from the same corpus are those of the tokenizers library (gpt2) and of a
// plain program (clip), in their order.
func TestGoldenLearn(t *testing.T) {
	for style, size := range map[string]int{"gpt2": 400, "clip": 700} {
		_, corpus, want := readGolden(t, style)
		tok, err := Learn(corpus, LearnOptions{Size: size, Least: 1, Style: style})
		if err != nil {
			t.Fatal(err)
		}
		var d definition
		if err := json.Unmarshal(tok.JSON(), &d); err != nil {
			t.Fatal(err)
		}
		if len(want) < 100 || !slices.Equal(d.Model.Merges, want) {
			t.Errorf("%s: merges %v, want %v", style, d.Model.Merges, want)
		}
		if theirs := tokenizers(t, style)["folder"]; !slices.Equal(tok.bpe.tokens, theirs.bpe.tokens) {
			t.Errorf("%s: ids differ", style)
		}
	}
}
