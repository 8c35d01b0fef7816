package features

import "github.com/langevin-go/langevin/train/data"

const (
	inceptionSide = 299
	dinov2Side    = 224
)

// inceptionInput brings a picture to 299×299 as TensorFlow 1 does, bilinearly with the upper left pixels' centres on each other, and to
// values from −1 to 1 by (v−128)/128: what torch-fidelity's inception-v3-compat does, bit for bit.
func inceptionInput(dst []float32, pix []uint8, h, w int) {
	scaleTF1(dst, inceptionSide, inceptionSide, pix, h, w)
	for i, v := range dst {
		dst[i] = (v - 128) / 128
	}
}

// tf1Axis is, for each new pixel, the old ones before and behind it and how far it lies between them. All in float32, as TensorFlow has it.
type tf1Axis struct {
	lo, hi []int
	part   []float32
}

func newTF1Axis(size, out int) tf1Axis {
	a := tf1Axis{make([]int, out), make([]int, out), make([]float32, out)}
	scale := float32(float64(size) / float64(out))
	for i := range out {
		at := float32(i) * scale
		a.lo[i] = int(at)
		a.hi[i] = min(a.lo[i]+1, size-1)
		a.part[i] = at - float32(a.lo[i])
	}
	return a
}

// scaleTF1 brings h×w pixels of three channels to toH×toW.
func scaleTF1(dst []float32, toH, toW int, pix []uint8, h, w int) {
	ys, xs := newTF1Axis(h, toH), newTF1Axis(w, toW)
	for i := range toH {
		top, low := pix[ys.lo[i]*w*3:], pix[ys.hi[i]*w*3:]
		for j := range toW {
			x0, x1 := xs.lo[j]*3, xs.hi[j]*3
			for c := range 3 {
				a := between(float32(top[x0+c]), float32(top[x1+c]), xs.part[j])
				b := between(float32(low[x0+c]), float32(low[x1+c]), xs.part[j])
				dst[(i*toW+j)*3+c] = between(a, b, ys.part[i])
			}
		}
	}
}

// between rounds the product, so that machines that fuse give the same bits.
func between(a, b, part float32) float32 { return a + float32((b-a)*part) }

// Means and standard deviations of ImageNet's channels.
var (
	imagenetMean = [3]float32{0.485, 0.456, 0.406}
	imagenetStd  = [3]float32{0.229, 0.224, 0.225}
)

// dinov2Input brings a picture to 224×224 by Pillow's bicubic filter and takes out ImageNet's mean and deviation, as dgm-eval
// does, whose Fréchet distance in DINOv2's features it is (Stein et al. 2023, "Exposing flaws of generative model evaluation metrics").
func dinov2Input(dst []float32, pix []uint8, h, w int) {
	scaled := make([]uint8, dinov2Side*dinov2Side*3)
	data.Scale(scaled, dinov2Side, dinov2Side, pix, h, w, 3, data.FilterBicubic)
	for i, p := range scaled {
		dst[i] = (float32(p)/255 - imagenetMean[i%3]) / imagenetStd[i%3]
	}
}
