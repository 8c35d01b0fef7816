package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/tensor/gorgonia"
	"github.com/langevin-go/langevin/train/data"
)

// SampleFile holds samples from a file, perhaps another program's.
type SampleFile struct {
	N      int
	X      []float32 // (N,shape…), images channels last
	Labels []int32   // the class asked for of each; nil: not said
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

// ReadInit reads samples to edit or to lead back: a .safetensors file as ReadSamples does; an .npy array (N,shape…), channels
// last, of float32; a PNG, JPEG, GIF or WebP picture, or a folder of them, brought to the samples' size as training data are, which warn
// hears of. Subfolders are classes, of which there must be as many.
func ReadInit(ctx context.Context, path string, shape []int, classes int, warn func(format string, args ...any)) (*SampleFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, noRead(path, err, "a .safetensors or .npy file, a picture or a folder of pictures")
	}
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case info.IsDir(), slices.Contains(data.PictureEndings(), ext):
		return readPictures(ctx, path, info.IsDir(), shape, classes, warn)
	case ext != ".npy":
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

// readPictures reads a picture or a folder of them, in the order of their paths.
func readPictures(ctx context.Context, path string, folder bool, shape []int, classes int, warn func(format string, args ...any)) (*SampleFile, error) {
	if !isImage(shape) {
		return nil, fmt.Errorf("%s: the model's samples, of shape %v, are no pictures", path, shape)
	}
	other, example := 0, ""
	f := data.Folder{Dir: path, Pictures: data.Pictures{Height: shape[0], Width: shape[1], Channels: shape[2], Memory: math.MaxInt64, Resized: func(path string, h, w int) {
		if s := fmt.Sprintf("%s was %d×%d", path, w, h); other == 0 || s < example {
			example = s
		}
		other++
	}}}
	open := data.OpenPicture
	if folder {
		open = data.OpenFolder
	}
	src, err := open(ctx, f)
	if err != nil {
		return nil, err
	}
	if other > 0 {
		warn("pictures of another size than the model's were brought to %d×%d: %d, such as %s", shape[1], shape[0], other, example)
	}
	s := &SampleFile{N: src.Len()}
	if s.X, s.Labels, err = takeSamples(src, s.N); err != nil {
		return nil, err
	}
	switch n := src.Classes(); {
	case n == 0:
		s.Labels = nil
	case n != classes:
		return nil, fmt.Errorf("%s: the folder has %d class folders, the model %d classes: want as many, or pictures without class folders", path, n, classes)
	}
	return s, nil
}
