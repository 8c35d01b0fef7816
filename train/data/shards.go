package data

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/langevin-go/langevin/internal/badfile"
)

// maxShards bounds the files that a pattern stands for.
const maxShards = 1 << 16

// Shards gives the files that a path stands for: one file; the files with the ending in a folder, by name; a pattern with *, ? and [a-z]; or one with
// {00..12} or {a,b}, whose files must all be there.
func Shards(path, ending string) ([]string, error) {
	if path == "" {
		return nil, option("the path of the %s files is empty", ending)
	}
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return []string{path}, nil
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, badfile.Read(path, err)
		}
		var found []string
		for _, e := range entries {
			if name := e.Name(); strings.EqualFold(filepath.Ext(name), ending) && !strings.HasPrefix(name, ".") {
				found = append(found, filepath.Join(path, name))
			}
		}
		if len(found) == 0 {
			return nil, badfile.New(path, ErrEmpty, "the folder has no %s files", ending)
		}
		return found, nil
	}
	all, err := expand(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, p := range all {
		if !strings.ContainsAny(p, "*?[") {
			if _, err := os.Stat(p); err != nil {
				return nil, badfile.Read(p, err)
			}
			files = append(files, p)
			continue
		}
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, option("the pattern %q: %v", p, err)
		}
		if len(found) == 0 {
			return nil, badfile.New(p, ErrEmpty, "no file has a name like that")
		}
		files = append(files, found...)
	}
	if len(files) > maxShards {
		return nil, badfile.New(path, ErrSize, "stands for %d files: want at most %d", len(files), maxShards)
	}
	return files, nil
}

// expand gives the paths that one with braces stands for: {00..12} counts, with as many digits as the first number, {a,b} are the two.
func expand(path string) ([]string, error) {
	open := strings.IndexByte(path, '{')
	if open < 0 {
		return []string{path}, nil
	}
	end := strings.IndexByte(path[open:], '}')
	if end < 0 {
		return nil, option("the pattern %q has a { without a }", path)
	}
	inside, rest := path[open+1:open+end], path[open+end+1:]
	items := strings.Split(inside, ",")
	if first, last, ok := strings.Cut(inside, ".."); ok {
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 0 || b < a || b-a >= maxShards {
			return nil, option("the pattern %q: {%s} must count up, as {000..127}, at most %d files", path, inside, maxShards)
		}
		items = items[:0]
		for k := a; k <= b; k++ {
			items = append(items, fmt.Sprintf("%0*d", len(first), k))
		}
	}
	tails, err := expand(rest)
	if err != nil {
		return nil, err
	}
	if len(items) > maxShards/len(tails) {
		return nil, option("the pattern %q stands for more than %d files", path, maxShards)
	}
	var all []string
	for _, item := range items {
		for _, tail := range tails {
			all = append(all, path[:open]+item+tail)
		}
	}
	return all, nil
}

// shard is a file that is opened whenever something is read from it, so that a source holds no file
// open. It must be the one that it was when it was first looked at.
type shard struct {
	path string
	size int64
	time time.Time
}

// openShard opens a regular file for the first time.
func openShard(path string) (*os.File, *shard, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, badfile.Read(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, nil, badfile.Read(path, err)
	}
	return f, &shard{path, info.Size(), info.ModTime()}, nil
}

// ReadAt reads from the file as it was.
func (s *shard) ReadAt(b []byte, at int64) (int, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return 0, badfile.Read(s.path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, badfile.Read(s.path, err)
	}
	if info.Size() != s.size || !info.ModTime().Equal(s.time) {
		return 0, badfile.New(s.path, errChanged, "the file has changed since it was opened")
	}
	return f.ReadAt(b, at)
}

var errChanged = fmt.Errorf("the file has changed")
