package text

import (
	"slices"
	"strings"
)

// Names of CLIP's special tokens; GPT-2 has the second only.
const (
	clipBOS = "<|startoftext|>"
	clipEOS = "<|endoftext|>"
)

// Tokenizer maps text to ids and back. Many goroutines may use one.
type Tokenizer struct {
	bpe      bpe
	style    style
	specials []special
	pad      int32
	limit    int    // tokens that the text encoder it belongs to takes; 0: not said
	from     []byte // the tokenizer.json that says all of it
}

// style is what happens to text around the merges.
type style struct {
	norms       []normalizer
	splits      []splitter
	prefixSpace bool
	before      []int32 // ids that every text begins with
	after       []int32 // … and ends with
}

// special is a token that is found in text as it stands.
type special struct {
	text       string
	id         int32
	normalized bool // found after normalisation, itself normalised
	control    bool // not part of the text that Decode gives
}

// Size is the number of rows that an embedding of the ids needs: one more than the largest.
func (t *Tokenizer) Size() int { return len(t.bpe.tokens) }

// ID is the id of a token.
func (t *Tokenizer) ID(token string) (id int32, ok bool) {
	id, ok = t.bpe.ids[token]
	return id, ok
}

// Token is the token of an id as vocabularies spell it; empty where there is none.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.bpe.tokens) {
		return ""
	}
	return t.bpe.tokens[id]
}

// Limit is how many ids the text encoder takes that the tokenizer was made for; 0: not known.
func (t *Tokenizer) Limit() int { return t.limit }

// Pad is the id that fills what Fit leaves empty.
func (t *Tokenizer) Pad() int32 { return t.pad }

// End is the id that every text ends with, −1 if there is none.
func (t *Tokenizer) End() int32 {
	if n := len(t.style.after); n > 0 {
		return t.style.after[n-1]
	}
	return -1
}

// Encode gives the ids of a text between those that every text begins and ends with.
// Bytes that are not valid UTF-8 count as U+FFFD each.
func (t *Tokenizer) Encode(s string) []int32 {
	ids := t.tokens(slices.Clone(t.style.before), s)
	return append(ids, t.style.after...)
}

// Fit is Encode with exactly length ids: what is too long loses its end, save for
// what every text ends with, and the rest is filled with Pad. n is the number of ids
// that are not filling, whole whether nothing was lost. length must have room for
// the ids that every text begins and ends with.
func (t *Tokenizer) Fit(s string, length int) (ids []int32, n int, whole bool) {
	before, after := len(t.style.before), len(t.style.after)
	if length < before+after {
		panic("text: Fit to fewer ids than every text begins and ends with")
	}
	ids = t.tokens(slices.Clone(t.style.before), s)
	if whole = len(ids)+after <= length; !whole {
		ids = ids[:length-after]
	}
	ids = append(ids, t.style.after...)
	n = len(ids)
	for len(ids) < length {
		ids = append(ids, t.pad)
	}
	return ids, n, whole
}

// Least is the shortest length that Fit takes.
func (t *Tokenizer) Least() int { return len(t.style.before) + len(t.style.after) }

// tokens appends the ids of a text, found special tokens among them.
func (t *Tokenizer) tokens(ids []int32, s string) []int32 {
	t.around(valid(s), false, func(raw string) {
		t.around(apply(t.style.norms, raw), true, func(clean string) {
			if t.style.prefixSpace && clean != "" && !strings.HasPrefix(clean, " ") {
				clean = " " + clean
			}
			ids = t.pieces(ids, clean, t.style.splits)
		}, func(id int32) { ids = append(ids, id) })
	}, func(id int32) { ids = append(ids, id) })
	return ids
}

// pieces cuts s by the splitters, one within the other, and encodes what is left.
func (t *Tokenizer) pieces(ids []int32, s string, by []splitter) []int32 {
	if len(by) == 0 {
		return t.bpe.word(ids, byteLevel(s))
	}
	by[0](s, func(p string) { ids = t.pieces(ids, p, by[1:]) })
	return ids
}

// around calls rest with what lies between special tokens of one kind, and found with their ids: the
// leftmost first, and of those at one place the longest.
func (t *Tokenizer) around(s string, normalized bool, rest func(string), found func(int32)) {
	for {
		at, hit := -1, special{}
		for _, sp := range t.specials {
			if sp.normalized != normalized {
				continue
			}
			i := strings.Index(s, sp.text)
			if i >= 0 && (at < 0 || i < at || i == at && len(sp.text) > len(hit.text)) {
				at, hit = i, sp
			}
		}
		if at < 0 {
			break
		}
		if at > 0 {
			rest(s[:at])
		}
		found(hit.id)
		s = s[at+len(hit.text):]
	}
	if s != "" {
		rest(s)
	}
}

// Decode gives the text of ids, without special tokens. What merges tore apart
// within a character comes out as U+FFFD.
func (t *Tokenizer) Decode(ids []int32) string {
	var b []byte
	for _, id := range ids {
		tok := t.Token(id)
		if t.isControl(id) {
			continue
		}
		if t.bpe.suffix != "" {
			if w, end := strings.CutSuffix(tok, t.bpe.suffix); end {
				b = append(append(b, unspell(w)...), ' ')
				continue
			}
		}
		b = append(b, unspell(tok)...)
	}
	s := valid(string(b))
	if t.bpe.suffix != "" {
		s = strings.TrimRight(s, " ")
	}
	return s
}

func (t *Tokenizer) isControl(id int32) bool {
	return slices.ContainsFunc(t.specials, func(s special) bool { return s.id == id && s.control })
}
