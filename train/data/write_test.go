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

// sameSource holds that two sources have the same samples, labels, captions and vectors.
func sameSource(t *testing.T, what string, got, want Source) {
	t.Helper()
	if got.Len() != want.Len() || got.Classes() != want.Classes() || !slices.Equal(got.Shape(), want.Shape()) || Levels(got) != Levels(want) || VectorSize(got) != VectorSize(want) {
		t.Errorf("%s: %d of %v in %d classes, want %d of %v in %d", what, got.Len(), got.Shape(), got.Classes(), want.Len(), want.Shape(), want.Classes())
		return
	}
	a, _ := CaptionsOf(got)
	b, captioned := CaptionsOf(want)
	va, _ := VectorsOf(got)
	vb, vectors := VectorsOf(want)
	for i := range want.Len() {
		x, lx := sample(t, got, i)
		y, ly := sample(t, want, i)
		if !slices.Equal(x, y) || lx != ly {
			t.Errorf("%s: sample %d of class %d differs from that of class %d", what, i, lx, ly)
			return
		}
		if captioned && (a == nil || !slices.Equal(a.Captions(uint64(i)), b.Captions(uint64(i)))) {
			t.Errorf("%s: other captions of %d", what, i)
		}
		if vectors {
			p, q := make([]float32, vb.VectorSize()), make([]float32, vb.VectorSize())
			va.Vector(uint64(i), p)
			vb.Vector(uint64(i), q)
			if !slices.Equal(p, q) {
				t.Errorf("%s: vector %d is %v, want %v", what, i, p, q)
			}
		}
	}
}

// What is written is read as what it was, in every format, one of the pictures corrupt.
func TestWriteAndReadAgain(t *testing.T) {
	dir := gallery(t, 300) // more than a row group and a chunk
	write(t, dir, "a/07.png", nil)
	for k := range 300 {
		write(t, dir, fmt.Sprintf("%c/%02d.txt", 'a'+k*2/300, k), fmt.Appendf(nil, "number %d\nanother\n", k))
	}
	ctx := context.Background()
	for _, channels := range []int{1, 3} {
		p := Pictures{Height: 5, Width: 6, Channels: channels, Memory: -1}
		src, err := OpenFolder(ctx, Folder{Dir: dir, Pictures: p, Captions: CaptionFiles})
		if err != nil {
			t.Fatal(err)
		}
		tolerant := Tolerate(src, 1, nil)
		plain := tolerant.(wrapper).source().(withCaptions).Source // without captions
		bare := Tolerate(plain, 1, nil)
		out := t.TempDir()
		calls := 0
		o := Writing{Progress: func(done, total int) {
			if calls++; total != 300 || done > 300 {
				t.Errorf("%d of %d", done, total)
			}
		}}
		for _, c := range []struct {
			name string
			s    Source
			open func(path string) (Source, error)
		}{
			{"x.npz", Tolerate(plain, 1, nil), func(path string) (Source, error) { return OpenNPZ(NPZ{Path: path, Samples: Auto, Labels: Auto}) }},
			{"x.safetensors", Tolerate(plain, 1, nil), func(path string) (Source, error) {
				return OpenSafetensors(Safetensors{Path: path, Samples: "samples", Labels: Auto})
			}},
			{"x.tar", Tolerate(src, 1, nil), func(path string) (Source, error) {
				return OpenTar(ctx, Tar{Path: path, Pictures: p, Labels: Auto, Captions: "txt"})
			}},
			{"x.parquet", Tolerate(src, 1, nil), func(path string) (Source, error) {
				return OpenParquet(ctx, Parquet{Path: path, Pictures: p, Labels: Auto, Captions: "captions"})
			}},
		} {
			calls = 0
			files, err := Write(ctx, filepath.Join(out, c.name), c.s, o)
			if err != nil || len(files) != 1 || calls < 2 {
				t.Errorf("%s: %v, %v, %d calls", c.name, files, err, calls)
				continue
			}
			got, err := c.open(files[0])
			if err != nil {
				t.Error(err)
				continue
			}
			want := bare
			if _, ok := CaptionsOf(c.s); ok {
				want = tolerant
			}
			sameSource(t, c.name, got, want)
			if c.name == "x.parquet" && (!slices.Equal(ClassNames(got), []string{"a", "b"}) || got.(withCaptions).Source.(*pictures).block != tableRows) {
				t.Errorf("names %v", ClassNames(got))
			}
		}
		// Several files, and the originals.
		files, err := Write(ctx, filepath.Join(out, "many.tar"), tolerant, Writing{Shard: 130, Original: true})
		if err != nil || len(files) != 3 || filepath.Base(files[2]) != "many-00002.tar" {
			t.Fatalf("%v, %v", files, err)
		}
		got, err := OpenTar(ctx, Tar{Path: filepath.Join(out, "many-*.tar"), Pictures: p, Labels: Auto, Captions: "txt"})
		if err != nil {
			t.Fatal(err)
		}
		sameSource(t, "many", got, tolerant)
		a, _, _, err1 := Original(got, 3)
		b, _, _, err2 := Original(src, 3)
		if err1 != nil || err2 != nil || !slices.Equal(a, b) {
			t.Errorf("the original is another one: %v, %v", err1, err2)
		}
	}
	points := InMemory([]int{2}, []float32{1, 2, 3, 4.5}, []int32{1, 0}, 2).(*memory)
	points.vectors = []float32{7, 8, 9, 10, 11, 12}
	for _, name := range []string{"p.npz", "p.safetensors"} {
		files, err := Write(ctx, filepath.Join(t.TempDir(), name), points, Writing{})
		if err != nil {
			t.Fatal(err)
		}
		var got Source
		if name == "p.npz" {
			got, err = OpenNPZ(NPZ{Path: files[0], Samples: Auto, Labels: Auto, Vectors: "vectors"})
		} else {
			got, err = OpenSafetensors(Safetensors{Path: files[0], Samples: "samples", Labels: Auto, Vectors: "vectors"})
		}
		if err != nil {
			t.Fatal(err)
		}
		sameSource(t, name, got, points)
	}
}

// Nothing is left of what could not be written whole.
func TestWriteRefuses(t *testing.T) {
	dir := gallery(t, 6)
	pics := openGallery(t, dir, Pictures{Height: 3, Width: 3, Channels: 3})
	points := InMemory([]int{2}, []float32{1, 2, 3, 4}, nil, 0)
	vectors := InMemory([]int{2, 2, 1}, make([]float32, 4), nil, 0).(*memory)
	vectors.floats, vectors.pixels, vectors.scale, vectors.vectors = nil, make([]uint8, 4), pixelScale(255), []float32{1}
	captioned := withCaptions{pics, func(uint64) []string { return []string{"a"} }}
	for what, c := range map[string]struct {
		name string
		s    Source
		o    Writing
		want string
	}{
		"ending":   {"x.zip", pics, Writing{}, "want a file .npz"},
		"endless":  {"x.npz", Draw(Checkerboard{}, 1, false), Writing{}, "an endless source"},
		"points":   {"x.tar", points, Writing{}, "are no pictures of bytes"},
		"original": {"x.npz", pics, Writing{Original: true}, "need .tar or .parquet"},
		"shards":   {"x.safetensors", pics, Writing{Shard: 3}, "need .tar or .parquet"},
		"negative": {"x.tar", pics, Writing{Shard: -1}, "want at least 1"},
		"vectors":  {"x.parquet", vectors, Writing{}, "hold no vectors"},
		"captions": {"x.npz", captioned, Writing{}, "hold no captions"},
	} {
		out := t.TempDir()
		if _, err := Write(context.Background(), filepath.Join(out, c.name), c.s, c.o); !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if left, _ := os.ReadDir(out); len(left) > 0 {
			t.Errorf("%s left %v", what, left)
		}
	}
	// Corrupt in the second file, or stopped: the first is taken away again.
	write(t, dir, "b/05.png", nil)
	pics = openGallery(t, dir, Pictures{Height: 3, Width: 3, Channels: 3, Memory: -1})
	stopped, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, name := range []string{"x.tar", "x.parquet"} {
		out := t.TempDir()
		if _, err := Write(context.Background(), filepath.Join(out, name), pics, Writing{Shard: 3}); !Corrupt(err) {
			t.Errorf("%s: %v", name, err)
		}
		o := Writing{Shard: 2, Progress: func(done, _ int) {
			if done > 2 {
				cancel()
			}
		}}
		if _, err := Write(stopped, filepath.Join(out, name), pics, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(out); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
}
