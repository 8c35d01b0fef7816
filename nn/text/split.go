package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A splitter cuts text into the pieces that merges stay within. Those of existing
// tokenizers are regular expressions with lookahead, which package regexp does not
// have: each is a scanner here, known by the expression it stands for.
type splitter func(s string, piece func(string))

// The expressions that files name.
const (
	gpt2Pattern    = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	clipPattern    = `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`
	clipPatternOf5 = `<\|startoftext\|>|<\|endoftext\|>|` + clipPattern // of transformers 5
)

var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

func contraction(s string) int {
	if !strings.HasPrefix(s, "'") {
		return 0
	}
	for _, c := range contractions {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	return 0
}

// class of a character, as the expressions tell them apart.
type class uint8

const (
	space class = iota
	letter
	number
	other
)

func classOf(r rune) class {
	switch {
	case unicode.IsSpace(r):
		return space
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	}
	return other
}

// run is the length of the characters of one class that s begins with.
func run(s string, c class) int {
	for i, r := range s {
		if classOf(r) != c {
			return i
		}
	}
	return len(s)
}

// splitGPT2 leaves nothing out: a space belongs to the word behind it.
func splitGPT2(s string, piece func(string)) {
	for len(s) > 0 {
		n := gpt2Piece(s)
		piece(s[:n])
		s = s[n:]
	}
}

func gpt2Piece(s string) int {
	if n := contraction(s); n > 0 {
		return n
	}
	lead := 0
	if s[0] == ' ' {
		lead = 1
	}
	if r, size := utf8.DecodeRuneInString(s[lead:]); size > 0 {
		if c := classOf(r); c != space {
			return lead + run(s[lead:], c)
		}
	}
	n := run(s, space)
	_, last := utf8.DecodeLastRuneInString(s[:n])
	if n == len(s) || n == last { // all of it at the end, or a single one
		return n
	}
	return n - last // the last one may belong to the word behind it
}

// splitCLIP drops white space and takes digits one by one.
func splitCLIP(s string, piece func(string)) { clipPieces(s, nil, piece) }

// splitCLIP5 also keeps the names of the special tokens whole.
func splitCLIP5(s string, piece func(string)) {
	clipPieces(s, []string{clipBOS, clipEOS}, piece)
}

func clipPieces(s string, whole []string, piece func(string)) {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		n := contraction(s)
		for _, w := range whole {
			if strings.HasPrefix(s, w) {
				n = len(w)
			}
		}
		switch c := classOf(r); {
		case n > 0:
		case c == space:
			s = s[size:]
			continue
		case c == number:
			n = size
		default:
			n = run(s, c)
		}
		piece(s[:n])
		s = s[n:]
	}
}

// splitters by the expression in a file.
var splitters = map[string]splitter{gpt2Pattern: splitGPT2, clipPattern: splitCLIP, clipPatternOf5: splitCLIP5}
