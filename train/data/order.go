package data

import (
	"math/bits"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Streams of this package's random numbers, apart from those of training and sampling under the same seed.
const (
	streamOrder   = 0xda7a0001
	streamFlip    = 0xda7a0002
	streamTrain   = 0xda7a0003
	streamHeldout = 0xda7a0004
	streamCaption = 0xda7a0005
	streamDraw    = 0xda7a0006
	streamWindow  = 0xda7a0007
	streamShift   = 0xda7a0008
)

// Order is the order in which the samples of a source are read: epoch after
// epoch, each a permutation of all samples that depends on the seed and the
// epoch alone. It needs no memory and any position can be asked for.
type Order struct {
	n    uint64 // 0: infinite, read in order
	seed uint64
	// Samples that are read together, and how many such blocks are mixed; 0: all samples are.
	block, window uint64
}

// InBlocks is an order of the same samples in which any window·block that follow each other are of about as many blocks
// of neighbours, mixed: for files from which neighbours are read together. Where blocks begin, their order and that
// in which they are mixed differ from epoch to epoch.
func (o Order) InBlocks(block, window int) Order {
	if o.n == 0 || block < 2 || window < 1 || uint64(block) > o.n/uint64(window) {
		return o
	}
	o.block, o.window = uint64(block), uint64(window)
	return o
}

// NewOrder is the order of n samples (or Infinite) under a seed.
func NewOrder(n int, seed uint64) Order {
	if n == Infinite {
		return Order{seed: seed}
	}
	return Order{n: uint64(n), seed: seed}
}

// At gives the sample that stands at a position, counted from the start of
// training, and the epoch it falls in.
func (o Order) At(cursor uint64) (index, epoch uint64) {
	if o.n == 0 {
		return cursor, 0
	}
	epoch = cursor / o.n
	key := rng.Key{Seed: o.seed, Stream: streamOrder, Step: epoch}
	p := cursor % o.n
	if o.block == 0 {
		return permute(p, o.n, key), epoch
	}
	// Mixed within the window that the position is in.
	span := o.block * o.window
	w := p / span
	p = w*span + permute(p%span, min(span, o.n-w*span), rng.Key{Seed: o.seed, Stream: streamWindow, Step: epoch<<32 | w})
	// Whole blocks change places; what is left over at the end stays there, and is other samples every epoch.
	if full := o.n / o.block; p/o.block < full {
		p = permute(p/o.block, full, key)*o.block + p%o.block
	}
	return (p + rng.Bits(rng.Key{Seed: o.seed, Stream: streamShift, Step: epoch}, 0, 0)%o.n) % o.n, epoch
}

// permute is a bijection of 0..n−1: a Feistel network over the smallest power
// of two that holds n, walked along its cycle until it is back below n (Black
// and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). The walk
// takes below 2 steps on average, as n is more than half the power; fewer than
// 33 samples take more, as halves of below 3 bits do not mix well.
func permute(i, n uint64, key rng.Key) uint64 {
	width := max(6, bits.Len64(n-1))
	for {
		if i = feistel(i, width, key); i < n {
			return i
		}
	}
}

// feistel is a bijection of the integers of width bits: in turn, each half is
// XORed with a random function of the other one.
func feistel(v uint64, width int, key rng.Key) uint64 {
	const rounds = 8
	low := width / 2
	lowMask, highMask := uint64(1)<<low-1, uint64(1)<<(width-low)-1
	l, h := v&lowMask, v>>low
	for r := 0; r < rounds; r += 2 {
		h ^= rng.Bits(key, l, 2*r) & highMask
		l ^= rng.Bits(key, h, 2*r+2) & lowMask
	}
	return h<<low | l
}
