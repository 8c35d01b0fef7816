package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"github.com/langevin-go/langevin/internal/badfile"
)

// maxColumn bounds the bytes that a row group's column unpacks to, of labels and captions; those of pictures are bounded by the cache.
const maxColumn = 1 << 30

// checkPages compares what each page of a column says of itself with what is in it, so that no page unpacks to more
// than it claims, and none claims more than the column. The library that decodes them believes the headers, unpacks
// as much as there is, and goes on for ever at a corrupt block of LZ4. A column is checked once.
func (g parquetGroup) checkPages(column int) error {
	f := g.file
	f.mu.Lock()
	defer f.mu.Unlock()
	at := [2]int{g.number, column}
	if f.checked[at] {
		return nil
	}
	groups := f.file.Metadata().RowGroups
	meta := groups[g.number].Columns[column].MetaData
	fail := func(kind error, format string, args ...any) error {
		return badfile.New(f.shard.path, kind, format, args...).In(fmt.Sprintf("row group %d, column %d", g.number, column))
	}
	if meta.Codec != groups[0].Columns[column].MetaData.Codec { // which the library takes for that of all
		return fail(ErrFormat, "is packed by %s, that of row group 0 by %s: want one", meta.Codec, groups[0].Columns[column].MetaData.Codec)
	}
	most := int64(maxColumn)
	if column == f.image {
		most = f.cache
	}
	if meta.TotalUncompressedSize < 0 || meta.TotalUncompressedSize > most {
		return fail(errTooLarge, "claims %d bytes: want at most %d", meta.TotalUncompressedSize, most)
	}
	begin := meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d > 0 && d < begin {
		begin = d
	}
	if begin < 0 || meta.TotalCompressedSize < 0 || meta.TotalCompressedSize > f.shard.size-begin {
		return fail(ErrFormat, "claims %d bytes at %d of a file of %d", meta.TotalCompressedSize, begin, f.shard.size)
	}
	in := bufio.NewReaderSize(io.NewSectionReader(f.reader, begin, meta.TotalCompressedSize), 1<<16)
	var protocol thrift.CompactProtocol
	decoder := thrift.NewDecoder(protocol.NewReader(in))
	unpacked, values := int64(0), int64(0)
	var packed []byte
	for {
		if _, err := in.Peek(1); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		var h format.PageHeader
		if err := decoder.Decode(&h); err != nil {
			return fail(ErrFormat, "a page's header cannot be decoded: %v", err)
		}
		n, size := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
		// Some writers count headers among the bytes of a column, others not; a page has a part of them.
		if unpacked += size; n < 0 || size < 0 || n > meta.TotalCompressedSize || unpacked > 2*meta.TotalUncompressedSize+1<<16 {
			return fail(ErrSize, "a page claims %d bytes packed and %d unpacked, of %d and %d of the column", n, size, meta.TotalCompressedSize, meta.TotalUncompressedSize)
		}
		if int64(cap(packed)) < n {
			packed = make([]byte, n)
		}
		packed = packed[:n]
		if _, err := io.ReadFull(in, packed); err != nil {
			return fail(ErrFormat, "a page is truncated")
		}
		body := packed
		switch {
		case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
			if v := h.DictionaryPageHeader.V.NumValues; int64(v) > size {
				return fail(ErrSize, "a dictionary of %d bytes claims %d values", size, v)
			}
		case h.Type == format.DataPage && h.DataPageHeader.Valid:
			values += int64(h.DataPageHeader.V.NumValues)
		case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
			v2 := h.DataPageHeaderV2.V
			levels := int64(v2.RepetitionLevelsByteLength) + int64(v2.DefinitionLevelsByteLength)
			if v2.RepetitionLevelsByteLength < 0 || v2.DefinitionLevelsByteLength < 0 || levels > min(n, size) {
				return fail(ErrFormat, "a page of %d bytes claims %d bytes of levels", n, levels)
			}
			values += int64(v2.NumValues)
			if v2.IsCompressed.Valid && !v2.IsCompressed.V {
				continue
			}
			body, size = packed[levels:], size-levels
		default:
			continue // the library passes over it, or refuses it
		}
		if most := int64(g.rows) * maxCaptionTexts; values > most {
			return fail(ErrSize, "pages claim %d values in %d rows: want at most %d", values, g.rows, most)
		}
		if !unpacksTo(meta.Codec, body, size) {
			return fail(ErrSize, "a page of %d bytes does not unpack to the %d that it claims (%s)", n, size, meta.Codec)
		}
	}
	if f.checked == nil {
		f.checked = map[[2]int]bool{}
	}
	f.checked[at] = true
	return nil
}

// unpacksTo tells whether b unpacks to size bytes, without holding them, but for LZ4. What it does not know, the library does not know either.
func unpacksTo(codec format.CompressionCodec, b []byte, size int64) bool {
	var r io.Reader
	switch codec {
	case format.Snappy:
		// A copy of 64 bytes takes 3.
		n, k := binary.Uvarint(b)
		return k > 0 && n == uint64(size) && size <= 22*int64(len(b))
	case format.Lz4Raw:
		if size > 255*int64(len(b)) { // a byte of a length stands for as many
			return false
		}
		n, err := lz4.UncompressBlock(b, make([]byte, size))
		return err == nil && int64(n) == size
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return false
		}
		r = z
	case format.Zstd:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return false
		}
		defer z.Close()
		r = z
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(b))
	default:
		return true
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, size+1))
	return err == nil && n == size
}
