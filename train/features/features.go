// Package features runs networks of others, Inception and DINOv2, on pictures, for the features in which package
// metrics compares sets of them. Their weights are the user's files: none come with the program.
package features

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/tensor"
	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/train/data"
	"github.com/langevin-go/langevin/train/metrics"
)

// Kinds are the names of networks with what stands behind the colon.
const Kinds = "inception:FILE.safetensors, inception64:, inception192: or inception768:FILE.safetensors, or dinov2:FOLDER"

// batch is the number of pictures that go through a network at once: with Inception some 300 MB of memory.
const batch = 16

// Network is a network whose weights do not change any more. It is a [metrics.Network].
type Network struct {
	name, hash string
	dim, side  int
	dev        backend.Device
	prepare    func(dst []float32, pix []uint8, h, w int)     // one picture of three channels to side×side
	forward    func(x *tensor.Tensor) (points *tensor.Tensor) // (N,side,side,3) to (N,dim)
}

// Open reads a network's weights onto dev. spec is one of [Kinds].
func Open(spec string, dev backend.Device) (*Network, error) {
	kind, path, ok := strings.Cut(spec, ":")
	if !ok || path == "" {
		return nil, fmt.Errorf("%q is no network of features: want %s", spec, Kinds)
	}
	switch kind {
	case "inception":
		return openInception(kind, path, 2048, dev)
	case "inception64":
		return openInception(kind, path, 64, dev)
	case "inception192":
		return openInception(kind, path, 192, dev)
	case "inception768":
		return openInception(kind, path, 768, dev)
	case "dinov2":
		return openDINOv2(path, dev)
	}
	return nil, fmt.Errorf("%q is no network of features: want %s", spec, Kinds)
}

// openInception has the mean over positions of a layer as features; of 2048 channels those of the Fréchet inception distance.
func openInception(name, path string, layer int, dev backend.Device) (*Network, error) {
	net, err := interop.LoadInception(path, dev)
	if err != nil {
		return nil, err
	}
	hash, err := hashOf(path)
	if err != nil {
		return nil, err
	}
	return &Network{name: name, hash: hash, dim: layer, side: inceptionSide, dev: dev,
		prepare: inceptionInput,
		forward: func(x *tensor.Tensor) *tensor.Tensor { return net.Features(x, layer)[0] },
	}, nil
}

// openDINOv2 has the vector for the whole picture as features.
func openDINOv2(dir string, dev backend.Device) (*Network, error) {
	net, err := interop.LoadVision(dir, dev)
	if err != nil {
		return nil, err
	}
	if c := net.Options().Channels; c != 3 {
		return nil, fmt.Errorf("%s: a network of pictures of %d channels, want 3", dir, c)
	}
	hash, err := hashOf(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return nil, err
	}
	return &Network{name: "dinov2", hash: hash, dim: net.Options().Width, side: dinov2Side, dev: dev,
		prepare: dinov2Input,
		forward: func(x *tensor.Tensor) *tensor.Tensor { return net.Forward(x).Slice(1, 0, 1).Squeeze(1) },
	}, nil
}

// hashOf is the SHA-256 of a file.
func hashOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", badfile.Read(path, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", badfile.Read(path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Describe is the network's name, the SHA-256 of its weights and the number of its features.
func (n *Network) Describe() (name, hash string, dim int) { return n.name, n.hash, n.dim }

// Features are those of pictures of any size with one channel, which stands for all three, or three. Pictures are
// rounded to bytes first, as they would be shown and as the networks were trained. What a picture's features are does not depend on those beside it. progress may be nil.
func (n *Network) Features(ctx context.Context, im metrics.Images, progress func(done int)) (metrics.Points, error) {
	if im.C != 1 && im.C != 3 {
		return metrics.Points{}, &metrics.InputError{Msg: fmt.Sprintf("features of %s are of pictures of 1 or 3 channels, these have %d", n.name, im.C)}
	}
	count, size := im.Len(), n.side*n.side*3
	out := metrics.Points{X: make([]float32, count*n.dim), D: n.dim}
	s := tensor.NewScope(n.dev, tensor.Inference)
	defer s.Close()
	in := make([]float32, min(batch, count)*size)
	pix := make([]uint8, im.H*im.W*3)
	for at := 0; at < count; at += batch {
		if err := ctx.Err(); err != nil {
			return metrics.Points{}, err
		}
		k := min(batch, count-at)
		for i := range k {
			n.bytes(pix, im, at+i)
			n.prepare(in[i*size:(i+1)*size], pix, im.H, im.W)
		}
		n.forward(s.Tensor(in[:k*size], k, n.side, n.side, 3)).CopyTo(out.X[at*n.dim : (at+k)*n.dim])
		s.Reset()
		if progress != nil {
			progress(at + k)
		}
	}
	return out, nil
}

// bytes are a picture's, of three channels.
func (n *Network) bytes(pix []uint8, im metrics.Images, i int) {
	size := im.H * im.W * im.C
	x := im.Pixels[i*size : (i+1)*size]
	if im.C == 3 {
		for k, v := range x {
			pix[k] = data.Byte(v)
		}
		return
	}
	for k, v := range x {
		b := data.Byte(v)
		pix[3*k], pix[3*k+1], pix[3*k+2] = b, b, b
	}
}
