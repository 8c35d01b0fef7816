package data

import (
	"bytes"
	_ "embed"
	"strconv"
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

// digitNames are the words for the digits' classes.
var digitNames = [10]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}

// DigitCaptions are the captions of the digits by class: the same few phrases for each.
func DigitCaptions() [][]string {
	captions := make([][]string, len(digitNames))
	for class, name := range digitNames {
		numeral := strconv.Itoa(class)
		captions[class] = []string{
			"a handwritten " + name, "the digit " + name, name, "the number " + numeral + " written by hand", "a handwritten " + numeral, "somebody's " + name,
		}
	}
	return captions
}

// CaptionedDigits is Digits with [DigitCaptions].
func CaptionedDigits() (train, heldout Source) {
	train, heldout = Digits()
	for _, part := range []*Source{&train, &heldout} {
		c, err := CaptionByClass(*part, DigitCaptions())
		if err != nil {
			panic(err) // they are part of the program
		}
		*part = c
	}
	return train, heldout
}

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
