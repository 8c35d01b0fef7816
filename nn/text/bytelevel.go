package text

import "strings"

// Byte-level tokenizers write every byte as a printable character (Radford et al.
// 2019): printable Latin-1 as itself, the others from U+0100 on in order.
var (
	byteToRune [256]rune
	runeToByte = map[rune]byte{}
	byteOrder  [256]byte // bytes in the order of the original vocabularies: printable ones first
)

func init() {
	printable := func(b int) bool { return b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae }
	n := 0
	for _, first := range []bool{true, false} {
		for b := range 256 {
			if printable(b) != first {
				continue
			}
			r := rune(b)
			if !first {
				r = rune(256 + n - (256 - 68)) // 68 bytes are not printable
			}
			byteToRune[b], runeToByte[r], byteOrder[n] = r, byte(b), byte(b)
			n++
		}
	}
}

// byteLevel spells s in the characters of vocabularies.
func byteLevel(s string) string {
	var b strings.Builder
	b.Grow(2 * len(s))
	for i := range len(s) {
		b.WriteRune(byteToRune[s[i]])
	}
	return b.String()
}

// unspell is the inverse; characters that stand for no byte stay as they are.
func unspell(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if b, ok := runeToByte[r]; ok {
			out = append(out, b)
		} else {
			out = append(out, string(r)...)
		}
	}
	return out
}
