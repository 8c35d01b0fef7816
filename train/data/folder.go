package data

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Folder describes a folder of PNG, JPEG, GIF and WebP pictures. If it has subfolders,
// each is a class (with the pictures in its own subfolders, too), numbered in
// the order of their names; if it has none, the pictures have no labels. Files
// whose name begins with a dot and files of other kinds are passed over, save
// for pictures in formats that are not read: they are an error, so that none is lost unseen.
type Folder struct {
	Dir string
	Pictures
	// Captions says where captions are: CaptionFiles ("txt"), one a line in a file
	// beside each picture, or the path of a JSONL file whose lines have file_name (below
	// Dir, with slashes) and text, a caption or a list of them. Empty: no captions.
	Captions string
}

// OpenFolder opens a folder of pictures. It stops with the context's error when ctx ends.
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

// OpenPicture is OpenFolder with the one picture that Dir is.
func OpenPicture(ctx context.Context, f Folder) (Source, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.open(ctx, []picture{{path: f.Dir}}, nil)
}

// check sets the bounds that are not given, and checks the options.
func (f *Folder) check() error {
	if f.Dir == "" {
		return option("the path of the folder is empty")
	}
	return f.Pictures.check()
}

// open makes the files, of the classes names, a source.
func (f *Folder) open(ctx context.Context, files []picture, names []string) (Source, error) {
	a := album{n: len(files), names: names, classes: len(names),
		load:   func(i int, space []byte) ([]byte, error) { return readWhole(files[i].path, space, f.MaxFile) },
		name:   func(i int) string { return files[i].path },
		ending: func(i int) string { return strings.ToLower(filepath.Ext(files[i].path)) },
	}
	if names != nil {
		a.labels = make([]int32, len(files))
		for i, file := range files {
			a.labels[i] = int32(file.class)
		}
	}
	if f.Captions != "" {
		captions, err := captionsFor(f.Dir, f.Captions, files)
		if err != nil {
			return nil, err
		}
		a.captions = func(i int) []string { return captions[i] }
	}
	return a.open(ctx, f.Pictures)
}

// readWhole reads a file of at most so many bytes, into space if it fits.
func readWhole(path string, space []byte, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	n := info.Size()
	if n > most {
		return nil, badfile.New(path, ErrSize, "the picture's file has %d bytes: want at most %d", n, most)
	}
	if int64(cap(space)) < n {
		space = make([]byte, n)
	}
	space = space[:n]
	if _, err := io.ReadFull(f, space); err != nil { // it has become shorter since
		return nil, badfile.Read(path, err)
	}
	return space, nil
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
			return nil, nil, badfile.New(filepath.Join(dir, name), ErrEmpty, "the class folder has no PNG, JPEG, GIF or WebP pictures")
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, nil, badfile.New(dir, ErrEmpty, "the folder has no PNG, JPEG, GIF or WebP pictures and no class folders")
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

var unreadPictures = []string{".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2"}

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
	case slices.Contains(pictureEndings, ext):
		return isPicture, nil
	case slices.Contains(unreadPictures, ext):
		return isOther, badfile.New(path, ErrFormat, "%s pictures are not read: convert it to PNG or JPEG, or remove it", strings.TrimPrefix(ext, "."))
	}
	return isOther, nil
}
