package metrics

// Images are pictures of one size, channels last, with values in [−1, 1].
type Images struct {
	Pixels  []float32 // N·H·W·C values
	Labels  []int32   // N classes, or nil for pictures without; of generated ones: the class asked for
	H, W, C int       // pixels down, pixels across, channels
}

// Len is the number of pictures.
func (im Images) Len() int {
	if d := im.dim(); d > 0 {
		return len(im.Pixels) / d
	}
	return 0
}

func (im Images) dim() int { return im.H * im.W * im.C }

// points shows the pictures as points of H·W·C coordinates.
func (im Images) points() Points { return Points{im.Pixels, im.dim()} }

// check reports pictures that do not fit each other or the number of classes (0: labels are not looked at).
func (im Images) check(what string, classes int) error {
	d := im.dim()
	switch {
	case im.H < 1 || im.W < 1 || im.C < 1:
		return inputError("%s: pictures of %d×%d×%d, want at least 1 of each", what, im.H, im.W, im.C)
	case len(im.Pixels) == 0:
		return inputError("%s: no pictures", what)
	case len(im.Pixels)%d != 0:
		return inputError("%s: %d values are no whole number of %d×%d×%d pictures", what, len(im.Pixels), im.H, im.W, im.C)
	}
	if err := im.points().finite(what); err != nil {
		return err
	}
	if im.Labels == nil || classes == 0 {
		return nil
	}
	if len(im.Labels) != im.Len() {
		return inputError("%s: %d labels for %d pictures", what, len(im.Labels), im.Len())
	}
	for i, l := range im.Labels {
		if l < 0 || int(l) >= classes {
			return inputError("%s: picture %d has label %d, want 0 to %d", what, i, l, classes-1)
		}
	}
	return nil
}

// same reports pictures of another size than want's, whose owner it names.
func (im Images) same(what string, want Images, whose string) error {
	if im.H != want.H || im.W != want.W || im.C != want.C {
		return inputError("%s have %d×%d×%d, %s %d×%d×%d", what, im.H, im.W, im.C, whose, want.H, want.W, want.C)
	}
	return nil
}

// clamped is the pictures with values limited to [−1,1].
func (im Images) clamped() Images {
	x := make([]float32, len(im.Pixels))
	for i, v := range im.Pixels {
		x[i] = min(max(v, -1), 1)
	}
	im.Pixels = x
	return im
}

// shrink averages pictures down, by the smallest whole factor that brings
// height and width to at most side; boxes at the lower and right border may be smaller.
func (im Images) shrink(side int) Images {
	f := (max(im.H, im.W) + side - 1) / side
	if f <= 1 {
		return im
	}
	out := Images{Labels: im.Labels, H: (im.H + f - 1) / f, W: (im.W + f - 1) / f, C: im.C}
	out.Pixels = make([]float32, im.Len()*out.dim())
	for n := range im.Len() {
		shrinkOne(out.points().row(n), im.points().row(n), im, out, f)
	}
	return out
}

func shrinkOne(dst, src []float32, im, out Images, f int) {
	for y := range out.H {
		for x := range out.W {
			y1, x1 := min((y+1)*f, im.H), min((x+1)*f, im.W)
			for c := range im.C {
				sum := 0.0
				for i := y * f; i < y1; i++ {
					for j := x * f; j < x1; j++ {
						sum += float64(src[(i*im.W+j)*im.C+c])
					}
				}
				dst[(y*out.W+x)*im.C+c] = float32(sum / float64((y1-y*f)*(x1-x*f)))
			}
		}
	}
}
