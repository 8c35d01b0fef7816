package nn

import (
	"fmt"

	"github.com/langevin-go/langevin/tensor"
)

// InceptionV3 is the network whose features the Fréchet inception distance is taken
// in: Szegedy et al. 2015, "Rethinking the Inception architecture for computer
// vision", as TensorFlow's model of 2015-12-05 has it. That differs from other
// implementations in its poolings: averages leave padding out, and the last block
// takes maxima where the paper has averages; and it has 1,008 classes.
//
// It is for inference only: normalisation of batches is part of the convolutions.
type InceptionV3 struct {
	Conv1a, Conv2a, Conv2b, Conv3b, Conv4a *Conv2D
	Mixed5b, Mixed5c, Mixed5d, Mixed6a     *InceptionBlock
	Mixed6b, Mixed6c, Mixed6d, Mixed6e     *InceptionBlock
	Mixed7a, Mixed7b, Mixed7c              *InceptionBlock
	Head                                   *Linear // (2048, 1008)
}

// InceptionSide is the height and width of the pictures that the network was trained on.
const InceptionSide = 299

// InceptionClasses is the number of logits.
const InceptionClasses = 1008

// InceptionBlock is branches side by side, joined along the channels.
type InceptionBlock struct {
	Branches []*InceptionBranch
}

// InceptionBranch is a pooling, if it has one, and convolutions, each with ReLU: one after
// another, and at the end perhaps a fork of some side by side.
type InceptionBranch struct {
	Convs []*Conv2D
	Fork  []*Conv2D

	pool func(x *tensor.Tensor) *tensor.Tensor
}

// Poolings of branches, all over 3×3 pixels.
var (
	averageInside = tensor.Pool{Kernel: [3]int{3, 3}, Stride: [3]int{1, 1}, PadLo: [3]int{1, 1}, PadHi: [3]int{1, 1}, ExcludePad: true}

	poolAverage = func(x *tensor.Tensor) *tensor.Tensor { return x.AvgPool(averageInside) }
	poolMax     = func(x *tensor.Tensor) *tensor.Tensor { return x.MaxPool(tensor.Pool2D(3, 1, 1)) }
	poolHalf    = func(x *tensor.Tensor) *tensor.Tensor { return x.MaxPool(tensor.Pool2D(3, 2, 0)) }
)

// convSpec is a convolution to out channels by a kernel h×w.
type convSpec struct {
	out, h, w, stride int
	padded            bool // with zeros, such that the size stays
}

func kept(out, h, w int) convSpec { return convSpec{out, h, w, 1, true} }
func point1(out int) convSpec     { return kept(out, 1, 1) }
func halved(out int) convSpec     { return convSpec{out, 3, 3, 2, false} }

func (c convSpec) make(in *Init, from int) *Conv2D {
	p := tensor.Conv{Stride: [3]int{c.stride, c.stride}}
	if c.padded {
		p.PadLo = [3]int{c.h / 2, c.w / 2}
		p.PadHi = p.PadLo
	}
	fan := c.h * c.w * from
	return &Conv2D{in.KaimingUniform(fan, c.h, c.w, from, c.out), in.KaimingUniform(fan, c.out), p}
}

// branchSpec says what a branch is made of.
type branchSpec struct {
	pool  func(x *tensor.Tensor) *tensor.Tensor
	convs []convSpec
	fork  []convSpec
}

func chain(convs ...convSpec) branchSpec { return branchSpec{convs: convs} }

func newInceptionBlock(in *Init, from int, branches ...branchSpec) (block *InceptionBlock, out int) {
	block = &InceptionBlock{}
	for _, spec := range branches {
		b, width := &InceptionBranch{pool: spec.pool}, from
		for _, c := range spec.convs {
			b.Convs = append(b.Convs, c.make(in, width))
			width = c.out
		}
		if spec.fork != nil {
			before := width
			width = 0
			for _, c := range spec.fork {
				b.Fork = append(b.Fork, c.make(in, before))
				width += c.out
			}
		}
		block.Branches = append(block.Branches, b)
		out += width
	}
	return block, out
}

// inceptionA looks 1, 5 and 3+3 pixels wide; pool channels are of the averages.
func inceptionA(pool int) []branchSpec {
	return []branchSpec{
		chain(point1(64)),
		chain(point1(48), kept(64, 5, 5)),
		chain(point1(64), kept(96, 3, 3), kept(96, 3, 3)),
		{pool: poolAverage, convs: []convSpec{point1(pool)}},
	}
}

// inceptionB halves the picture.
func inceptionB() []branchSpec {
	return []branchSpec{
		chain(halved(384)),
		chain(point1(64), kept(96, 3, 3), halved(96)),
		{pool: poolHalf},
	}
}

// inceptionC has kernels of 7 pixels, across and down, with width channels between.
func inceptionC(width int) []branchSpec {
	return []branchSpec{
		chain(point1(192)),
		chain(point1(width), kept(width, 1, 7), kept(192, 7, 1)),
		chain(point1(width), kept(width, 7, 1), kept(width, 1, 7), kept(width, 7, 1), kept(192, 1, 7)),
		{pool: poolAverage, convs: []convSpec{point1(192)}},
	}
}

// inceptionD halves the picture again.
func inceptionD() []branchSpec {
	return []branchSpec{
		chain(point1(192), halved(320)),
		chain(point1(192), kept(192, 1, 7), kept(192, 7, 1), halved(192)),
		{pool: poolHalf},
	}
}

// inceptionE ends branches with a fork: across and down.
func inceptionE(pool func(x *tensor.Tensor) *tensor.Tensor) []branchSpec {
	fork := []convSpec{kept(384, 1, 3), kept(384, 3, 1)}
	return []branchSpec{
		chain(point1(320)),
		{convs: []convSpec{point1(384)}, fork: fork},
		{convs: []convSpec{point1(448), kept(384, 3, 3)}, fork: fork},
		{pool: pool, convs: []convSpec{point1(192)}},
	}
}

// NewInceptionV3 makes the network, 24 million parameters.
func NewInceptionV3(in *Init) (n *InceptionV3, err error) {
	defer catchAlloc(&err)
	n = &InceptionV3{
		Conv1a: halved(32).make(in, 3),
		Conv2a: convSpec{32, 3, 3, 1, false}.make(in, 32),
		Conv2b: kept(64, 3, 3).make(in, 32),
		Conv3b: point1(80).make(in, 64),
		Conv4a: convSpec{192, 3, 3, 1, false}.make(in, 80),
	}
	width := 192
	for _, b := range []struct {
		to   **InceptionBlock
		spec []branchSpec
	}{
		{&n.Mixed5b, inceptionA(32)}, {&n.Mixed5c, inceptionA(64)}, {&n.Mixed5d, inceptionA(64)}, {&n.Mixed6a, inceptionB()},
		{&n.Mixed6b, inceptionC(128)}, {&n.Mixed6c, inceptionC(160)}, {&n.Mixed6d, inceptionC(160)}, {&n.Mixed6e, inceptionC(192)},
		{&n.Mixed7a, inceptionD()}, {&n.Mixed7b, inceptionE(poolAverage)}, {&n.Mixed7c, inceptionE(poolMax)},
	} {
		*b.to, width = newInceptionBlock(in, width, b.spec...)
	}
	n.Head = NewLinear(in, width, InceptionClasses)
	return n, nil
}

// Features maps pictures x (N,H,W,3), of values from −1 to 1 and at least 75 pixels
// a side, to the means over positions (N,layer) of layers of 64, 192, 768 or 2048 channels, in rising order. The
// last is what the Fréchet inception distance is of. They keep their memory until the scope's Reset.
func (n *InceptionV3) Features(x *tensor.Tensor, layers ...int) []*tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	var means []*tensor.Tensor
	for _, stage := range []struct {
		channels int
		run      []func(x *tensor.Tensor) *tensor.Tensor
	}{
		{64, []func(x *tensor.Tensor) *tensor.Tensor{rectified(n.Conv1a), rectified(n.Conv2a), rectified(n.Conv2b), poolHalf}},
		{192, []func(x *tensor.Tensor) *tensor.Tensor{rectified(n.Conv3b), rectified(n.Conv4a), poolHalf}},
		{768, blocks(n.Mixed5b, n.Mixed5c, n.Mixed5d, n.Mixed6a, n.Mixed6b, n.Mixed6c, n.Mixed6d, n.Mixed6e)},
		{2048, blocks(n.Mixed7a, n.Mixed7b, n.Mixed7c)},
	} {
		if len(means) == len(layers) {
			break
		}
		for _, run := range stage.run {
			x = s.Release(mark, run(x))
		}
		if layers[len(means)] == stage.channels {
			means = append(means, s.Hold(x.Mean(1, 2)))
		}
	}
	if len(means) < len(layers) || len(layers) == 0 {
		misuse("InceptionV3", fmt.Sprintf("layers of %v channels: want some of 64, 192, 768 and 2048, in that order", layers))
	}
	s.Release(mark, means[0])
	return means
}

// Logits maps features (N,2048) of the last layer to (N,1008).
func (n *InceptionV3) Logits(features *tensor.Tensor) *tensor.Tensor { return n.Head.Forward(features) }

func rectified(c *Conv2D) func(x *tensor.Tensor) *tensor.Tensor {
	return func(x *tensor.Tensor) *tensor.Tensor { return c.Forward(x).ReLU() }
}

func blocks(bs ...*InceptionBlock) (run []func(x *tensor.Tensor) *tensor.Tensor) {
	for _, b := range bs {
		run = append(run, b.Forward)
	}
	return run
}

// Forward maps (N,H,W,C) to the joined results of the branches.
func (b *InceptionBlock) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	parts := make([]*tensor.Tensor, len(b.Branches))
	for i, branch := range b.Branches {
		parts[i] = branch.Forward(x)
	}
	return s.Release(mark, tensor.Concat(3, parts...))
}

// Forward maps (N,H,W,C) to the branch's channels.
func (b *InceptionBranch) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	mark := s.Mark()
	if b.pool != nil {
		x = b.pool(x)
	}
	for _, c := range b.Convs {
		x = c.Forward(x).ReLU()
	}
	if b.Fork != nil {
		parts := make([]*tensor.Tensor, len(b.Fork))
		for i, c := range b.Fork {
			parts[i] = c.Forward(x).ReLU()
		}
		x = tensor.Concat(3, parts...)
	}
	return s.Release(mark, x)
}
