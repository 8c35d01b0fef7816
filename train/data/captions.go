package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/tensor/rng"
)

// Captioned is a source whose samples have captions.
type Captioned interface {
	Source
	// Captions are the captions of sample i, below Len: at least one.
	Captions(i uint64) []string
}

// CaptionsOf is the source, if its samples have captions.
func CaptionsOf(s Source) (c Captioned, ok bool) {
	if c, ok = s.(Captioned); ok {
		return c, true
	}
	if part, is := s.(wrapper); is {
		if of, ok := CaptionsOf(part.source()); ok {
			return captionedPart{part, of}, true
		}
	}
	return nil, false
}

// captionedPart is samples of a source with captions.
type captionedPart struct {
	wrapper
	of Captioned
}

func (s captionedPart) Captions(i uint64) []string { return s.of.Captions(s.at(i)) }

// CaptionOf is one of a sample's captions, drawn by the seed anew every epoch.
func CaptionOf(s Captioned, seed, index, epoch uint64) string {
	captions := s.Captions(index)
	if len(captions) == 1 {
		return captions[0]
	}
	return captions[rng.Intn(rng.Key{Seed: seed, Stream: streamCaption, Step: epoch}, index, 0, len(captions))]
}

// Caption is the caption of the sample at a position, of a source with captions:
// of several the one that the seed draws for the sample in that epoch.
func (l *Loader) Caption(cursor uint64) string {
	if l.captions == nil {
		panic("data: a caption of a source without captions")
	}
	index, epoch := l.order.At(cursor)
	return CaptionOf(l.captions, l.opt.Seed, index, epoch)
}

// withCaptions gives the samples of a source captions.
type withCaptions struct {
	Source
	of func(i uint64) []string
}

func (s withCaptions) source() Source             { return s.Source }
func (s withCaptions) at(i uint64) uint64         { return i }
func (s withCaptions) Captions(i uint64) []string { return s.of(i) }

// CaptionByClass gives every sample of a finite source the captions of its class, of
// which each has at least one.
func CaptionByClass(s Source, captions [][]string) (Captioned, error) {
	if s.Len() == Infinite || s.Classes() == 0 || len(captions) != s.Classes() {
		return nil, option("captions of %d classes for a source of %d samples in %d classes: want a finite source with as many classes", len(captions), s.Len(), s.Classes())
	}
	for class, c := range captions {
		if len(c) == 0 {
			return nil, option("class %d has no caption", class)
		}
	}
	labels := make([]int32, s.Len())
	x := make([]float32, volume(s.Shape()))
	for i := range labels {
		label, err := Label(s, uint64(i), x)
		if err != nil {
			return nil, err
		}
		labels[i] = int32(label)
	}
	return withCaptions{s, func(i uint64) []string { return captions[labels[i]] }}, nil
}

// Bounds of captions that are read.
const (
	maxCaption      = 64 << 10 // bytes of a caption
	maxCaptionFile  = 1 << 30  // bytes of a JSONL file
	maxCaptionTexts = 1024     // captions of a picture
)

// captionFile gives a picture the captions in the text file beside it, of the same
// name but for the ending: one a line.
func captionFile(picture string) ([]string, error) {
	path := strings.TrimSuffix(picture, filepath.Ext(picture)) + ".txt"
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCaption+1))
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	if len(text) > maxCaption {
		return nil, badfile.New(path, ErrSize, "is longer than %d bytes: want a caption a line", maxCaption)
	}
	captions := captionLines(string(text))
	if len(captions) == 0 {
		return nil, badfile.New(path, ErrEmpty, "has no caption: want one a line")
	}
	return checkCaptions(path, -1, captions)
}

// captionLines are the captions of a text, one a line.
func captionLines(text string) (captions []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			captions = append(captions, line)
		}
	}
	return captions
}

func checkCaptions(path string, at int64, captions []string) ([]string, error) {
	if len(captions) == 0 || len(captions) > maxCaptionTexts {
		return nil, badfile.At(path, at, ErrFormat, "%d captions of a picture: want 1 to %d", len(captions), maxCaptionTexts)
	}
	for _, c := range captions {
		if len(c) > maxCaption {
			return nil, badfile.At(path, at, ErrSize, "a caption of %d bytes: want at most %d", len(c), maxCaption)
		}
	}
	return captions, nil
}

// readCaptions reads a JSONL file: a line for each picture, an object with file_name (the
// path below the folder, with slashes) and text, a caption or a list of them: the
// metadata.jsonl of Hugging Face's image folders. Other members are passed over.
func readCaptions(path string) (map[string][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	return parseCaptions(path, io.LimitReader(f, maxCaptionFile+1))
}

func parseCaptions(path string, r io.Reader) (map[string][]string, error) {
	captions := map[string][]string{}
	lines := bufio.NewReader(r)
	at := int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, badfile.Read(path, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			name, texts, bad := parseCaption(line)
			if bad != nil {
				return nil, badfile.At(path, at, ErrFormat, "%v", bad)
			}
			if captions[name] != nil {
				return nil, badfile.At(path, at, ErrFormat, "the picture %q has a second line: put its captions into one list", name)
			}
			if captions[name], bad = checkCaptions(path, at, texts); bad != nil {
				return nil, bad
			}
		}
		if at += int64(len(line)); at > maxCaptionFile {
			return nil, badfile.New(path, ErrSize, "is longer than %d bytes", maxCaptionFile)
		}
		if err == io.EOF {
			return captions, nil
		}
	}
}

// parseCaption reads one line.
func parseCaption(line []byte) (name string, texts []string, err error) {
	var v struct {
		FileName string          `json:"file_name"`
		Text     json.RawMessage `json:"text"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return "", nil, fmt.Errorf("the line is not a JSON object: %v", err)
	}
	if v.FileName == "" {
		return "", nil, fmt.Errorf("the line has no file_name: want the picture's path below the folder")
	}
	one := ""
	switch {
	case len(v.Text) == 0:
		return "", nil, fmt.Errorf("the line has no text: want a caption or a list of them")
	case json.Unmarshal(v.Text, &one) == nil && string(v.Text) != "null":
		return v.FileName, []string{one}, nil
	case json.Unmarshal(v.Text, &texts) != nil || texts == nil:
		return "", nil, fmt.Errorf("text must be a caption or a list of them")
	}
	return v.FileName, texts, nil
}

// captionsFor gives the pictures of a folder their captions, which how names: "txt", or a JSONL file.
func captionsFor(dir, how string, files []picture) ([][]string, error) {
	out := make([][]string, len(files))
	if how == CaptionFiles {
		for i, f := range files {
			var err error
			if out[i], err = captionFile(f.path); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	all, err := readCaptions(how)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		rel, err := filepath.Rel(dir, f.path)
		if err != nil {
			return nil, badfile.Read(f.path, err)
		}
		if out[i] = all[filepath.ToSlash(rel)]; out[i] == nil {
			return nil, badfile.New(how, fs.ErrNotExist, "has no captions of the picture %q", filepath.ToSlash(rel))
		}
	}
	return out, nil
}

// CaptionFiles, of a [Folder], stands for text files beside the pictures.
const CaptionFiles = "txt"
