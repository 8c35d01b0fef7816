package metrics

import (
	"context"
	"math"

	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// FeatureDim is the dimension of the classifier's features.
const FeatureDim = 64

// width is the number of channels after the first convolution; the next ones have twice as many.
const width = 32

// Classifier is a small convolutional network that names the class of a
// picture, and whose last hidden layer gives the features in which sets of
// pictures are compared (as Inception's do in Heusel et al. 2017):
//
//	(H,W,C) conv 3×3 → 32, conv 3×3 / 2 → 64, conv 3×3 / 2 → 64, linear → 64 features, linear → classes
//
// with SiLU between. Features are divided by one number, such that the training
// split's have variance 1 on average over the dimensions: without it, their
// scale, and with it every Fréchet distance, would depend on how long the
// classifier was trained. Its methods may be called by many goroutines at once.
type Classifier struct {
	H, W, C, Classes int

	dev         backend.Device
	h, w        int     // of the pictures that the network sees: see largestSide
	fingerprint string  // of what it was trained on
	scale       float32 // what features are multiplied by

	conv, bias [3]*tensor.Param
	hidden     [2]*tensor.Param // weight, bias
	head       [2]*tensor.Param
}

// largestSide is the largest height and width that the network sees. Larger
// pictures are averaged down first, by a whole factor.
const largestSide = 32

// stage is how a convolution steps: the second and third halve the picture.
var stage = [3]tensor.Conv{tensor.Conv2D(1, 1), tensor.Conv2D(2, 1), tensor.Conv2D(2, 1)}

// networkSide is the height and width that the network sees of pictures h×w.
func networkSide(h, w int) (int, int) {
	small := Images{H: h, W: w, C: 1}.shrink(largestSide)
	return small.H, small.W
}

type paramShape struct {
	name  string
	shape []int
}

// paramShapes are the names and shapes of the weights, in their order.
func paramShapes(h, w, c, classes int) []paramShape {
	h, w = networkSide(h, w)
	flat := (h + 3) / 4 * ((w + 3) / 4) * 2 * width // two halvings, rounded up
	return []paramShape{
		{"conv1.weight", []int{3, 3, c, width}}, {"conv1.bias", []int{width}},
		{"conv2.weight", []int{3, 3, width, 2 * width}}, {"conv2.bias", []int{2 * width}},
		{"conv3.weight", []int{3, 3, 2 * width, 2 * width}}, {"conv3.bias", []int{2 * width}},
		{"hidden.weight", []int{flat, FeatureDim}}, {"hidden.bias", []int{FeatureDim}},
		{"head.weight", []int{FeatureDim, classes}}, {"head.bias", []int{classes}},
	}
}

// newClassifier makes a network whose weights are zero.
func newClassifier(dev backend.Device, h, w, c, classes int) *Classifier {
	k := &Classifier{H: h, W: w, C: c, Classes: classes, dev: dev, scale: 1}
	k.h, k.w = networkSide(h, w)
	var p []*tensor.Param
	for _, s := range paramShapes(h, w, c, classes) {
		q := tensor.NewParam(dev, tensor.Float32, s.shape...)
		q.Name = s.name
		p = append(p, q)
	}
	k.conv = [3]*tensor.Param{p[0], p[2], p[4]}
	k.bias = [3]*tensor.Param{p[1], p[3], p[5]}
	k.hidden = [2]*tensor.Param{p[6], p[7]}
	k.head = [2]*tensor.Param{p[8], p[9]}
	return k
}

// params are the weights, always in this order.
func (k *Classifier) params() []*tensor.Param {
	return []*tensor.Param{k.conv[0], k.bias[0], k.conv[1], k.bias[1], k.conv[2], k.bias[2], k.hidden[0], k.hidden[1], k.head[0], k.head[1]}
}

// init draws the weights from N(0, 2/fan-in) (He et al. 2015), those of the head
// from N(0, 1/fan-in); biases stay zero.
func (k *Classifier) init(key rng.Key) error {
	for i, p := range k.params() {
		shape := p.Shape()
		if len(shape) == 1 {
			continue
		}
		gain := 2.0
		if p == k.head[0] {
			gain = 1
		}
		fan := p.Elems() / shape[len(shape)-1]
		std := float32(math.Sqrt(gain / float64(fan)))
		v := make([]float32, p.Elems())
		rng.Normal(v, key, uint64(i))
		for j := range v {
			v[j] *= std
		}
		if err := p.Set(v); err != nil {
			return err
		}
	}
	return nil
}

// forward gives unscaled features (N,FeatureDim) and logits (N,Classes) of
// pictures x (N,H,W,C). Dropout applies as the scope says.
func (k *Classifier) forward(x *tensor.Tensor, dropout float64) (features, logits *tensor.Tensor) {
	for i, c := range stage {
		x = x.Conv(k.conv[i], k.bias[i], c).SiLU()
	}
	features = x.Reshape(x.Dim(0), -1).Dropout(dropout).Linear(k.hidden[0], k.hidden[1]).SiLU()
	logits = features.Dropout(dropout).Linear(k.head[0], k.head[1])
	return features, logits
}

// Reading is what the classifier makes of pictures.
type Reading struct {
	Logits   Points // N points of as many coordinates as there are classes
	Features Points // N points of FeatureDim coordinates
}

// Predicted is the most likely class of each picture; of equals, the first.
func (r Reading) Predicted() []int32 {
	out := make([]int32, r.Logits.Len())
	for i := range out {
		row, best := r.Logits.row(i), 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		out[i] = int32(best)
	}
	return out
}

// Accuracy is the part of pictures whose most likely class is their label.
func (r Reading) Accuracy(labels []int32) float64 {
	right := 0
	for i, p := range r.Predicted() {
		if p == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// accuracyByClass is the accuracy for each label; NaN for labels that there are none of.
func (r Reading) accuracyByClass(labels []int32) []Figure {
	right, all := make([]int, r.Logits.D), make([]int, r.Logits.D)
	for i, p := range r.Predicted() {
		all[labels[i]]++
		if p == labels[i] {
			right[p]++
		}
	}
	out := make([]Figure, len(all))
	for c := range out {
		out[c] = Figure(float64(right[c]) / float64(all[c]))
	}
	return out
}

// readBatch is the number of pictures that go through the network at once when it is not trained.
const readBatch = 256

// Read runs the classifier on pictures of its size. What it gives for a picture
// does not depend on those beside it.
func (k *Classifier) Read(ctx context.Context, im Images) (Reading, error) {
	if err := im.check("pictures", 0); err != nil {
		return Reading{}, err
	}
	if err := im.same("pictures", Images{H: k.H, W: k.W, C: k.C}, "those of the classifier"); err != nil {
		return Reading{}, err
	}
	im = im.shrink(largestSide)
	n := im.Len()
	r := Reading{Points{make([]float32, n*k.Classes), k.Classes}, Points{make([]float32, n*FeatureDim), FeatureDim}}
	s := tensor.NewScope(k.dev, tensor.Inference)
	defer s.Close()
	for at := 0; at < n; at += readBatch {
		if err := ctx.Err(); err != nil {
			return Reading{}, err
		}
		end := min(at+readBatch, n)
		x := s.Tensor(im.Pixels[at*im.dim():end*im.dim()], end-at, k.h, k.w, k.C)
		features, logits := k.forward(x, 0)
		logits.CopyTo(r.Logits.X[at*k.Classes : end*k.Classes])
		features.CopyTo(r.Features.X[at*FeatureDim : end*FeatureDim])
		s.Reset()
	}
	for i := range r.Features.X {
		r.Features.X[i] *= k.scale
	}
	return r, nil
}
