package text

import (
	"encoding/json"
	"slices"

	"github.com/langevin-go/langevin/internal/badfile"
)

// definition is a tokenizer.json, as far as byte-level BPE uses it. Langevin has one
// member of its own, which other readers pass over: what a tokenizer_config.json says.
type definition struct {
	Version       string          `json:"version"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    *component      `json:"normalizer"`
	PreTokenizer  *component      `json:"pre_tokenizer"`
	PostProcessor *component      `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         modelDefinition `json:"model"`
	Langevin      *ownDefinition  `json:"langevin,omitempty"`
}

type ownDefinition struct {
	Pad   int32 `json:"pad"`
	Limit int   `json:"limit,omitempty"`
}

type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type modelDefinition struct {
	Type         string           `json:"type"`
	Dropout      *float64         `json:"dropout"`
	Unk          *string          `json:"unk_token"`
	Prefix       *string          `json:"continuing_subword_prefix"`
	Suffix       *string          `json:"end_of_word_suffix"`
	FuseUnk      bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       merges           `json:"merges"`
}

// merges are pairs, which older files write as one string.
type merges [][2]string

func (m *merges) UnmarshalJSON(b []byte) error {
	var pairs [][]string
	if json.Unmarshal(b, &pairs) == nil {
		for i, p := range pairs {
			if len(p) != 2 {
				return badfile.New("", ErrFormat, "field %q: merge %d must be two tokens, has %d", "merges", i+1, len(p))
			}
			*m = append(*m, [2]string{p[0], p[1]})
		}
		return nil
	}
	var lines []string
	if err := json.Unmarshal(b, &lines); err != nil {
		return err
	}
	for _, l := range lines {
		two, err := parseMerges("", []byte(l))
		if err != nil || len(two) != 1 {
			return badfile.New("", ErrFormat, "field %q: a merge must be two tokens with a space between them, is %q", "merges", shorten(l))
		}
		*m = append(*m, two[0])
	}
	return nil
}

// component is a part of the pipeline around the model.
type component struct {
	Type string `json:"type"`

	Normalizers   []component     `json:"normalizers,omitempty"`   // Sequence
	PreTokenizers []component     `json:"pretokenizers,omitempty"` // Sequence
	Processors    []component     `json:"processors,omitempty"`    // Sequence
	Pattern       *pattern        `json:"pattern,omitempty"`       // Replace, Split
	Content       *string         `json:"content,omitempty"`       // Replace
	Behavior      string          `json:"behavior,omitempty"`      // Split
	Invert        bool            `json:"invert,omitempty"`        // Split
	PrefixSpace   *bool           `json:"add_prefix_space,omitempty"`
	TrimOffsets   *bool           `json:"trim_offsets,omitempty"`
	UseRegex      *bool           `json:"use_regex,omitempty"` // ByteLevel; left out: true
	Sep           json.RawMessage `json:"sep,omitempty"`       // RobertaProcessing: [token, id]
	Cls           json.RawMessage `json:"cls,omitempty"`
	Single        []templatePiece `json:"single,omitempty"` // TemplateProcessing
	Pair          []templatePiece `json:"pair,omitempty"`
	SpecialTokens map[string]struct {
		ID  string  `json:"id"`
		IDs []int32 `json:"ids"`
	} `json:"special_tokens,omitempty"`
}

type pattern struct {
	Regex  *string `json:"Regex,omitempty"`
	String *string `json:"String,omitempty"`
}

type templatePiece struct {
	Special *struct {
		ID string `json:"id"`
	} `json:"SpecialToken,omitempty"`
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence,omitempty"`
}

// Parse reads the text of a tokenizer.json; path names it in errors.
func Parse(path string, b []byte) (*Tokenizer, error) {
	var d definition
	if err := decode(path, b, &d); err != nil {
		return nil, err
	}
	return build(path, d)
}

// JSON is the tokenizer.json of a tokenizer: [Parse] makes the same of it, and so do
// Hugging Face's libraries.
func (t *Tokenizer) JSON() []byte { return slices.Clone(t.from) }

// remember keeps the definition with what came to it.
func (t *Tokenizer) remember() error {
	var d definition
	if err := json.Unmarshal(t.from, &d); err != nil {
		return err
	}
	d.Langevin = &ownDefinition{Pad: t.pad, Limit: t.limit}
	var err error
	t.from, err = json.Marshal(d)
	return err
}
