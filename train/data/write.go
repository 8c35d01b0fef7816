package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Writing says how a source is written.
type Writing struct {
	// Original copies the pictures' files as they are, of sources that have some; else what is written are PNGs of what is trained on.
	// For archives and tables only.
	Original bool
	// Shard is the number of samples of a file, of archives and tables; NAME.tar then stands for NAME-00000.tar and so on. 0: one file.
	Shard int
	// Progress, if set, is called now and then.
	Progress func(done, total int)
}

// Endings of the files that Write writes.
const (
	endNPZ         = ".npz"
	endSafetensors = ".safetensors"
	endTar         = ".tar"
	endParquet     = ".parquet"
)

// Write writes a finite source to a file, whose ending says what it is: .npz (arrays samples, labels and vectors), .safetensors (tensors of these
// names, pictures channels first), .tar (a WebDataset archive), .parquet (a table as Hugging Face's). It gives the files, each of which is whole;
// after an error none is left.
func Write(ctx context.Context, path string, s Source, o Writing) (files []string, err error) {
	ending := strings.ToLower(filepath.Ext(path))
	encoded := ending == endTar || ending == endParquet
	_, captioned := CaptionsOf(s)
	switch {
	case s.Len() == Infinite:
		return nil, option("an endless source cannot be written")
	case !slices.Contains([]string{endNPZ, endSafetensors, endTar, endParquet}, ending):
		return nil, option("%s: want a file .npz, .safetensors, .tar or .parquet", path)
	case o.Shard < 0:
		return nil, option("%d samples a file: want at least 1, or 0 for one file", o.Shard)
	case !encoded && (o.Original || o.Shard > 0):
		return nil, option("%s files hold numbers, all in one file: originals and several files need .tar or .parquet", ending)
	case encoded && !isPicture8(s):
		return nil, option("samples of shape %v are no pictures of bytes: they go to .npz or .safetensors", s.Shape())
	case encoded && VectorSize(s) > 0:
		return nil, option("%s files hold no vectors: want .npz or .safetensors", ending)
	case !encoded && captioned:
		return nil, option("%s files hold no captions: want .tar or .parquet", ending)
	}
	defer func() {
		if err != nil {
			for _, f := range files {
				os.Remove(f)
			}
			files = nil
		}
	}()
	per := o.Shard
	if per == 0 {
		per = s.Len()
	}
	for first := 0; first < s.Len(); first += per {
		name := path
		if o.Shard > 0 {
			name = fmt.Sprintf("%s-%05d%s", strings.TrimSuffix(path, filepath.Ext(path)), first/per, ending)
		}
		w := &writer{ctx: ctx, s: s, o: o, first: first, n: min(per, s.Len()-first)}
		switch ending {
		case endNPZ:
			err = w.npz(name)
		case endSafetensors:
			err = w.safetensors(name)
		case endTar:
			err = w.tar(name)
		case endParquet:
			err = w.parquet(name)
		}
		if err != nil {
			return files, err
		}
		files = append(files, name)
	}
	return files, nil
}

// isPicture8 tells whether samples are pictures of bytes.
func isPicture8(s Source) bool {
	shape := s.Shape()
	return len(shape) == 3 && (shape[2] == 1 || shape[2] == 3) && Levels(s) > 0 && Levels(s) <= 256
}

// ofBytes tells whether samples are pictures of the 256 levels of bytes, so that nothing is lost if they are written as such.
func ofBytes(s Source) bool { return isPicture8(s) && Levels(s) == 256 }

// writer writes n samples of a source.
type writer struct {
	ctx      context.Context
	s        Source
	o        Writing
	first, n int
}

// chunk is how many samples are read at a time.
const chunk = 256

// chunks calls do for the samples a piece at a time: their numbers, values and labels.
func (w *writer) chunks(do func(first int, x []float32, labels []int32) error) error {
	size := volume(w.s.Shape())
	x, labels := make([]float32, min(chunk, w.n)*size), make([]int32, min(chunk, w.n))
	for at := 0; at < w.n; at += chunk {
		n := min(chunk, w.n-at)
		if err := Read(w.ctx, w.s, uint64(w.first+at), x[:n*size], labels[:n]); err != nil {
			return err
		}
		if err := do(w.first+at, x[:n*size], labels[:n]); err != nil {
			return err
		}
		w.done(at + n)
	}
	return nil
}

func (w *writer) done(n int) {
	if w.o.Progress != nil {
		w.o.Progress(w.first+n, w.s.Len())
	}
}

// Byte is the byte that a value of a picture, from −1 to 1, stands for; values beyond are cut off.
func Byte(v float32) uint8 {
	return uint8(math.RoundToEven((math.Min(1, math.Max(-1, float64(v))) + 1) / 2 * 255))
}

// item is a picture's file, its label and captions.
type item struct {
	file     []byte
	ending   string
	label    int
	captions []string
}

// items calls do for each picture in turn; they are encoded by a goroutine a CPU.
func (w *writer) items(do func(i int, it *item) error) error {
	captioned, _ := CaptionsOf(w.s)
	size := volume(w.s.Shape())
	all := make([]item, min(chunk, w.n))
	for at := 0; at < w.n; at += chunk {
		n := min(chunk, w.n-at)
		err := forEach(w.ctx, n, true, func(k int) error {
			i, x := uint64(w.first+at+k), make([]float32, size)
			label, err := w.s.Sample(i, x)
			if err != nil {
				return err
			}
			all[k] = item{label: label}
			if captioned != nil {
				all[k].captions = captioned.Captions(i)
			}
			if w.o.Original {
				var ok bool
				if all[k].file, all[k].ending, ok, err = Original(w.s, i); err != nil {
					return err
				}
				if ok {
					return nil
				}
			}
			all[k].ending = ".png"
			all[k].file, err = encodePicture(x, w.s.Shape())
			return err
		})
		if err != nil {
			return err
		}
		for k := range n {
			if err := do(w.first+at+k, &all[k]); err != nil {
				return err
			}
		}
		w.done(at + n)
	}
	return nil
}

// encodePicture makes a PNG of a sample.
func encodePicture(x []float32, shape []int) ([]byte, error) {
	h, w, c := shape[0], shape[1], shape[2]
	var m image.Image
	if c == 1 {
		g := image.NewGray(image.Rect(0, 0, w, h))
		for i, v := range x {
			g.Pix[i] = Byte(v)
		}
		m = g
	} else {
		g := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range h * w {
			g.Pix[4*i], g.Pix[4*i+1], g.Pix[4*i+2], g.Pix[4*i+3] = Byte(x[3*i]), Byte(x[3*i+1]), Byte(x[3*i+2]), 255
		}
		m = g
	}
	var b bytes.Buffer
	err := png.Encode(&b, m)
	return b.Bytes(), err
}
