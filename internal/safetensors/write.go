package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/internal/badfile"
)

// Entry is a tensor to be written. Data writes its elements, little endian,
// when their turn comes, so that they need not all be in memory at once.
type Entry struct {
	Name  string
	DType DType
	Shape []int
	Data  func(w io.Writer) error
}

// Float32 is an F32 entry. It keeps data, which must not change before it is written.
func Float32(name string, shape []int, data []float32) Entry {
	return entry(name, F32, shape, data, func(b []byte, v float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(v)) })
}

// Float64 is an F64 entry. It keeps data.
func Float64(name string, shape []int, data []float64) Entry {
	return entry(name, F64, shape, data, func(b []byte, v float64) { binary.LittleEndian.PutUint64(b, math.Float64bits(v)) })
}

// Int64 is an I64 entry. It keeps data.
func Int64(name string, shape []int, data []int64) Entry {
	return entry(name, I64, shape, data, func(b []byte, v int64) { binary.LittleEndian.PutUint64(b, uint64(v)) })
}

// Int32 is an I32 entry. It keeps data.
func Int32(name string, shape []int, data []int32) Entry {
	return entry(name, I32, shape, data, func(b []byte, v int32) { binary.LittleEndian.PutUint32(b, uint32(v)) })
}

// Bytes is an entry of any dtype from its little-endian bytes. It keeps data.
func Bytes(name string, dtype DType, shape []int, data []byte) Entry {
	return Entry{name, dtype, shape, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

func entry[T any](name string, dtype DType, shape []int, data []T, put func(b []byte, v T)) Entry {
	return Entry{name, dtype, shape, func(w io.Writer) error {
		const chunk = 1 << 13
		size := dtype.Size()
		buf := make([]byte, min(chunk, len(data))*size)
		for part := range slices.Chunk(data, chunk) {
			for i, v := range part {
				put(buf[i*size:], v)
			}
			if _, err := w.Write(buf[:len(part)*size]); err != nil {
				return err
			}
		}
		return nil
	}}
}

// WriteFile writes a file at path, whole or not at all. See [Write].
func WriteFile(path string, tensors []Entry, metadata map[string]string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, tensors, metadata) })
}

// Write writes a safetensors file. Its bytes depend on the tensors and the
// metadata alone, not on the order of tensors: the widest elements stand first
// (so that each tensor is aligned to its elements), then names in order. The
// header is padded with spaces to a multiple of 8 bytes.
//
// A name twice, a shape that is not the data's, or a string that is not UTF-8
// is an [Error] of kind ErrArgument.
func Write(w io.Writer, tensors []Entry, metadata map[string]string) error {
	order := slices.Clone(tensors)
	slices.SortStableFunc(order, func(a, b Entry) int {
		if d := b.DType.Size() - a.DType.Size(); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	text, lens, err := marshalHeader(order, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for i, e := range order {
		c := &exactWriter{w: w, left: lens[i]}
		err := e.Data(c)
		if c.over || err == nil && c.left > 0 {
			return argument(e.Name, "%s of shape %v takes %d bytes, its data have %s", e.DType, e.Shape, lens[i], map[bool]string{true: "more", false: "fewer"}[c.over])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func argument(tensor, format string, args ...any) error {
	return badfile.New("", ErrArgument, format, args...).In(item(tensor))
}

// exactWriter refuses more than left bytes.
type exactWriter struct {
	w    io.Writer
	left int64
	over bool
}

func (e *exactWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		e.over = true
		return 0, io.ErrShortWrite
	}
	n, err := e.w.Write(p)
	e.left -= int64(n)
	return n, err
}

// marshalHeader gives the padded header of the tensors in their order, and each one's length in bytes.
func marshalHeader(tensors []Entry, metadata map[string]string) ([]byte, []int64, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(metadata) > 0 {
		b.WriteString(`"` + metadataKey + `":{`)
		for i, k := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := quote(&b, k); err != nil {
				return nil, nil, err
			}
			b.WriteByte(':')
			if err := quote(&b, metadata[k]); err != nil {
				return nil, nil, err
			}
		}
		b.WriteByte('}')
	}
	lens := make([]int64, len(tensors))
	seen := map[string]bool{metadataKey: true}
	at := int64(0)
	for i, e := range tensors {
		if seen[e.Name] {
			return nil, nil, argument(e.Name, "the name is taken")
		}
		seen[e.Name] = true
		n, ok := byteLen(e.DType, e.Shape)
		if e.DType.Size() == 0 || !ok || n > math.MaxInt64-at {
			return nil, nil, argument(e.Name, "%s of shape %v cannot be stored", e.DType, e.Shape)
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		if err := quote(&b, e.Name); err != nil {
			return nil, nil, err
		}
		shape := "[" + strings.ReplaceAll(strings.Trim(fmt.Sprint(e.Shape), "[]"), " ", ",") + "]"
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, e.DType, shape, at, at+n)
		lens[i] = n
		at += n
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > MaxHeader {
		return nil, nil, argument("", "the header has %d bytes, more than the %d allowed", b.Len(), MaxHeader)
	}
	return b.Bytes(), lens, nil
}

func quote(b *bytes.Buffer, s string) error {
	if !utf8.ValidString(s) {
		return argument("", "%q is not UTF-8", s)
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // Encode ends with a newline
	return nil
}
