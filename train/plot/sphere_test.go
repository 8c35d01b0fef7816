package plot

import (
	"image"
	"math"
	"path/filepath"
	"testing"
)

// Mollweide's projection has known places, and keeps areas: its Jacobian by longitude and height, in which
// the sphere's area is even, is 1. Central differences are off by h²/6 of third derivatives, and by 1e-16/h.
func TestMollweide(t *testing.T) {
	for _, c := range [][5]float64{
		{1, 0, 0, 0, 0}, {0, 1, 0, math.Sqrt2, 0}, {0, -1, 0, -math.Sqrt2, 0}, {0, 0, 1, 0, math.Sqrt2}, {0, 0, -1, 0, -math.Sqrt2}, {0, 0, 7, 0, math.Sqrt2},
	} {
		// sin θ is flat at the poles, where θ is known to the root of a rounding.
		if x, y := mollweide(c[0], c[1], c[2]); math.Abs(x-c[3]) > 1e-5 || math.Abs(y-c[4]) > 1e-9 {
			t.Errorf("%v is shown at (%g, %g)", c[:3], x, y)
		}
	}
	const h = 1e-5
	at := func(lambda, z float64) (x, y float64) {
		r := math.Sqrt(1 - z*z)
		return mollweide(r*math.Cos(lambda), r*math.Sin(lambda), z)
	}
	for _, lambda := range []float64{-3, -1, 0.5, 2} {
		for _, z := range []float64{-0.9, -0.3, 0.1, 0.8} {
			x1, y1 := at(lambda+h, z)
			x0, y0 := at(lambda-h, z)
			x3, y3 := at(lambda, z+h)
			x2, y2 := at(lambda, z-h)
			if j := ((x1-x0)*(y3-y2) - (x3-x2)*(y1-y0)) / (4 * h * h); math.Abs(j-1) > 1e-6 {
				t.Errorf("areas at longitude %g, height %g grow by %g", lambda, z, j)
			}
		}
	}
}

// A point to the east is right of the middle, one to the north above it.
func TestSpherePutsPointsWhereTheyBelong(t *testing.T) {
	dir := t.TempDir()
	place := func(name string, x, y, z float32) (float64, float64) {
		var samples []float32
		for range 30 {
			samples = append(samples, x, y, z)
		}
		path := filepath.Join(dir, name)
		if err := WriteSphere(path, samples, ScatterOptions{Data: []float32{0, 0, 1}, Labels: make([]int32, 30)}); err != nil {
			t.Fatal(err)
		}
		n, px, py := count(open(t, path), blue)
		if n < 9 || n > 30 { // see TestScatterPutsPointsWhereTheyBelong
			t.Fatalf("%d blue pixels", n)
		}
		return px, py
	}
	x0, y0 := place("middle.png", 1, 0, 0)
	x1, y1 := place("east.png", 0, 1, 0)
	x2, y2 := place("north.png", 1, 0, 1)
	// Half of the half axis of 7.2 in − 20 pt at 144 dots an inch, less a hundredth: some 246 pixels.
	if right := x1 - x0; math.Abs(y1-y0) > 1 || right < 225 || right > 255 {
		t.Errorf("a quarter of the equator is %v pixels right", right)
	}
	// 2θ + sin 2θ = π·sin 45°: sin θ = 0.592, of the ellipse's half height of some 240 pixels.
	if up := y0 - y2; math.Abs(x2-x0) > 1 || up < 125 || up > 160 {
		t.Errorf("45° north is %v pixels up", up)
	}
	nan := float32(math.NaN())
	path := filepath.Join(dir, "nan.png")
	if err := WriteSphere(path, []float32{nan, 0, 1, 1, nan, 0, 0, 0, 0}, ScatterOptions{Title: "t"}); err != nil {
		t.Fatal(err)
	}
	if s := open(t, path).Bounds().Size(); s != image.Pt(1037, 576) && s != image.Pt(1036, 576) {
		t.Errorf("size %v", s)
	}
}

// The square about the origin is shown whole, whatever the data cover.
func TestScatterOfASquare(t *testing.T) {
	place := func(half float64) float64 {
		path := filepath.Join(t.TempDir(), "x.png")
		if err := WriteScatter(path, many(1, 0, 30), ScatterOptions{Data: []float32{0.9, 0, 1.1, 0}, Labels: make([]int32, 30), Half: half}); err != nil {
			t.Fatal(err)
		}
		n, x, _ := count(open(t, path), blue)
		if n == 0 {
			t.Fatal("nothing is shown")
		}
		return x
	}
	// At twice the half side, a point is half as far from the middle, at some 370 pixels of 720.
	if a, b := place(2)-370, place(4)-370; math.Abs(a-2*b) > 25 || a < 100 {
		t.Errorf("%g and %g pixels from the middle", a, b)
	}
}
