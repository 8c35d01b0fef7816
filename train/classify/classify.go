// Package classify trains classifiers of noisy samples, whose gradients guide
// sampling (Dhariwal and Nichol 2021).
//
// A classifier sees y = x_t/√(α²+σ²) and the angle θ = atan(σ/α), in which every Gaussian
// path is the same: one that was trained on a data set goes with models of these data on any path.
package classify

import (
	"fmt"
	"math"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Classifier says how likely a noisy sample is to be of each class.
type Classifier struct {
	Shape   []int // of a sample, channels last
	Classes int
	Width   int // of its layers

	net *network
	dev backend.Device
}

// network is, for images, three convolutions, the second and third by steps of 2,
// and a hidden layer; for other samples a residual MLP. Time enters as scales and shifts.
type network struct {
	Time   *nn.TimeEmbedding
	Convs  []*nn.Conv2D
	Films  []*nn.FiLM
	Hidden *nn.Linear
	Head   *nn.Linear
	MLP    *nn.ResidualMLP // instead of all that
}

// timeFeatures is the number of features of the angle.
const timeFeatures = 32

// newNetwork makes the network of a classifier.
func newNetwork(in *nn.Init, shape []int, classes, width int) (*network, error) {
	if len(shape) != 3 {
		o := nn.ResidualMLPOptions{}
		o.SetDefaults()
		o.Dim, o.OutDim, o.Width, o.Depth = volume(shape), classes, width, 3
		mlp, err := nn.NewResidualMLP(in, o)
		return &network{MLP: mlp}, err
	}
	features := nn.NewSinusoidal(in.Device(), nn.SinusoidalOptions{Dim: timeFeatures, MaxPeriod: 10000, Shift: 1, Scale: 1000})
	n := &network{Time: nn.NewTimeEmbedding(in, features, 2*width)}
	h, w, from := shape[0], shape[1], shape[2]
	for i, to := range []int{width, 2 * width, 2 * width} {
		stride := min(2, i+1)
		n.Convs = append(n.Convs, nn.NewConv2D(in, from, to, 3, stride, 1))
		n.Films = append(n.Films, nn.NewFiLM(in, 2*width, to))
		h, w, from = (h-1)/stride+1, (w-1)/stride+1, to
	}
	n.Hidden = nn.NewLinear(in, h*w*from, 2*width)
	n.Head = nn.NewLinear(in, 2*width, classes)
	return n, nil
}

// dropout is that of the hidden layer in training.
const dropout = 0.2

// logits are (N,Classes) of y (N,…) at times t in [0,1], (N) or (1): θ/(π/2).
func (n *network) logits(y, t *tensor.Tensor) *tensor.Tensor {
	if n.MLP != nil {
		return n.MLP.Forward(y, t, nn.Cond{})
	}
	e := n.Time.Forward(t)
	for i, c := range n.Convs {
		y = n.Films[i].Forward(c.Forward(y), e).SiLU()
	}
	return n.Head.Forward(n.Hidden.Forward(y.Reshape(y.Dim(0), -1)).SiLU().Dropout(dropout))
}

// newClassifier makes a classifier with random weights.
func newClassifier(in *nn.Init, shape []int, classes, width int) (*Classifier, error) {
	net, err := newNetwork(in, shape, classes, width)
	return &Classifier{Shape: shape, Classes: classes, Width: width, net: net, dev: in.Device()}, err
}

// On is the classifier along a path: a guidance.Classifier.
func (k *Classifier) On(path diffusion.GaussianPath) *OnPath { return &OnPath{k, path} }

// OnPath classifies samples of a path.
type OnPath struct {
	Of   *Classifier
	Path diffusion.GaussianPath
}

// LogProb is ln p(c|x_t) of each sample for its label, (N). Samples of the null class, the
// number of classes, have 0.
func (k *OnPath) LogProb(x *tensor.Tensor, at diffusion.Step, c diffusion.Cond) *tensor.Tensor {
	if c.Labels == nil {
		return x.Scope().Zeros(x.Dim(0))
	}
	logits := k.logits(x, at)
	own := x.Scope().OneHot(c.Labels, k.Of.Classes+1).Slice(1, 0, k.Of.Classes)
	return logits.Sub(logits.LogSumExpKeep(1)).Mul(own).Sum(1)
}

// logits are (N,Classes).
func (k *OnPath) logits(x *tensor.Tensor, at diffusion.Step) *tensor.Tensor {
	step := diffusion.Step{T: at.T}
	norm := diffusion.PerSample(x, k.Path, step, func(p, _ diffusion.Point) float64 { return 1 / math.Hypot(p.Alpha, p.Sigma) })
	t := diffusion.PerSample(x, k.Path, step, func(p, _ diffusion.Point) float64 { return math.Atan2(p.Sigma, p.Alpha) / (math.Pi / 2) })
	return k.Of.net.logits(x.Mul(norm), t.Reshape(-1))
}

// Accuracy is the part of samples x (N,Shape…), noised to a time in [0,1] of the path Trig,
// that are taken for their class.
func (k *Classifier) Accuracy(x []float32, labels []int32, time float64, key rng.Key) float64 {
	n, size := len(labels), volume(k.Shape)
	s := tensor.NewScope(k.dev, tensor.Inference)
	defer s.Close()
	right := 0
	const batch = 256
	for from := 0; from < n; from += batch {
		s.Reset()
		to := min(from+batch, n)
		shape := append([]int{to - from}, k.Shape...)
		at := diffusion.Step{T: []float64{time}}
		noisy := diffusion.Noised(s.Tensor(x[from*size:to*size], shape...), s.Normal(key, uint64(from), shape...), diffusion.Trig{}, at)
		best := make([]int32, to-from)
		k.On(diffusion.Trig{}).logits(noisy, at).ArgMax(1).CopyTo(best)
		for i, b := range best {
			if b == labels[from+i] {
				right++
			}
		}
	}
	return float64(right) / float64(n)
}

func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// checkSizes bounds what is asked for before anything is allocated.
func checkSizes(shape []int, classes, width int) error {
	const most = 1 << 22
	n := 1
	for _, d := range shape {
		if d < 1 || d > most || n > most/d {
			return fmt.Errorf("samples of shape %v: want at most %d values", shape, most)
		}
		n *= d
	}
	switch {
	case len(shape) < 1 || len(shape) > 4:
		return fmt.Errorf("samples of shape %v: want 1 to 4 axes", shape)
	case classes < 2 || classes > 1<<12:
		return fmt.Errorf("%d classes: want 2 to %d", classes, 1<<12)
	case width < 4 || width > 512:
		return fmt.Errorf("width %d: want 4 to 512", width)
	}
	return nil
}
