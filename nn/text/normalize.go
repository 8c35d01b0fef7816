package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A normalizer rewrites text before it is split.
type normalizer func(string) string

// lower is lower case character by character, as Unicode's full mapping has it:
// İ alone becomes two characters.
func lower(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "\u0130", "i\u0307"))
}

// squeeze makes every run of white space one space.
func squeeze(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	within := false
	for _, r := range s {
		if unicode.IsSpace(r) {
			if !within {
				b.WriteByte(' ')
			}
			within = true
			continue
		}
		within = false
		b.WriteRune(r)
	}
	return b.String()
}

// cleanCLIP is CLIP's normalisation.
var cleanCLIP = []normalizer{norm.NFC.String, squeeze, lower}

func apply(ns []normalizer, s string) string {
	for _, n := range ns {
		s = n(s)
	}
	return s
}

// valid puts U+FFFD in the place of every byte that is not part of valid UTF-8.
func valid(s string) string { return string([]rune(s)) }
