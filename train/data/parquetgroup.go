package data

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go"

	"github.com/langevin-go/langevin/internal/badfile"
)

// maxParquetFooter bounds the metadata of a file.
const maxParquetFooter = 256 << 20

// openParquet reads a file's metadata.
func openParquet(path string) (*parquetFile, error) {
	f, s, err := openShard(path)
	if err != nil {
		return nil, err
	}
	f.Close()
	return newParquet(s, s, s.size)
}

// newParquet is openParquet of size bytes of r, which s tells of.
func newParquet(s *shard, r io.ReaderAt, size int64) (*parquetFile, error) {
	var foot [8]byte
	if size < 12 {
		return nil, badfile.New(s.path, ErrFormat, "has %d bytes: this is no Parquet file", size)
	}
	if _, err := r.ReadAt(foot[:], size-8); err != nil {
		return nil, badfile.Read(s.path, err)
	}
	if n := int64(binary.LittleEndian.Uint32(foot[:])); string(foot[4:]) != "PAR1" {
		return nil, badfile.At(s.path, size-4, ErrFormat, "ends with %q, want \"PAR1\": it is truncated, encrypted or no Parquet file", foot[4:])
	} else if n > size-12 || n > maxParquetFooter {
		return nil, badfile.At(s.path, size-8, ErrFormat, "claims metadata of %d bytes: want at most %d", n, min(size-12, maxParquetFooter))
	}
	f := &parquetFile{shard: s, reader: r, cache: parquetCache}
	err := guardParquet(s.path, func() (err error) {
		f.file, err = parquet.OpenFile(r, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
		return err
	})
	return f, err
}

// guardParquet names the file in errors of the library. That it panics, as on what no writer writes, is one.
func guardParquet(path string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = badfile.New(path, ErrFormat, "the Parquet file cannot be decoded: %v", p)
		}
	}()
	if err = do(); err == nil {
		return nil
	}
	var own *FileError
	if errors.As(err, &own) {
		return own
	}
	return badfile.New(path, ErrFormat, "the Parquet file cannot be decoded: %v", err)
}

// values calls each for every value of a column of the group, with its row. What a value points to is gone afterwards.
func (g parquetGroup) values(column int, each func(row int, v parquet.Value) error) error {
	path := g.file.shard.path
	return guardParquet(path, func() error {
		if err := g.checkPages(column); err != nil {
			return err
		}
		chunk := g.file.file.RowGroups()[g.number].ColumnChunks()[column]
		pages := chunk.Pages()
		defer pages.Close()
		row := -1
		buffer := make([]parquet.Value, 64)
		for {
			page, err := pages.ReadPage()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			values := page.Values()
			for {
				n, err := values.ReadValues(buffer)
				for _, v := range buffer[:n] {
					if v.RepetitionLevel() == 0 {
						row++
					}
					if row < 0 || row >= g.rows {
						return badfile.New(path, ErrFormat, "row group %d has more values than its %d rows", g.number, g.rows)
					}
					if err := each(row, v); err != nil {
						return err
					}
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					return err
				}
				if n == 0 {
					return io.ErrNoProgress
				}
			}
			parquet.Release(page)
		}
		if row != g.rows-1 {
			return badfile.New(path, ErrFormat, "row group %d has values of %d rows: want %d", g.number, row+1, g.rows)
		}
		return nil
	})
}

// groupCache keeps the pictures of the row groups that were read last.
type groupCache struct {
	most int64
	mu   sync.Mutex
	held int64
	by   map[*parquetFile]map[int]*list.Element
	used *list.List // of *cachedGroup, the last used first
}

type cachedGroup struct {
	group parquetGroup
	size  int64
	once  sync.Once
	rows  [][]byte
	err   error
}

func newGroupCache(most int64) *groupCache {
	return &groupCache{most: most, by: map[*parquetFile]map[int]*list.Element{}, used: list.New()}
}

// row is the picture of a row of a group; nil: there is none.
func (c *groupCache) row(g parquetGroup, row int) ([]byte, error) {
	size := g.file.file.Metadata().RowGroups[g.number].Columns[g.file.image].MetaData.TotalUncompressedSize
	if size < 0 || size > c.most {
		return nil, badfile.New(g.file.shard.path, errTooLarge, "row group %d has %d bytes of pictures: want at most %d (cache), or smaller row groups, as langevin data convert writes", g.number, size, c.most)
	}
	c.mu.Lock()
	if c.by[g.file] == nil {
		c.by[g.file] = map[int]*list.Element{}
	}
	e := c.by[g.file][g.number]
	if e == nil {
		e = c.used.PushFront(&cachedGroup{group: g, size: size})
		c.by[g.file][g.number] = e
		c.held += size
	} else {
		c.used.MoveToFront(e)
	}
	for c.held > c.most {
		last := c.used.Back().Value.(*cachedGroup)
		c.used.Remove(c.used.Back())
		delete(c.by[last.group.file], last.group.number)
		c.held -= last.size
	}
	c.mu.Unlock()
	k := e.Value.(*cachedGroup)
	k.once.Do(func() { k.rows, k.err = g.pictures(size) })
	if k.err != nil {
		return nil, k.err
	}
	return k.rows[row], nil
}

var errTooLarge = fmt.Errorf("a row group is larger than it may be")

// pictures reads those of the group, of about size bytes.
func (g parquetGroup) pictures(size int64) ([][]byte, error) {
	rows := make([][]byte, g.rows)
	got := int64(0)
	err := g.values(g.file.image, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		b := v.ByteArray()
		// A dictionary may stand for more than is stored, but not without end.
		if got += int64(len(b)); got > 4*size+1<<20 {
			return badfile.New(g.file.shard.path, ErrSize, "row group %d has more bytes of pictures than the %d that it claims", g.number, size)
		}
		rows[row] = append(make([]byte, 0, len(b)), b...)
		return nil
	})
	return rows, err
}
