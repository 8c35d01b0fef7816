// Package data has the sources of training data and the order in which they are
// read: a batch is a pure function of the source, the seed and a cursor of one
// integer, so that a run resumes exactly where it stopped.
package data

import (
	"errors"
	"fmt"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Source gives samples by index. Its methods may be called by many goroutines
// at once, and Sample gives the same for the same index every time.
type Source interface {
	// Len is the number of samples, or [Infinite].
	Len() int
	// Shape is the shape of a sample: (H,W,C) for images, (D) for points.
	Shape() []int
	// Classes is the number of classes; 0 if the samples have no labels.
	Classes() int
	// Sample writes sample i, below Len, to x, which has the elements of Shape,
	// and gives its label (0 to Classes−1; 0 without classes). Images are scaled
	// to [−1, 1].
	Sample(i uint64, x []float32) (label int, err error)
}

// Infinite is the Len of a source that never ends: every index is another draw.
const Infinite = -1

// ClassNames gives what the source calls its classes, or nil if they have only numbers.
func ClassNames(s Source) []string {
	for {
		switch n := s.(type) {
		case interface{ ClassNames() []string }:
			return n.ClassNames()
		case wrapper:
			s = n.source()
		default:
			return nil
		}
	}
}

// Levels is the number of equally spaced values from −1 to 1 that the numbers of
// samples have, as 256 of bytes; 0 of continuous ones.
func Levels(s Source) int {
	for {
		switch n := s.(type) {
		case interface{ Levels() int }:
			return n.Levels()
		case wrapper:
			s = n.source()
		default:
			return 0
		}
	}
}

// FileError says which file cannot be used, where in it, why, and what would be right.
type FileError = badfile.Error

// Kinds of [FileError], for errors.Is. An error of reading has the operating system's.
var (
	ErrFormat = badfile.ErrFormat                         // truncated, corrupt, or of another kind
	ErrEmpty  = errors.New("no data")                     // a folder without pictures
	ErrLabels = errors.New("labels do not fit")           // out of range, or another number than samples
	ErrSize   = errors.New("larger than it may be")       // a picture or a folder past its bound
	ErrOption = errors.New("an option has a wrong value") // not a FileError: the caller's
)

func option(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrOption, fmt.Sprintf(format, args...))
}

// volume is the number of elements of a shape.
func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// checkCall panics unless a call of a finite source's Sample is in order: a wrong index or size is the caller's bug.
func checkCall(s Source, i uint64, x []float32) {
	if i >= uint64(s.Len()) {
		panic(fmt.Sprintf("data: sample %d of a source of %d", i, s.Len()))
	}
	if want := volume(s.Shape()); len(x) != want {
		panic(fmt.Sprintf("data: space for %d elements, a sample has %d (shape %v)", len(x), want, s.Shape()))
	}
}
