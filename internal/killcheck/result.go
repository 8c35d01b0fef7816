//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/train/record"
)

// result is all of a run that kills must not change: every file byte for byte, but for the lock, TensorBoard's events (a process writes
// its own file) and the times in the metrics.
func result(run string) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(run, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(run, path)
		if e.IsDir() && name == "events" {
			return filepath.SkipDir
		}
		if e.IsDir() || name == "lock" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out[name] = string(b)
		if name == "metrics.jsonl" {
			out[name], err = timeless(string(b))
		}
		return err
	})
	return out, err
}

// timeless leaves out of each record the time and what is measured on the wall clock.
func timeless(text string) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		var v map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			return "", fmt.Errorf("metrics line %q: %w", line, err)
		}
		maps.DeleteFunc(v, func(k string, _ json.RawMessage) bool { return k == "time" || strings.HasPrefix(k, record.WallPrefix) })
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&b, "%s %s ", k, v[k])
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// same is an error that names what differs.
func same(got, want map[string]string) error {
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if is, ok := got[name]; !ok {
			differ = append(differ, name+" is missing")
		} else if is != want[name] {
			differ = append(differ, fmt.Sprintf("%s differs (%d bytes, %d undisturbed)", name, len(is), len(want[name])))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			differ = append(differ, name+" is too much")
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("not what an undisturbed run left: %s", strings.Join(differ, "; "))
	}
	return nil
}
