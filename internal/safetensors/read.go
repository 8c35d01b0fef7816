// Package safetensors reads and writes the safetensors format: a length, a
// JSON header, and the tensors' bytes, little endian
// (https://huggingface.co/docs/safetensors).
//
// The reader trusts nothing: a header of bounded length, every offset in range,
// tensors that fill the file without holes or overlaps, no name twice. It reads
// a tensor's bytes only when asked for them. Errors are an [Error].
package safetensors

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/langevin-go/langevin/internal/badfile"
)

// File is an open safetensors file. Its methods may be called by many goroutines at once.
type File struct {
	path   string
	r      io.ReaderAt
	close  func() error
	base   int64 // where the tensors' bytes begin
	header *header
}

// Open opens the file at path and checks its header. The caller closes it.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file; want a safetensors file")
	}
	if err != nil {
		f.Close()
		return nil, badfile.Read(path, err)
	}
	file, err := New(f, st.Size(), path)
	if err != nil {
		f.Close()
		return nil, err
	}
	file.close = f.Close
	return file, nil
}

// New reads size bytes of r as a safetensors file; path names it in errors.
func New(r io.ReaderAt, size int64, path string) (*File, error) {
	if size < 8 {
		return nil, badfile.New(path, ErrFormat, "the file has %d bytes, too few for a safetensors file", size)
	}
	var b [8]byte
	if err := readFull(r, b[:], 0); err != nil {
		return nil, badfile.Read(path, err)
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > MaxHeader {
		return nil, badfile.At(path, 0, ErrFormat, "the header would have %d bytes, more than the %d allowed: this is not a safetensors file", n, MaxHeader)
	}
	if int64(n) > size-8 {
		return nil, badfile.At(path, 0, ErrFormat, "the header should have %d bytes, but only %d follow: the file is truncated or not a safetensors file", n, size-8)
	}
	text := make([]byte, n)
	if err := readFull(r, text, 8); err != nil {
		return nil, badfile.Read(path, err)
	}
	h, err := parseHeader(text, 8, size-8-int64(n))
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Path = path
		}
		return nil, err
	}
	return &File{path: path, r: r, close: func() error { return nil }, base: 8 + int64(n), header: h}, nil
}

// Close closes the file. Tensors not read by then cannot be read any more.
func (f *File) Close() error { return f.close() }

// Path is the name that errors carry.
func (f *File) Path() string { return f.path }

// Names gives the tensors' names, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.header.tensors)) }

// Metadata gives the file's own strings: nil where it has none. The caller may change the map.
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.metadata) }

// Has tells whether there is a tensor of that name.
func (f *File) Has(name string) bool {
	_, ok := f.header.tensors[name]
	return ok
}

// Tensor finds a tensor without reading its bytes. The error is of kind ErrNoTensor.
func (f *File) Tensor(name string) (*Tensor, error) {
	info, ok := f.header.tensors[name]
	if !ok {
		return nil, badfile.New(f.path, ErrNoTensor, "the file has no such tensor").In(item(name))
	}
	info.Shape = slices.Clone(info.Shape)
	return &Tensor{Info: info, file: f}, nil
}

// Tensor is one tensor of an open file.
type Tensor struct {
	Info
	file *File
}

// Reader gives the tensor's bytes as they stand in the file, little endian.
func (t *Tensor) Reader() *io.SectionReader {
	return io.NewSectionReader(t.file.r, t.file.base+t.Begin, t.End-t.Begin)
}

// Bytes reads the tensor's bytes as they stand in the file, little endian.
func (t *Tensor) Bytes() ([]byte, error) {
	b := make([]byte, t.End-t.Begin)
	at := t.file.base + t.Begin
	if err := readFull(t.file.r, b, at); err != nil {
		return nil, t.readError(at, err)
	}
	return b, nil
}

// Float32s reads an F32, F16, BF16 or F64 tensor. F64 is rounded to nearest.
func (t *Tensor) Float32s() ([]float32, error) {
	dst := make([]float32, t.Len())
	return dst, t.ReadFloat32s(dst)
}

// ReadFloat32s reads like Float32s into dst, which must have t.Len() elements.
func (t *Tensor) ReadFloat32s(dst []float32) error { return readFloats(t, dst) }

// Float64s reads an F64, F32, F16 or BF16 tensor, exactly.
func (t *Tensor) Float64s() ([]float64, error) {
	dst := make([]float64, t.Len())
	return dst, t.ReadFloat64s(dst)
}

// ReadFloat64s reads like Float64s into dst, which must have t.Len() elements.
func (t *Tensor) ReadFloat64s(dst []float64) error { return readFloats(t, dst) }

// Int64s reads an I64, I32, I16, I8, U32, U16, U8 or BOOL (0 or 1) tensor.
func (t *Tensor) Int64s() ([]int64, error) {
	le := binary.LittleEndian
	dst := make([]int64, t.Len())
	var decode func(b []byte) int64
	switch t.DType {
	case I64:
		decode = func(b []byte) int64 { return int64(le.Uint64(b)) }
	case I32:
		decode = func(b []byte) int64 { return int64(int32(le.Uint32(b))) }
	case I16:
		decode = func(b []byte) int64 { return int64(int16(le.Uint16(b))) }
	case I8:
		decode = func(b []byte) int64 { return int64(int8(b[0])) }
	case U32:
		decode = func(b []byte) int64 { return int64(le.Uint32(b)) }
	case U16:
		decode = func(b []byte) int64 { return int64(le.Uint16(b)) }
	case U8, Bool:
		decode = func(b []byte) int64 { return int64(b[0]) }
	default:
		return nil, t.wrongDType("integers (I64, I32, I16, I8, U32, U16, U8, BOOL)")
	}
	err := t.chunks(func(at int, b []byte) {
		size := t.DType.Size()
		for i := 0; i < len(b); i += size {
			dst[at+i/size] = decode(b[i:])
		}
	})
	return dst, err
}

func readFloats[F float32 | float64](t *Tensor, dst []F) error {
	if len(dst) != t.Len() {
		return t.fail(ErrArgument, "it has %d elements (shape %v), the space to read it into has %d", t.Len(), t.Shape, len(dst))
	}
	le := binary.LittleEndian
	var decode func(dst []F, b []byte)
	switch t.DType {
	case F32:
		decode = func(dst []F, b []byte) {
			for i := range dst {
				dst[i] = F(math.Float32frombits(le.Uint32(b[4*i:])))
			}
		}
	case F64:
		decode = func(dst []F, b []byte) {
			for i := range dst {
				dst[i] = F(math.Float64frombits(le.Uint64(b[8*i:])))
			}
		}
	case F16:
		decode = func(dst []F, b []byte) {
			for i := range dst {
				dst[i] = F(Float16(le.Uint16(b[2*i:])))
			}
		}
	case BF16:
		decode = func(dst []F, b []byte) {
			for i := range dst {
				dst[i] = F(bfloat16(le.Uint16(b[2*i:])))
			}
		}
	default:
		return t.wrongDType("floating point (F32, F16, BF16, F64)")
	}
	return t.chunks(func(at int, b []byte) { decode(dst[at:at+len(b)/t.DType.Size()], b) })
}

func (t *Tensor) fail(kind error, format string, args ...any) error {
	return badfile.New(t.file.path, kind, format, args...).In(item(t.Name))
}

func (t *Tensor) readError(at int64, err error) error {
	e := badfile.Read(t.file.path, err).In(item(t.Name))
	e.Offset = at
	return e
}

func (t *Tensor) wrongDType(want string) error {
	return t.fail(ErrDType, "its dtype is %s, want %s", t.DType, want)
}

// chunks reads the tensor piece by piece; at is the first element of a piece.
func (t *Tensor) chunks(f func(at int, b []byte)) error {
	const chunk = 1 << 18 // a multiple of every element size
	total := t.End - t.Begin
	buf := make([]byte, min(chunk, total))
	for off := int64(0); off < total; off += chunk {
		b := buf[:min(chunk, total-off)]
		at := t.file.base + t.Begin + off
		if err := readFull(t.file.r, b, at); err != nil {
			return t.readError(at, err)
		}
		f(int(off)/t.DType.Size(), b)
	}
	return nil
}

// readFull fills b from offset at; a file that ends early, because it shrank
// after it was opened, gives io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
