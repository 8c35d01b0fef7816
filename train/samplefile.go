package train

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/gorgonia"
)

// SampleFile holds samples from a file, perhaps another program's.
type SampleFile struct {
	N      int
	X      []float32 // (N,shape…), images channels last
	Labels []int32   // the class asked for of each; nil: not in the file
}

// ReadSamples reads a safetensors file with the tensor "samples", (N,C,H,W) for
// images and (N,shape…) else, as [WriteSamples] writes it, and perhaps "labels",
// (N), from 0 to classes−1.
func ReadSamples(path string, shape []int, classes int) (*SampleFile, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := f.Tensor("samples")
	if err != nil {
		return nil, err
	}
	dims := channelsFirstShape(shape)
	if len(t.Shape) != len(dims)+1 || !equalShape(t.Shape[1:], dims) || t.Shape[0] < 1 {
		return nil, fmt.Errorf("%s: tensor samples has shape %v, want (N, %s)", path, t.Shape, joinInts(dims))
	}
	s := &SampleFile{N: t.Shape[0]}
	if s.X, err = t.Float32s(); err != nil {
		return nil, err
	}
	if len(shape) == 3 {
		s.X = channelsLast(s.X, s.N, shape)
	}
	if classes == 0 || !f.Has("labels") {
		return s, nil
	}
	if t, err = f.Tensor("labels"); err != nil {
		return nil, err
	}
	if !equalShape(t.Shape, []int{s.N}) {
		return nil, fmt.Errorf("%s: tensor labels has shape %v, want (%d): one for each sample", path, t.Shape, s.N)
	}
	labels, err := t.Int64s()
	if err != nil {
		return nil, err
	}
	s.Labels = make([]int32, s.N)
	for i, l := range labels {
		if l < 0 || l >= int64(classes) {
			return nil, fmt.Errorf("%s: tensor labels: sample %d has class %d, want 0 to %d", path, i, l, classes-1)
		}
		s.Labels[i] = int32(l)
	}
	return s, nil
}

// channelsFirstShape is the shape of a sample in files that Python reads.
func channelsFirstShape(shape []int) []int {
	if len(shape) == 3 {
		return []int{shape[2], shape[0], shape[1]}
	}
	return shape
}

// ReadInit reads samples to edit: a .safetensors file as ReadSamples does, or an .npy array (N,shape…), channels
// last, of float32.
func ReadInit(path string, shape []int) (*SampleFile, error) {
	if strings.ToLower(filepath.Ext(path)) != ".npy" {
		return ReadSamples(path, shape, 0)
	}
	d, err := gorgonia.ReadNPY(path)
	if err != nil {
		return nil, err
	}
	dims, x, err := gorgonia.Copy[float32](d)
	if err != nil {
		return nil, fmt.Errorf("%s: the array is of %v, want float32", path, d.Dtype())
	}
	if len(dims) != len(shape)+1 || !equalShape(dims[1:], shape) || dims[0] < 1 {
		return nil, fmt.Errorf("%s: the array has shape %v, want (N, %s)", path, dims, joinInts(shape))
	}
	return &SampleFile{N: dims[0], X: x}, nil
}
