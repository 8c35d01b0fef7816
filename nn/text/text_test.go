package text

import (
	"container/heap"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/badfile"
)

func learned(t testing.TB, o LearnOptions, texts ...string) *Tokenizer {
	t.Helper()
	tok, err := Learn(texts, o)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Whatever the vocabulary, GPT-2's conventions lose nothing, and CLIP's nothing but case and white space.
func TestLearnedTokenizersLoseNothing(t *testing.T) {
	cases, corpus, _ := readGolden(t, "gpt2")
	gpt2, clip := learned(t, LearnOptions{Size: 300, Least: 2, Style: "gpt2"}, corpus...), learned(t, LearnOptions{Size: 600, Least: 2, Style: "clip"}, corpus...)
	bare := func(s string) string { return strings.Join(strings.Fields(apply(cleanCLIP, s)), "") }
	for _, c := range cases {
		if strings.Contains(c.Text, "<|") {
			continue // special tokens
		}
		if got := gpt2.Decode(gpt2.Encode(c.Text)); got != c.Text {
			t.Errorf("%q became %q", c.Text, got)
		}
		if got := clip.Decode(clip.Encode(c.Text)); strings.Join(strings.Fields(got), "") != bare(c.Text) {
			t.Errorf("%q became %q", c.Text, got)
		}
	}
	if clip.Size() > 600 || gpt2.Size() > 300 {
		t.Errorf("%d and %d tokens", clip.Size(), gpt2.Size())
	}
	ids := clip.Encode("A  handwritten\tSEVEN")
	if !slices.Equal(ids, clip.Encode("a handwritten seven ")) || clip.Token(ids[0]) != clipBOS || clip.Token(ids[len(ids)-1]) != clipEOS || int(clip.End()) != clip.Size()-1 {
		t.Errorf("ids %v", ids)
	}
	if again, err := Parse("x", clip.JSON()); err != nil || !slices.Equal(again.Encode("it's 7!"), clip.Encode("it's 7!")) {
		t.Error(err)
	}
}

// The order of the texts does not matter, their numbers do.
func TestLearnDependsOnCounts(t *testing.T) {
	o := LearnOptions{Size: 516, Least: 1, Style: "clip"}
	a, b := learned(t, o, "xy xy ab", "ab ab"), learned(t, o, "ab", "ab ab", "xy xy")
	if string(a.JSON()) != string(b.JSON()) {
		t.Error("the order of the texts changes the vocabulary")
	}
	for token, want := range map[string]bool{"ab</w>": true, "xy</w>": true} {
		if _, ok := a.ID(token); ok != want {
			t.Errorf("%q is a token: %v", token, ok)
		}
	}
	if _, ok := learned(t, LearnOptions{Size: 515, Least: 1, Style: "clip"}, "xy xy ab", "ab ab").ID("xy</w>"); ok {
		t.Error("the rarer pair came first")
	}
	if _, ok := learned(t, LearnOptions{Size: 516, Least: 3, Style: "clip"}, "xy xy ab", "ab ab").ID("xy</w>"); ok {
		t.Error("a pair rarer than least was merged")
	}
	for _, bad := range []LearnOptions{{Size: 513, Style: "clip"}, {Size: 256, Style: "gpt2"}, {Size: 1 << 30, Style: "clip"}, {Size: 600, Style: "x"}} {
		if _, err := Learn(nil, bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// naive merges the leftmost pair of lowest rank, looking at all of them each time.
func (m *bpe) naive(sym []int32) []int32 {
	for {
		at, best := -1, merge{}
		for i := range len(sym) - 1 {
			if g, ok := m.merges[pair{sym[i], sym[i+1]}]; ok && (at < 0 || g.rank < best.rank) {
				at, best = i, g
			}
		}
		if at < 0 {
			return sym
		}
		sym = slices.Replace(sym, at, at+2, best.into)
	}
}

func TestInvalidUTF8(t *testing.T) {
	tok := learned(t, LearnOptions{Size: 300, Least: 1, Style: "gpt2"})
	if got := tok.Decode(tok.Encode("a\xffb\xe2\x82c")); got != "a\ufffdb\ufffd\ufffdc" {
		t.Errorf("got %q", got)
	}
}

func TestLongWordsAreQuick(t *testing.T) {
	tok := learned(t, LearnOptions{Size: 300, Least: 1, Style: "gpt2"}, strings.Repeat("a", 64))
	if n := len(tok.Encode(strings.Repeat("a", 1<<16))); n > 1<<11 { // quadratic work would take minutes
		t.Errorf("%d ids", n)
	}
}

func TestFrequenciesAreOrdered(t *testing.T) {
	q := frequencies{{pair{2, 1}, 3}, {pair{1, 2}, 3}, {pair{0, 0}, 1}, {pair{1, 1}, 3}, {pair{9, 9}, 7}}
	heap.Init(&q)
	var got []string
	for len(q) > 0 {
		got = append(got, fmt.Sprint(heap.Pop(&q).(frequency).of))
	}
	if want := "{9 9} {1 1} {1 2} {2 1} {0 0}"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFitPanicsWithoutRoom(t *testing.T) {
	tok := learned(t, LearnOptions{Size: 514, Least: 1, Style: "clip"})
	if ids, n, whole := tok.Fit("abc", tok.Least()); len(ids) != 2 || n != 2 || whole {
		t.Errorf("got %v, %d, %v", ids, n, whole)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	tok.Fit("abc", 1)
}

// Errors name the file, the field and what would be right.
func TestErrors(t *testing.T) {
	good := string(learned(t, LearnOptions{Size: 516, Least: 1, Style: "clip"}, "ab ab cd").JSON())
	edit := func(old, now string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the definition has no %s", old)
		}
		return strings.Replace(good, old, now, 1)
	}
	for name, c := range map[string]struct {
		json string
		kind error
		want []string
	}{
		"empty":              {"", ErrFormat, []string{"JSON"}},
		"cut off":            {good[:100], ErrFormat, []string{"JSON"}},
		"more text":          {good + "1", ErrFormat, []string{"behind"}},
		"other type":         {edit(`"vocab":{`, `"vocab":7,"x":{`), ErrFormat, []string{"vocab", "number"}},
		"no tokens":          {`{"model":{"type":"BPE"}}`, ErrFormat, []string{"model.vocab", "no tokens"}},
		"word pieces":        {edit(`"type":"BPE"`, `"type":"WordPiece"`), ErrUnsupported, []string{"model.type", "BPE", "WordPiece"}},
		"dropout":            {edit(`"dropout":null`, `"dropout":0.1`), ErrUnsupported, []string{"model.dropout"}},
		"prefix":             {edit(`"continuing_subword_prefix":""`, `"continuing_subword_prefix":"##"`), ErrUnsupported, []string{"continuing_subword_prefix", "##"}},
		"byte fallback":      {edit(`"byte_fallback":false`, `"byte_fallback":true`), ErrUnsupported, []string{"byte_fallback"}},
		"fused unknowns":     {edit(`"fuse_unk":false`, `"fuse_unk":true`), ErrUnsupported, []string{"fuse_unk"}},
		"unknown unknown":    {edit(`"unk_token":"\u003c|endoftext|\u003e"`, `"unk_token":"zzz"`), ErrFormat, []string{"unk_token", "zzz"}},
		"negative id":        {edit(`"A":32`, `"A":-1`), ErrFormat, []string{"model.vocab", `"A"`, "-1"}},
		"large id":           {edit(`"A":32`, `"A":1048576`), ErrFormat, []string{"model.vocab", "1048576"}},
		"fractional id":      {edit(`"A":32`, `"A":1.5`), ErrFormat, []string{"vocab", "1.5"}},
		"id twice":           {edit(`"A":32`, `"A":33`), ErrFormat, []string{`"A" and "B"`, "33"}},
		"foreign merge":      {edit(`["a","b\u003c/w\u003e"]`, `["a","zz"]`), ErrFormat, []string{"model.merges", "merge 1", `"zz"`}},
		"merge of one":       {edit(`["a","b\u003c/w\u003e"]`, `["a"]`), ErrFormat, []string{"merge 1", "two tokens"}},
		"merge as a line":    {edit(`[["a","b\u003c/w\u003e"],["c","d\u003c/w\u003e"]]`, `["a b c"]`), ErrFormat, []string{"merges", `"a b c"`}},
		"stripping":          {edit(`"lstrip":false`, `"lstrip":true`), ErrUnsupported, []string{"added_tokens", "lstrip"}},
		"other normaliser":   {edit(`"type":"NFC"`, `"type":"StripAccents"`), ErrUnsupported, []string{"normalizer", "StripAccents"}},
		"other replacement":  {edit(`\\s+`, `\\d+`), ErrUnsupported, []string{"normalizer", "Replace"}},
		"other expression":   {edit(`[^\\s\\p{L}\\p{N}]+`, `x+`), ErrUnsupported, []string{"pre_tokenizer", "Split"}},
		"other behaviour":    {edit(`"behavior":"Removed"`, `"behavior":"MergedWithNext"`), ErrUnsupported, []string{"pre_tokenizer", "Split"}},
		"words":              {edit(`"type":"ByteLevel","add_prefix_space":false`, `"type":"Metaspace"`), ErrUnsupported, []string{"pre_tokenizer", "Metaspace"}},
		"no pre-tokenizer":   {`{"model":{"type":"BPE","vocab":{"a":0}}}`, ErrUnsupported, []string{"pre_tokenizer", "null"}},
		"not byte level":     {`{"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"Sequence"}}`, ErrUnsupported, []string{"pre_tokenizer", "ByteLevel"}},
		"other processor":    {edit(`"type":"RobertaProcessing"`, `"type":"Q"`), ErrUnsupported, []string{"post_processor", "Q"}},
		"processor's id":     {edit(`"sep":["\u003c|endoftext|\u003e",515]`, `"sep":["\u003c|endoftext|\u003e",3]`), ErrFormat, []string{"post_processor.sep"}},
		"template":           {edit(`"type":"RobertaProcessing"`, `"type":"TemplateProcessing"`), ErrFormat, []string{"post_processor.single", "Sequence"}},
		"padding by nothing": {strings.TrimSuffix(good, "}") + `,"langevin":{"pad":9999}}`, ErrFormat, []string{"langevin", "9999"}},
	} {
		_, err := Parse("some/tokenizer.json", []byte(c.json))
		var e *badfile.Error
		if !errors.As(err, &e) || !errors.Is(err, c.kind) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, want := range append(c.want, "some/tokenizer.json") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", name, err, want)
			}
		}
	}
}

// The conventions of other files: merges as lines, templates, a special token found in normalised text, a space in front.
func TestOtherForms(t *testing.T) {
	tok, err := Parse("", []byte(`{
		"added_tokens":[{"id":5,"content":"[X]","normalized":true,"special":true},{"id":6,"content":"[XY]","special":true},{"id":7,"content":"[s]","special":true}],
		"normalizer":{"type":"Lowercase"},
		"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":true,"use_regex":false}]},
		"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",
			"single":[{"SpecialToken":{"id":"[s]","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"[s]":{"id":"[s]","ids":[7],"tokens":["[s]"]}}}]},
		"model":{"type":"BPE","ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2,"Ġ":3,"Ġabb":4},"merges":["a b"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"ABB":     {7, 4},    // a whole token, which no merge makes
		"ab":      {7, 3, 2}, // and otherwise merges
		" AB":     {7, 3, 2}, // no second space
		"aczb":    {7, 3, 2}, // unknown characters leave no trace
		"a[x]b":   {7, 3, 0, 5, 3, 1},
		"a[XY]b":  {7, 3, 0, 6, 3, 1}, // as it stands only
		"a[X][s]": {7, 3, 0, 5, 7},
	} {
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(parts ...string) {
		t.Helper()
		_, err := Open(dir)
		for _, p := range parts {
			if err == nil || !strings.Contains(err.Error(), p) {
				t.Errorf("got %v, want %q in it", err, p)
			}
		}
	}
	wants("tokenizer.json", "vocab.json", dir)
	write("vocab.json", `{"a":0,"b":1,"ab":2,"<|startoftext|>":3,"<|endoftext|>":4,"b</w>":5,"ab</w>":6}`)
	write("merges.txt", "#version: 0.2\na b\na  b\n")
	wants("merges.txt", "byte 18", "merge 2", `"a  b"`)
	write("merges.txt", "#version: 0.2\na b\r\na b</w>\n")
	write("tokenizer_config.json", `{"pad_token":{"content":"b"},"model_max_length":1000000000000000019884624838656}`)
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := tok.Fit("AB", 5); !slices.Equal(got, []int32{3, 6, 4, 1, 1}) || tok.Limit() != 0 {
		t.Errorf("got %v, limit %d", got, tok.Limit())
	}
	write("tokenizer_config.json", `{"pad_token":"q","model_max_length":77}`)
	wants("tokenizer_config.json", "pad_token", `"q"`)
	write("tokenizer_config.json", `{"pad_token":null,"model_max_length":77}`)
	if tok, err = Open(dir); err != nil || tok.Limit() != 77 || tok.Pad() != 4 {
		t.Errorf("%v %v", tok, err)
	}
	if again, err := Parse("", tok.JSON()); err != nil || again.Limit() != 77 || again.Pad() != 4 {
		t.Errorf("%v %v", again, err)
	}
	if _, err := Open(filepath.Join(dir, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
