package data

import "github.com/langevin-go/langevin/tensor/rng"

// wrapper is a source whose samples are those of another one, in other places.
type wrapper interface {
	Source
	source() Source
	at(i uint64) uint64 // the sample of source that sample i is
}

// Varied is a source whose samples differ from epoch to epoch, as cut at random.
type Varied interface {
	Source
	// Draw is Sample with what is random drawn under the key.
	Draw(i uint64, key rng.Key, x []float32) (label int, err error)
}

// drawSample is Draw, or Sample of a source whose samples do not vary.
func drawSample(s Source, i uint64, key rng.Key, x []float32) (int, error) {
	for at := s; ; {
		switch l := at.(type) {
		case Varied:
			return l.Draw(i, key, x)
		case wrapper:
			at, i = l.source(), l.at(i)
		default:
			return at.Sample(i, x)
		}
	}
}

// Label is the class of sample i, read without the sample where the source can do that.
// space has the elements of a sample.
func Label(s Source, i uint64, space []float32) (int, error) {
	for {
		switch l := s.(type) {
		case *tolerant: // the substitute's, which only reading tells
			if !Streams(l.Source) {
				return l.Sample(i, space)
			}
			s, i = l.Source, l.at(i)
		case wrapper:
			s, i = l.source(), l.at(i)
		case interface{ Label(i uint64) int }:
			return l.Label(i), nil
		default:
			return s.Sample(i, space)
		}
	}
}

// Streams tells whether the samples of a source are decoded when they are asked for, which is worth doing in the background.
func Streams(s Source) bool {
	for {
		switch l := s.(type) {
		case interface{ Streams() bool }:
			return l.Streams()
		case wrapper:
			s = l.source()
		default:
			return false
		}
	}
}

// blocks tells how many neighbours of a source are read together, and how many such blocks are to be mixed; zeros: it does not matter.
func blocks(s Source) (block, window int) {
	for {
		switch l := s.(type) {
		case interface{ Blocks() (block, window int) }:
			return l.Blocks()
		case wrapper:
			s = l.source()
		default:
			return 0, 0
		}
	}
}

// Encoded is a source of pictures that knows their files' content.
type Encoded interface {
	// Original gives the bytes of the file of sample i, and the ending of such files, as .jpg.
	Original(i uint64) (content []byte, ending string, err error)
}

// Original gives the bytes of the file that sample i comes from; ok is false where there is no such thing.
func Original(s Source, i uint64) (content []byte, ending string, ok bool, err error) {
	for {
		switch l := s.(type) {
		case Encoded:
			content, ending, err = l.Original(i)
			return content, ending, true, err
		case wrapper:
			s, i = l.source(), l.at(i)
		default:
			return nil, "", false, nil
		}
	}
}
