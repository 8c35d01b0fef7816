package gorgonia

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/internal/badfile"
	"gorgonia.org/tensor"
)

// Gorgonia's own ReadNpy and WriteNpy are the fixed point that the tests hold
// this codec to. It does not call them: they read one element at a time through
// reflection, take any byte order for little endian, allocate what a header
// claims, refuse version 2 and column-major files, and write a view's memory
// instead of its elements.

// ReadNPY reads a .npy file of dtype f4, f8, i4, i8, i1 or u1 (little endian)
// into an array of float32, float64, int32, int64, int8 or uint8. A
// column-major array (fortran_order) is transposed into row-major order. Errors
// are an [*NPYError].
func ReadNPY(path string) (*tensor.Dense, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file; want a .npy file")
	}
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	return DecodeNPY(bufio.NewReaderSize(f, 1<<18), st.Size(), path)
}

// DecodeNPY reads a .npy file of size bytes from r; path names it in errors.
// Nothing larger than size is allocated.
func DecodeNPY(r io.Reader, size int64, path string) (*tensor.Dense, error) {
	h, err := readNPYHeader(r, path)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch h.descr {
	case "<f4":
		return decode(r, h, size, path, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case "<f8":
		return decode(r, h, size, path, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case "<i4":
		return decode(r, h, size, path, 4, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case "<i8":
		return decode(r, h, size, path, 8, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case "|i1", "<i1", "i1":
		return decode(r, h, size, path, 1, func(b []byte) int8 { return int8(b[0]) })
	case "|u1", "<u1", "u1":
		return decode(r, h, size, path, 1, func(b []byte) uint8 { return b[0] })
	}
	hint := "want '<f4', '<f8', '<i4', '<i8', '|i1' or '|u1'"
	if strings.HasPrefix(h.descr, ">") {
		hint = "big endian is not read: save it with .astype('<" + h.descr[1:] + "')"
	}
	return nil, badfile.New(path, ErrFormat, "dtype %q: %s", h.descr, hint)
}

// decode reads the elements after the header, each of width bytes.
func decode[T Elem](r io.Reader, h *npyHeader, size int64, path string, width int, get func(b []byte) T) (*tensor.Dense, error) {
	n, ok := volume(h.shape)
	have := size - h.size
	if !ok || int64(n) > math.MaxInt64/int64(width) {
		return nil, badfile.New(path, ErrFormat, "shape %v overflows", h.shape)
	}
	if want := int64(n) * int64(width); want != have {
		return nil, badfile.New(path, ErrFormat, "%s of shape %v takes %d bytes after the header, but %d follow", h.descr, h.shape, want, have)
	}
	if n == 0 {
		return nil, badfile.New(path, ErrFormat, "the array is empty: shape %v", h.shape)
	}
	data := make([]T, n)
	const chunk = 1 << 14
	buf := make([]byte, min(n, chunk)*width)
	for at := 0; at < n; at += chunk {
		part := data[at:min(n, at+chunk)]
		if err := badfile.Full(r, buf[:len(part)*width], path, h.size+int64(at)*int64(width), ErrFormat, "the elements"); err != nil {
			return nil, err
		}
		for i := range part {
			part[i] = get(buf[i*width:])
		}
	}
	if h.fortran {
		data = gather(h.shape, columnMajor(h.shape), data)
	}
	return Dense(h.shape, data), nil
}

// columnMajor gives the strides of an array whose first axis is fastest.
func columnMajor(shape []int) []int {
	strides := make([]int, len(shape))
	s := 1
	for i, d := range shape {
		strides[i] = s
		s *= d
	}
	return strides
}

// WriteNPY writes d as a .npy file, whole or not at all. See [EncodeNPY].
func WriteNPY(path string, d *tensor.Dense) error {
	return atomicfile.Write(path, func(w io.Writer) error { return EncodeNPY(w, d) })
}

// EncodeNPY writes d, of one of the types of [Elem], as NumPy's own writer
// would, byte for byte: version 1.0, little endian, row-major. A
// view or a transposed array is copied first; a mask is refused (ErrMasked).
func EncodeNPY(w io.Writer, d *tensor.Dense) error {
	le := binary.LittleEndian
	switch d.Dtype() {
	case tensor.Float32:
		return encode(w, d, "<f4", 4, func(b []byte, v float32) { le.PutUint32(b, math.Float32bits(v)) })
	case tensor.Float64:
		return encode(w, d, "<f8", 8, func(b []byte, v float64) { le.PutUint64(b, math.Float64bits(v)) })
	case tensor.Int32:
		return encode(w, d, "<i4", 4, func(b []byte, v int32) { le.PutUint32(b, uint32(v)) })
	case tensor.Int64:
		return encode(w, d, "<i8", 8, func(b []byte, v int64) { le.PutUint64(b, uint64(v)) })
	case tensor.Int:
		return encode(w, d, "<i8", 8, func(b []byte, v int) { le.PutUint64(b, uint64(v)) })
	case tensor.Int8:
		return encode(w, d, "|i1", 1, func(b []byte, v int8) { b[0] = byte(v) })
	case tensor.Uint8:
		return encode(w, d, "|u1", 1, func(b []byte, v uint8) { b[0] = v })
	}
	return &Error{Op: "EncodeNPY", Kind: ErrDType, Problem: fmt.Sprintf("elements of type %v cannot be written: want float32, float64, int32, int64, int, int8 or uint8", d.Dtype())}
}

func encode[T Elem](w io.Writer, d *tensor.Dense, descr string, width int, put func(b []byte, v T)) error {
	shape, data, err := Slice[T](d)
	if errors.Is(err, ErrNotContiguous) {
		shape, data, err = Copy[T](d)
	}
	if err != nil {
		return err
	}
	header, err := NPYHeader(descr, shape)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	const chunk = 1 << 14
	buf := make([]byte, min(len(data), chunk)*width)
	for at := 0; at < len(data); at += chunk {
		part := data[at:min(len(data), at+chunk)]
		for i, v := range part {
			put(buf[i*width:], v)
		}
		if _, err := w.Write(buf[:len(part)*width]); err != nil {
			return err
		}
	}
	return nil
}

// NPYHeader is the header of a version 1.0 file of row-major elements, such as <f4, which are to follow. It is padded as NumPy pads it: spaces
// and a newline up to a multiple of 64 bytes, with room for the first dimension to grow to 20 digits.
func NPYHeader(descr string, shape []int) ([]byte, error) {
	dims := strings.ReplaceAll(strings.Trim(fmt.Sprint(shape), "[]"), " ", ", ")
	if len(shape) == 1 {
		dims += ","
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims)
	if len(shape) > 0 {
		dict += strings.Repeat(" ", max(0, 21-len(fmt.Sprint(shape[0]))))
	}
	total := ((10+len(dict)+1)/64 + 1) * 64 // a whole 64 more where it is a multiple already, as NumPy
	if total-10 > math.MaxUint16 {
		return nil, &Error{Op: "EncodeNPY", Kind: ErrShape, Problem: fmt.Sprintf("%d dimensions are too many for a .npy header", len(shape))}
	}
	var b bytes.Buffer
	b.WriteString(npyMagic + "\x01\x00")
	b.Write(binary.LittleEndian.AppendUint16(nil, uint16(total-10)))
	b.WriteString(dict)
	b.WriteString(strings.Repeat(" ", total-1-b.Len()))
	b.WriteByte('\n')
	return b.Bytes(), nil
}
