package data

import (
	"bytes"
	_ "embed"
	"sync"
)

// The UCI Optical Recognition of Handwritten Digits; digits/README.md has the attribution.
var (
	//go:embed digits/images.idx3-ubyte.gz
	digitImages []byte
	//go:embed digits/labels.idx1-ubyte.gz
	digitLabels []byte
)

// DigitsHeldout is the number of digits held out.
const DigitsHeldout = 360

var digits = sync.OnceValues(func() (parts [2]Source, err error) {
	images, err := readIDX(bytes.NewReader(digitImages), int64(len(digitImages)), "digits/images.idx3-ubyte.gz")
	if err != nil {
		return parts, err
	}
	labels, err := readIDX(bytes.NewReader(digitLabels), int64(len(digitLabels)), "digits/labels.idx1-ubyte.gz")
	if err != nil {
		return parts, err
	}
	all, err := newIDX(images, labels, 10, 16)
	if err != nil {
		return parts, err
	}
	parts[0], parts[1], err = Holdout(all, DigitsHeldout)
	return parts, err
})

// Digits gives the 1,797 handwritten digits that are part of the program:
// 8×8 grey images in 10 classes, split once and for all into 1,437 for training
// and 360 held out (see [Holdout]).
func Digits() (train, heldout Source) {
	parts, err := digits()
	if err != nil {
		panic(err) // the files are part of the program
	}
	return parts[0], parts[1]
}
