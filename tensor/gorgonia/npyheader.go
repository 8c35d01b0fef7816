package gorgonia

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
)

// NPYError says what is wrong with a .npy file, where, and what would be right.
type NPYError = badfile.Error

// ErrFormat is the kind of an [NPYError] about a file's content.
var ErrFormat = badfile.ErrFormat

// maxNPYHeader bounds the header's text: NumPy's own reader stops at 10,000 bytes.
const maxNPYHeader = 1 << 16

const npyMagic = "\x93NUMPY"

// npyHeader describes the array that follows it.
type npyHeader struct {
	descr   string // dtype as NumPy writes it: '<f4'
	fortran bool   // column-major
	shape   []int
	size    int64 // of the header itself, in bytes
}

// readNPYHeader reads the magic, the version (1.0 or 2.0) and the dictionary.
func readNPYHeader(r io.Reader, path string) (*npyHeader, error) {
	fail := func(at int64, format string, args ...any) (*npyHeader, error) {
		return nil, badfile.At(path, at, ErrFormat, format, args...)
	}
	var b [12]byte
	if err := badfile.Full(r, b[:10], path, 0, ErrFormat, "the header"); err != nil {
		return nil, err
	}
	if string(b[:6]) != npyMagic {
		return fail(0, "the file begins with %q, want %q: this is not a .npy file", b[:6], npyMagic)
	}
	start, n := int64(10), int(b[8])|int(b[9])<<8
	switch {
	case b[6] == 1 && b[7] == 0:
	case b[6] == 2 && b[7] == 0:
		if err := badfile.Full(r, b[10:12], path, 10, ErrFormat, "the header"); err != nil {
			return nil, err
		}
		start, n = 12, n|int(b[10])<<16|int(b[11])<<24
	default:
		return fail(6, "version %d.%d, want 1.0 or 2.0: save the array again with numpy.save", b[6], b[7])
	}
	if n > maxNPYHeader || n < 0 {
		return fail(8, "the header has %d bytes, more than the %d allowed", uint32(n), maxNPYHeader)
	}
	text := make([]byte, n)
	if err := badfile.Full(r, text, path, start, ErrFormat, "the header"); err != nil {
		return nil, err
	}
	h, at, problem := parseNPYDict(string(text))
	if problem != "" {
		return fail(start+int64(at), "%s", problem)
	}
	h.size = start + int64(n)
	return h, nil
}

// parseNPYDict reads the Python dictionary literal of a header, which has
// exactly the keys descr, fortran_order and shape. A problem comes with its place in s.
func parseNPYDict(s string) (h *npyHeader, at int, problem string) {
	p := &literal{s: s}
	h = &npyHeader{}
	seen := map[string]bool{}
	p.expect("{")
	for p.problem == "" && !p.accept("}") {
		key := p.quoted()
		if seen[key] {
			p.fail(fmt.Sprintf("the key %q stands twice", key))
		}
		seen[key] = true
		p.expect(":")
		switch key {
		case "descr":
			h.descr = p.quoted()
		case "fortran_order":
			h.fortran = p.accept("True")
			if !h.fortran {
				p.expect("False")
			}
		case "shape":
			h.shape = p.tuple()
		default:
			p.fail(fmt.Sprintf("unknown key %q", key))
		}
		if !p.accept(",") {
			p.expect("}")
			break
		}
	}
	if p.space(); p.problem == "" && p.at != len(s) {
		p.fail("more text after the closing }")
	}
	if p.problem == "" && len(seen) != 3 {
		p.fail("the header must have the keys descr, fortran_order and shape")
	}
	return h, p.at, p.problem
}

// literal scans the few Python literals of a header; the first problem stops it.
type literal struct {
	s       string
	at      int
	problem string
}

func (p *literal) fail(problem string) {
	if p.problem == "" {
		p.problem = problem
	}
}

func (p *literal) space() {
	for p.problem == "" && p.at < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.at]) >= 0 {
		p.at++
	}
}

func (p *literal) accept(token string) bool {
	p.space()
	if p.problem != "" || !strings.HasPrefix(p.s[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *literal) expect(token string) {
	if !p.accept(token) {
		p.fail(fmt.Sprintf("want %s here", token))
	}
}

func (p *literal) quoted() string {
	for _, q := range []string{"'", `"`} {
		if p.accept(q) {
			n := strings.Index(p.s[p.at:], q)
			if n < 0 {
				p.fail("a string without an end")
				return ""
			}
			v := p.s[p.at : p.at+n]
			p.at += n + 1
			return v
		}
	}
	p.fail("want a string here (arrays of records are not read)")
	return ""
}

func (p *literal) tuple() []int {
	shape := []int{}
	p.expect("(")
	for p.problem == "" && !p.accept(")") {
		p.space()
		start := p.at
		for p.at < len(p.s) && p.s[p.at] >= '0' && p.s[p.at] <= '9' {
			p.at++
		}
		n, err := strconv.Atoi(p.s[start:p.at])
		if err != nil {
			p.fail("want an integer of at least 0 here")
			break
		}
		p.accept("L") // as Python 2 wrote it
		shape = append(shape, n)
		if !p.accept(",") {
			p.expect(")")
			break
		}
	}
	if len(shape) > 32 {
		p.fail("more than 32 dimensions")
	}
	return shape
}
