package data

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// pictureFolder has two classes of pictures with the captions given, by path.
func pictureFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"ant/a.png", "ant/b.b.png", "bee/deep/c.png"} {
		write(t, dir, name, encodePNG(t, uniform(4, 4, color.Gray{9})))
	}
	for name, text := range files {
		write(t, dir, name, []byte(text))
	}
	return dir
}

func TestCaptionedFolder(t *testing.T) {
	dir := pictureFolder(t, map[string]string{
		"ant/a.txt": "an ant\n\n  a small insect \r\n", "ant/b.b.txt": "two ants", "bee/deep/c.txt": "a bee\n",
		"captions.jsonl": `{"file_name":"bee/deep/c.png","text":["a bee"],"other":1}` + "\n\n" + `{"file_name":"ant/a.png","text":["an ant","a small insect"]}` + "\r\n" + `{"text":"two ants","file_name":"ant/b.b.png"}`,
	})
	for _, how := range []string{CaptionFiles, dir + "/captions.jsonl"} {
		s, err := OpenFolder(context.Background(), Folder{Dir: dir, Captions: how, Pictures: Pictures{Height: 2, Width: 2, Channels: 1}})
		if err != nil {
			t.Fatal(err)
		}
		c, ok := CaptionsOf(s)
		if !ok || s.Classes() != 2 || !slices.Equal(ClassNames(s), []string{"ant", "bee"}) {
			t.Fatalf("%s: captions %v, %d classes", how, ok, s.Classes())
		}
		for i, want := range [][]string{{"an ant", "a small insect"}, {"two ants"}, {"a bee"}} {
			if got := c.Captions(uint64(i)); !slices.Equal(got, want) {
				t.Errorf("%s: picture %d has %q, want %q", how, i, got, want)
			}
		}
		train, held, err := Holdout(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := CaptionsOf(train)
		b, ok := CaptionsOf(held)
		if !ok || a.Captions(0)[0] != "an ant" || a.Captions(1)[0] != "two ants" || b.Captions(0)[0] != "a bee" {
			t.Errorf("%s: a part has other captions", how)
		}
	}
	if s, _ := OpenFolder(context.Background(), Folder{Dir: dir, Pictures: Pictures{Height: 2, Width: 2, Channels: 1}}); s == nil {
		t.Fatal("no folder")
	} else if _, ok := CaptionsOf(s); ok {
		t.Error("captions that were not asked for")
	}
}

func TestBadCaptions(t *testing.T) {
	long := strings.Repeat("x", maxCaption+1)
	line := func(name, text string) string { return fmt.Sprintf(`{"file_name":%q,"text":%s}`+"\n", name, text) }
	good := line("ant/a.png", `"x"`) + line("ant/b.b.png", `"x"`)
	for name, c := range map[string]struct {
		files map[string]string
		is    error
		want  []string
	}{
		"no text file":        {map[string]string{"ant/a.txt": "x"}, fs.ErrNotExist, []string{"b.b.txt", "cannot be read"}},
		"an empty text file":  {map[string]string{"ant/a.txt": " \n"}, ErrEmpty, []string{"a.txt", "one a line"}},
		"a long text file":    {map[string]string{"ant/a.txt": long}, ErrSize, []string{"a.txt"}},
		"a missing picture":   {map[string]string{"c.jsonl": good}, fs.ErrNotExist, []string{"c.jsonl", `"bee/deep/c.png"`}},
		"no JSON":             {map[string]string{"c.jsonl": good + "x\n"}, ErrFormat, []string{"c.jsonl", fmt.Sprintf("byte %d", len(good))}},
		"no file_name":        {map[string]string{"c.jsonl": `{"text":"x"}`}, ErrFormat, []string{"file_name"}},
		"no text":             {map[string]string{"c.jsonl": `{"file_name":"x"}`}, ErrFormat, []string{"no text"}},
		"text null":           {map[string]string{"c.jsonl": line("x", "null")}, ErrFormat, []string{"a caption or a list"}},
		"text of numbers":     {map[string]string{"c.jsonl": line("x", "[1]")}, ErrFormat, []string{"a caption or a list"}},
		"no captions":         {map[string]string{"c.jsonl": line("x", "[]")}, ErrFormat, []string{"0 captions"}},
		"many captions":       {map[string]string{"c.jsonl": line("x", "["+strings.Repeat(`"y",`, maxCaptionTexts)+`"y"]`)}, ErrFormat, []string{"1025 captions"}},
		"a long caption":      {map[string]string{"c.jsonl": line("x", `"`+long+`"`)}, ErrSize, []string{"a caption of"}},
		"the same line twice": {map[string]string{"c.jsonl": good + good}, ErrFormat, []string{`"ant/a.png"`, "second line"}},
	} {
		dir := pictureFolder(t, c.files)
		how := CaptionFiles
		if _, ok := c.files["c.jsonl"]; ok {
			how = dir + "/c.jsonl"
		}
		_, err := OpenFolder(context.Background(), Folder{Dir: dir, Captions: how, Pictures: Pictures{Height: 2, Width: 2, Channels: 1}})
		var e *FileError
		if !errors.As(err, &e) || !errors.Is(err, c.is) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", name, err, want)
			}
		}
	}
}

// Which caption a sample has depends on the seed, the sample and the epoch; all come in time.
func TestCaptionOfTheEpoch(t *testing.T) {
	train, held := CaptionedDigits()
	if c, ok := CaptionsOf(held); !ok || len(c.Captions(0)) != 6 {
		t.Error("the held-out digits have no captions")
	}
	plain, _ := Digits()
	if _, ok := CaptionsOf(plain); ok {
		t.Error("captions that were not asked for")
	}
	load := func(seed uint64) *Loader {
		l, err := NewLoader(train, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b := load(3), load(3)
	counts, differ, x := map[string]int{}, 0, make([]float32, 64)
	n := uint64(train.Len())
	for cursor := range 20 * n {
		c := a.Caption(cursor)
		if c != b.Caption(cursor) {
			t.Fatalf("position %d has two captions", cursor)
		}
		index, epoch := a.At(cursor)
		label, err := train.Sample(index, x)
		if err != nil || !slices.Contains(DigitCaptions()[label], c) {
			t.Fatalf("position %d, a %d, has the caption %q", cursor, label, c)
		}
		if epoch == 0 {
			src, _ := CaptionsOf(train)
			if CaptionOf(src, 3, index, 1) != c {
				differ++
			}
		}
		if label == 7 {
			counts[c]++
		}
	}
	total := 0
	for _, k := range counts {
		total += k
	}
	for c, k := range counts { // five standard errors of a sixth
		if share := float64(k) / float64(total); len(counts) != 6 || share < 1.0/6-5*0.007 || share > 1.0/6+5*0.007 {
			t.Errorf("%q has a share of %g", c, share)
		}
	}
	if share := float64(differ) / float64(n); share < 5.0/6-0.06 || share > 5.0/6+0.06 {
		t.Errorf("%g of the captions change from one epoch to the next, want five sixths", share)
	}
	src, _ := CaptionsOf(train)
	same := 0
	for i := range n {
		if CaptionOf(src, 3, i, 0) == CaptionOf(src, 4, i, 0) {
			same++
		}
	}
	if share := float64(same) / float64(n); share > 1.0/6+0.06 {
		t.Errorf("two seeds draw the same captions: %g", share)
	}
}

func TestCaptionByClassErrors(t *testing.T) {
	s, _ := Digits()
	for name, c := range map[string][][]string{"too few": make([][]string, 9), "an empty one": make([][]string, 10)} {
		if _, err := CaptionByClass(s, c); !errors.Is(err, ErrOption) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := CaptionByClass(Draw(Moons{Scale: 1}, 1, false), make([][]string, 2)); !errors.Is(err, ErrOption) {
		t.Errorf("an endless source: got %v", err)
	}
}

func FuzzCaptions(f *testing.F) {
	f.Add([]byte(`{"file_name":"a.png","text":"x"}` + "\n" + `{"file_name":"b.png","text":["x","y"]}`))
	f.Add([]byte(`{"file_name":"a.png","text":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseCaptions("x", strings.NewReader(string(b)))
		if err != nil {
			return
		}
		for name, c := range got {
			if name == "" || len(c) == 0 || len(c) > maxCaptionTexts {
				t.Fatalf("%q has %d captions", name, len(c))
			}
		}
	})
}
