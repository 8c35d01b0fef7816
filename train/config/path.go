package config

import (
	"strconv"
	"strings"
)

// path is the way from the document to a value: key names, and "[3]" for the
// elements of lists. The zero value is the document itself.
type path []string

// key and index extend a path without sharing its memory.
func (p path) key(name string) path { return append(p[:len(p):len(p)], name) }
func (p path) index(i int) path     { return p.key("[" + strconv.Itoa(i) + "]") }

// String gives optim.betas[1]. A key of odd characters is quoted and cut.
func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 && !isIndex(s) {
			b.WriteByte('.')
		}
		if plainKey(s) || isIndex(s) {
			b.WriteString(s)
		} else {
			b.WriteString(quote(s))
		}
	}
	return b.String()
}

// parsePath splits "a.b[1].c" and, as overrides may say it, "a.b.1.c".
func parsePath(s string) path {
	if s == "" {
		return nil
	}
	var p path
	for part := range strings.SplitSeq(s, ".") {
		name, rest, found := strings.Cut(part, "[")
		if name != "" || !found {
			p = append(p, name)
		}
		for found {
			var idx string
			idx, rest, _ = strings.Cut(rest, "]")
			p = append(p, "["+idx+"]")
			_, rest, found = strings.Cut(rest, "[")
		}
	}
	return p
}

func isIndex(s string) bool {
	_, ok := indexOf(s)
	return ok
}

// indexOf reads "[3]".
func indexOf(s string) (int, bool) {
	if len(s) < 3 || s[0] != '[' || s[len(s)-1] != ']' {
		return 0, false
	}
	i, err := strconv.Atoi(s[1 : len(s)-1])
	return i, err == nil && i >= 0
}

func plainKey(s string) bool {
	if s == "" || len(s) > 60 {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-/<>*", r)) {
			return false
		}
	}
	return true
}

// quote shows a user's text on one line, cut at 60 characters.
func quote(s string) string { return strconv.Quote(cut(s)) }

func cut(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}
