package data

import (
	"bytes"
	"context"
	"errors"
	"image/color"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// The tables were written by pyarrow (testdata/shards.py).
func TestParquetAsPythonWroteIt(t *testing.T) {
	g := shardsGolden(t)
	for _, memory := range []int64{0, -1} {
		p := asTheyAre
		p.Memory = memory
		s, err := OpenParquet(context.Background(), Parquet{Path: "testdata/parquet", Pictures: p, Labels: Auto, Captions: "texts", Window: 2})
		g.check(t, "datasets", s, err, func(k int) []string { return g.Captions[k] })
		if !slices.Equal(ClassNames(s), g.Names) {
			t.Errorf("classes %q", ClassNames(s))
		}
		if b, w := blocks(s); memory < 0 && (b != 3 || w != 2) {
			t.Errorf("blocks of %d, %d", b, w)
		}
		s, err = OpenParquet(context.Background(), Parquet{Path: "testdata/parquet-plain.parquet", Pictures: p, Labels: "class", Captions: "text", Image: "jpg"})
		g.check(t, "plain", s, err, func(k int) []string { return g.Captions[k][:1] })
	}
	// Only the row groups used last are kept: reading goes on as before.
	p := asTheyAre
	p.Memory = -1
	s, err := OpenParquet(context.Background(), Parquet{Path: "testdata/parquet", Pictures: p, Labels: "label", Cache: 1200})
	g.check(t, "small cache", s, err, nil)
	// What is kept stays within the bound, also of groups that come again.
	file, err := openParquet("testdata/parquet/train-00000-of-00002.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if file.image, err = file.imageColumn(""); err != nil {
		t.Fatal(err)
	}
	sizes := file.file.Metadata().RowGroups
	size := func(k int) int64 { return sizes[k].Columns[file.image].MetaData.TotalUncompressedSize }
	cache := newGroupCache(size(0)) // the second group is smaller: one of them fits
	for _, k := range []int{0, 1, 0, 0, 1} {
		if _, err := cache.row(parquetGroup{file, k, 0, []int{3, 1}[k]}, 0); err != nil {
			t.Fatal(err)
		}
		if cache.held != size(k) || cache.used.Len() != 1 || len(cache.by[file]) != 1 {
			t.Errorf("after group %d: %d bytes in %d groups are kept, of %d and %d", k, cache.held, cache.used.Len(), size(0), size(1))
		}
	}
}

type row struct {
	Image *struct {
		Bytes []byte `parquet:"bytes,optional"`
		Path  string `parquet:"path"`
	} `parquet:"image,optional"`
	Label *int64  `parquet:"label,optional"`
	Text  *string `parquet:"text,optional"`
	Other []byte  `parquet:"other"`
}

func TestParquetRefuses(t *testing.T) {
	make1 := func(rows ...row) []byte {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[row](&b)
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	pic := encodePNG(t, gradient(4, 3, 9))
	one, minus, text := int64(1), int64(-1), "a"
	r := row{Label: &one, Text: &text}
	r.Image = &struct {
		Bytes []byte `parquet:"bytes,optional"`
		Path  string `parquet:"path"`
	}{pic, ""}
	without, unlabelled, wrong, silent := r, r, r, r
	without.Image, unlabelled.Label, wrong.Label, silent.Text = nil, nil, &minus, nil
	good := make1(r)
	badPage := bytes.Clone(good)
	for i := 4; i < len(pic); i++ { // within the first page, its header included
		badPage[i] ^= 0x5a
	}
	long := bytes.Clone(good)
	long[len(long)-5] = 0x7f
	for what, c := range map[string]struct {
		file    []byte
		parquet Parquet
		kind    error
		want    string
	}{
		"short":         {[]byte("PAR1"), Parquet{}, ErrFormat, "this is no Parquet file"},
		"text":          {bytes.Repeat([]byte("hello "), 20), Parquet{}, ErrFormat, "want \"PAR1\""},
		"long footer":   {long, Parquet{}, ErrFormat, "claims metadata of"},
		"cut":           {good[:len(good)-9], Parquet{}, ErrFormat, "want \"PAR1\""},
		"bad page":      {badPage, Parquet{Image: "image"}, ErrFormat, ""},
		"two columns":   {good, Parquet{}, ErrFormat, "several columns that may be of pictures: say which with image: image, other"},
		"no such":       {good, Parquet{Image: "img"}, ErrFormat, `no column "img" of pictures (bytes, or structs with bytes); its columns are image.bytes, image.path, label`},
		"not bytes":     {good, Parquet{Image: "label"}, ErrFormat, `no column "label" of pictures`},
		"no labels":     {good, Parquet{Image: "image", Labels: "text"}, ErrLabels, `no column "text" of whole numbers`},
		"null label":    {make1(r, unlabelled), Parquet{Image: "image", Labels: Auto}, ErrLabels, "row 1 of row group 0 has no label"},
		"wrong label":   {make1(r, wrong), Parquet{Image: "image", Labels: "label"}, ErrLabels, "label -1 of sample 1 is out of range"},
		"no captions":   {good, Parquet{Image: "image", Captions: "label"}, ErrFormat, `no column "label" of captions`},
		"null caption":  {make1(r, silent), Parquet{Image: "image", Captions: "text"}, ErrEmpty, "row 1 of row group 0 has no caption"},
		"null picture":  {make1(r, without), Parquet{Image: "image"}, ErrFormat, "row 1 has no picture in it"},
		"large picture": {good, Parquet{Image: "image", Pictures: Pictures{MaxFile: 10}}, ErrSize, "the picture of row 0 has"},
		"large group":   {good, Parquet{Image: "image", Cache: 20}, errTooLarge, "bytes of pictures: want at most 20 (cache)"},
		"empty":         {make1(), Parquet{Image: "image"}, ErrEmpty, "has no rows"},
	} {
		path := write(t, t.TempDir(), "x.parquet", c.file)
		most := c.parquet.MaxFile
		c.parquet.Path, c.parquet.Pictures = path, asTheyAre
		c.parquet.MaxFile = most
		_, err := OpenParquet(context.Background(), c.parquet)
		checkFileError(t, what, err, c.kind, path, c.want)
	}
	if _, err := OpenParquet(context.Background(), Parquet{Path: "testdata/parquet", Pictures: asTheyAre, Window: -1}); !errors.Is(err, ErrOption) {
		t.Errorf("got %v", err)
	}
	// A row without a picture is a corrupt sample.
	path := write(t, t.TempDir(), "x.parquet", make1(without, r))
	p := asTheyAre
	p.MaxCorrupt = 0.5
	s, err := OpenParquet(context.Background(), Parquet{Path: path, Pictures: p, Image: "image"})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := sample(t, Tolerate(s, 1, nil), 0)
	b, _ := sample(t, s, 1)
	if !slices.Equal(a, b) {
		t.Error("the second row does not stand in for the first")
	}
}

func FuzzParquet(f *testing.F) {
	for _, name := range []string{"testdata/parquet/train-00000-of-00002.parquet", "testdata/parquet/train-00001-of-00002.parquet", "testdata/parquet-plain.parquet"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &shard{path: "fuzz", size: int64(len(b))}
		err := func() error {
			file, err := newParquet(s, bytes.NewReader(b), s.size)
			if err != nil {
				return err
			}
			p := Parquet{Labels: Auto}
			if _, err = p.choose(file); err != nil {
				return err
			}
			if file.image, err = file.imageColumn(""); err != nil {
				return err
			}
			file.cache = 1 << 20
			cache := newGroupCache(file.cache)
			for k, g := range file.file.RowGroups() {
				if g.NumRows() < 1 || g.NumRows() > s.size {
					continue
				}
				group := parquetGroup{file, k, 0, int(g.NumRows())}
				if p.Labels != "" {
					if _, err := group.labels(p.Labels, nil); err != nil {
						return err
					}
				}
				if _, err := cache.row(group, group.rows-1); err != nil {
					return err
				}
			}
			return nil
		}()
		var e *FileError
		if err != nil && (!errors.As(err, &e) || e.Path != "fuzz") {
			t.Fatalf("untyped error %v", err)
		}
	})
}

// A page that unpacks to more or less than it claims is refused before the library unpacks it, whatever it is packed by; so is one
// of LZ4 that is corrupt, at which the library takes memory without end.
func TestParquetPagesThatLie(t *testing.T) {
	type row struct {
		Image []byte `parquet:"image"`
		Label int64  `parquet:"label"`
	}
	picture := encodePNG(t, uniform(8, 8, color.White))
	for name, codec := range map[string]compress.Codec{"snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd, "brotli": &parquet.Brotli, "lz4": &parquet.Lz4Raw} {
		for _, version := range []int{1, 2} {
			var b bytes.Buffer
			w := parquet.NewGenericWriter[row](&b, parquet.Compression(codec), parquet.DataPageVersion(version), parquet.SkipPageBounds("image"))
			if _, err := w.Write(slices.Repeat([]row{{picture, 1}}, 50)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			open := func(b []byte) error {
				s, err := OpenParquet(context.Background(), Parquet{Path: write(t, t.TempDir(), "x.parquet", b), Pictures: asTheyAre, Image: "image", Labels: "label", Cache: 1 << 16})
				if err == nil {
					_, err = s.Sample(0, make([]float32, volume(s.Shape())))
				}
				return err
			}
			if err := open(b.Bytes()); err != nil {
				t.Fatalf("%s, version %d: %v", name, version, err)
			}
			f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			meta := f.Metadata().RowGroups[0].Columns[0].MetaData
			head := meta.DataPageOffset // of thrift: the type, then the size unpacked, each behind a byte
			for what, change := range map[string]func(b []byte){
				"claims another size": func(b []byte) { b[head+3] ^= 2 },
				"is corrupt":          func(b []byte) { clear(b[meta.DataPageOffset+meta.TotalCompressedSize-20:][:20]) },
			} {
				lie := bytes.Clone(b.Bytes())
				change(lie)
				var e *FileError
				if err := open(lie); !errors.As(err, &e) || !strings.Contains(err.Error(), "row group 0, column 0: a page of") && !strings.Contains(err.Error(), "cannot be decoded") {
					t.Errorf("%s, version %d, a page that %s: %v", name, version, what, err)
				}
			}
		}
	}
}

// What is a thousandth of itself when packed is refused by the size that it claims, and by the size that it has if it claims less.
func TestUnpacksTo(t *testing.T) {
	zeros := make([]byte, 1<<20)
	for name, codec := range map[string]compress.Codec{"snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd, "brotli": &parquet.Brotli, "lz4": &parquet.Lz4Raw} {
		b, err := codec.Encode(nil, zeros)
		if err != nil {
			t.Fatal(err)
		}
		for size, want := range map[int64]bool{1 << 20: true, 1<<20 - 1: false, 1<<20 + 1: false, 10: false, 1 << 40: false} {
			if got := unpacksTo(codec.CompressionCodec(), b, size); got != want {
				t.Errorf("%s: %d bytes unpack to %d: %v", name, len(b), size, got)
			}
		}
		if unpacksTo(codec.CompressionCodec(), []byte("no such"), 1<<10) {
			t.Errorf("%s: a text unpacks", name)
		}
	}
}
