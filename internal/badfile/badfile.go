// Package badfile has the error of every reader of files: one line that says
// which file, where in it, what is wrong and what would be right.
package badfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Error describes a file that cannot be used.
type Error struct {
	Path    string
	Item    string // the part it is about, e.g. `tensor "x"`; empty: the whole file
	Offset  int64  // of the byte at which it shows, from the start; −1: nowhere
	Problem string
	Kind    error // for errors.Is: a kind of the reader's, or the error of reading
}

// ErrFormat is the kind of an error about a file's content: it is truncated, corrupt or of another format.
var ErrFormat = errors.New("file of a wrong format")

// New is an error about a whole file.
func New(path string, kind error, format string, args ...any) *Error {
	return &Error{Path: path, Offset: -1, Problem: fmt.Sprintf(format, args...), Kind: kind}
}

// At is an error that shows at a byte of the file.
func At(path string, offset int64, kind error, format string, args ...any) *Error {
	return &Error{Path: path, Offset: offset, Problem: fmt.Sprintf(format, args...), Kind: kind}
}

// Read is an error of the operating system while opening or reading the file. An
// error that is one of this package already, of a reader below, stays as it is.
func Read(path string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	problem := err.Error()
	var p *fs.PathError
	if errors.As(err, &p) {
		problem = p.Err.Error()
	}
	return New(path, err, "cannot be read: %s", problem)
}

// In names the part of the file that the error is about.
func (e *Error) In(item string) *Error {
	e.Item = item
	return e
}

func (e *Error) Error() string {
	s := e.Problem
	if e.Item != "" {
		s = e.Item + ": " + s
	}
	if e.Offset >= 0 {
		s = fmt.Sprintf("byte %d: %s", e.Offset, s)
	}
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	return s
}

func (e *Error) Unwrap() error { return e.Kind }

// Full fills b from r, whose next byte stands at offset of the file. A file
// that ends within it is an error of the kind given, which names what should have stood there.
func Full(r io.Reader, b []byte, path string, offset int64, kind error, what string) error {
	n, err := io.ReadFull(r, b)
	switch err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		return At(path, offset+int64(n), kind, "the file ends within %s: it is truncated or of another format", what)
	}
	return Read(path, err)
}
