package text

import (
	"slices"
	"strings"
	"testing"
)

// Nothing that is read panics, and what was read encodes anything and is read again as the same.
func FuzzParse(f *testing.F) {
	// Small ones: the fuzzer gets nowhere with a whole alphabet.
	vocab := map[string]int32{"a": 0, "b": 1, "ab": 2, "b</w>": 3, "ab</w>": 4, clipBOS: 5, clipEOS: 6}
	for _, d := range []definition{clipDefinition(vocab, merges{{"a", "b"}, {"a", "b</w>"}}), gpt2Definition(vocab, merges{{"a", "b"}})} {
		tok, err := build("", d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(tok.JSON(), "Ab <|endoftext|>")
	}
	f.Add([]byte(`{"added_tokens":[{"id":1,"content":"X","normalized":true}],"normalizer":{"type":"NFKC"},"pre_tokenizer":{"type":"ByteLevel"},"model":{"vocab":{"a":0},"merges":["a a"]}}`), "aXa")
	f.Fuzz(func(t *testing.T, b []byte, s string) {
		tok, err := Parse("x", b)
		if err != nil {
			return
		}
		ids := tok.Encode(s)
		for _, id := range ids {
			if id < 0 || int(id) >= tok.Size() {
				t.Fatalf("id %d of %d", id, tok.Size())
			}
		}
		tok.Decode(ids)
		again, err := Parse("x", tok.JSON())
		if err != nil || !slices.Equal(again.Encode(s), ids) {
			t.Fatalf("read again: %v", err)
		}
		if n := tok.Least() + 3; len(s) < 100 {
			if row, _, _ := tok.Fit(s, n); len(row) != n {
				t.Fatalf("%d ids, want %d", len(row), n)
			}
		}
	})
}

func FuzzMerges(f *testing.F) {
	f.Add([]byte("#version: 0.2\na b\nab c\n"))
	f.Add([]byte("a b\r\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := parseMerges("x", b)
		if err == nil {
			for _, m := range ms {
				if m[0] == "" || m[1] == "" || strings.ContainsAny(m[0]+m[1], " ") {
					t.Fatalf("merge %q", m)
				}
			}
		}
	})
}

// Pieces are the text, in order, less what CLIP drops; merging by a heap is merging by looking.
func FuzzEncode(f *testing.F) {
	gpt2 := learned(f, LearnOptions{Size: 300, Least: 1, Style: "gpt2"}, "the thethe aaaa abab it's", "  two  spaces")
	clip := learned(f, LearnOptions{Size: 560, Least: 1, Style: "clip"}, "the thethe aaaa abab it's")
	f.Add("it's  the \n\n thethe'll 12 ab!? ½")
	f.Add("\xff'\u3000 é")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 2000 {
			return
		}
		s = valid(s)
		var pieces []string
		splitGPT2(s, func(p string) { pieces = append(pieces, p) })
		if strings.Join(pieces, "") != s || slices.Contains(pieces, "") {
			t.Fatalf("%q in pieces: %q", s, pieces)
		}
		pieces = nil
		splitCLIP(s, func(p string) { pieces = append(pieces, p) })
		if strings.Join(pieces, "") != strings.Join(strings.Fields(s), "") {
			t.Fatalf("%q in pieces: %q", s, pieces)
		}
		for _, tok := range []*Tokenizer{gpt2, clip} {
			sym := tok.bpe.symbols(byteLevel(s))
			if want, got := tok.bpe.naive(slices.Clone(sym)), tok.bpe.joined(slices.Clone(sym)); !slices.Equal(got, want) {
				t.Fatalf("%q: %v, want %v", s, got, want)
			}
		}
		if !strings.Contains(s, "<|") {
			if got := gpt2.Decode(gpt2.Encode(s)); got != s {
				t.Fatalf("%q became %q", s, got)
			}
		}
	})
}
