package plot

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"gonum.org/v1/plot/plotter"
)

// count tells how many pixels are nearer to a colour than by 40 in every channel, and their middle.
func count(m image.Image, c color.NRGBA) (n int, x, y float64) {
	b := m.Bounds()
	for py := b.Min.Y; py < b.Max.Y; py++ {
		for px := b.Min.X; px < b.Max.X; px++ {
			p := color.NRGBAModel.Convert(m.At(px, py)).(color.NRGBA)
			near := func(a, b uint8) bool { return int(a)-int(b) < 40 && int(b)-int(a) < 40 }
			if near(p.R, c.R) && near(p.G, c.G) && near(p.B, c.B) {
				n++
				x += float64(px)
				y += float64(py)
			}
		}
	}
	return n, x / float64(n), y / float64(n)
}

// many repeats one point, so that translucent dots add up to their full colour.
func many(x, y float32, n int) []float32 {
	var out []float32
	for range n {
		out = append(out, x, y)
	}
	return out
}

// The axes are those of the data, here −1..1 with a margin of 8 %, so a sample at
// (0.5, 0.5) stands right of and above the middle of the area; the dot in the
// header is left out by measuring against a picture with the sample at the origin.
func TestScatterPutsPointsWhereTheyBelong(t *testing.T) {
	dir := t.TempDir()
	data := []float32{-1, -1, 1, 1, -1, 1, 1, -1}
	place := func(name string, x, y float32) (float64, float64) {
		path := filepath.Join(dir, name)
		if err := WriteScatter(path, many(x, y, 30), ScatterOptions{Data: data, Labels: make([]int32, 30)}); err != nil {
			t.Fatal(err)
		}
		n, px, py := count(open(t, path), blue)
		// A dot of radius 1.2 points at 144 dots an inch covers π·2.4² = 18 pixels, some of them in part.
		if n < 9 || n > 30 {
			t.Fatalf("%d blue pixels", n)
		}
		return px, py
	}
	x0, y0 := place("origin.png", 0, 0)
	x1, y1 := place("right.png", 0.5, 0)
	x2, y2 := place("up.png", 0, 0.5)
	if math.Abs(y1-y0) > 1 || math.Abs(x2-x0) > 1 {
		t.Errorf("moves along one axis: from (%v,%v) to (%v,%v) and (%v,%v)", x0, y0, x1, y1, x2, y2)
	}
	// Equal scales on both axes: half a unit is as far right as up, and most of a quarter of the area, some 600 pixels.
	if right, up := x1-x0, y0-y2; math.Abs(right-up) > 1.5 || right < 130 || right > 160 {
		t.Errorf("half a unit is %v pixels right and %v up", right, up)
	}
}

func TestScatterSurvivesWhatTrainingMakes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for i, samples := range [][]float32{nil, {nan, nan}, {inf, 0, 1, -inf}, {1e30, 1e30, 0, 0}, many(3, 3, 5)} {
		for j, data := range [][]float32{nil, {0, 0, 1, 1}, {nan, 0}} {
			path := filepath.Join(t.TempDir(), fmt.Sprint(i, j))
			if err := WriteScatter(path, samples, ScatterOptions{Title: "t", Data: data}); err != nil {
				t.Fatal(err)
			}
			if s := open(t, path).Bounds().Size(); s != image.Pt(720, 720) {
				t.Errorf("size %v", s)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	var xy []float32
	for i := range 1000 {
		xy = append(xy, float32(i)/999, 2)
	}
	if b := limits(xy); math.Abs(b.x-0.5) > 1e-6 || b.y != 2 || math.Abs(b.half-0.54) > 1e-6 {
		t.Errorf("limits %+v", b)
	}
	// One straggler of a thousand does not count in full.
	if b := limits(append(xy, 1e6, 2)); b.half > 1 {
		t.Errorf("with a straggler %+v", b)
	}
	if b := limits(nil); b != (box{0, 0, 1.08}) {
		t.Errorf("of nothing %+v", b)
	}
}

func TestField(t *testing.T) {
	at := Lattice([]float32{-1, -1, 1, 1}, 4)
	// four places in [−1.08, 1.08]: ±0.27, ±0.81
	if want := []float32{-0.81, -0.81, -0.27, -0.81}; len(at) != 32 || math.Abs(float64(at[0]-want[0])) > 1e-6 || math.Abs(float64(at[2]-want[2])) > 1e-6 || at[1] != at[0] || at[3] != at[0] {
		t.Errorf("lattice %v", at)
	}
	b := around(at)
	if math.Abs(b.half-0.81*1.25) > 1e-6 || math.Abs(b.x) > 1e-6 {
		t.Errorf("around %+v", b)
	}
	nan := float32(math.NaN())
	v := make([]float32, 32)
	for i := range v {
		v[i] = float32(i % 2) // up
	}
	v[0] = nan
	p := Panel{Title: "t = 0", At: at, Vectors: v}
	a := newArrows(p)
	if a.longest != 1 || math.Abs(a.scale-a.step) > 1e-9 || math.Abs(a.step-2*b.half/4) > 1e-9 {
		t.Errorf("longest %v, scale %v, step %v", a.longest, a.scale, a.step)
	}
	path := filepath.Join(t.TempDir(), "f.png")
	zero := Panel{At: at, Vectors: make([]float32, 32)}
	if err := WriteField(path, []Panel{p, zero}, FieldOptions{Title: "v", Data: []float32{0, 0}}); err != nil {
		t.Fatal(err)
	}
	m := open(t, path)
	if s := m.Bounds().Size(); s.X != 1008 || s.Y != 540 {
		t.Errorf("size %v", s)
	}
	// Fifteen arrows of the darkest blue in the left half only, each a step long: a quarter of an area
	// of 330 to 430 pixels. The shaft of 1.6 pixels covers one in full, the head at most 6 across.
	n, x, _ := count(m, shade(1))
	if n < 15*330/4 || n > 15*430/4*3 || x > 504 {
		t.Errorf("%d pixels of arrows about x = %v", n, x)
	}
}

func TestCurve(t *testing.T) {
	dir := t.TempDir()
	s := Series{Name: "a"}
	for i := range 1000 {
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, 1+float64(i%2))
	}
	flat := Series{Name: "b", X: []float64{0, 999}, Y: []float64{1.5, 1.5}}
	nan := Series{Name: "c", X: []float64{0, 1}, Y: []float64{math.NaN(), math.Inf(1)}}
	for name, c := range map[string]struct {
		series []Series
		opt    CurveOptions
	}{
		"line":     {[]Series{s, flat}, CurveOptions{Title: "t", XLabel: "x", YLabel: "y"}},
		"log":      {[]Series{s, flat}, CurveOptions{Log: true}},
		"nothing":  {nil, CurveOptions{Log: true}},
		"nan":      {[]Series{nan}, CurveOptions{}},
		"one":      {[]Series{{Name: "a", X: []float64{3}, Y: []float64{2}}}, CurveOptions{Log: true}},
		"negative": {[]Series{{Name: "a", X: []float64{1, 2}, Y: []float64{-2, -3}}}, CurveOptions{Log: true}},
	} {
		path := filepath.Join(dir, name+".png")
		if err := WriteCurve(path, c.series, c.opt); err != nil {
			t.Fatal(err)
		}
		m := open(t, path)
		if s := m.Bounds().Size(); s.X < 921 || s.X > 922 || s.Y < 518 || s.Y > 519 {
			t.Errorf("%s: size %v", name, s)
		}
		if name == "line" {
			// Both curves lie at 1.5: the later one, two pixels or more thick across some 830, is seen.
			if n, _, _ := count(m, orange); n < 1500 {
				t.Errorf("%d orange pixels", n)
			}
			// The band, of blue at 16 % on white, reaches from 1 to 2: most of the area of 830×400.
			band := color.NRGBA{uint8(255 - 0.16*(255-float64(blue.R))), uint8(255 - 0.16*(255-float64(blue.G))), 250, 255}
			exact := 0
			for y := range m.Bounds().Dy() {
				for x := range m.Bounds().Dx() {
					p := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
					if d := int(p.R) - int(band.R); d > -3 && d < 3 && p.B > 240 && p.R < 225 {
						exact++
					}
				}
			}
			if exact < 200000 {
				t.Errorf("the band has %d pixels", exact)
			}
		}
	}
}

func TestSummary(t *testing.T) {
	var p plotter.XYs
	for i := range 6000 {
		p = append(p, plotter.XY{X: float64(i), Y: float64(i % 20)})
	}
	mean, low, high := summary(p)
	if len(mean) != 300 {
		t.Fatalf("%d points", len(mean))
	}
	// Bins of 20 values 0..19: mean 9.5; sorted, the third from below is 2 and from above 17.
	for k, m := range mean {
		if math.Abs(m.Y-9.5) > 1e-12 || math.Abs(m.X-float64(20*k)-9.5) > 1e-9 || low[k].Y != 2 || high[k].Y != 17 {
			t.Fatalf("bin %d: %v, %v to %v", k, m, low[k], high[k])
		}
	}
	if mean, low, _ := summary(p[:63]); len(mean) != 63 || low != nil {
		t.Errorf("a short curve became %d points", len(mean))
	}
}

func TestTicks(t *testing.T) {
	labels := func(lo, hi float64, log bool) (s []string) {
		tk := ticks{}.Ticks(lo, hi)
		if log {
			tk = logTicks{}.Ticks(lo, hi)
		}
		for _, k := range tk {
			s = append(s, k.Label)
		}
		return s
	}
	for _, c := range []struct {
		lo, hi float64
		log    bool
		want   []string
	}{
		{0, 1, false, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{-5.4, 5.4, false, []string{"−5", "−2.5", "0", "2.5", "5"}},
		{0, 20000, false, []string{"0", "5k", "10k", "15k", "20k"}},
		{0, 3e6, false, []string{"0", "1M", "2M", "3M"}},
		{0.15, 3, true, []string{"0.2", "0.5", "1", "2"}},
		{1e-4, 1, true, []string{"0.0001", "0.001", "0.01", "0.1", "1"}},
		{1.1, 1.3, true, []string{"1.1", "1.15", "1.2", "1.25", "1.3"}},
		{2, 2, false, []string{"2"}},
	} {
		if got := labels(c.lo, c.hi, c.log); !slices.Equal(got, c.want) {
			t.Errorf("%v to %v: %q, want %q", c.lo, c.hi, got, c.want)
		}
	}
}
