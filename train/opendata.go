package train

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// DataFiles is the data of an experiment, or of files whose kind shows.
type DataFiles struct {
	Kind   string
	Set    *Dataset
	Config []byte // resolved: what goes into an experiment
}

// OpenData opens the data of an experiment's YAML file, the data source of a name, or files whose kind shows in their names: a folder of pictures, .tar and
// .parquet files or patterns of them, CIFAR's folder, IDX, .npy, .npz, .csv and .safetensors files. Overrides are keys of the data
// section (of an experiment those of the experiment, too, with data. before them).
func OpenData(ctx context.Context, what string, overrides []string, warn func(format string, args ...any)) (*DataFiles, error) {
	if ending := strings.ToLower(filepath.Ext(what)); ending == ".yaml" || ending == ".yml" {
		exp, err := LoadExperiment(what, overrides)
		if err != nil {
			return nil, err
		}
		return exp.dataFiles(ctx, warn)
	}
	kind, key, err := kindOfData(what)
	if err != nil {
		return nil, err
	}
	set := []string{"data.kind=" + kind}
	if key != "" {
		set = append(set, fmt.Sprintf("data.%s=%q", key, what))
	}
	for _, o := range overrides {
		if !strings.HasPrefix(o, "data.") {
			o = "data." + o
		}
		set = append(set, o)
	}
	exp, err := ReadExperiment(what, []byte("model: mlp\nname: data\n"), set)
	if err != nil {
		return nil, err
	}
	return exp.dataFiles(ctx, warn)
}

func (l *Loaded) dataFiles(ctx context.Context, warn func(format string, args ...any)) (*DataFiles, error) {
	d, err := l.openDataWarning(ctx, warn)
	if err != nil {
		return nil, err
	}
	resolved, err := config.Resolved(&struct {
		Data config.Variant[DataArg, *Dataset] `yaml:"data"`
	}{l.Data})
	return &DataFiles{Kind: l.Data.Kind, Set: d, Config: resolved}, err
}

// kindOfData is the kind of data that a path shows to be, and the key that the path belongs to.
func kindOfData(path string) (kind, key string, err error) {
	info, err := os.Stat(path)
	if err != nil && slices.Contains(Datasets.Kinds(), path) {
		return path, "", nil
	}
	if err == nil && info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return "", "", noRead(path, err, "a folder of pictures, archives or tables")
		}
		for _, e := range entries {
			switch name := e.Name(); {
			case name == "data_batch_1.bin" || name == "train.bin":
				return "cifar", "dir", nil
			case strings.HasPrefix(name, ".") || e.IsDir():
			case strings.EqualFold(filepath.Ext(name), ".tar"):
				return "tar", "path", nil
			case strings.EqualFold(filepath.Ext(name), ".parquet"):
				return "parquet", "path", nil
			}
		}
		return "folder", "dir", nil
	}
	base := strings.ToLower(filepath.Base(path))
	switch ext := filepath.Ext(base); {
	case ext == ".tar" || ext == ".parquet" || ext == ".npz" || ext == ".safetensors" || ext == ".csv":
		return ext[1:], "path", nil
	case ext == ".npy":
		return "npy", "samples", nil
	case strings.Contains(base, "ubyte") || strings.Contains(base, ".idx"):
		return "idx", "images", nil
	}
	if err != nil {
		return "", "", noRead(path, err, "an experiment's YAML file, a folder of pictures, or a .tar, .parquet, .npz, .npy, .csv, .safetensors or IDX file")
	}
	return "", "", fmt.Errorf("%s: its name does not show what it is; want an experiment's YAML file, a folder of pictures, or a .tar, .parquet, .npz, .npy, .csv, .safetensors or IDX file", path)
}

// PictureSizes are the sizes and formats of the first n pictures of a source as they are stored; count 0: it has no pictures' files.
type PictureSizes struct {
	Count       int
	Least, Most image.Point
	Formats     map[string]int // by their endings
	Bytes       int64
}

// SizesOf looks at the files of the first n samples.
func SizesOf(src data.Source, n int) (*PictureSizes, error) {
	z := &PictureSizes{Formats: map[string]int{}}
	if src.Len() == data.Infinite {
		return z, nil
	}
	for i := range min(n, src.Len()) {
		b, ending, ok, err := data.Original(src, uint64(i))
		if !ok {
			return z, nil
		}
		if err != nil {
			if data.Corrupt(err) {
				continue
			}
			return nil, err
		}
		c, _, err := image.DecodeConfig(bytes.NewReader(b))
		if err != nil {
			continue // corrupt: reading it tells
		}
		if z.Count == 0 {
			z.Least = image.Pt(c.Width, c.Height)
		}
		z.Least = image.Pt(min(z.Least.X, c.Width), min(z.Least.Y, c.Height))
		z.Most = image.Pt(max(z.Most.X, c.Width), max(z.Most.Y, c.Height))
		z.Formats[ending]++
		z.Bytes += int64(len(b))
		z.Count++
	}
	return z, nil
}

// Whole is the source of the set's samples, those held out included after the others.
func (d *DataFiles) Whole() []data.Source {
	if d.Set.Heldout == nil {
		return []data.Source{d.Set.Train}
	}
	return []data.Source{d.Set.Train, d.Set.Heldout}
}

// Describe says in a few words what the data are.
func (d *DataFiles) Describe() string { return d.Set.describe() }
