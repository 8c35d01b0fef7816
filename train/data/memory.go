package data

import "math"

// memory is a source of samples held in memory, as bytes with a scale (images)
// or as floats.
type memory struct {
	shape   []int
	size    int // elements of a sample
	pixels  []uint8
	scale   *[256]float32 // what a byte stands for
	floats  []float32     // instead of pixels
	labels  []int32       // nil: no labels
	classes int
	vectors []float32 // (N,D) to be conditioned on; nil: none
	names   []string
	bad     map[uint64]error // of samples that could not be read
}

// pixelScale maps the bytes 0..top evenly to −1..1; higher ones to 1.
func pixelScale(top int) *[256]float32 {
	var s [256]float32
	for v := range s {
		s[v] = min(1, float32(2*v)/float32(top)-1)
	}
	return &s
}

func (m *memory) Len() int {
	if m.pixels != nil {
		return len(m.pixels) / m.size
	}
	return len(m.floats) / m.size
}

func (m *memory) Shape() []int         { return m.shape }
func (m *memory) Classes() int         { return m.classes }
func (m *memory) ClassNames() []string { return m.names }

// Levels are those of the bytes' scale.
func (m *memory) Levels() int {
	if m.pixels == nil {
		return 0
	}
	return int(math.Round(2/float64(m.scale[1]-m.scale[0]))) + 1
}

func (m *memory) Sample(i uint64, x []float32) (label int, err error) {
	checkCall(m, i, x)
	if err := m.bad[i]; err != nil {
		return 0, err
	}
	at := int(i) * m.size
	if m.pixels != nil {
		for k, v := range m.pixels[at : at+m.size] {
			x[k] = m.scale[v]
		}
	} else {
		copy(x, m.floats[at:])
	}
	return m.Label(i), nil
}

// Label is the class of sample i.
func (m *memory) Label(i uint64) int {
	if m.labels == nil {
		return 0
	}
	return int(m.labels[i])
}

// InMemory is a source of samples that the caller has: values (N,shape…), and where there are
// classes, N labels below them.
func InMemory(shape []int, values []float32, labels []int32, classes int) Source {
	return InMemoryOn(shape, values, labels, classes, nil, nil)
}

// InMemoryOn is InMemory with vectors (N,D) and captions (N) that networks can be conditioned on; nil: none.
func InMemoryOn(shape []int, values []float32, labels []int32, classes int, vectors []float32, captions []string) Source {
	m := &memory{shape: append([]int(nil), shape...), size: volume(shape), floats: values, classes: classes, vectors: vectors}
	if classes > 0 {
		m.labels = labels
	}
	if captions != nil {
		return captionedMemory{m, captions}
	}
	return m
}

// captionedMemory has a caption for each sample.
type captionedMemory struct {
	*memory
	captions []string
}

func (m captionedMemory) Captions(i uint64) []string { return m.captions[i : i+1] }
