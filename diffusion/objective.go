package diffusion

import (
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Batch is training data on the host.
type Batch struct {
	N      int
	Shape  []int     // of a sample, channels last
	X      []float32 // (N,Shape…)
	Labels []int32   // (N); nil: no classes
	Vector []float32 // (N,D); nil: no vector condition
}

// Draw is a batch with the randomness of one training step: all that a loss is
// a function of, besides the network. Its slices are used again by the next
// Draw into it; X may be the batch's own.
type Draw struct {
	N        int
	Shape    []int
	X        []float32 // data (N,Shape…)
	Noise    []float32 // ε, likewise; nil: N(0,1) of sample i is row i under NoiseKey
	NoiseKey rng.Key
	T        []float64 // path times (N)
	Labels   []int32   // after condition dropout; nil: none
	Vector   []float32 // (N,D); nil: none
	Drop     []float32 // (N), 1 where the vector is dropped; nil: nowhere

	noise, data, vector []float32 // storage
	labels              []int32
	drop                []float32
}

// Objective is what a network is trained for.
type Objective interface {
	// Draw makes a step's randomness, as a function of k and b alone: host
	// work, no gradients. d's storage is used again.
	Draw(k rng.Key, b *Batch, d *Draw)
	// Loss is a scalar: device work, of which gradients are taken.
	Loss(s *tensor.Scope, m Model, d *Draw) *tensor.Tensor
}

// Streams of the random numbers of a training step. A trainer's own streams
// (order of data, dropout masks) start at StreamFree.
const (
	StreamNoise uint32 = 0x100 + iota
	StreamTime
	StreamCondition
	StreamCoupling
	StreamFree
)
