package text

import "encoding/json"

func ptr[T any](v T) *T { return &v }

func specialToken(ids map[string]int32, name string) addedToken {
	return addedToken{ID: ids[name], Content: name, Special: true}
}

// clipDefinition is what CLIPTokenizer makes of a vocabulary.
func clipDefinition(ids map[string]int32, ms merges) definition {
	d := definition{Version: "1.0", Decoder: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`)}
	d.Normalizer = &component{Type: "Sequence", Normalizers: []component{
		{Type: "NFC"}, {Type: "Replace", Pattern: &pattern{Regex: ptr(`\s+`)}, Content: ptr(" ")}, {Type: "Lowercase"}}}
	d.PreTokenizer = &component{Type: "Sequence", PreTokenizers: []component{
		{Type: "Split", Pattern: &pattern{Regex: ptr(clipPatternOf5)}, Behavior: "Removed", Invert: true},
		{Type: "ByteLevel", PrefixSpace: ptr(false), TrimOffsets: ptr(true), UseRegex: ptr(true)}}}
	d.AddedTokens = []addedToken{specialToken(ids, clipBOS), specialToken(ids, clipEOS)}
	token := func(name string) json.RawMessage {
		b, _ := json.Marshal([]any{name, ids[name]}) // a string and a number always can be
		return b
	}
	d.PostProcessor = &component{Type: "RobertaProcessing", Sep: token(clipEOS), Cls: token(clipBOS), TrimOffsets: ptr(false), PrefixSpace: ptr(false)}
	d.Model = modelDefinition{Type: "BPE", Unk: ptr(clipEOS), Prefix: ptr(""), Suffix: ptr(endOfWord), Vocab: ids, Merges: ms}
	return d
}

// endOfWord marks the last token of a word in CLIP's vocabularies.
const endOfWord = "</w>"

// gpt2Definition is what GPT2Tokenizer makes of a vocabulary.
func gpt2Definition(ids map[string]int32, ms merges) definition {
	d := definition{Version: "1.0", Decoder: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`)}
	d.PreTokenizer = &component{Type: "ByteLevel", PrefixSpace: ptr(false), TrimOffsets: ptr(true), UseRegex: ptr(true)}
	if _, ok := ids[clipEOS]; ok {
		d.AddedTokens = []addedToken{specialToken(ids, clipEOS)}
	}
	d.Model = modelDefinition{Type: "BPE", Prefix: ptr(""), Suffix: ptr(""), Vocab: ids, Merges: ms}
	return d
}
