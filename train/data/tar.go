package data

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
)

// Tar describes WebDataset's archives: files whose names differ in their endings only, one after another, are a sample, as 0017.jpg,
// 0017.cls and 0017.txt. Pictures are read when they are asked for, from where the index that is made at the start says.
type Tar struct {
	// Path is what [Shards] reads.
	Path string
	Pictures
	// Image is the ending of the pictures' files; empty: the one file of a sample that is a picture by its ending.
	Image string
	// Labels is the ending of the files that hold a whole number, or json.KEY for a member of a JSON file; empty: no labels;
	// [Auto]: cls, if the first sample has it.
	Labels string
	// Classes is the number of classes; 0: one more than the highest label.
	Classes int
	// Captions is the ending of the files that hold captions, one a line, or json.KEY; empty: none.
	Captions string
}

// Auto stands for what the files tell themselves.
const Auto = "auto"

// tarSample is a sample of an archive: its name, where its picture is, its label and captions.
type tarSample struct {
	key      string
	shard    int
	ending   string
	at, size int64
	label    int64
	captions []string
}

// Bounds of what is read besides pictures.
const (
	maxTarJSON = 1 << 20
	maxTarName = 1 << 10
)

// OpenTar reads where everything stands, and labels and captions.
func OpenTar(ctx context.Context, t Tar) (Source, error) {
	if err := t.Pictures.check(); err != nil {
		return nil, err
	}
	if t.Classes < 0 {
		return nil, option("%d classes: want at least 1, or 0 to count them", t.Classes)
	}
	paths, err := Shards(t.Path, ".tar")
	if err != nil {
		return nil, err
	}
	if t.Labels == Auto {
		if t.Labels, err = t.hasClasses(paths[0]); err != nil {
			return nil, err
		}
	}
	shards := make([]*shard, len(paths))
	found := make([][]tarSample, len(paths))
	err = forEach(ctx, len(paths), true, func(i int) error {
		f, s, err := openShard(paths[i])
		if err != nil {
			return err
		}
		defer f.Close()
		shards[i] = s
		return t.index(f, s.size, paths[i], func(sample tarSample) bool {
			sample.shard = i
			found[i] = append(found[i], sample)
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	samples := slices.Concat(found...)
	if len(samples) == 0 {
		return nil, badfile.New(t.Path, ErrEmpty, "has no samples")
	}
	a := album{n: len(samples),
		name: func(i int) string { return paths[samples[i].shard] + ": " + samples[i].key + "." + samples[i].ending },
		load: func(i int, space []byte) ([]byte, error) {
			s := &samples[i]
			if s.size > t.MaxFile {
				return nil, badfile.At(paths[s.shard], s.at, ErrSize, "the picture %s.%s has %d bytes: want at most %d", s.key, s.ending, s.size, t.MaxFile)
			}
			if int64(cap(space)) < s.size {
				space = make([]byte, s.size)
			}
			space = space[:s.size]
			if _, err := shards[s.shard].ReadAt(space, s.at); err != nil && (err != io.EOF || s.size > 0) {
				return nil, badfile.Read(paths[s.shard], err)
			}
			return space, nil
		},
		ending: func(i int) string { return "." + samples[i].ending },
	}
	if t.Labels != "" {
		labels := make([]int64, len(samples))
		for i := range samples {
			labels[i] = samples[i].label
		}
		if a.labels, a.classes, err = checkLabels(labels, t.Classes, t.Path, func(int) int64 { return -1 }); err != nil {
			return nil, err
		}
	}
	if t.Captions != "" {
		a.captions = func(i int) []string { return samples[i].captions }
	}
	return a.open(ctx, t.Pictures)
}

// hasClasses is the ending of labels if the first sample has one.
func (t Tar) hasClasses(path string) (string, error) {
	f, s, err := openShard(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	t.Captions, t.Labels = "", "cls"
	err = t.index(f, s.size, path, func(tarSample) bool { return false })
	switch {
	case errors.Is(err, ErrLabels):
		return "", nil
	case err != nil:
		return "", err
	}
	return "cls", nil
}

// group is the files of a sample.
type group struct {
	key   string
	at    int64 // of the first
	files []member
}

type member struct {
	ending   string
	at, size int64
	text     []byte // of those that are read
}

// index reads what an archive of size bytes holds and gives its samples, until take wants no more.
func (t Tar) index(r io.ReadSeeker, size int64, file string, take func(tarSample) bool) error {
	tr := tar.NewReader(r)
	var g group
	flush := func() (bool, error) {
		if len(g.files) == 0 {
			return true, nil
		}
		s, err := t.sample(&g, file)
		g = group{}
		if err != nil {
			return false, err
		}
		return take(s), nil
	}
	for at := int64(0); ; {
		h, err := tr.Next()
		if err == io.EOF {
			_, err := flush()
			return err
		}
		if err != nil {
			return tarError(file, at, err)
		}
		if at, err = r.Seek(0, io.SeekCurrent); err != nil {
			return badfile.Read(file, err)
		}
		switch {
		case len(h.Name) > maxTarName:
			return badfile.At(file, at, ErrFormat, "a name of %d bytes: want at most %d", len(h.Name), maxTarName)
		case h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case h.Typeflag != tar.TypeReg || sparse(h):
			return badfile.At(file, at, ErrFormat, "%q is a link, a device or a sparse file: want plain files only", h.Name)
		case strings.HasPrefix(h.Name, "/") || slices.Contains(strings.Split(h.Name, "/"), ".."):
			return badfile.At(file, at, ErrFormat, "the name %q leaves the archive: want a name below it, without ..", h.Name)
		case h.Size > size-at:
			return badfile.At(file, at, ErrFormat, "%q of %d bytes does not fit into the file: it is truncated", h.Name, h.Size)
		}
		dir, base := path.Split(h.Name)
		stem, ending, ok := strings.Cut(base, ".")
		if !ok || stem == "" || ending == "" {
			continue // no part of a sample, or hidden
		}
		if key := dir + stem; key != g.key || len(g.files) == 0 {
			if more, err := flush(); err != nil || !more {
				return err
			}
			g = group{key: key, at: at}
		}
		ending = strings.ToLower(ending)
		m := member{ending: ending, at: at, size: h.Size}
		if slices.ContainsFunc(g.files, func(f member) bool { return f.ending == ending }) {
			return badfile.At(file, at, ErrFormat, "the sample %q has two files .%s", g.key, ending)
		}
		if t.reads(ending) {
			if h.Size > maxTarJSON {
				return badfile.At(file, at, ErrSize, "%q has %d bytes: want at most %d", h.Name, h.Size, maxTarJSON)
			}
			if m.text, err = io.ReadAll(tr); err != nil {
				return tarError(file, at, err)
			}
		}
		g.files = append(g.files, m)
	}
}

// sparse tells whether a file is not stored as it is.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse") {
			return true
		}
	}
	return false
}

func tarError(file string, at int64, err error) error {
	if at == 0 && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader)) {
		return badfile.At(file, at, ErrFormat, "this is no tar archive (a compressed one must be unpacked first)")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return badfile.At(file, at, ErrFormat, "the archive is truncated after this")
	}
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) {
		return badfile.At(file, at, ErrFormat, "what follows is no entry of a tar archive")
	}
	return badfile.Read(file, err)
}

// reads tells whether files of an ending are read when the index is made.
func (t Tar) reads(ending string) bool {
	is := func(what string) bool {
		return what != "" && (ending == what || ending == "json" && strings.HasPrefix(what, "json."))
	}
	return is(t.Labels) || is(t.Captions)
}

// sample makes a sample of its files.
func (t Tar) sample(g *group, file string) (tarSample, error) {
	s := tarSample{key: g.key}
	fail := func(kind error, format string, args ...any) (tarSample, error) {
		return s, badfile.At(file, g.at, kind, format, args...).In("sample " + strconv.Quote(g.key))
	}
	for _, m := range g.files {
		switch {
		case t.Image != "" && m.ending != t.Image, t.Image == "" && !slices.Contains(pictureEndings, "."+m.ending):
			continue
		case s.ending != "":
			return fail(ErrFormat, "has two pictures, .%s and .%s: say which with image", s.ending, m.ending)
		}
		s.ending, s.at, s.size = m.ending, m.at, m.size
	}
	if s.ending == "" {
		var endings []string
		for _, m := range g.files {
			endings = append(endings, "."+m.ending)
		}
		return fail(ErrFormat, "has no picture among its files %s", strings.Join(endings, ", "))
	}
	if t.Labels != "" {
		text, ok, err := g.value(t.Labels)
		if err != nil {
			return fail(ErrFormat, "%v", err)
		}
		if !ok {
			return fail(ErrLabels, "has no label (%s)", t.Labels)
		}
		if s.label, err = strconv.ParseInt(strings.TrimSpace(text), 10, 32); err != nil {
			return fail(ErrFormat, "the label (%s) is %.40q: want a whole number", t.Labels, text)
		}
	}
	if t.Captions != "" {
		text, ok, err := g.value(t.Captions)
		if err != nil {
			return fail(ErrFormat, "%v", err)
		}
		if len(text) > maxCaption {
			return fail(ErrSize, "captions of %d bytes: want at most %d", len(text), maxCaption)
		}
		s.captions = captionLines(text)
		if !ok || len(s.captions) == 0 {
			return fail(ErrEmpty, "has no caption (%s)", t.Captions)
		}
	}
	return s, nil
}

// value is the text of the file with an ending, or a member of the JSON file's object.
func (g *group) value(what string) (text string, ok bool, err error) {
	key, inJSON := strings.CutPrefix(what, "json.")
	for _, m := range g.files {
		if !inJSON && m.ending == what {
			return string(m.text), true, nil
		}
		if inJSON && m.ending == "json" {
			var object map[string]json.RawMessage
			if err := json.Unmarshal(m.text, &object); err != nil {
				return "", false, errors.New("its JSON file holds no object")
			}
			raw, ok := object[key]
			if !ok {
				return "", false, nil
			}
			if err := json.Unmarshal(raw, &text); err != nil {
				text = string(raw) // a number
			}
			return text, true, nil
		}
	}
	return "", false, nil
}
