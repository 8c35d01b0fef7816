package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"testing"
)

// BenchmarkJPEGs reads JPEGs of 500×375 from a folder, cuts them at random, scales them to 64×64, flips and normalises them, in batches of 32 in the
// background: the work of scripts/data/loader.py. LANGEVIN_JPEGS names a folder to read in place of pictures made here.
func BenchmarkJPEGs(b *testing.B) {
	dir := os.Getenv("LANGEVIN_JPEGS")
	if dir == "" {
		dir = b.TempDir()
		r := rand.New(rand.NewPCG(1, 2))
		for k := range 64 {
			m := image.NewYCbCr(image.Rect(0, 0, 500, 375), image.YCbCrSubsampleRatio420)
			for i := range m.Y {
				m.Y[i] = uint8(128 + 60*(i%500)/500 + r.IntN(24))
			}
			for i := range m.Cb {
				m.Cb[i], m.Cr[i] = uint8(100+i%50), uint8(90+i/900%60)
			}
			var f bytes.Buffer
			if err := jpeg.Encode(&f, m, &jpeg.Options{Quality: 90}); err != nil {
				b.Fatal(err)
			}
			write(b, dir, fmt.Sprintf("%03d.jpg", k), f.Bytes())
		}
	}
	src, err := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 64, Width: 64, Channels: 3, Crop: CropResized, Filter: FilterBilinear}})
	if err != nil {
		b.Fatal(err)
	}
	loader, err := NewLoader(src, Options{Seed: 1, Flip: true})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 32
	a := loader.Ahead(batch, 0, 2)
	defer a.Close()
	x, labels := make([]float32, batch*64*64*3), make([]int32, batch)
	cursor := uint64(0)
	for b.Loop() {
		if err := a.Batch(cursor, x, labels); err != nil {
			b.Fatal(err)
		}
		cursor += batch
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "pictures/s")
}
