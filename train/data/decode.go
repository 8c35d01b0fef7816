package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"

	"golang.org/x/image/webp"

	"github.com/langevin-go/langevin/internal/badfile"
)

// pictureFormat is a format of pictures, told by their first bytes.
type pictureFormat struct {
	name   string
	is     func(head []byte) bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

var pictureFormats = []pictureFormat{
	{"PNG", prefix("\x89PNG\r\n\x1a\n"), png.DecodeConfig, png.Decode},
	{"JPEG", prefix("\xff\xd8"), jpeg.DecodeConfig, jpeg.Decode},
	{"GIF", prefix("GIF8"), gif.DecodeConfig, gif.Decode},
	{"WebP", func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("RIFF")) && bytes.HasPrefix(head[min(8, len(head)):], []byte("WEBP"))
	}, webp.DecodeConfig, webp.Decode},
}

// PictureEndings are the endings of the files of pictures that can be read.
func PictureEndings() []string { return slices.Clone(pictureEndings) }

// pictureEndings are those of the formats' files.
var pictureEndings = []string{".png", ".jpg", ".jpeg", ".gif", ".webp"}

func prefix(p string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(p)) }
}

// decodePicture decodes a PNG, JPEG, GIF (its first frame) or WebP picture of at most maxPixels pixels, told apart by its first
// bytes, and gives its orientation (see [orientation]). name says in errors where it stands.
func decodePicture(data []byte, name string, maxPixels int) (m image.Image, turn int, err error) {
	head := data[:min(12, len(data))]
	for _, f := range pictureFormats {
		if !f.is(head) {
			continue
		}
		c, err := f.config(bytes.NewReader(data))
		if err != nil {
			return nil, 0, pictureError(name, err)
		}
		if c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height {
			return nil, 0, badfile.New(name, ErrSize, "the picture has %d×%d pixels: want at least 1 and at most %d", c.Width, c.Height, maxPixels)
		}
		turn = 1
		if f.name == "JPEG" {
			turn = orientation(bytes.NewReader(data))
		}
		if m, err = decodeSafely(f, data); err != nil {
			return nil, 0, pictureError(name, err)
		}
		if s := m.Bounds().Size(); s.X < 1 || s.Y < 1 || s.X > maxPixels/s.Y {
			return nil, 0, badfile.New(name, ErrSize, "the picture has %d×%d pixels: want at least 1 and at most %d", s.X, s.Y, maxPixels)
		}
		return m, turn, nil
	}
	return nil, 0, badfile.New(name, ErrFormat, "the file begins with %q: this is not a PNG, JPEG, GIF or WebP picture", data[:min(8, len(data))])
}

// decodeSafely decodes with a library's decoder. That it panics is a fault of the file, too, not the end of a run.
func decodeSafely(f pictureFormat, data []byte) (m image.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return f.decode(bufio.NewReader(bytes.NewReader(data)))
}

func pictureError(path string, err error) error {
	// The PNG decoder hides the end of the file in a FormatError, the GIF decoder in a text.
	if errors.Is(err, io.EOF) || strings.HasSuffix(err.Error(), io.ErrUnexpectedEOF.Error()) || strings.HasSuffix(err.Error(), ": EOF") {
		return badfile.New(path, ErrFormat, "the picture is truncated")
	}
	return badfile.New(path, ErrFormat, "the picture cannot be decoded: %v", err)
}

// Luma of ITU-R BT.601; the weights add up to 65536, so that grey stays as it is.
func luma(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// toBitmap gives a picture's bytes in 1 or 3 channels, on white where it is transparent; space is used if it is large enough.
func toBitmap(m image.Image, channels int, space []uint8) bitmap {
	r := m.Bounds()
	w, h := r.Dx(), r.Dy()
	if need := w * h * channels; cap(space) < need {
		space = make([]uint8, need)
	}
	out := bitmap{h, w, channels, space[:w*h*channels]}
	switch m := m.(type) {
	case *image.Gray:
		for y := range h {
			row := m.Pix[y*m.Stride:][:w]
			if channels == 1 {
				copy(out.pix[y*w:], row)
				continue
			}
			to := out.pix[3*y*w:][:3*w]
			for x, v := range row {
				to[3*x], to[3*x+1], to[3*x+2] = v, v, v
			}
		}
	case *image.YCbCr:
		yCbCrRows(out, m)
	default:
		flat, ok := m.(*image.RGBA)
		if !ok || !flat.Opaque() {
			flat = image.NewRGBA(image.Rect(0, 0, w, h))
			draw.Draw(flat, flat.Rect, image.White, image.Point{}, draw.Src)
			draw.Draw(flat, flat.Rect, m, r.Min, draw.Over)
		}
		for y := range h {
			row := flat.Pix[y*flat.Stride:][:4*w]
			if channels == 1 {
				to := out.pix[y*w:][:w]
				for x := range to {
					to[x] = luma(row[4*x], row[4*x+1], row[4*x+2])
				}
				continue
			}
			to := out.pix[3*y*w:][:3*w]
			for len(row) >= 4 && len(to) >= 3 {
				to[0], to[1], to[2] = row[0], row[1], row[2]
				row, to = row[4:], to[3:]
			}
		}
	}
	return out
}

// yCbCrRows converts what JPEG and WebP hold. Grey is the luma that is there already.
func yCbCrRows(out bitmap, m *image.YCbCr) {
	shift := 0
	if m.SubsampleRatio == image.YCbCrSubsampleRatio420 || m.SubsampleRatio == image.YCbCrSubsampleRatio422 {
		shift = 1
	}
	for y := range out.h {
		at := m.YOffset(m.Rect.Min.X, m.Rect.Min.Y+y)
		luma := m.Y[at:][:out.w]
		if out.c == 1 {
			copy(out.pix[y*out.w:], luma)
			continue
		}
		to := out.pix[3*y*out.w:][:3*out.w]
		switch m.SubsampleRatio {
		case image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio422:
			chroma := m.COffset(m.Rect.Min.X, m.Rect.Min.Y+y)
			off := m.Rect.Min.X & shift // of a picture that does not begin at an even pixel
			cb, cr := m.Cb[chroma:], m.Cr[chroma:]
			for x, v := range luma {
				k := (x + off) >> shift
				to[3*x], to[3*x+1], to[3*x+2] = color.YCbCrToRGB(v, cb[k], cr[k])
			}
		default:
			for x, v := range luma {
				k := m.COffset(m.Rect.Min.X+x, m.Rect.Min.Y+y)
				to[3*x], to[3*x+1], to[3*x+2] = color.YCbCrToRGB(v, m.Cb[k], m.Cr[k])
			}
		}
	}
}
