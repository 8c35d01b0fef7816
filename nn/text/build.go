package text

import (
	"encoding/json"

	"github.com/langevin-go/langevin/internal/badfile"
	"golang.org/x/text/unicode/norm"
)

// builder makes a tokenizer of a definition and keeps the first complaint.
type builder struct {
	path string
	t    *Tokenizer
	err  error
}

func build(path string, d definition) (*Tokenizer, error) {
	b := &builder{path: path, t: &Tokenizer{}}
	b.model(d)
	b.specials(d.AddedTokens)
	if d.Normalizer != nil {
		b.normalizer(*d.Normalizer)
	}
	for i, s := range b.t.specials {
		if s.normalized { // it is looked for in normalised text
			b.t.specials[i].text = apply(b.t.style.norms, s.text)
		}
	}
	if d.PreTokenizer == nil {
		b.refuse("pre_tokenizer", "null", "ByteLevel, or a Sequence with it")
	} else if !b.preTokenizer(*d.PreTokenizer) {
		b.refuse("pre_tokenizer", d.PreTokenizer.Type, "ByteLevel, or a Sequence with it")
	}
	if d.PostProcessor != nil {
		b.postProcessor(*d.PostProcessor)
	}
	if b.err != nil {
		return nil, b.err
	}
	b.padding(d.Langevin)
	if b.err != nil {
		return nil, b.err
	}
	var err error
	b.t.from, err = json.Marshal(d)
	if err != nil {
		return nil, badfile.New(path, ErrFormat, "%v", err)
	}
	return b.t, nil
}

func (b *builder) fail(field string, kind error, format string, args ...any) {
	if b.err == nil {
		b.err = badfile.New(b.path, kind, format, args...).In("field \"" + field + "\"")
	}
}

func (b *builder) refuse(field, is, want string) {
	b.fail(field, ErrUnsupported, "must be %s, is %s", want, shorten(is))
}

// model takes vocabulary and merges.
func (b *builder) model(d definition) {
	m, t := d.Model, b.t
	set := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case m.Type != "BPE" && m.Type != "": // very old files have no type
		b.refuse("model.type", m.Type, "BPE")
	case m.Dropout != nil && *m.Dropout != 0:
		b.fail("model.dropout", ErrUnsupported, "must be null: merges that are left out at random are for training language models")
	case set(m.Prefix):
		b.refuse("model.continuing_subword_prefix", *m.Prefix, "empty")
	case m.FuseUnk:
		b.refuse("model.fuse_unk", "true", "false")
	case m.ByteFallback:
		b.refuse("model.byte_fallback", "true", "false")
	case len(m.Vocab) == 0:
		b.fail("model.vocab", ErrFormat, "has no tokens")
	case len(m.Vocab)+len(d.AddedTokens) > maxTokens || len(m.Merges) > maxTokens:
		b.fail("model.vocab", ErrFormat, "more than %d tokens or merges", maxTokens)
	}
	if b.err != nil {
		return
	}
	t.bpe = bpe{ids: make(map[string]int32, len(m.Vocab)), merges: make(map[pair]merge, len(m.Merges)), unk: -1, whole: m.IgnoreMerges}
	if m.Suffix != nil {
		t.bpe.suffix = *m.Suffix
	}
	for token, id := range m.Vocab {
		b.add("model.vocab", token, id)
	}
	if b.err == nil && set(m.Unk) {
		if id, ok := t.ID(*m.Unk); ok {
			t.bpe.unk = id
		} else {
			b.unknown("model.unk_token", *m.Unk, d.AddedTokens)
		}
	}
	for i, p := range m.Merges {
		b.merge(i, p)
	}
}

// unknown takes an unknown token that is an added one.
func (b *builder) unknown(field, token string, added []addedToken) {
	for _, a := range added {
		if a.Content == token {
			b.t.bpe.unk = a.ID
			return
		}
	}
	b.fail(field, ErrFormat, "%q is not in the vocabulary", shorten(token))
}

// add puts a token into the vocabulary.
func (b *builder) add(field, token string, id int32) {
	m := &b.t.bpe
	if id < 0 || id >= maxTokens {
		b.fail(field, ErrFormat, "token %q: the id must be from 0 to %d, is %d", shorten(token), maxTokens-1, id)
		return
	}
	for len(m.tokens) <= int(id) {
		m.tokens = append(m.tokens, "")
	}
	switch old, known := m.ids[token]; {
	case known && old != id:
		b.fail(field, ErrFormat, "token %q has the ids %d and %d", shorten(token), old, id)
	case token == "":
		b.fail(field, ErrFormat, "the token of id %d is empty", id)
	case !known && m.tokens[id] != "":
		// Maps have no order: name the two in one.
		one, other := m.tokens[id], token
		if one > other {
			one, other = other, one
		}
		b.fail(field, ErrFormat, "the tokens %q and %q have the same id %d", shorten(one), shorten(other), id)
	}
	m.ids[token], m.tokens[id] = id, token
}

func (b *builder) merge(i int, p [2]string) {
	if b.err != nil {
		return
	}
	m := &b.t.bpe
	var id [3]int32
	for k, s := range []string{p[0], p[1], p[0] + p[1]} {
		var ok bool
		if id[k], ok = m.ids[s]; !ok {
			b.fail("model.merges", ErrFormat, "merge %d: %q is not in the vocabulary", i+1, shorten(s))
			return
		}
	}
	// A pair that stands there twice has the later rank, as in the tokenizers library.
	m.merges[pair{id[0], id[1]}] = merge{rank: int32(i), into: id[2]}
}

func (b *builder) specials(added []addedToken) {
	if len(added) > maxSpecials {
		b.fail("added_tokens", ErrUnsupported, "must be at most %d, are %d", maxSpecials, len(added))
	}
	for _, a := range added {
		if b.err != nil {
			return
		}
		if a.SingleWord || a.LStrip || a.RStrip {
			b.fail("added_tokens", ErrUnsupported, "token %q: single_word, lstrip and rstrip must be false", shorten(a.Content))
			return
		}
		if a.Content == "" {
			b.fail("added_tokens", ErrFormat, "the token of id %d is empty", a.ID)
			return
		}
		b.add("added_tokens", a.Content, a.ID)
		b.t.specials = append(b.t.specials, special{text: a.Content, id: a.ID, normalized: a.Normalized, control: a.Special})
	}
}

func (b *builder) normalizer(c component) {
	add := func(n normalizer) { b.t.style.norms = append(b.t.style.norms, n) }
	switch c.Type {
	case "Sequence":
		for _, n := range c.Normalizers {
			if n.Type == "Sequence" {
				b.refuse("normalizer", "a Sequence within a Sequence", "flat")
			}
			b.normalizer(n)
		}
	case "NFC":
		add(norm.NFC.String)
	case "NFD":
		add(norm.NFD.String)
	case "NFKC":
		add(norm.NFKC.String)
	case "NFKD":
		add(norm.NFKD.String)
	case "Lowercase":
		add(lower)
	case "Replace":
		if c.Pattern == nil || c.Pattern.Regex == nil || *c.Pattern.Regex != `\s+` || c.Content == nil || *c.Content != " " {
			b.refuse("normalizer", "another Replace", `to Replace \s+ by a space`)
		}
		add(squeeze)
	default:
		b.refuse("normalizer", c.Type, `Sequence, NFC, NFD, NFKC, NFKD, Lowercase or Replace \s+`)
	}
}

// preTokenizer reports whether the byte-level one was among them.
func (b *builder) preTokenizer(c component) (bytes bool) {
	st := &b.t.style
	switch c.Type {
	case "Sequence":
		for i, p := range c.PreTokenizers {
			if p.Type == "Sequence" || bytes || p.PrefixSpace != nil && *p.PrefixSpace && i > 0 {
				b.refuse("pre_tokenizer", p.Type, "a flat Sequence that ends with ByteLevel, which adds no space")
				return true
			}
			bytes = b.preTokenizer(p)
		}
		return bytes
	case "ByteLevel":
		st.prefixSpace = c.PrefixSpace == nil || *c.PrefixSpace
		if c.UseRegex == nil || *c.UseRegex {
			st.splits = append(st.splits, splitGPT2)
		}
		return true
	case "Split":
		var split splitter
		if c.Pattern != nil && c.Pattern.Regex != nil {
			split = splitters[*c.Pattern.Regex]
		}
		// GPT-2's expression leaves nothing between its matches, so that it is the same however they are kept.
		isolates := c.Behavior == "Isolated" || c.Behavior == "Removed" && c.Invert
		drops := c.Behavior == "Removed" && c.Invert
		if split == nil || !drops && !(isolates && *c.Pattern.Regex == gpt2Pattern) {
			b.refuse("pre_tokenizer", "another Split", "a Split by the expression of GPT-2 (Isolated) or CLIP (Removed, inverted)")
			return false
		}
		st.splits = append(st.splits, split)
		return false
	}
	b.refuse("pre_tokenizer", c.Type, "ByteLevel, Split or a Sequence of them")
	return false
}

// postProcessor says what every text begins and ends with.
func (b *builder) postProcessor(c component) {
	st := &b.t.style
	switch c.Type {
	case "Sequence":
		for _, p := range c.Processors {
			if p.Type == "Sequence" {
				b.refuse("post_processor", "a Sequence within a Sequence", "flat")
				return
			}
			b.postProcessor(p)
		}
	case "ByteLevel": // offsets only
	case "RobertaProcessing", "BertProcessing":
		st.before = append(st.before, b.tokenOf("post_processor.cls", c.Cls))
		st.after = append(st.after, b.tokenOf("post_processor.sep", c.Sep))
	case "TemplateProcessing":
		b.template(c)
	default:
		b.refuse("post_processor", c.Type, "null, ByteLevel, RobertaProcessing or TemplateProcessing")
	}
}

// tokenOf reads [token, id].
func (b *builder) tokenOf(field string, raw json.RawMessage) int32 {
	var two []any
	if json.Unmarshal(raw, &two) == nil && len(two) == 2 {
		if s, ok := two[0].(string); ok {
			if id, ok := b.t.ID(s); ok && two[1] == float64(id) {
				return id
			}
		}
	}
	b.fail(field, ErrFormat, "must be a token of the vocabulary with its id, is %s", shorten(string(raw)))
	return 0
}

func (b *builder) template(c component) {
	st := &b.t.style
	seen := false
	for _, p := range c.Single {
		switch {
		case p.Sequence != nil && !seen:
			seen = true
		case p.Special != nil:
			for _, id := range c.SpecialTokens[p.Special.ID].IDs {
				if b.t.Token(id) == "" {
					b.fail("post_processor.special_tokens", ErrFormat, "id %d is not in the vocabulary", id)
				}
				if seen {
					st.after = append(st.after, id)
				} else {
					st.before = append(st.before, id)
				}
			}
		default:
			b.fail("post_processor.single", ErrFormat, "must be special tokens around one Sequence")
		}
	}
	if !seen {
		b.fail("post_processor.single", ErrFormat, "must have a Sequence")
	}
	if len(st.before)+len(st.after) > 64 {
		b.fail("post_processor.single", ErrUnsupported, "more than 64 special tokens")
	}
}

// padding is with the end-of-text token where nothing else is said: CLIP's convention.
func (b *builder) padding(own *ownDefinition) {
	t := b.t
	switch eos, ok := t.ID(clipEOS); {
	case own != nil:
		if t.Token(own.Pad) == "" || own.Limit < 0 || own.Limit > maxTokens {
			b.fail("langevin", ErrFormat, "pad %d or limit %d is impossible", own.Pad, own.Limit)
		}
		t.pad, t.limit = own.Pad, own.Limit
	case len(t.style.after) > 0:
		t.pad = t.End()
	case ok:
		t.pad = eos
	}
}
