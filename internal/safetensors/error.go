package safetensors

import (
	"errors"
	"fmt"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Error says what is wrong, where, and what would be right.
type Error = badfile.Error

// Kinds of [Error], for errors.Is. An error of reading has the operating system's.
var (
	ErrFormat   = badfile.ErrFormat
	ErrNoTensor = errors.New("no such tensor")
	ErrDType    = errors.New("wrong dtype")
	ErrArgument = errors.New("wrong argument")
)

// item names a tensor in an error.
func item(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("tensor %q", name)
}
