package plot

import (
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

// Three images of 1×2 in two columns, scaled by 3 with gaps of 1: each pixel's block and each gap.
func TestGrid(t *testing.T) {
	x := []float32{-1, 1, 0, 5, -7, float32(math.NaN())}
	m := Grid(x, []int{1, 2, 1}, GridOptions{Columns: 2, Scale: 3, Gap: 1})
	if m.Bounds() != image.Rect(0, 0, 1+2*7, 1+2*4) {
		t.Fatalf("size %v", m.Bounds())
	}
	grey := func(v uint8) color.RGBA { return color.RGBA{v, v, v, 255} }
	for y := range 9 {
		for px := range 15 {
			want := gapColor
			if row, col := y/4, px/7; y%4 > 0 && px%7 > 0 && row < 2 && col < 2 {
				switch i := row*2 + col; {
				case i == 3: // the last row is incomplete
				default:
					// round(127.5·(v+1)) after clamping
					want = []color.RGBA{grey(0), grey(255), grey(128), grey(255), grey(0), notANumber}[i*2+(px%7-1)/3]
				}
			}
			if got := m.RGBAAt(px, y); got != want {
				t.Fatalf("pixel (%d,%d) is %v, want %v", px, y, got, want)
			}
		}
	}
}

func TestGridChoosesForItself(t *testing.T) {
	// 100 images of 8×8: 10×10, enlarged 6 times to 48, gaps of 2.
	if got := Grid(make([]float32, 6400), []int{8, 8, 1}, GridOptions{}).Bounds().Max; got != image.Pt(502, 502) {
		t.Errorf("digits: %v", got)
	}
	if got := Grid(make([]float32, 3*100*60*3), []int{100, 60, 3}, GridOptions{Gap: -1}).Bounds().Max; got != image.Pt(120, 200) {
		t.Errorf("three of 100×60 without gaps: %v", got)
	}
	m := Grid([]float32{1, -1, 0}, []int{1, 1, 3}, GridOptions{Gap: -1, Scale: 1})
	if got := m.RGBAAt(0, 0); got != (color.RGBA{255, 0, 128, 255}) {
		t.Errorf("colour %v", got)
	}
}

func TestGridPanicsOnWrongShapes(t *testing.T) {
	for _, c := range []struct {
		n     int
		shape []int
	}{{4, []int{2, 2}}, {8, []int{2, 2, 2}}, {5, []int{2, 2, 1}}, {0, []int{2, 2, 1}}, {0, []int{0, 2, 1}}} {
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.Contains(s, "plot.Grid") {
					t.Errorf("%v: no panic", c)
				}
			}()
			Grid(make([]float32, c.n), c.shape, GridOptions{})
		}()
	}
}

// open decodes a picture.
func open(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWriteGrid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.png")
	x := []float32{-1, 0.5, 1, 0}
	if err := WriteGrid(path, x, []int{2, 2, 1}, GridOptions{}); err != nil {
		t.Fatal(err)
	}
	want := Grid(x, []int{2, 2, 1}, GridOptions{})
	got := open(t, path)
	if got.Bounds() != want.Bounds() {
		t.Fatalf("size %v, want %v", got.Bounds(), want.Bounds())
	}
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			if a := color.RGBAModel.Convert(got.At(x, y)); a != want.RGBAAt(x, y) {
				t.Fatalf("pixel (%d,%d) is %v, want %v", x, y, a, want.RGBAAt(x, y))
			}
		}
	}
	var e *atomicfile.Error
	if err := WriteGrid(path+"/no/g.png", x, []int{2, 2, 1}, GridOptions{}); !errors.As(err, &e) || e.Path != path+"/no/g.png" {
		t.Errorf("unwritable: %v", err)
	}
}
