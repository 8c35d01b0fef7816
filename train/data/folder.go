package data

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Folder describes a folder of PNG and JPEG pictures. If it has subfolders,
// each is a class (with the pictures in its own subfolders, too), numbered in
// the order of their names; if it has none, the pictures have no labels. Files
// whose name begins with a dot and files of other kinds are passed over, save
// for pictures in formats that are not read: they are an error, so that none is lost unseen.
type Folder struct {
	Dir string
	// Height and Width that every picture is brought to: scaled (Catmull–Rom,
	// antialiased) until it covers them, and cut at the centre.
	Height, Width int
	// Channels is 1 (grey, ITU-R BT.601 luma) or 3 (RGB). Transparent pictures are
	// laid on white, and JPEGs turned as their EXIF orientation says.
	Channels int
	// Captions says where captions are: CaptionFiles ("txt"), one a line in a file
	// beside each picture, or the path of a JSONL file whose lines have file_name (below
	// Dir, with slashes) and text, a caption or a list of them. Empty: no captions.
	Captions string
	// MaxPixels bounds the pixels of a picture before it is scaled; 0: 1<<26
	// (67 million). A file that claims more is refused before it is decoded.
	MaxPixels int
	// MaxBytes bounds the memory of all scaled pictures, Height·Width·Channels
	// bytes each; 0: 8 GiB.
	MaxBytes int64
	// Progress, if set, is called after each picture by one goroutine at a time.
	Progress func(done, total int)
	// Resized, if set, is called in the same way, before, for each picture that was of another size.
	Resized func(path string, height, width int)
}

// OpenFolder decodes all pictures into memory, one goroutine a CPU. It stops
// with the context's error when ctx ends.
func OpenFolder(ctx context.Context, f Folder) (Source, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	files, names, err := listFolder(f.Dir)
	if err != nil {
		return nil, err
	}
	return f.open(ctx, files, names)
}

// OpenPicture is OpenFolder with the one PNG or JPEG picture that Dir is.
func OpenPicture(ctx context.Context, f Folder) (Source, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.open(ctx, []picture{{path: f.Dir}}, nil)
}

// check sets the bounds that are not given, and checks the options.
func (f *Folder) check() error {
	if f.MaxPixels == 0 {
		f.MaxPixels = 1 << 26
	}
	if f.MaxBytes == 0 {
		f.MaxBytes = 8 << 30
	}
	const most = 1 << 15
	switch {
	case f.Dir == "":
		return option("the path of the folder is empty")
	case f.Height < 1 || f.Width < 1 || f.Height > most || f.Width > most:
		return option("pictures of %d×%d: want 1 to %d", f.Height, f.Width, most)
	case f.Channels != 1 && f.Channels != 3:
		return option("%d channels: want 1 or 3", f.Channels)
	case f.MaxPixels < 0 || f.MaxBytes < 0:
		return option("a bound is negative: want at least 1, or 0 for the default")
	}
	return nil
}

// open decodes the files, of the classes names.
func (f *Folder) open(ctx context.Context, files []picture, names []string) (Source, error) {
	m := &memory{shape: []int{f.Height, f.Width, f.Channels}, scale: pixelScale(255), names: names, classes: len(names)}
	m.size = volume(m.shape)
	if need := int64(len(files)) * int64(m.size); len(files) > math.MaxInt/m.size || need > f.MaxBytes {
		return nil, badfile.New(f.Dir, ErrSize, "%d pictures of %d×%d×%d take %d bytes of memory, more than the %d allowed: want smaller or fewer pictures", len(files), f.Height, f.Width, f.Channels, need, f.MaxBytes)
	}
	m.pixels = make([]uint8, len(files)*m.size)
	if names != nil {
		m.labels = make([]int32, len(files))
		for i, file := range files {
			m.labels[i] = int32(file.class)
		}
	}
	if f.Captions == "" {
		return m, decodeAll(ctx, files, m, *f)
	}
	captions, err := captionsFor(f.Dir, f.Captions, files)
	if err != nil {
		return nil, err
	}
	return withCaptions{m, func(i uint64) []string { return captions[i] }}, decodeAll(ctx, files, m, *f)
}

// picture is a file and its class.
type picture struct {
	path  string
	class int
}

// listFolder gives the pictures in the order of their paths, and the names of
// the classes, nil where there are none.
func listFolder(dir string) ([]picture, []string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, badfile.Read(dir, err)
	}
	var files []picture
	var classes []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch kind, err := kindOf(path); {
		case err != nil:
			return nil, nil, err
		case kind == isFolder:
			classes = append(classes, e.Name())
		case kind == isPicture:
			files = append(files, picture{path: path})
		}
	}
	if len(classes) > 0 && len(files) > 0 {
		return nil, nil, badfile.New(dir, ErrFormat, "it has both class folders (%s) and pictures of no class (%s): want one or the other", classes[0], filepath.Base(files[0].path))
	}
	for class, name := range classes {
		found, err := walkClass(filepath.Join(dir, name), class)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			return nil, nil, badfile.New(filepath.Join(dir, name), ErrEmpty, "the class folder has no PNG or JPEG pictures")
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, nil, badfile.New(dir, ErrEmpty, "the folder has no PNG or JPEG pictures and no class folders")
	}
	return files, classes, nil
}

// walkClass lists the pictures of a class folder and those below it.
func walkClass(dir string, class int) ([]picture, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, badfile.Read(dir, err)
	}
	var files []picture
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		kind, err := kindOf(path)
		if err != nil {
			return nil, err
		}
		switch {
		case kind == isPicture:
			files = append(files, picture{path, class})
		case kind == isFolder && e.Type()&fs.ModeSymlink != 0:
			return nil, badfile.New(path, ErrFormat, "a link to a folder within a class is not followed: want the folder itself")
		case kind == isFolder:
			below, err := walkClass(path, class)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		}
	}
	return files, nil
}

const (
	isOther = iota
	isFolder
	isPicture
)

var unreadPictures = []string{".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2"}

// kindOf tells what a path is, following links. Names that begin with a dot are other things.
func kindOf(path string) (int, error) {
	if strings.HasPrefix(filepath.Base(path), ".") {
		return isOther, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return isOther, badfile.Read(path, err)
	}
	ext := strings.ToLower(filepath.Ext(path))
	switch {
	case info.IsDir():
		return isFolder, nil
	case !info.Mode().IsRegular():
		return isOther, nil
	case ext == ".png" || ext == ".jpg" || ext == ".jpeg":
		return isPicture, nil
	case slices.Contains(unreadPictures, ext):
		return isOther, badfile.New(path, ErrFormat, "%s pictures are not read: convert it to PNG or JPEG, or remove it", strings.TrimPrefix(ext, "."))
	}
	return isOther, nil
}

// decodeAll fills m.pixels. Of several bad files the first in order is reported.
func decodeAll(ctx context.Context, files []picture, m *memory, f Folder) error {
	var (
		next   atomic.Int64
		done   int
		stop   atomic.Bool
		wg     sync.WaitGroup
		report sync.Mutex
		errs   = make([]error, len(files))
	)
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		wg.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				var h, w int
				if h, w, errs[i] = readPicture(files[i].path, m.pixels[i*m.size:(i+1)*m.size], f); errs[i] != nil {
					stop.Store(true) // files before i are being decoded or are done
					return
				}
				report.Lock()
				if f.Resized != nil && (h != f.Height || w != f.Width) {
					f.Resized(files[i].path, h, w)
				}
				if done++; f.Progress != nil {
					f.Progress(done, len(files))
				}
				report.Unlock()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}
