package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// uniform is a picture of one colour.
func uniform(w, h int, c color.Color) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, c)
		}
	}
	return m
}

func sample(t *testing.T, s Source, i int) ([]float32, int) {
	t.Helper()
	x := make([]float32, volume(s.Shape()))
	label, err := s.Sample(uint64(i), x)
	if err != nil {
		t.Fatal(err)
	}
	return x, label
}

func TestFolderWithClasses(t *testing.T) {
	dir := t.TempDir()
	red, blue := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}
	write(t, dir, "zebra/b.PNG", encodePNG(t, uniform(9, 5, blue)))
	write(t, dir, "zebra/more/a.png", encodePNG(t, uniform(4, 4, red)))
	write(t, dir, "zebra/notes.txt", []byte("passed over"))
	write(t, dir, "zebra/.hidden.png", []byte("passed over"))
	var j bytes.Buffer
	if err := jpeg.Encode(&j, uniform(16, 16, blue), nil); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "ant/a.jpeg", j.Bytes())
	write(t, dir, ".git/x.png", []byte("passed over"))
	calls := 0
	s, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 4, Width: 4, Channels: 3, Progress: func(done, total int) {
		calls++
		if done != calls || total != 3 {
			t.Errorf("progress %d of %d in call %d", done, total, calls)
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 3 || s.Classes() != 2 || !slices.Equal(ClassNames(s), []string{"ant", "zebra"}) || !slices.Equal(s.Shape(), []int{4, 4, 3}) || calls != 3 {
		t.Fatalf("%d in %d classes %v of %v, %d calls", s.Len(), s.Classes(), ClassNames(s), s.Shape(), calls)
	}
	for i, want := range []struct {
		label int
		rgb   []float32
		tol   float64 // JPEG is lossy
	}{{0, []float32{-1, -1, 1}, 0.03}, {1, []float32{-1, -1, 1}, 0}, {1, []float32{1, -1, -1}, 0}} {
		x, label := sample(t, s, i)
		for p := range 16 {
			if label != want.label || !near(x[3*p:3*p+3], want.rgb, want.tol) {
				t.Fatalf("picture %d: class %d, pixel %d is %v; want class %d, %v", i, label, p, x[3*p:3*p+3], want.label, want.rgb)
			}
		}
	}
	train, _, err := Holdout(s, 1)
	if err != nil || !slices.Equal(ClassNames(train), []string{"ant", "zebra"}) {
		t.Errorf("the split's classes are %v, %v", ClassNames(train), err)
	}
}

// A picture of the wanted size passes unchanged, without labels; grey is BT.601's luma: red 0.299.
func TestFolderWithoutClasses(t *testing.T) {
	dir := t.TempDir()
	m := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(m.Pix, []byte{0, 1, 2, 127, 254, 255})
	write(t, dir, "a.png", encodePNG(t, m))
	write(t, dir, "b.png", encodePNG(t, uniform(3, 2, color.RGBA{255, 0, 0, 255})))
	s, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 2, Width: 3, Channels: 1}})
	if err != nil {
		t.Fatal(err)
	}
	x, label := sample(t, s, 0)
	for i, v := range m.Pix {
		if x[i] != float32(2*int(v))/255-1 {
			t.Errorf("pixel %d is %v, want that of %d", i, x[i], v)
		}
	}
	if label != 0 || s.Classes() != 0 || ClassNames(s) != nil {
		t.Errorf("label %d of %d classes", label, s.Classes())
	}
	x, _ = sample(t, s, 1)
	if want := float32(math.Round(0.299*255))*2/255 - 1; x[0] != want {
		t.Errorf("red is %v in grey, want %v", x[0], want)
	}
}

// One picture, a folder of two sizes: those of another size are told of, with the size as it is seen.
func TestOnePictureAndSizes(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "p/a.png", encodePNG(t, uniform(4, 4, color.Gray{51})))
	write(t, dir, "p/b.png", encodePNG(t, uniform(9, 5, color.Gray{255})))
	var told []string
	f := Folder{Pictures: Pictures{Height: 4, Width: 4, Channels: 1, Resized: func(path string, h, w int) { told = append(told, fmt.Sprint(filepath.Base(path), h, w)) }}}
	f.Dir = a
	one, err := OpenPicture(context.Background(), f)
	if err != nil || one.Len() != 1 || one.Classes() != 0 || told != nil {
		t.Fatalf("%v, %v, told of %v", one, err, told)
	}
	if x, _ := sample(t, one, 0); math.Abs(float64(x[7])+0.6) > 1e-6 { // 2·51/255 − 1
		t.Errorf("a grey of 51 is %g, want −0.6", x[7])
	}
	f.Dir = filepath.Join(dir, "p")
	if _, err := OpenFolder(context.Background(), f); err != nil || !slices.Equal(told, []string{"b.png5 9"}) {
		t.Errorf("%v, told of %v", err, told)
	}
	told, f.Height, f.Width = nil, 5, 9
	if _, err := OpenFolder(context.Background(), f); err != nil || !slices.Equal(told, []string{"a.png4 4"}) {
		t.Errorf("%v, told of %v", err, told)
	}
	f.Dir = filepath.Join(dir, "none.png")
	if _, err := OpenPicture(context.Background(), f); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a picture that is not there: %v", err)
	}
	f.Dir = ""
	if _, err := OpenPicture(context.Background(), f); !errors.Is(err, ErrOption) {
		t.Errorf("no path: %v", err)
	}
}

// What is cut and scaled is what Pillow makes of it (testdata/pillow.py), bit for bit: the weights are rounded as it rounds them.
func TestScalesAsPillow(t *testing.T) {
	text, err := os.ReadFile("testdata/pillow.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		PNG   []byte
		Cases []struct {
			Mode, Filter string
			H, W         int
			Box          *[4]float64 // of Image.resize; null: ImageOps.fit
			Fit          []byte
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 80 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	m, _, err := decodePicture(golden.PNG, "golden", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var s scaler
	for _, c := range golden.Cases {
		src := toBitmap(m, map[string]int{"RGB": 3, "L": 1}[c.Mode], nil)
		p := Pictures{Height: c.H, Width: c.W, Crop: CropCentre}
		part := p.cut(src.h, src.w, nil)
		if c.Box != nil {
			part = box{c.Box[0], c.Box[1], c.Box[2], c.Box[3]}
		}
		got := make([]byte, c.H*c.W*src.c)
		s.resize(got, c.H, c.W, src, part, c.Filter)
		if !bytes.Equal(got, c.Fit) {
			k := 0
			for got[k] == c.Fit[k] {
				k++
			}
			t.Errorf("%s %s to %d×%d of %v: byte %d of %d is %d, Pillow's %d", c.Mode, c.Filter, c.H, c.W, part, k, len(got), got[k], c.Fit[k])
		}
	}
}

// Half transparent black on white is mid-grey; fully transparent is white, whatever its hidden colour.
func TestTransparencyIsLaidOnWhite(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	m.SetNRGBA(0, 0, color.NRGBA{0, 0, 0, 128})
	m.SetNRGBA(1, 0, color.NRGBA{200, 10, 10, 0})
	if p := toBitmap(m, 3, nil).pix; !slices.Equal(p, []byte{127, 127, 127, 255, 255, 255}) {
		t.Errorf("pixels %v", p)
	}
}

// Every kind of image that a decoder gives has the pixels that its At tells of; a JPEG's in grey are its luma.
func TestBitmapsOfAllKinds(t *testing.T) {
	r := image.Rect(3, 1, 10, 6) // none begins at the origin
	var all []image.Image
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410} {
		m := image.NewYCbCr(r, ratio)
		for _, plane := range [][]byte{m.Y, m.Cb, m.Cr} {
			for i := range plane {
				plane[i] = byte(37*i + len(plane))
			}
		}
		all = append(all, m)
	}
	grey, rgba, deep, pal := image.NewGray(r), image.NewRGBA(r), image.NewNRGBA64(r), image.NewPaletted(r, color.Palette{color.White, color.RGBA{9, 8, 7, 255}})
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			grey.SetGray(x, y, color.Gray{uint8(31*x + y)})
			rgba.SetRGBA(x, y, color.RGBA{uint8(20 * x), uint8(40 * y), uint8(x * y), 255})
			deep.Set(x, y, color.NRGBA64{uint16(6000 * x), uint16(9000 * y), uint16(x * y), 65535})
			pal.SetColorIndex(x, y, uint8(x+y)%2)
		}
	}
	for _, m := range append(all, grey, rgba, deep, pal) {
		b := toBitmap(m, 3, nil)
		g := toBitmap(m, 1, nil)
		for i := range r.Dx() * r.Dy() {
			x, y := r.Min.X+i%r.Dx(), r.Min.Y+i/r.Dx()
			want := color.RGBAModel.Convert(m.At(x, y)).(color.RGBA)
			if p := b.pix[3*i : 3*i+3]; p[0] != want.R || p[1] != want.G || p[2] != want.B {
				t.Fatalf("%T: pixel %d,%d is %v, want %v", m, x, y, p, want)
			}
			light := luma(want.R, want.G, want.B)
			if c, ok := m.At(x, y).(color.YCbCr); ok {
				light = c.Y
			}
			if g.pix[i] != light {
				t.Fatalf("%T: pixel %d,%d in grey is %d, want %d", m, x, y, g.pix[i], light)
			}
		}
	}
}

// develop decodes a file as p says.
func develop(t testing.TB, path string, p Pictures) []byte {
	t.Helper()
	s, err := OpenPicture(context.Background(), Folder{Dir: path, Pictures: p})
	if err != nil {
		t.Fatal(err)
	}
	return s.(developed).pixels
}

// The files and what Pillow makes of them are written by testdata/exif.py.
func TestOrientation(t *testing.T) {
	text, err := os.ReadFile("testdata/exif.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Width, Height int
		Quarters      []string
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != 8 {
		t.Fatalf("%d pictures", len(want))
	}
	colors := map[string][]byte{"red": {255, 0, 0}, "green": {0, 255, 0}, "blue": {0, 0, 255}, "white": {255, 255, 255}}
	for name, w := range want {
		dst := develop(t, "testdata/"+name, Pictures{Height: w.Height, Width: w.Width, Channels: 3})
		for q, color := range w.Quarters {
			x, y := w.Width/4+q%2*w.Width/2, w.Height/4+q/2*w.Height/2
			for k, v := range colors[color] {
				if d := int(dst[(y*w.Width+x)*3+k]) - int(v); d < -10 || d > 10 { // JPEG is lossy
					t.Errorf("%s: quarter %d has channel %d off by %d from %s", name, q, k, d, color)
				}
			}
		}
	}
	// Whatever stands there instead of a tag: the picture as it is.
	good, err := os.ReadFile("testdata/exif-6.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if o := orientation(bytes.NewReader(good)); o != 6 {
		t.Errorf("orientation %d", o)
	}
	for n := range 60 { // cut within the EXIF part
		if o := orientation(bytes.NewReader(good[:n])); o != 1 {
			t.Errorf("cut at %d: orientation %d", n, o)
		}
	}
}

// bomb claims a size in a valid PNG header.
func bomb(w, h uint32) []byte {
	head := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	head = append(binary.BigEndian.AppendUint32(head, h), 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), head...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(head))
}

func TestFolderRefuses(t *testing.T) {
	good := encodePNG(t, uniform(8, 8, color.White))
	var j bytes.Buffer
	if err := jpeg.Encode(&j, uniform(64, 64, color.White), nil); err != nil {
		t.Fatal(err)
	}
	corrupt := slices.Clone(good)
	corrupt[len(corrupt)-20] ^= 0x55
	for what, c := range map[string]struct {
		files map[string][]byte
		path  string // of the error, in the folder
		kind  error
		want  string
	}{
		"empty folder":       {nil, "", ErrEmpty, "no PNG, JPEG"},
		"only text":          {map[string][]byte{"a.txt": nil}, "", ErrEmpty, "no PNG, JPEG"},
		"empty class":        {map[string][]byte{"a/x.png": good, "b/x.txt": nil}, "b", ErrEmpty, "class folder has no"},
		"mixed":              {map[string][]byte{"a/x.png": good, "y.png": good}, "", ErrFormat, "both class folders (a) and pictures of no class (y.png)"},
		"tiff":               {map[string][]byte{"a/x.png": good, "a/y.tiff": nil}, "a/y.tiff", ErrFormat, "convert it to PNG or JPEG"},
		"empty picture":      {map[string][]byte{"x.png": nil}, "x.png", ErrFormat, "not a PNG, JPEG"},
		"text as png":        {map[string][]byte{"x.png": []byte("hello there")}, "x.png", ErrFormat, "not a PNG, JPEG"},
		"png cut":            {map[string][]byte{"x.png": good[:len(good)-20]}, "x.png", ErrFormat, "truncated"},
		"png header cut":     {map[string][]byte{"x.png": good[:20]}, "x.png", ErrFormat, "truncated"},
		"png corrupt":        {map[string][]byte{"x.png": corrupt}, "x.png", ErrFormat, "cannot be decoded"},
		"jpeg cut":           {map[string][]byte{"x.jpg": j.Bytes()[:j.Len()/2]}, "x.jpg", ErrFormat, "truncated"},
		"bomb":               {map[string][]byte{"x.png": bomb(60000, 60000)}, "x.png", ErrSize, "60000×60000 pixels"},
		"first bad in order": {map[string][]byte{"a.png": good, "b.png": nil, "c.png": nil, "d.png": good[:30]}, "b.png", ErrFormat, "not a PNG"},
	} {
		dir := t.TempDir()
		for name, content := range c.files {
			write(t, dir, name, content)
		}
		_, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 4, Width: 4, Channels: 3}})
		checkFileError(t, what, err, c.kind, filepath.Join(dir, c.path), c.want)
	}
	dir := t.TempDir()
	write(t, dir, "x.png", good)
	_, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 4, Width: 4, Channels: 3, MaxPixels: 63}})
	checkFileError(t, "pixels", err, ErrSize, filepath.Join(dir, "x.png"), "8×8 pixels")
	_, err = OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 4, Width: 4, Channels: 3, MaxFile: int64(len(good)) - 1}})
	checkFileError(t, "bytes", err, ErrSize, filepath.Join(dir, "x.png"), "bytes: want at most")
	_, err = OpenFolder(context.Background(), Folder{Dir: dir + "/no", Pictures: Pictures{Height: 4, Width: 4, Channels: 3}})
	checkFileError(t, "missing", err, os.ErrNotExist, dir+"/no", "no such file")
	if err := os.Symlink(dir+"/gone", dir+"/y.png"); err != nil {
		t.Fatal(err)
	}
	_, err = OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 4, Width: 4, Channels: 3}})
	checkFileError(t, "dangling link", err, os.ErrNotExist, filepath.Join(dir, "y.png"), "no such file")
	ok := Pictures{Height: 4, Width: 4, Channels: 3}
	bad := func(change func(p *Pictures)) Folder {
		f := Folder{Dir: dir, Pictures: ok}
		change(&f.Pictures)
		return f
	}
	for _, f := range []Folder{
		{Pictures: ok}, bad(func(p *Pictures) { p.Height = 0 }), bad(func(p *Pictures) { p.Width = 1 << 20 }), bad(func(p *Pictures) { p.Channels = 2 }),
		bad(func(p *Pictures) { p.MaxPixels = -1 }), bad(func(p *Pictures) { p.MaxFile = -1 }), bad(func(p *Pictures) { p.Filter = "best" }), bad(func(p *Pictures) { p.Crop = "left" }),
		bad(func(p *Pictures) { p.Scale = [2]float64{0.5, 1.5} }), bad(func(p *Pictures) { p.Ratio = [2]float64{2, 1} }), bad(func(p *Pictures) { p.MaxCorrupt = 2 }),
	} {
		if _, err := OpenFolder(context.Background(), f); !errors.Is(err, ErrOption) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestFolderLinkedClass(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, elsewhere, "a.png", encodePNG(t, uniform(2, 2, color.White)))
	if err := os.Symlink(elsewhere, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 2, Width: 2, Channels: 1}})
	if err != nil || s.Len() != 1 || !slices.Equal(ClassNames(s), []string{"linked"}) {
		t.Errorf("%v, %v", s, err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(elsewhere, "loop")); err != nil {
		t.Fatal(err)
	}
	if _, err = OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 2, Width: 2, Channels: 1}}); err == nil || !strings.Contains(err.Error(), "not followed") {
		t.Errorf("a loop of links: %v", err)
	}
}

func TestFolderStopsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.png", "b.png", "c.png", "d.png", "e.png", "f.png", "g.png", "h.png", "i.png"} {
		write(t, dir, name, encodePNG(t, uniform(2, 2, color.White)))
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	mine := errors.New("mine")
	_, err := OpenFolder(ctx, Folder{Dir: dir, Pictures: Pictures{Height: 2, Width: 2, Channels: 1, Progress: func(int, int) { cancel(mine) }}})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodePicture(f *testing.F) {
	f.Add(encodePNG(f, uniform(3, 2, color.White)))
	var j bytes.Buffer
	if err := jpeg.Encode(&j, uniform(9, 7, color.White), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(j.Bytes())
	f.Add(bomb(1<<31-1, 1<<31-1))
	turned, err := os.ReadFile("testdata/exif-6.jpg")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(turned)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, turn, err := decodePicture(b, "fuzz", 1<<12)
		if err != nil {
			var e *FileError
			if !errors.As(err, &e) || e.Path != "fuzz" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if s := m.Bounds().Size(); s.X*s.Y > 1<<12 {
			t.Fatalf("decoded %v", s)
		}
		if turn < 1 || turn > 8 {
			t.Fatalf("orientation %d", turn)
		}
		src := orient(toBitmap(m, 3, nil), turn)
		var sc scaler
		p := Pictures{Height: 3, Width: 5, Crop: CropCentre}
		sc.resize(make([]byte, 3*5*3), 3, 5, src, p.cut(src.h, src.w, nil), FilterBicubic)
	})
}
