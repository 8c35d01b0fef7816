package safetensors

import (
	"errors"
	"fmt"
)

// Kinds of [Error], for errors.Is.
var (
	ErrFormat   = errors.New("not a valid safetensors file")
	ErrNoTensor = errors.New("no such tensor")
	ErrDType    = errors.New("wrong dtype")
	ErrArgument = errors.New("cannot be written as safetensors")
)

// Error says what is wrong, where, and what would be right.
type Error struct {
	Path    string // the file, or the name given to [New]; empty when writing
	Tensor  string // the tensor; empty when it is about the whole file
	Offset  int64  // of the byte at which it shows, from the start of the file; −1: nowhere
	Problem string
	Kind    error // one of the Err variables, or the error of reading
}

func (e *Error) Error() string {
	s := e.Problem
	if e.Tensor != "" {
		s = fmt.Sprintf("tensor %q: %s", e.Tensor, s)
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
