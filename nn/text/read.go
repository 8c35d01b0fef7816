package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Kinds of errors of this package, for errors.Is; all are of internal/badfile's one
// type, whose message names file, place and what would be right.
var (
	ErrFormat      = errors.New("not a valid tokenizer")
	ErrUnsupported = errors.New("not supported")
)

// Bounds of what is read. Vocabularies of language models have up to 300,000 tokens.
const (
	maxFile     = 64 << 20
	maxTokens   = 1 << 20
	maxSpecials = 1 << 12
)

// The names of a tokenizer's files.
const (
	jsonName   = "tokenizer.json"
	vocabName  = "vocab.json"
	mergesName = "merges.txt"
	configName = "tokenizer_config.json"
)

// Open reads a tokenizer.json, or a folder that has one, or else vocab.json and
// merges.txt: then the conventions are CLIP's if the vocabulary has the token
// <|startoftext|>, else GPT-2's. The padding token and the text encoder's length
// are taken from a tokenizer_config.json beside it.
func Open(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	if !info.IsDir() {
		return readJSON(path, filepath.Join(filepath.Dir(path), configName))
	}
	config := filepath.Join(path, configName)
	if exists(filepath.Join(path, jsonName)) {
		return readJSON(filepath.Join(path, jsonName), config)
	}
	vocab, merges := filepath.Join(path, vocabName), filepath.Join(path, mergesName)
	if !exists(vocab) || !exists(merges) {
		return nil, badfile.New(path, ErrFormat, "has no tokenizer: want %s, or %s and %s", jsonName, vocabName, mergesName)
	}
	t, err := ReadFiles(vocab, merges)
	if err != nil {
		return nil, err
	}
	return t, t.configure(config)
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func readJSON(path, config string) (*Tokenizer, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	t, err := Parse(path, b)
	if err != nil {
		return nil, err
	}
	return t, t.configure(config)
}

// ReadFiles reads a vocabulary and its merges; see [Open].
func ReadFiles(vocab, merges string) (*Tokenizer, error) {
	v, err := readBounded(vocab)
	if err != nil {
		return nil, err
	}
	m, err := readBounded(merges)
	if err != nil {
		return nil, err
	}
	ids, err := parseVocab(vocab, v)
	if err != nil {
		return nil, err
	}
	ms, err := parseMerges(merges, m)
	if err != nil {
		return nil, err
	}
	def := gpt2Definition(ids, ms)
	if _, ok := ids[clipBOS]; ok {
		def = clipDefinition(ids, ms)
	}
	return build(vocab, def)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	if len(b) > maxFile {
		return nil, badfile.New(path, ErrFormat, "is longer than %d bytes: not a tokenizer", maxFile)
	}
	return b, nil
}

func parseVocab(path string, b []byte) (map[string]int32, error) {
	ids := map[string]int32{}
	if err := decode(path, b, &ids); err != nil {
		return nil, err
	}
	return ids, nil
}

// decode reads one JSON value and nothing behind it.
func decode(path string, b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(into); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return badfile.At(path, syntax.Offset, ErrFormat, "is not valid JSON: %v", err)
		case errors.As(err, &kind):
			return badfile.At(path, kind.Offset, ErrFormat, "field %q: must be a %v, is a %s", kind.Field, kind.Type, kind.Value)
		}
		var own *badfile.Error
		if errors.As(err, &own) {
			own.Path = path
			return own
		}
		return badfile.At(path, d.InputOffset(), ErrFormat, "is not valid JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return badfile.At(path, d.InputOffset(), ErrFormat, "has more text behind the object")
	}
	return nil
}

// parseMerges reads merges.txt: two tokens a line, the first merge first.
func parseMerges(path string, b []byte) ([][2]string, error) {
	var out [][2]string
	at := 0
	for line := range strings.Lines(string(b)) {
		start := at
		at += len(line)
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if strings.HasPrefix(line, "#version") || line == "" && at == len(b) {
			continue
		}
		parts := strings.Split(line, " ")
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
			return nil, badfile.At(path, int64(start), ErrFormat, "merge %d must be two tokens with a space between them, is %q", len(out)+1, shorten(line))
		}
		out = append(out, [2]string{parts[0], parts[1]})
	}
	return out, nil
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// configure takes the padding token and the length from a tokenizer_config.json, if it is there.
func (t *Tokenizer) configure(path string) error {
	if !exists(path) {
		return nil
	}
	b, err := readBounded(path)
	if err != nil {
		return err
	}
	var c struct {
		Pad   json.RawMessage `json:"pad_token"`
		Limit json.Number     `json:"model_max_length"`
	}
	if err := decode(path, b, &c); err != nil {
		return err
	}
	if len(c.Pad) > 0 && string(c.Pad) != "null" {
		name := ""
		var token struct {
			Content string `json:"content"`
		}
		switch {
		case json.Unmarshal(c.Pad, &name) == nil:
		case json.Unmarshal(c.Pad, &token) == nil:
			name = token.Content
		}
		id, ok := t.ID(name)
		if !ok {
			return badfile.New(path, ErrFormat, "field %q: must be a token of the vocabulary, is %s", "pad_token", shorten(string(c.Pad)))
		}
		t.pad = id
	}
	// Where no length is known the field holds an absurd number.
	if n, err := c.Limit.Int64(); err == nil && n > 0 && n <= maxTokens {
		t.limit = int(n)
	}
	return t.remember()
}
