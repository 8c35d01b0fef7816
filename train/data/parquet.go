package data

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Parquet describes tables of pictures in Parquet files, as Hugging Face's datasets are: a column of structs with the picture's
// file as bytes, or of the bytes themselves.
type Parquet struct {
	// Path is what [Shards] reads.
	Path string
	Pictures
	// Image is the column of pictures; empty: the only one that may be.
	Image string
	// Labels is the column of whole numbers that are the classes; empty: none; [Auto]: label or labels, if there is one.
	Labels string
	// Classes is the number of classes; 0: as many as the file's metadata name, or one more than the highest label.
	Classes int
	// Captions is the column of captions, or of lists of them; empty: none.
	Captions string
	// Window is the number of row groups whose pictures are mixed, see [Order.InBlocks]: a row group is read as a whole, so that pictures
	// in any order would be read many times over. 0: in any order.
	Window int
	// Cache bounds the bytes of row groups that are kept once read, encoded; 0: 1 GiB. No row group may be larger.
	Cache int64
}

// parquetCache is the cache where none is given.
const parquetCache = 1 << 30

// parquetRows bounds the rows of all files.
const parquetRows = 1 << 31

// parquetGroup is a row group: its file, number, first row of all, and rows.
type parquetGroup struct {
	file        *parquetFile
	number      int
	first, rows int
}

type parquetFile struct {
	shard  *shard
	reader io.ReaderAt // of the file
	file   *parquet.File
	image  int   // the column of pictures
	cache  int64 // bound of the bytes of a group's pictures

	mu      sync.Mutex
	checked map[[2]int]bool // columns whose pages are what they say, by group and column
}

// OpenParquet reads the files' metadata, labels and captions.
func OpenParquet(ctx context.Context, p Parquet) (Source, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Cache == 0 {
		p.Cache = parquetCache
	}
	if p.Classes < 0 || p.Window < 0 || p.Cache < 0 {
		return nil, option("a number is negative: want 0 for the default, or more")
	}
	paths, err := Shards(p.Path, ".parquet")
	if err != nil {
		return nil, err
	}
	var groups []parquetGroup
	var labels []int64
	var captions [][]string
	var names []string
	n, block := 0, 0
	for i, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		file, err := openParquet(path)
		if err != nil {
			return nil, err
		}
		file.cache = p.Cache
		if i == 0 {
			if names, err = p.choose(file); err != nil {
				return nil, err
			}
		}
		if file.image, err = file.imageColumn(p.Image); err != nil {
			return nil, err
		}
		for k, g := range file.file.RowGroups() {
			rows := g.NumRows()
			// No picture takes less than a byte.
			if most := min(file.shard.size, parquetRows-int64(n)); rows < 0 || rows > most {
				return nil, badfile.New(path, ErrSize, "row group %d claims %d rows: want at most %d", k, rows, most)
			}
			if rows == 0 {
				continue
			}
			group := parquetGroup{file, k, n, int(rows)}
			if p.Labels != "" {
				if labels, err = group.labels(p.Labels, labels); err != nil {
					return nil, err
				}
			}
			if p.Captions != "" {
				if captions, err = group.captions(p.Captions, captions); err != nil {
					return nil, err
				}
			}
			groups = append(groups, group)
			n, block = n+int(rows), max(block, int(rows))
		}
	}
	if n == 0 {
		return nil, badfile.New(p.Path, ErrEmpty, "has no rows")
	}
	at := func(i int) (parquetGroup, int) {
		k := sort.Search(len(groups), func(k int) bool { return groups[k].first > i }) - 1
		return groups[k], i - groups[k].first
	}
	cache := newGroupCache(p.Cache)
	a := album{n: n, block: block, window: p.Window,
		name: func(i int) string {
			g, _ := at(i)
			return fmt.Sprintf("%s: row %d", g.file.shard.path, i-g.fileFirst(groups))
		},
		load: func(i int, space []byte) ([]byte, error) {
			g, row := at(i)
			b, err := cache.row(g, row)
			if err != nil {
				return nil, err
			}
			if b == nil {
				return nil, badfile.New(g.file.shard.path, ErrFormat, "row %d has no picture in it", i-g.fileFirst(groups))
			}
			if int64(len(b)) > p.MaxFile {
				return nil, badfile.New(g.file.shard.path, ErrSize, "the picture of row %d has %d bytes: want at most %d", i-g.fileFirst(groups), len(b), p.MaxFile)
			}
			return append(space[:0], b...), nil
		},
	}
	a.ending = func(i int) string {
		b, err := a.load(i, nil)
		if err != nil {
			return ""
		}
		switch strings.TrimPrefix(http.DetectContentType(b), "image/") {
		case "png":
			return ".png"
		case "gif":
			return ".gif"
		case "webp":
			return ".webp"
		}
		return ".jpg"
	}
	if p.Labels != "" {
		classes := p.Classes
		if classes == 0 {
			classes = len(names)
		}
		if a.labels, a.classes, err = checkLabels(labels, classes, p.Path, func(int) int64 { return -1 }); err != nil {
			return nil, err
		}
		if len(names) == a.classes {
			a.names = names
		}
	}
	if p.Captions != "" {
		a.captions = func(i int) []string { return captions[i] }
	}
	return a.open(ctx, p.Pictures)
}

// fileFirst is the first row of the group's file.
func (g parquetGroup) fileFirst(all []parquetGroup) int {
	for _, o := range all {
		if o.file == g.file {
			return o.first
		}
	}
	return 0
}

// choose settles what Auto stands for, and gives the names of the classes that the metadata have.
func (p *Parquet) choose(f *parquetFile) ([]string, error) {
	if p.Labels == Auto {
		p.Labels = ""
		for _, name := range []string{"label", "labels"} {
			if c, ok := f.file.Schema().Lookup(name); ok && c.Node.Leaf() && (c.Node.Type().Kind() == parquet.Int64 || c.Node.Type().Kind() == parquet.Int32) {
				p.Labels = name
				break
			}
		}
	}
	if p.Labels == "" {
		return nil, nil
	}
	text, ok := f.file.Lookup("huggingface")
	if !ok || len(text) > 16<<20 {
		return nil, nil
	}
	var meta struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	var feature struct {
		Names json.RawMessage `json:"names"`
	}
	if json.Unmarshal([]byte(text), &meta) != nil || json.Unmarshal(meta.Info.Features[p.Labels], &feature) != nil {
		return nil, nil // it is somebody else's
	}
	var names []string
	if json.Unmarshal(feature.Names, &names) == nil {
		return names, nil
	}
	var byNumber map[string]string // as older versions wrote it
	if json.Unmarshal(feature.Names, &byNumber) != nil {
		return nil, nil
	}
	names = make([]string, len(byNumber))
	for k, v := range byNumber {
		i, err := strconv.Atoi(k)
		if err != nil || i < 0 || i >= len(names) {
			return nil, nil
		}
		names[i] = v
	}
	return names, nil
}

// imageColumn finds the column of pictures: a struct's bytes, or bytes.
func (f *parquetFile) imageColumn(name string) (int, error) {
	schema, path := f.file.Schema(), f.shard.path
	isBytes := func(c parquet.LeafColumn, ok bool) bool {
		return ok && c.Node.Leaf() && c.MaxRepetitionLevel == 0 && c.Node.Type().Kind() == parquet.ByteArray
	}
	if name != "" {
		for _, column := range [][]string{{name, "bytes"}, {name}} {
			if c, ok := schema.Lookup(column...); isBytes(c, ok) {
				return c.ColumnIndex, nil
			}
		}
		return 0, badfile.New(path, ErrFormat, "has no column %q of pictures (bytes, or structs with bytes); its columns are %s", name, columnNames(schema))
	}
	var found []parquet.LeafColumn
	var names []string
	for _, column := range schema.Columns() {
		c, ok := schema.Lookup(column...)
		if !isBytes(c, ok) || len(column) > 2 || len(column) == 2 && column[1] != "bytes" || len(column) == 1 && c.Node.Type().LogicalType() != nil { // a text
			continue
		}
		found = append(found, c)
		names = append(names, column[0])
	}
	switch len(found) {
	case 1:
		return found[0].ColumnIndex, nil
	case 0:
		return 0, badfile.New(path, ErrFormat, "has no column of pictures (bytes, or structs with bytes); its columns are %s", columnNames(schema))
	}
	return 0, badfile.New(path, ErrFormat, "has several columns that may be of pictures: say which with image: %s", strings.Join(names, ", "))
}

func columnNames(s *parquet.Schema) string {
	var names []string
	for _, c := range s.Columns() {
		if name := strings.Join(c, "."); !slices.Contains(names, name) && len(names) < 30 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// labels appends the group's.
func (g parquetGroup) labels(column string, to []int64) ([]int64, error) {
	c, ok := g.file.file.Schema().Lookup(column)
	if !ok || !c.Node.Leaf() || c.MaxRepetitionLevel > 0 || c.Node.Type().Kind() != parquet.Int64 && c.Node.Type().Kind() != parquet.Int32 {
		return nil, badfile.New(g.file.shard.path, ErrLabels, "has no column %q of whole numbers; its columns are %s", column, columnNames(g.file.file.Schema()))
	}
	err := g.values(c.ColumnIndex, func(row int, v parquet.Value) error {
		switch {
		case v.IsNull():
			return badfile.New(g.file.shard.path, ErrLabels, "row %d of row group %d has no label", row, g.number)
		case v.Kind() == parquet.Int32:
			to = append(to, int64(v.Int32()))
		default:
			to = append(to, v.Int64())
		}
		return nil
	})
	return to, err
}

// captions appends the group's.
func (g parquetGroup) captions(column string, to [][]string) ([][]string, error) {
	schema, path := g.file.file.Schema(), g.file.shard.path
	var c parquet.LeafColumn
	ok := false
	for _, below := range [][]string{{column}, {column, "list", "element"}, {column, "list", "item"}} {
		if c, ok = schema.Lookup(below...); ok && c.Node.Leaf() {
			break
		}
	}
	if !ok || !c.Node.Leaf() || c.Node.Type().Kind() != parquet.ByteArray || c.MaxRepetitionLevel > 1 {
		return nil, badfile.New(path, ErrFormat, "has no column %q of captions, or lists of them; its columns are %s", column, columnNames(schema))
	}
	begin := len(to)
	to = append(to, make([][]string, g.rows)...)
	err := g.values(c.ColumnIndex, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		if len(v.ByteArray()) > maxCaption || len(to[begin+row]) >= maxCaptionTexts {
			return badfile.New(path, ErrSize, "row %d of row group %d has captions of more than %d bytes, or more than %d", row, g.number, maxCaption, maxCaptionTexts)
		}
		to[begin+row] = append(to[begin+row], string(v.ByteArray()))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for row, texts := range to[begin:] {
		if len(texts) == 0 {
			return nil, badfile.New(path, ErrEmpty, "row %d of row group %d has no caption", row, g.number)
		}
	}
	return to, nil
}
