package safetensors

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/bits"
	"sort"
	"strconv"
	"unicode/utf8"

	"github.com/langevin-go/langevin/internal/badfile"
)

// MaxHeader is the longest header that is read, in bytes: the limit that the
// reference implementation sets.
const MaxHeader = 100_000_000

const metadataKey = "__metadata__"

// Info describes a tensor of a file.
type Info struct {
	Name  string
	DType DType
	Shape []int // outermost first; empty for a scalar
	// Begin and End bound the tensor's bytes, counted from the end of the header.
	Begin, End int64
}

// Len is the number of elements.
func (i Info) Len() int {
	n := 1
	for _, d := range i.Shape {
		n *= d // checked when the header was read
	}
	return n
}

// header is the parsed JSON.
type header struct {
	tensors  map[string]Info
	metadata map[string]string
}

// parser reads the header token by token, so that what encoding/json would
// forgive (duplicate keys, unknown fields, 1.0 for 1, invalid UTF-8) is refused.
type parser struct {
	dec  *json.Decoder
	base int64
}

// parseHeader reads text, which stands at offset base of the file and
// describes data bytes of tensors.
func parseHeader(text []byte, base, data int64) (*header, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, badfile.At("", base, ErrFormat, "the header must begin with {")
	}
	if !utf8.Valid(text) {
		return nil, badfile.At("", base, ErrFormat, "the header is not UTF-8")
	}
	p := &parser{dec: json.NewDecoder(bytes.NewReader(text)), base: base}
	p.dec.UseNumber()
	h := &header{tensors: map[string]Info{}}
	err := p.object("", func(key string) error {
		if key == metadataKey {
			var err error
			h.metadata, err = p.metadata()
			return err
		}
		info, err := p.tensor(key)
		h.tensors[key] = info
		return err
	})
	if err != nil {
		return nil, err
	}
	end := p.dec.InputOffset()
	if rest := bytes.TrimLeft(text[end:], " \t\r\n"); len(rest) > 0 {
		return nil, badfile.At("", base+int64(len(text)-len(rest)), ErrFormat, "more text after the header's closing }")
	}
	return h, h.checkLayout(data)
}

func (p *parser) fail(tensor, format string, args ...any) error {
	return badfile.At("", p.base+p.dec.InputOffset(), ErrFormat, format, args...).In(item(tensor))
}

// token reads one token; want says what ought to be there.
func (p *parser) token(tensor, want string) (json.Token, error) {
	t, err := p.dec.Token()
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, p.fail(tensor, "the header ends early, where it should have %s", want)
	}
	if err != nil {
		return nil, p.fail(tensor, "the header is not valid JSON: %v", err)
	}
	return t, nil
}

func (p *parser) delim(d json.Delim, tensor, want string) error {
	t, err := p.token(tensor, want)
	if err == nil && t != d {
		err = p.fail(tensor, "got %v, want %s", t, want)
	}
	return err
}

func (p *parser) string(tensor, want string) (string, error) {
	t, err := p.token(tensor, want)
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", p.fail(tensor, "got %v, want %s", t, want)
	}
	return s, nil
}

// object reads {"key": value, …}, calling value after each key.
func (p *parser) object(tensor string, value func(key string) error) error {
	if err := p.delim('{', tensor, "an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.dec.More() {
		key, err := p.string(tensor, "a key")
		if err != nil {
			return err
		}
		if seen[key] {
			return p.fail(tensor, "%q stands twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim('}', tensor, "a closing }")
}

func (p *parser) metadata() (map[string]string, error) {
	m := map[string]string{}
	err := p.object("", func(key string) (err error) {
		m[key], err = p.string("", "metadata as a string")
		return err
	})
	return m, err
}

func (p *parser) tensor(name string) (Info, error) {
	info := Info{Name: name}
	fields := 0
	var offsets []int64
	err := p.object(name, func(key string) (err error) {
		fields++
		switch key {
		case "dtype":
			var s string
			s, err = p.string(name, "the dtype's name")
			info.DType = DType(s)
			if err == nil && info.DType.Size() == 0 {
				err = p.fail(name, "unknown dtype %q", s)
			}
		case "shape":
			var dims []int64
			dims, err = p.numbers(name)
			info.Shape = make([]int, len(dims))
			for i, d := range dims {
				if d > math.MaxInt {
					return p.fail(name, "dimension %d is too large", d)
				}
				info.Shape[i] = int(d)
			}
		case "data_offsets":
			offsets, err = p.numbers(name)
		default:
			err = p.fail(name, "unknown field %q; a tensor has dtype, shape and data_offsets", key)
		}
		return err
	})
	if err != nil {
		return info, err
	}
	if fields != 3 {
		return info, p.fail(name, "a tensor must have dtype, shape and data_offsets")
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return info, p.fail(name, "data_offsets are %v, want [begin, end]", offsets)
	}
	info.Begin, info.End = offsets[0], offsets[1]
	want, ok := byteLen(info.DType, info.Shape)
	if !ok {
		return info, p.fail(name, "shape %v overflows", info.Shape)
	}
	if want != info.End-info.Begin {
		return info, p.fail(name, "%s of shape %v takes %d bytes, but its data_offsets span %d", info.DType, info.Shape, want, info.End-info.Begin)
	}
	return info, nil
}

// numbers reads an array of non-negative integers.
func (p *parser) numbers(tensor string) ([]int64, error) {
	if err := p.delim('[', tensor, "an array"); err != nil {
		return nil, err
	}
	ns := []int64{}
	for p.dec.More() {
		t, err := p.token(tensor, "a number")
		if err != nil {
			return nil, err
		}
		lit, ok := t.(json.Number)
		if !ok {
			return nil, p.fail(tensor, "got %v, want a number", t)
		}
		n, err := strconv.ParseUint(string(lit), 10, 63)
		if err != nil {
			return nil, p.fail(tensor, "got %s, want an integer of at least 0 and below 2⁶³", lit)
		}
		ns = append(ns, int64(n))
	}
	return ns, p.delim(']', tensor, "a closing ]")
}

// byteLen is the size of a tensor, or false where it or the number of elements
// overflows. An overflow hidden by a later 0 is one too.
func byteLen(d DType, shape []int) (int64, bool) {
	n := uint64(d.Size())
	for _, dim := range shape {
		if dim < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 || lo > math.MaxInt {
			return 0, false
		}
		n = lo
	}
	return int64(n), true
}

// checkLayout makes sure that the tensors fill data bytes without a hole or an
// overlap: nothing can hide between them, and no two share memory.
func (h *header) checkLayout(data int64) error {
	infos := make([]Info, 0, len(h.tensors))
	for _, i := range h.tensors {
		infos = append(infos, i)
	}
	sort.Slice(infos, func(a, b int) bool {
		x, y := infos[a], infos[b]
		if x.Begin != y.Begin {
			return x.Begin < y.Begin
		}
		if x.End != y.End {
			return x.End < y.End // an empty tensor stands before the one that begins where it does
		}
		return x.Name < y.Name
	})
	at := int64(0)
	for _, i := range infos {
		if i.Begin < at {
			return badfile.New("", ErrFormat, "its bytes %d to %d overlap another tensor's, which end at %d", i.Begin, i.End, at).In(item(i.Name))
		}
		if i.Begin > at {
			return badfile.New("", ErrFormat, "it begins at %d, which leaves a hole after %d", i.Begin, at).In(item(i.Name))
		}
		at = i.End
	}
	switch {
	case at > data:
		return badfile.New("", ErrFormat, "the file is truncated: its tensors take %d bytes, it holds %d of them", at, data)
	case at < data:
		return badfile.New("", ErrFormat, "its tensors take %d bytes, but it holds %d: %d bytes belong to none", at, data, data-at)
	}
	return nil
}
