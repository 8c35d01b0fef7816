package data

import (
	"context"
	"math"
	"sync"

	"github.com/langevin-go/langevin/tensor/rng"
)

// Pictures says what encoded pictures are brought to, and the bounds of what is read.
type Pictures struct {
	// Height and Width that every picture is brought to.
	Height, Width int
	// Channels is 1 (grey: ITU-R BT.601 luma) or 3 (RGB). Transparent pictures are
	// laid on white, and JPEGs turned as their EXIF orientation says.
	Channels int
	// Filter that pictures are scaled with; empty: FilterBicubic.
	Filter string
	// Crop says which part of a picture is scaled: CropCentre (the default), the largest part of the wanted proportions
	// at the centre; CropRandom, such a part at a place drawn anew every epoch; CropResized, a part whose area and
	// proportions are drawn, too; CropNone, all of it, whatever its proportions. [Source.Sample] always cuts at the centre.
	Crop string
	// Scale bounds the area of a part, as a share of the picture's, and Ratio its proportions relative to the wanted ones,
	// of CropResized; zeros: 0.08 to 1 and 3/4 to 4/3.
	Scale, Ratio [2]float64
	// MaxPixels bounds the pixels of a picture before it is scaled; 0: 1<<26
	// (67 million). A file that claims more is refused before it is decoded.
	MaxPixels int
	// MaxFile bounds the bytes of an encoded picture; 0: 256 MiB.
	MaxFile int64
	// Memory bounds the scaled pictures that are kept, Height·Width·Channels bytes each; 0: 2 GiB. If all fit they are
	// decoded once, when the source is opened; if not, or with a random Crop, each is decoded whenever it is asked for.
	// Negative: always the latter.
	Memory int64
	// MaxCorrupt is the share of pictures that may be unreadable when all are decoded at the start, see [Tolerate].
	MaxCorrupt float64
	// Progress, if set, is called after each picture that is decoded at the start, by one goroutine at a time.
	Progress func(done, total int)
	// Resized, if set, is called in the same way, before, for each picture that was of another size.
	Resized func(path string, height, width int)
}

// check sets the bounds that are not given, and checks the options.
func (p *Pictures) check() error {
	if p.MaxPixels == 0 {
		p.MaxPixels = 1 << 26
	}
	if p.MaxFile == 0 {
		p.MaxFile = 256 << 20
	}
	if p.Memory == 0 {
		p.Memory = 2 << 30
	}
	if p.Filter == "" {
		p.Filter = FilterBicubic
	}
	if p.Crop == "" {
		p.Crop = CropCentre
	}
	if p.Scale == [2]float64{} {
		p.Scale = [2]float64{0.08, 1}
	}
	if p.Ratio == [2]float64{} {
		p.Ratio = [2]float64{3. / 4, 4. / 3}
	}
	const most = 1 << 15
	known := p.Crop == CropCentre || p.Crop == CropRandom || p.Crop == CropResized || p.Crop == CropNone
	switch {
	case p.Height < 1 || p.Width < 1 || p.Height > most || p.Width > most:
		return option("pictures of %d×%d: want 1 to %d", p.Height, p.Width, most)
	case p.Channels != 1 && p.Channels != 3:
		return option("%d channels: want 1 or 3", p.Channels)
	case p.MaxPixels < 0 || p.MaxFile < 0:
		return option("a bound is negative: want at least 1, or 0 for the default")
	case kernels[p.Filter].at == nil:
		return option("filter %q: want %s, %s, %s or %s", p.Filter, FilterBicubic, FilterBilinear, FilterLanczos, FilterBox)
	case !known:
		return option("crop %q: want %s, %s, %s or %s", p.Crop, CropCentre, CropRandom, CropResized, CropNone)
	case !(p.Scale[0] > 0 && p.Scale[0] <= p.Scale[1] && p.Scale[1] <= 1):
		return option("parts of %g to %g of a picture: want 0 < least ≤ most ≤ 1", p.Scale[0], p.Scale[1])
	case !(p.Ratio[0] > 0 && p.Ratio[0] <= p.Ratio[1]) || math.IsInf(p.Ratio[1], 1):
		return option("proportions of %g to %g: want 0 < least ≤ most", p.Ratio[0], p.Ratio[1])
	case !(p.MaxCorrupt >= 0 && p.MaxCorrupt <= 1):
		return option("a share of %g corrupt pictures: want 0 to 1", p.MaxCorrupt)
	}
	return nil
}

// varied tells whether what is cut differs from epoch to epoch.
func (p *Pictures) varied() bool { return p.Crop == CropRandom || p.Crop == CropResized }

// album is encoded pictures by number, wherever they come from. Its functions may be called by many goroutines at once.
type album struct {
	n        int
	load     func(i int, space []byte) ([]byte, error) // the bytes of picture i, in space if they fit
	name     func(i int) string                        // where picture i stands, for errors
	labels   []int32                                   // nil: no classes
	classes  int
	names    []string             // of classes; nil: only numbers
	captions func(i int) []string // nil: none
	ending   func(i int) string   // of a file of picture i, as .png
	block    int                  // pictures that are read together; 0: each by itself
	window   int                  // such blocks that are mixed
}

// darkroom is the space that a picture is developed in.
type darkroom struct {
	file, whole, small []uint8
}

var darkrooms = sync.Pool{New: func() any { return new(darkroom) }}

// pictures is a source that decodes each picture when it is asked for.
type pictures struct {
	album
	opt   Pictures
	shape []int
	scale *[256]float32
}

func (s *pictures) Len() int             { return s.n }
func (s *pictures) Shape() []int         { return s.shape }
func (s *pictures) Classes() int         { return s.classes }
func (s *pictures) ClassNames() []string { return s.names }
func (s *pictures) Levels() int          { return 256 }
func (s *pictures) Streams() bool        { return true }
func (s *pictures) Blocks() (int, int)   { return s.block, s.window }

// Label is the class of picture i.
func (s *pictures) Label(i uint64) int {
	if s.labels == nil {
		return 0
	}
	return int(s.labels[i])
}

// Original gives the bytes of picture i, as they are stored, and the ending of such files.
func (s *pictures) Original(i uint64) ([]byte, string, error) {
	b, err := s.load(int(i), nil)
	return b, s.ending(int(i)), err
}

func (s *pictures) Sample(i uint64, x []float32) (int, error) { return s.sample(i, nil, x) }

// Draw is Sample with what is cut drawn under a key.
func (s *pictures) Draw(i uint64, key rng.Key, x []float32) (int, error) {
	return s.sample(i, &draws{key: key, sample: i}, x)
}

func (s *pictures) sample(i uint64, d *draws, x []float32) (int, error) {
	checkCall(s, i, x)
	room := darkrooms.Get().(*darkroom)
	defer darkrooms.Put(room)
	if cap(room.small) < len(x) {
		room.small = make([]uint8, len(x))
	}
	pix := room.small[:len(x)]
	if _, _, err := s.develop(int(i), d, pix, room); err != nil {
		return 0, err
	}
	for k, v := range pix {
		x[k] = s.scale[v]
	}
	return s.Label(i), nil
}

// develop decodes picture i, cuts and scales it into dst, and says how large it was.
func (s *pictures) develop(i int, d *draws, dst []uint8, room *darkroom) (h, w int, err error) {
	file, err := s.load(i, room.file[:0])
	if err != nil {
		return 0, 0, err
	}
	room.file = file
	m, turn, err := decodePicture(file, s.name(i), s.opt.MaxPixels)
	if err != nil {
		return 0, 0, err
	}
	src := toBitmap(m, s.opt.Channels, room.whole)
	room.whole = src.pix
	src = orient(src, turn)
	sc := scalers.Get().(*scaler)
	defer scalers.Put(sc)
	sc.resize(dst, s.opt.Height, s.opt.Width, src, s.opt.cut(src.h, src.w, d), s.opt.Filter)
	return src.h, src.w, nil
}

// open makes an album a source: in memory if it fits.
func (a album) open(ctx context.Context, p Pictures) (Source, error) {
	s := &pictures{album: a, opt: p, shape: []int{p.Height, p.Width, p.Channels}, scale: pixelScale(255)}
	size := int64(volume(s.shape))
	var out Source = s
	if !p.varied() && p.Memory >= 0 && int64(a.n) <= p.Memory/size {
		m, err := s.developAll(ctx)
		if err != nil {
			return nil, err
		}
		out = m
	}
	if a.captions != nil {
		return withCaptions{out, func(i uint64) []string { return a.captions(int(i)) }}, nil
	}
	return out, nil
}

// developed is a memory of developed pictures that knows the originals.
type developed struct {
	*memory
	of *pictures
}

func (d developed) Original(i uint64) ([]byte, string, error) { return d.of.Original(i) }

// developAll decodes every picture, one goroutine a CPU. Of several bad ones the first in order is
// reported, unless so many may be: then asking for one of them gives its error.
func (s *pictures) developAll(ctx context.Context) (Source, error) {
	size := volume(s.shape)
	m := &memory{shape: s.shape, size: size, scale: s.scale, labels: s.labels, classes: s.classes, names: s.names, pixels: make([]uint8, s.n*size), bad: map[uint64]error{}}
	allowed := int(s.opt.MaxCorrupt * float64(s.n))
	var mu sync.Mutex
	done := 0
	err := forEach(ctx, s.n, true, func(i int) error {
		room := darkrooms.Get().(*darkroom)
		defer darkrooms.Put(room)
		h, w, err := s.develop(i, nil, m.pixels[i*size:(i+1)*size], room)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			if s.opt.Resized != nil && (h != s.opt.Height || w != s.opt.Width) {
				s.opt.Resized(s.name(i), h, w)
			}
		case !Corrupt(err):
			return err
		default:
			if m.bad[uint64(i)] = err; len(m.bad) > allowed {
				return tooMany(err, allowed, s.n)
			}
		}
		if done++; s.opt.Progress != nil {
			s.opt.Progress(done, s.n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return developed{m, s}, nil
}
