package data

import (
	"bufio"
	"bytes"
	"image"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	xdraw "golang.org/x/image/draw"
)

// readPicture decodes a file into dst, which has Height·Width·Channels bytes, and says how large the picture was.
func readPicture(path string, dst []uint8, f Folder) (height, width int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, badfile.Read(path, err)
	}
	defer file.Close()
	src, turn, err := decodePicture(file, path, f.MaxPixels)
	if err != nil {
		return 0, 0, err
	}
	h, w := f.Height, f.Width
	height, width = src.Bounds().Dy(), src.Bounds().Dx()
	if turned(turn) {
		h, w = w, h
		height, width = width, height
	}
	flatten(dst, orient(fit(src, h, w), turn), f.Channels)
	return height, width, nil
}

// decodePicture decodes a PNG or JPEG, told apart by its first bytes, of at
// most maxPixels pixels, and gives its orientation (see [orient]).
func decodePicture(file io.ReadSeeker, path string, maxPixels int) (m image.Image, turn int, err error) {
	r := bufio.NewReader(file)
	head, _ := r.Peek(8)
	config, decode := png.DecodeConfig, png.Decode
	turn = 1
	isJPEG := bytes.HasPrefix(head, []byte("\xff\xd8"))
	switch {
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
	case isJPEG:
		config, decode = jpeg.DecodeConfig, jpeg.Decode
	default:
		return nil, 0, badfile.New(path, ErrFormat, "the file begins with %q: this is not a PNG or JPEG picture", head)
	}
	c, err := config(r)
	if err != nil {
		return nil, 0, pictureError(path, err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height {
		return nil, 0, badfile.New(path, ErrSize, "the picture has %d×%d pixels: want at least 1 and at most %d", c.Width, c.Height, maxPixels)
	}
	again := func() error {
		_, err := file.Seek(0, io.SeekStart)
		r.Reset(file)
		return err
	}
	if isJPEG {
		if err := again(); err != nil {
			return nil, 0, badfile.Read(path, err)
		}
		turn = orientation(r)
	}
	if err := again(); err != nil {
		return nil, 0, badfile.Read(path, err)
	}
	if m, err = decode(r); err != nil {
		return nil, 0, pictureError(path, err)
	}
	return m, turn, nil
}

func pictureError(path string, err error) error {
	if err == io.EOF || strings.HasSuffix(err.Error(), io.ErrUnexpectedEOF.Error()) { // the PNG decoder hides it in a FormatError
		return badfile.New(path, ErrFormat, "the picture is truncated")
	}
	return badfile.New(path, ErrFormat, "the picture cannot be decoded: %v", err)
}

// fit scales src until it covers h×w, cuts at the centre, and lays it on white.
func fit(src image.Image, h, w int) *image.RGBA {
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(dst, dst.Bounds(), image.White, image.Point{}, draw.Src)
	cut := centre(src.Bounds(), h, w)
	if cut.Dx() == w && cut.Dy() == h {
		draw.Draw(dst, dst.Bounds(), src, cut.Min, draw.Over)
	} else {
		xdraw.CatmullRom.Scale(dst, dst.Bounds(), src, cut, draw.Over, nil)
	}
	return dst
}

// centre is the largest part of b with the proportions h:w, to the nearest
// pixel, in the middle.
func centre(b image.Rectangle, h, w int) image.Rectangle {
	cw, ch := b.Dx(), b.Dy()
	if cw*h > ch*w {
		cw = max(1, (2*ch*w+h)/(2*h)) // wider than wanted
	} else {
		ch = max(1, (2*cw*h+w)/(2*w))
	}
	x, y := b.Min.X+(b.Dx()-cw)/2, b.Min.Y+(b.Dy()-ch)/2
	return image.Rect(x, y, x+cw, y+ch)
}

// flatten writes an opaque picture as bytes, channels last.
func flatten(dst []uint8, m *image.RGBA, channels int) {
	for i := range len(m.Pix) / 4 {
		p := m.Pix[4*i : 4*i+4]
		if channels == 1 {
			// ITU-R BT.601 luma; the weights add up to 65536, so that grey stays as it is.
			dst[i] = uint8((19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 1<<15) >> 16)
		} else {
			copy(dst[3*i:3*i+3], p)
		}
	}
}
