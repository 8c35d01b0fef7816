package data

import (
	"math"

	"github.com/langevin-go/langevin/tensor/rng"
)

// How pictures of other proportions are cut, see [Pictures.Crop].
const (
	CropCentre  = "centre"
	CropRandom  = "random"
	CropResized = "resized"
	CropNone    = "none"
)

// cover is the largest part of a picture of h×w with the proportions of H×W, at fractions fx and fy of
// the room there is: ½ and ½ are the centre, as Pillow's ImageOps.fit cuts it.
func cover(h, w, H, W int, fx, fy float64) box {
	cw, ch := float64(w), float64(h)
	want, have := float64(W)/float64(H), float64(w)/float64(h)
	switch {
	case have == want:
	case have > want:
		cw = want * ch
	default:
		ch = cw / want
	}
	x, y := (float64(w)-cw)*fx, (float64(h)-ch)*fy
	return box{x, y, min(float64(w), x+cw), min(float64(h), y+ch)}
}

// draws are the random numbers of a sample in an epoch, in turn.
type draws struct {
	key    rng.Key
	sample uint64
	i      int
}

func (d *draws) float() float64 { d.i++; return rng.Float64(d.key, d.sample, d.i-1) }

func (d *draws) between(lo, hi float64) float64 { return lo + (hi-lo)*d.float() }

// cut chooses the part of a picture of h×w that is trained on; without random numbers the one at the centre.
func (p *Pictures) cut(h, w int, d *draws) box {
	switch {
	case p.Crop == CropNone:
		return box{0, 0, float64(w), float64(h)}
	case d == nil || p.Crop == CropCentre:
		return cover(h, w, p.Height, p.Width, 0.5, 0.5)
	case p.Crop == CropRandom:
		fx := d.float()
		return cover(h, w, p.Height, p.Width, fx, d.float())
	}
	// As torchvision's RandomResizedCrop, but for proportions, which are relative to those wanted.
	area := float64(h) * float64(w)
	aspect := float64(p.Width) / float64(p.Height)
	for range 10 {
		part := area * d.between(p.Scale[0], p.Scale[1])
		ratio := aspect * math.Exp(d.between(math.Log(p.Ratio[0]), math.Log(p.Ratio[1])))
		cw, ch := math.RoundToEven(math.Sqrt(part*ratio)), math.RoundToEven(math.Sqrt(part/ratio))
		if cw >= 1 && ch >= 1 && cw <= float64(w) && ch <= float64(h) {
			y := math.Floor(d.float() * (float64(h) - ch + 1))
			x := math.Floor(d.float() * (float64(w) - cw + 1))
			return box{x, y, x + cw, y + ch}
		}
	}
	return cover(h, w, p.Height, p.Width, 0.5, 0.5)
}
