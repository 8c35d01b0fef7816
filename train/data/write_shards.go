package data

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

// tar writes NUMBER.png, .cls and .txt of each sample.
func (w *writer) tar(path string) error {
	return atomicfile.Write(path, func(to io.Writer) error {
		t := tar.NewWriter(to)
		file := func(name string, b []byte) error {
			if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(b))}); err != nil {
				return err
			}
			_, err := t.Write(b)
			return err
		}
		err := w.items(func(i int, it *item) error {
			key := fmt.Sprintf("%09d", i)
			if err := file(key+it.ending, it.file); err != nil {
				return err
			}
			if w.s.Classes() > 0 {
				if err := file(key+".cls", fmt.Append(nil, it.label)); err != nil {
					return err
				}
			}
			if it.captions != nil {
				return file(key+".txt", []byte(strings.Join(it.captions, "\n")))
			}
			return nil
		})
		if err != nil {
			return err
		}
		return t.Close()
	})
}

// tableRows is the number of pictures of a row group, as Hugging Face's library writes it: each is read as a whole.
const tableRows = 100

// tablePicture is what Hugging Face's library takes for a picture.
type tablePicture struct {
	Bytes []byte `parquet:"bytes,optional"`
	Path  string `parquet:"path,optional"`
}

// parquet writes a column image, and label and captions if there are some.
func (w *writer) parquet(path string) error {
	_, captioned := CaptionsOf(w.s)
	nodes := parquet.Group{"image": parquet.Optional(parquet.SchemaOf(tablePicture{}))}
	features := map[string]any{"image": map[string]string{"_type": "Image"}}
	type value map[string]string
	if w.s.Classes() > 0 {
		nodes["label"] = parquet.Optional(parquet.Int(64))
		label := any(value{"dtype": "int64", "_type": "Value"})
		if names := ClassNames(w.s); names != nil {
			label = map[string]any{"names": names, "_type": "ClassLabel"}
		}
		features["label"] = label
	}
	if captioned {
		nodes["captions"] = parquet.Optional(parquet.List(parquet.Optional(parquet.String())))
		features["captions"] = map[string]any{"_type": "List", "feature": value{"dtype": "string", "_type": "Value"}}
	}
	meta, err := json.Marshal(map[string]any{"info": map[string]any{"features": features}})
	if err != nil {
		return err
	}
	schema := parquet.NewSchema("schema", nodes)
	return atomicfile.Write(path, func(to io.Writer) error {
		t := parquet.NewGenericWriter[any](to, schema, parquet.KeyValueMetadata("huggingface", string(meta)), parquet.SkipPageBounds("image", "bytes"))
		n, row := 0, parquet.Row(nil)
		err := w.items(func(i int, it *item) error {
			row = row[:0]
			// In the order of the columns' names; levels: repeated or not, how much of what may be missing is there, column.
			column := 0
			if captioned {
				for k, c := range it.captions {
					row = append(row, parquet.ByteArrayValue([]byte(c)).Level(min(k, 1), 3, column))
				}
				column++
			}
			row = append(row, parquet.ByteArrayValue(it.file).Level(0, 2, column), parquet.ByteArrayValue(fmt.Appendf(nil, "%09d%s", i, it.ending)).Level(0, 2, column+1))
			if w.s.Classes() > 0 {
				row = append(row, parquet.Int64Value(int64(it.label)).Level(0, 1, column+2))
			}
			if _, err := t.WriteRows([]parquet.Row{row}); err != nil {
				return err
			}
			if n++; n%tableRows == 0 {
				return t.Flush()
			}
			return nil
		})
		if err != nil {
			return err
		}
		return t.Close()
	})
}
