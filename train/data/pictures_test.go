package data

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/tensor/rng"
)

// gradient is a picture whose every pixel tells where it is and of which picture it is.
func gradient(w, h, k int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / max(1, w-1)), uint8(255 * y / max(1, h-1)), uint8(k), 255})
		}
	}
	return m
}

// gallery is a folder of n pictures of several sizes in two classes.
func gallery(t testing.TB, n int) string {
	dir := t.TempDir()
	for k := range n {
		write(t, dir, fmt.Sprintf("%c/%02d.png", 'a'+k*2/n, k), encodePNG(t, gradient(12+k%5, 9+k%4, k)))
	}
	return dir
}

func openGallery(t testing.TB, dir string, p Pictures) Source {
	t.Helper()
	s, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: p})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// In memory or decoded when asked for: the same samples, labels, names and originals.
func TestStreamedPicturesAreThoseInMemory(t *testing.T) {
	dir := gallery(t, 9)
	p := Pictures{Height: 6, Width: 5, Channels: 3}
	inMemory := openGallery(t, dir, p)
	p.Memory = -1
	streamed := openGallery(t, dir, p)
	if Streams(inMemory) || !Streams(streamed) || inMemory.Len() != streamed.Len() || streamed.Classes() != 2 || Levels(streamed) != 256 {
		t.Fatalf("%T, %T", inMemory, streamed)
	}
	p.Memory = 9*6*5*3 - 1 // a byte too few
	if s := openGallery(t, dir, p); !Streams(s) {
		t.Error("kept more than it may")
	}
	for i := range 9 {
		a, la := sample(t, inMemory, i)
		b, lb := sample(t, streamed, i)
		if !slices.Equal(a, b) || la != lb {
			t.Errorf("picture %d differs", i)
		}
		if l, err := Label(streamed, uint64(i), nil); l != la || err != nil {
			t.Errorf("label %d is %d, %v", i, l, err)
		}
		for _, s := range []Source{inMemory, streamed} {
			if b, ending, ok, err := Original(s, uint64(i)); !ok || err != nil || ending != ".png" || !strings.HasPrefix(string(b), "\x89PNG") {
				t.Errorf("original: %q, %v, %v", ending, ok, err)
			}
		}
	}
	train, held, err := Holdout(streamed, 3)
	if err != nil || held.Len() != 3 || !Streams(train) || !slices.Equal(ClassNames(held), []string{"a", "b"}) {
		t.Errorf("split: %v", err)
	}
}

// What is cut is drawn anew every epoch, depends on seed, epoch and sample alone, and covers what it should.
func TestRandomCrops(t *testing.T) {
	const H, W, h, w = 60, 90, 10, 10
	p := Pictures{Height: h, Width: w, Crop: CropRandom}
	seen := map[int]int{}
	for epoch := range uint64(3000) {
		b := p.cut(H, W, &draws{key: rng.Key{Seed: 1, Step: epoch}, sample: 5})
		if b.y0 != 0 || b.y1 != H || math.Abs(b.x1-b.x0-H) > 1e-9 || b.x0 < 0 || b.x1 > W {
			t.Fatalf("%v", b)
		}
		seen[int(b.x0/30*6)]++
	}
	for k := range 6 { // sixths of the room: binomial, mean 500, standard deviation √(3000·5/36) = 20.4; five of them
		if n := seen[k]; n < 398 || n > 602 {
			t.Errorf("%d of 3000 in sixth %d of the room", n, k)
		}
	}
	p = Pictures{Height: h, Width: w, Channels: 3, Crop: CropResized, Scale: [2]float64{0.2, 0.5}, Ratio: [2]float64{0.5, 2}}
	least, most := 1.0, 0.0
	for epoch := range uint64(3000) {
		b := p.cut(H, W, &draws{key: rng.Key{Seed: 1, Step: epoch}, sample: 5})
		cw, ch := b.x1-b.x0, b.y1-b.y0
		area := cw * ch / (H * W)
		// Sides are rounded to whole pixels: half a pixel of at least √(0.2·5400/2) = 23.
		if area < 0.2*0.95 || area > 0.5*1.05 || cw/ch < 0.5*0.95 || cw/ch > 2*1.05 || b.x0 < 0 || b.y0 < 0 || b.x1 > W || b.y1 > H {
			t.Fatalf("%v: area %g, ratio %g", b, area, cw/ch)
		}
		least, most = min(least, area), max(most, area)
	}
	if least > 0.22 || most < 0.48 {
		t.Errorf("areas from %g to %g", least, most)
	}
	// No part of these proportions fits: the centre, after ten draws.
	p.Scale, p.Ratio = [2]float64{1, 1}, [2]float64{4, 4}
	if b := p.cut(H, W, &draws{}); b != cover(H, W, h, w, 0.5, 0.5) {
		t.Errorf("fallback %v", b)
	}

	dir := gallery(t, 4)
	src := openGallery(t, dir, Pictures{Height: 5, Width: 5, Channels: 3, Crop: CropResized})
	if !Streams(src) {
		t.Error("random cuts were made in memory")
	}
	read := func(seed uint64, cursor uint64) []float32 {
		l, err := NewLoader(src, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		// The same sample in the epoch of the cursor, wherever the order has put it.
		for k := cursor / 4 * 4; ; k++ {
			if i, _ := l.At(k); i == 2 {
				return readBatch(t, l.Batch, k, 1, 75)
			}
		}
	}
	if a := read(1, 0); !slices.Equal(a, read(1, 0)) || slices.Equal(a, read(1, 4)) || slices.Equal(a, read(2, 0)) {
		t.Error("a cut is no function of seed, epoch and sample, or the same for all")
	}
	// Sample, which evaluation reads, is the centre.
	centred := openGallery(t, dir, Pictures{Height: 5, Width: 5, Channels: 3})
	a, _ := sample(t, src, 2)
	if b, _ := sample(t, centred, 2); !slices.Equal(a, b) {
		t.Error("Sample is cut at random")
	}
}
