package record

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestEventsGolden compares every byte with what TensorBoard's own messages and
// record writer give (testdata/make_events.py).
func TestEventsGolden(t *testing.T) {
	want, err := os.ReadFile("testdata/events.golden")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e := newTestEvents(t, dir, 7)
	err = e.Scalars(8, V("train/loss", 0.1), V("zero", 0), V("nan", math.NaN()), V("inf", math.Inf(-1)))
	if err == nil {
		err = e.Histogram(1<<40, "w", []float32{2, float32(math.Inf(1)), -1, float32(math.NaN()), 0})
	}
	if err == nil {
		err = e.encoded(9, "grid", image.Pt(2, 1), 3, []byte("PNG"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	got := readOnly(t, dir)
	// The first event is written with the real time: put the golden's there.
	for i, g := range split(t, got) {
		w := split(t, want)[i]
		if !bytes.Equal(withTime(g), withTime(w)) {
			t.Errorf("event %d is\n%x\nwant\n%x", i, g, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	if first := split(t, want)[2]; !bytes.Contains(got, frame(first)) {
		t.Error("the framing of the scalars differs from the golden's")
	}
}

// newTestEvents has TensorBoard's golden clock from its second event on.
func newTestEvents(t *testing.T, dir string, step int64) *Events {
	t.Helper()
	e, err := NewEvents(dir, step)
	if err != nil {
		t.Fatal(err)
	}
	e.now = func() time.Time { return time.UnixMicro(1700000000_250000) }
	return e
}

// withTime blanks the wall time, the first field of every event.
func withTime(event []byte) []byte {
	return append(make([]byte, 9), event[9:]...)
}

func readOnly(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("files %v, %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// split checks the framing and gives the messages.
func split(t *testing.T, b []byte) (events [][]byte) {
	t.Helper()
	for len(b) > 0 {
		n, _ := protowire.ConsumeFixed64(b)
		if uint64(len(b)) < n+16 {
			t.Fatalf("a record of %d bytes in %d", n, len(b))
		}
		m := b[12 : 12+n]
		if !bytes.Equal(frame(m), b[:n+16]) {
			t.Fatal("wrong checksum")
		}
		events, b = append(events, m), b[n+16:]
	}
	return events
}

// CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, B.4); masked by hand:
// 8a9136aa>>15 = 00011522, 8a9136aa<<17 = 6d540000, sum with a282ead8 = 0fd7fffa.
func TestMaskedCRC(t *testing.T) {
	if got := maskedCRC(make([]byte, 32)); got != 0x0fd7fffa {
		t.Errorf("got %08x", got)
	}
}

// A resumed run begins a second file that sorts after the first, and its START
// event says from which step on older events are void.
func TestEventsResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	for _, step := range []int64{-1, 41} {
		e, err := NewEvents(dir, step)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) != 2 || !sort.StringsAreSorted(names) {
		t.Fatalf("files %v", names)
	}
	counts := []int{1, 2}
	for i, name := range names {
		b, _ := os.ReadFile(name)
		events := split(t, b)
		if len(events) != counts[i] {
			t.Errorf("file %d has %d events", i, len(events))
		}
		if i == 1 && !bytes.HasSuffix(events[1], []byte{eventStep << 3, 42, eventSessionLog<<3 | 2, 2, sessionStatus << 3, sessionStart}) {
			t.Errorf("the session event is %x", events[1])
		}
	}
}

func TestEventsImage(t *testing.T) {
	dir := t.TempDir()
	e := newTestEvents(t, dir, -1)
	opaque := image.NewRGBA(image.Rect(3, 4, 5, 5))
	for i := range opaque.Pix {
		opaque.Pix[i] = 255
	}
	images := []image.Image{image.NewGray(image.Rect(0, 0, 2, 1)), opaque, image.NewNRGBA(image.Rect(0, 0, 2, 1)), image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{color.White, color.Black})}
	for _, img := range images {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := e.PNG(1, "x", b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.PNG(1, "x", []byte("no picture")); err == nil || !strings.Contains(err.Error(), "x") {
		t.Errorf("what is no picture: %v", err)
	}
	events := split(t, readOnly(t, dir))[1:]
	for i, want := range []byte{1, 3, 4, 3} {
		m := events[i]
		at := bytes.Index(m, []byte{imageHeight << 3, 1, imageWidth << 3, 2, imageColorspace << 3, want, imageEncoded<<3 | 2})
		if at < 0 {
			t.Errorf("image %d: no header for 2×1 with %d channels in %x", i, want, m[:40])
			continue
		}
		data, _ := protowire.ConsumeBytes(m[at+7:])
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil || img.Bounds() != image.Rect(0, 0, 2, 1) || color.NRGBAModel.Convert(img.At(0, 0)) != color.NRGBAModel.Convert(images[i].At(images[i].Bounds().Min.X, images[i].Bounds().Min.Y)) {
			t.Errorf("image %d: %v, %v", i, img, err)
		}
	}
}

func TestHistogram(t *testing.T) {
	values := []float32{0, 1, 1, -3, 5e-20, math.MaxFloat32, -math.MaxFloat32, float32(math.NaN())}
	h := newHistogram(values)
	if h.num != 7 || h.min != -math.MaxFloat32 || h.max != math.MaxFloat32 {
		t.Errorf("got %+v", h)
	}
	if !sort.Float64sAreSorted(h.limits) || len(h.limits) != len(h.counts) {
		t.Error("the limits do not ascend")
	}
	for _, v := range values[:7] { // each value lies in a bucket that counts something
		i := sort.Search(len(h.limits), func(i int) bool { return h.limits[i] > float64(v) })
		if i == len(h.limits) || h.counts[i] == 0 {
			t.Errorf("%g has no bucket", v)
		}
	}
	total := 0.0
	for _, c := range h.counts {
		total += c
	}
	if total != h.num {
		t.Errorf("%g counted of %g", total, h.num)
	}
	if empty := newHistogram(values[7:]); empty.num != 0 || len(empty.limits) != 1 {
		t.Errorf("of no values: %+v", empty)
	}
}
