package plot

import (
	"image"
	"image/color"
	"image/gif"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Two images of 1×2 over three moments, the second of which is missing: the size, each pixel, and no word over the edge.
func TestStrip(t *testing.T) {
	opt := StripOptions{Title: "a", Labels: []string{"1", "2", "sample"}, Scale: 20}
	m := Strip([][]float32{{-1, 1, 0, 0.5}, nil, {1, 1, -1, -1}}, []int{1, 2, 1}, 2, opt).(*image.RGBA)
	const cellW, cellH = 2*20 + stripGap, 20 + stripGap
	top := stripTitle + stripNames
	if want := image.Rect(0, 0, 3*cellW+stripGap+2*stripSide, top+2*cellH+stripGap); m.Rect != want {
		t.Fatalf("size %v, want %v", m.Rect, want)
	}
	want := [2][3][2]uint8{{{0, 255}, {}, {255, 255}}, {{128, 191}, {}, {0, 0}}} // round(127.5·(v+1))
	for row := range 2 {
		for col := range 3 {
			for px := range 2 {
				x, y := stripSide+stripGap+col*cellW+20*px+10, top+stripGap+row*cellH+10
				v := want[row][col][px]
				c := color.RGBA{v, v, v, 255}
				if col == 1 {
					c = gapColor
				}
				if got := m.RGBAAt(x, y); got != c {
					t.Errorf("image %d at moment %d, pixel %d is %v, want %v", row, col, px, got, c)
				}
			}
		}
	}
	white := color.RGBA{255, 255, 255, 255}
	named := 0
	for y := range top {
		for _, x := range []int{0, m.Rect.Dx() - 1} {
			if m.RGBAAt(x, y) != white {
				t.Fatalf("what is written reaches the edge, at %d, %d", x, y)
			}
		}
		for x := range m.Rect.Dx() {
			if y > stripTitle && m.RGBAAt(x, y) != white {
				named++
			}
		}
	}
	if named < 100 { // eight letters
		t.Errorf("%d pixels of names", named)
	}
	if got := Strip([][]float32{{0}}, []int{1, 1, 1}, 1, StripOptions{Labels: []string{""}}).Bounds().Dy(); got != stripNames+48+2*stripGap {
		t.Errorf("without a title the strip is %d high", got)
	}
}

func TestGIF(t *testing.T) {
	dir := t.TempDir()
	grey := func(level func(x, y int) uint8, extra color.RGBA) *image.RGBA {
		m := image.NewRGBA(image.Rect(0, 0, 16, 18))
		for y := range 16 {
			for x := range 16 {
				v := level(x, y)
				m.SetRGBA(x, y, color.RGBA{v, v, v, 255})
			}
		}
		fill(m, image.Rect(0, 16, 16, 18), extra)
		return m
	}
	read := func(path string) *gif.GIF {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		g, err := gif.DecodeAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	// shown plays an animation up to frame k.
	shown := func(g *gif.GIF, k int) *image.RGBA {
		out := image.NewRGBA(image.Rect(0, 0, g.Config.Width, g.Config.Height))
		for _, m := range g.Image[:k+1] {
			for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
				for x := m.Rect.Min.X; x < m.Rect.Max.X; x++ {
					if c := color.RGBAModel.Convert(m.At(x, y)).(color.RGBA); c.A != 0 {
						out.SetRGBA(x, y, c)
					}
				}
			}
		}
		return out
	}
	// All 256 greys and the colour between images are one more than a palette has, and with the
	// transparent one two more: greys are off by a level at most, the other colour not at all.
	all := grey(func(x, y int) uint8 { return uint8(16*y + x) }, gapColor)
	path := filepath.Join(dir, "all.gif")
	if err := WriteGIF(path, []image.Image{all}, time.Second, time.Second); err != nil {
		t.Fatal(err)
	}
	got, exact := shown(read(path), 0), 0
	for y := range 18 {
		for x := range 16 {
			a, b := got.RGBAAt(x, y), all.RGBAAt(x, y)
			if d := int(a.R) - int(b.R); d < -1 || d > 1 || a.R != a.G && y < 16 || y >= 16 && a != gapColor {
				t.Fatalf("pixel %d,%d is %v, was %v", x, y, a, b)
			}
			if a == b {
				exact++
			}
		}
	}
	if exact < 18*16-4 { // two pairs of levels are one
		t.Errorf("%d pixels are as they were", exact)
	}
	// Fewer colours are exact, in every frame, though only what changes is stored.
	frames := []image.Image{
		grey(func(x, y int) uint8 { return uint8(x) }, gapColor),
		grey(func(x, y int) uint8 {
			if x == 5 && y > 2 {
				return 99
			}
			return uint8(x)
		}, gapColor),
		grey(func(x, y int) uint8 { return uint8(x) }, gapColor),
		grey(func(x, y int) uint8 { return uint8(x) }, gapColor),
	}
	path = filepath.Join(dir, "few.gif")
	if err := WriteGIF(path, frames, 100*time.Millisecond, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	g := read(path)
	for k, f := range frames {
		if m := shown(g, k); string(m.Pix) != string(f.(*image.RGBA).Pix) {
			t.Errorf("frame %d is not the picture", k)
		}
		if want := []int{10, 10, 10, 200}[k]; g.Delay[k] != want {
			t.Errorf("frame %d is shown for %d hundredths of a second, want %d", k, g.Delay[k], want)
		}
	}
	if r := g.Image[1].Rect; r != image.Rect(5, 3, 6, 16) {
		t.Errorf("of the second frame, %v is stored", r)
	}
	if err := WriteGIF(path, nil, 0, 0); err == nil {
		t.Error("an animation of nothing is no error")
	}
	if err := WriteGIF(path, []image.Image{all, image.NewRGBA(image.Rect(0, 0, 1, 1))}, 0, 0); err == nil {
		t.Error("frames of two sizes are no error")
	}
}
