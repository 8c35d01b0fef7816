package plot

import (
	"image"
	"image/color"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// near tells whether a pixel is a colour but for 12 in each channel.
func near(m image.Image, x, y int, want color.Color) bool {
	a, b := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA), color.NRGBAModel.Convert(want).(color.NRGBA)
	for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
		if d < -12 || d > 12 {
			return false
		}
	}
	return true
}

// place is the middle of the pixels of a colour.
func place(t *testing.T, f *Figure, c color.NRGBA) (x, y float64) {
	t.Helper()
	n, x, y := count(f.Draw(), c)
	if n == 0 {
		t.Fatal("nothing is drawn in the colour")
	}
	return x, y
}

// Areas stand in rows, and each shows its box: a point in the middle of the box is in the middle of the data's part of its cell.
func TestFigure(t *testing.T) {
	dot := func(box Box, x, y float32) Area {
		return Area{Box: box, Layers: []Layer{&Points{XY: many(x, y, 1), Color: green, Radius: 4}}}
	}
	box := Box{X0: -1, X1: 3, Y0: 10, Y1: 20}
	empty := Area{Box: box}
	size := func(f *Figure) image.Point { return f.Draw().Bounds().Size() }
	if got := size(&Figure{Areas: []Area{empty, empty, empty}, Columns: 2, Width: 2, Height: 1}); got != image.Pt(604, 338) && got != image.Pt(605, 338) { // (2·2+.2)·144 and (2·1+.35)·144
		t.Errorf("size %v", got)
	}
	if got := size(&Figure{Areas: []Area{empty}, Width: 2, DPI: 72}); got != image.Pt(158, 169) { // 2.2·72 and 2.35·72
		t.Errorf("at 72 dots an inch %v", got)
	}
	for k, c := range []struct{ x, y float64 }{{1, 0}, {0, 1}} {
		areas := []Area{empty, empty, empty, empty}
		areas[0] = dot(box, 1, 15)
		x0, y0 := place(t, &Figure{Areas: areas, Columns: 2}, green)
		areas[0], areas[1+k] = empty, dot(box, 1, 15)
		x1, y1 := place(t, &Figure{Areas: areas, Columns: 2}, green)
		if dx, dy := x1-x0, y1-y0; math.Abs(dx-c.x*3.4*144) > 16 || math.Abs(dy-c.y*3.4*144) > 16 { // a cell of 3.4 inches, but for margins
			t.Errorf("area %d is %g right and %g below of the first", 1+k, dx, dy)
		}
	}
	// A tenth of the box to the right and up are tenths of the picture, unless both axes have one scale.
	move := func(equal bool) (right, up float64) {
		f := func(x, y float32) *Figure {
			a := dot(box, x, y)
			a.Equal = equal
			return &Figure{Areas: []Area{a}}
		}
		x0, y0 := place(t, f(1, 15), green)
		x1, _ := place(t, f(2, 15), green)
		_, y2 := place(t, f(1, 16), green)
		return x1 - x0, y0 - y2
	}
	if right, up := move(true); math.Abs(right-up) > 1 {
		t.Errorf("with one scale a unit is %g right and %g up", right, up)
	}
	if right, up := move(false); math.Abs(right/up-2.5) > 0.2 { // 4 wide and 10 high
		t.Errorf("with a scale each a unit is %g right and %g up", right, up)
	}
	// A point outside is not drawn, one that is not finite neither.
	nan := float32(math.NaN())
	f := Figure{Areas: []Area{dot(box, 4, 15), dot(box, nan, 15), dot(box, 0, float32(math.Inf(1)))}}
	if n, _, _ := count(f.Draw(), green); n != 0 {
		t.Errorf("%d pixels of points outside", n)
	}
	bare, ticked := empty, empty
	bare.Bare, ticked.XTicks, ticked.XLabel = true, []Tick{{At: 1, Label: "one"}}, "x"
	a, b := (&Figure{Areas: []Area{bare}}).Draw(), (&Figure{Areas: []Area{ticked}}).Draw()
	if n, _, _ := count(a, muted); n != 0 {
		t.Errorf("%d pixels of numbers", n)
	}
	if n, _, _ := count(a, hair); n < 500 {
		t.Errorf("%d pixels of hairlines", n)
	}
	if n, _, _ := count(b, muted); n == 0 {
		t.Error("no ticks")
	}
}

// A line is drawn where it is within the box, and broken where it is not finite.
func TestLines(t *testing.T) {
	box := Box{X0: 0, X1: 4, Y0: 0, Y1: 1}
	pixels := func(path ...float32) int {
		n, _, _ := count((&Figure{Areas: []Area{{Box: box, Layers: []Layer{&Lines{Paths: [][]float32{path}, Color: green, Width: 2}}}}}).Draw(), green)
		return n
	}
	nan := float32(math.NaN())
	whole := pixels(0, 0.5, 4, 0.5)
	if half := pixels(0, 0.5, 2, 0.5); math.Abs(float64(half)/float64(whole)-0.5) > 0.03 || whole < 400*3 {
		t.Errorf("half the line has %d pixels of %d", half, whole)
	}
	if out := pixels(-4, 0.5, 8, 0.5); math.Abs(float64(out)/float64(whole)-1) > 0.02 {
		t.Errorf("a line that goes on outside has %d pixels, not %d", out, whole)
	}
	if broken := pixels(0, 0.5, 1, 0.5, nan, nan, 3, 0.5, 4, 0.5); math.Abs(float64(broken)/float64(whole)-0.5) > 0.03 {
		t.Errorf("a broken line has %d pixels of %d", broken, whole)
	}
	if pixels(1, 0.5) != 0 {
		t.Error("a line of one place is drawn")
	}
}

// Each cell of a map has its colour at its place, beyond the axes nothing is drawn.
func TestHeat(t *testing.T) {
	box := Box{X0: 0, X1: 4, Y0: 0, Y1: 4}
	h := &Heat{Mesh: Mesh{Box: Box{X0: -1, X1: 5, Y0: -1, Y1: 5}, W: 6, H: 6}, Values: make([]float64, 36)}
	for i := range h.Values {
		h.Values[i] = 1
	}
	h.Values[2*6+3] = 0 // x from 2 to 3, y from 1 to 2
	m := (&Figure{Areas: []Area{{Box: box, Layers: []Layer{h}}}}).Draw()
	dark, x, y := count(m, warmth(1))
	if dark == 0 {
		t.Fatal("nothing is dark")
	}
	// The lit cell is right of the middle and below it; the darks' middle is thus left of the area's and above it.
	at := func(px, py float32) (float64, float64) {
		return place(t, &Figure{Areas: []Area{{Box: box, Layers: []Layer{&Points{XY: []float32{px, py}, Color: green, Radius: 3}}}}}, green)
	}
	if cx, cy := at(2.5, 1.5); !near(m, int(cx), int(cy), warmth(0)) {
		t.Errorf("the cell of 0 is %v", m.At(int(cx), int(cy)))
	}
	if cx, cy := at(0.5, 3.5); !near(m, int(cx), int(cy), warmth(1)) {
		t.Errorf("a cell of 1 is %v", m.At(int(cx), int(cy)))
	}
	if mx, my := at(2, 2); x > mx || y > my {
		t.Errorf("the middle of the dark is %g,%g, that of the area %g,%g", x, y, mx, my)
	}
	left, _ := at(0, 2)
	right, _ := at(4, 2)
	for py := range m.Bounds().Dy() {
		for _, px := range []int{int(left) - 3, int(right) + 3} {
			if near(m, px, py, warmth(1)) {
				t.Fatalf("the map reaches beyond the axes, at %d,%d", px, py)
			}
		}
	}
	if want := []float32{-0.5, -0.5, 0.5, -0.5}; h.At()[0] != want[0] || h.At()[3] != want[3] || h.At()[2] != want[2] || h.At()[13] != 0.5 {
		t.Errorf("middles of cells %v", h.At())
	}
	for v, want := range map[float64]color.NRGBA{-1: {255, 255, 255, 255}, math.NaN(): {255, 255, 255, 255}, 0: {255, 255, 255, 255}, 1: warmth(7), 1. / 3: {0xfd, 0xf0, 0xdc, 255}} {
		if got := warmth(v); got != want {
			t.Errorf("%g is %v, want %v", v, got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a wrong number of values is drawn")
		}
	}()
	h.Values = h.Values[1:]
	(&Figure{Areas: []Area{{Box: box, Layers: []Layer{h}}}}).Draw()
}

func TestCompact(t *testing.T) {
	few := image.NewRGBA(image.Rect(3, 4, 13, 14)) // not at the origin
	for i := range 100 {
		few.SetRGBA(3+i%10, 4+i/10, color.RGBA{uint8(2 * i), uint8(i), 7, 255})
	}
	c := Compact(few)
	for i := range 100 {
		if got := color.RGBAModel.Convert(c.At(i%10, i/10)); got != few.RGBAAt(3+i%10, 4+i/10) {
			t.Fatalf("pixel %d is %v, was %v", i, got, few.RGBAAt(3+i%10, 4+i/10))
		}
	}
	// 64 Ki colours, each once, of which 256 are left: a cube of them is at most 256/256^(1/2) = 16 wide in both channels, 32 where cuts are uneven.
	many := image.NewRGBA(image.Rect(0, 0, 256, 256))
	for i := range 1 << 16 {
		many.SetRGBA(i%256, i/256, color.RGBA{uint8(i % 256), uint8(i / 256), 50, 255})
	}
	c = Compact(many)
	if len(c.Palette) != 256 {
		t.Fatalf("%d colours", len(c.Palette))
	}
	for i := range 1 << 16 {
		got := color.RGBAModel.Convert(c.At(i%256, i/256)).(color.RGBA)
		for _, d := range []int{int(got.R) - i%256, int(got.G) - i/256, int(got.B) - 50} {
			if d < -16 || d > 16 {
				t.Fatalf("pixel %d is %v", i, got)
			}
		}
	}
}

// Values at one place are shown each, the curve goes through their mean; the reference is where it belongs.
func TestCurveOfPoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.png")
	half := 2.5
	s := Series{Name: "a", X: []float64{100, 1, 10, 10}, Y: []float64{4, 1, 1, 3}}
	if err := WriteCurve(path, []Series{s}, CurveOptions{Points: true, LogX: true, Reference: &half, ReferenceName: "r"}); err != nil {
		t.Fatal(err)
	}
	m := open(t, path)
	n, x, y := count(m, blue)
	if n < 900 { // a curve across 830 pixels
		t.Errorf("%d pixels of the curve", n)
	}
	if gn, _, gy := count(m, grey); gn < 300 || math.Abs(gy-y) > 120 {
		t.Errorf("the reference has %d pixels about %g, the curve's are about %g,%g", gn, gy, x, y)
	}
	got := means(finite(s, false, true))
	for i, want := range [][2]float64{{1, 1}, {10, 2}, {100, 4}} {
		if got[i].X != want[0] || got[i].Y != want[1] {
			t.Errorf("the curve's place %d is %v, want %v", i, got[i], want)
		}
	}
	if p := finite(Series{X: []float64{0, -1, 2}, Y: []float64{1, 1, 1}}, false, true); len(p) != 1 {
		t.Errorf("on a logarithmic axis: %v", p)
	}
	for _, opt := range []CurveOptions{{Points: true, LogX: true, Log: true}, {Reference: &half, Log: true}} {
		for _, series := range [][]Series{nil, {{X: []float64{3}, Y: []float64{2}}}, {{X: []float64{-1}, Y: []float64{-1}}}} {
			if err := WriteCurve(path, series, opt); err != nil {
				t.Errorf("%+v of %+v: %v", opt, series, err)
			}
		}
	}
}

// Many names stand in a list beside the curves, shortened to fit; the dots are the curves'.
func TestManyCurves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.png")
	var series []Series
	for k := range 30 {
		series = append(series, Series{Name: strings.Repeat("a long name ", 5), X: []float64{0, 1}, Y: []float64{float64(k), float64(k)}})
	}
	if err := WriteCurve(path, series, CurveOptions{Title: "t"}); err != nil {
		t.Fatal(err)
	}
	m := open(t, path)
	if w := m.Bounds().Dx(); w < 1266 || w > 1268 { // (6.4+2.4)·144
		t.Fatalf("%d wide", w)
	}
	words := 0
	for y := range m.Bounds().Dy() {
		for x := 930; x < m.Bounds().Dx(); x++ {
			if near(m, x, y, ink) {
				if words++; x > m.Bounds().Dx()-12 {
					t.Fatalf("a name reaches the edge, at %d,%d", x, y)
				}
			}
		}
	}
	if words < 1000 {
		t.Errorf("%d pixels of names", words)
	}
	style := textStyle(8, ink)
	if got := shortened("abcdefghij", style, style.Width("abcd…")); got != "abcd…" {
		t.Errorf("shortened to %q", got)
	}
	if got := shortened("abc", style, style.Width("abc")); got != "abc" {
		t.Errorf("what fits is shortened to %q", got)
	}
}
