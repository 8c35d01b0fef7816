package data

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Corrupt pictures: the next one that can be read stands in, with its label and caption, in memory or not, whatever was asked for before.
func TestTolerate(t *testing.T) {
	dir := gallery(t, 10)
	for k := range 10 {
		write(t, dir, fmt.Sprintf("%c/%02d.txt", 'a'+k*2/10, k), fmt.Append(nil, k))
	}
	write(t, dir, "a/04.png", nil)
	write(t, dir, "b/05.png", bomb(1<<20, 1<<20))
	write(t, dir, "b/09.png", encodePNG(t, gradient(9, 9, 9))[:60])
	stands := []int{0, 1, 2, 3, 6, 6, 6, 7, 8, 0}
	for _, memory := range []int64{0, -1} {
		src, err := OpenFolder(context.Background(), Folder{Dir: dir, Captions: CaptionFiles, Pictures: Pictures{Height: 2, Width: 2, Channels: 3, Memory: memory, MaxCorrupt: 0.35}})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		s := Tolerate(src, 3, func(err error) { found = append(found, err.Error()) })
		captioned, ok := CaptionsOf(s)
		if !ok {
			t.Fatal("captions are lost")
		}
		for _, i := range []int{9, 4, 0, 5, 1, 2, 3, 6, 7, 8, 9, 4} {
			x, label := sample(t, s, i)
			want, wantLabel := sample(t, src, stands[i])
			if !slices.Equal(x, want) || label != wantLabel || captioned.Captions(uint64(i))[0] != fmt.Sprint(stands[i]) {
				t.Errorf("memory %d: sample %d, class %d, caption %v: want sample %d of class %d", memory, i, label, captioned.Captions(uint64(i)), stands[i], wantLabel)
			}
			if l, err := Label(s, uint64(i), make([]float32, 12)); l != wantLabel || err != nil {
				t.Errorf("label of %d: %d, %v", i, l, err)
			}
		}
		if len(found) != 3 || !threeMet(s) || !strings.Contains(found[0], "09.png: the picture cannot be decoded") || !strings.Contains(found[2], "05.png: the picture has 1048576×1048576") {
			t.Errorf("memory %d: found %q", memory, found)
		}
		// Two are allowed, the third is an error.
		s = Tolerate(src, 2, nil)
		var last error
		for i := range 10 {
			if _, err := s.Sample(uint64(i), make([]float32, 12)); err != nil {
				last = err
			}
		}
		if last == nil || !strings.Contains(last.Error(), "more than 2 of 10 samples are corrupt, such as ") || !Corrupt(last) {
			t.Errorf("memory %d: %v", memory, last)
		}
	}
	_, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 2, Width: 2, Channels: 3, MaxCorrupt: 0.2}})
	if err == nil || !strings.Contains(err.Error(), "more than 2 of 10 samples are corrupt, such as ") {
		t.Errorf("opened: %v", err)
	}
	// Held-out samples stay held out: the substitute is of the same part.
	src := openGallery(t, dir, Pictures{Height: 2, Width: 2, Channels: 3, Memory: -1})
	train, held, err := Holdout(src, 5)
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for i := range train.Len() {
		if x := make([]float32, 12); true {
			if _, err := train.Sample(uint64(i), x); err == nil {
				own[fmt.Sprint(x)] = true
			}
		}
	}
	s := Tolerate(train, 5, nil)
	for i := range s.Len() {
		if x, _ := sample(t, s, i); !own[fmt.Sprint(x)] {
			t.Errorf("sample %d is none of its part", i)
		}
	}
	for i := range held.Len() {
		if x := make([]float32, 12); true {
			if _, err := held.Sample(uint64(i), x); err == nil && own[fmt.Sprint(x)] {
				t.Errorf("held-out sample %d is trained on", i)
			}
		}
	}
	// A file that is gone is not corrupt: it may be there again tomorrow.
	s = Tolerate(src, 10, nil)
	if err := os.Remove(filepath.Join(dir, "a/02.png")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sample(2, make([]float32, 12)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
	// If all are corrupt there is nothing to stand in.
	dir = t.TempDir()
	write(t, dir, "x.png", nil)
	write(t, dir, "y.png", nil)
	s = Tolerate(openGallery(t, dir, Pictures{Height: 2, Width: 2, Channels: 1, Memory: -1}), 2, nil)
	if _, err := s.Sample(0, make([]float32, 4)); err == nil {
		t.Error("no sample can be read, and no error")
	}
}

// Two loaders of a source with corrupt samples, one of which has read others before: the same batches.
func TestCorruptSamplesDoNotDependOnWhatWasReadBefore(t *testing.T) {
	dir := gallery(t, 12)
	for _, name := range []string{"a/02.png", "a/03.png", "b/11.png"} {
		write(t, dir, name, nil)
	}
	batches := func(first uint64, workers int) []float32 {
		src := Tolerate(openGallery(t, dir, Pictures{Height: 3, Width: 3, Channels: 3, Crop: CropRandom}), 6, nil)
		l, err := NewLoader(src, Options{Seed: 8})
		if err != nil {
			t.Fatal(err)
		}
		a := l.Ahead(4, workers, 3)
		defer a.Close()
		for k := first; k < 5; k++ {
			readBatch(t, a.Batch, 4*k, 4, 27)
		}
		return readBatch(t, a.Batch, 20, 4, 27)
	}
	want := batches(0, 1)
	if !slices.Equal(want, batches(5, 4)) || !slices.Equal(want, batches(2, 7)) {
		t.Error("the sixth batch depends on what was read before it")
	}
}

func threeMet(s Source) bool {
	met, tolerates := CorruptSamples(s)
	return tolerates && len(met) == 3
}
