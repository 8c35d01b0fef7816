package data

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Options of a [Loader].
type Options struct {
	// Seed alone decides the order of the samples, and which are mirrored.
	Seed uint64
	// Flip mirrors each image left to right with probability ½, drawn anew every epoch.
	Flip bool
}

// Loader draws batches from a source. It holds no position: a batch is a pure
// function of the cursor, and many goroutines may ask for batches at once.
type Loader struct {
	source Source
	order  Order
	opt    Options
	size   int // elements of a sample
	// The source as one of samples with captions or vectors; nil: it has none.
	captions Captioned
	vectors  Conditioned
}

// NewLoader draws from a source that has at least one sample; Flip needs images.
func NewLoader(source Source, opt Options) (*Loader, error) {
	shape := source.Shape()
	if source.Len() == 0 {
		return nil, fmt.Errorf("the data source has no samples: %w", ErrEmpty)
	}
	if opt.Flip && len(shape) != 3 {
		return nil, option("flip needs images (H,W,C), the samples have shape %v", shape)
	}
	block, window := blocks(source)
	l := &Loader{source: source, order: NewOrder(source.Len(), opt.Seed).InBlocks(block, window), opt: opt, size: volume(shape)}
	l.captions, _ = CaptionsOf(source)
	if vectors, ok := VectorsOf(source); ok {
		l.vectors = vectors
	}
	return l, nil
}

// Source is where the samples come from.
func (l *Loader) Source() Source { return l.source }

// At gives the sample at a position and the epoch that it falls in.
func (l *Loader) At(cursor uint64) (index, epoch uint64) { return l.order.At(cursor) }

// Batch writes the len(labels) samples from position cursor on to x, one after
// another, and their labels. Step k of a run with batches of b samples has
// cursor k·b. Every sample comes exactly once an epoch; a batch may begin in
// one epoch and end in the next.
func (l *Loader) Batch(cursor uint64, x []float32, labels []int32) error {
	if len(x) != len(labels)*l.size {
		panic(fmt.Sprintf("data: space for %d elements, %d samples of shape %v have %d", len(x), len(labels), l.source.Shape(), len(labels)*l.size))
	}
	for k := range labels {
		if err := l.read(cursor+uint64(k), x[k*l.size:(k+1)*l.size], &labels[k]); err != nil {
			return err
		}
	}
	return nil
}

// read writes the sample at a position to x.
func (l *Loader) read(cursor uint64, x []float32, label *int32) error {
	index, epoch := l.order.At(cursor)
	class, err := drawSample(l.source, index, rng.Key{Seed: l.opt.Seed, Stream: streamDraw, Step: epoch}, x)
	if err != nil {
		return err
	}
	*label = int32(class)
	if l.opt.Flip && rng.Bits(rng.Key{Seed: l.opt.Seed, Stream: streamFlip, Step: epoch}, index, 0)>>63 == 1 {
		mirror(x, l.source.Shape())
	}
	return nil
}

// Epoch tells how often the source had been read in full before position
// cursor; always 0 for an infinite source.
func (l *Loader) Epoch(cursor uint64) uint64 {
	if l.order.n == 0 {
		return 0
	}
	return cursor / l.order.n
}

// mirror reverses the rows of an image (H,W,C) in place.
func mirror(x []float32, shape []int) {
	w, c := shape[1], shape[2]
	for row := range len(x) / (w * c) {
		line := x[row*w*c : (row+1)*w*c]
		for a, b := 0, w-1; a < b; a, b = a+1, b-1 {
			for k := range c {
				line[a*c+k], line[b*c+k] = line[b*c+k], line[a*c+k]
			}
		}
	}
}
