package figure

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/train/plot"
)

// QualityOptions say which figures are compared.
type QualityOptions struct {
	X, Y string // keys of the measurements
	By   string // key whose values have a curve each; "": one curve

	Where []string // key=value that measurements must have to count
}

// Quality reads measurements, lines of JSON as eval --json writes them, of which the others than numbers and strings are looked
// into: a key may be named by its end, and key=value settings in lists are keys, too. Measurements with the same X are shown each, and the
// curve goes through their mean. Where there is a Y+"_heldout", reference is its mean.
func Quality(files []string, o QualityOptions) (series []plot.Series, reference float64, err error) {
	for _, w := range o.Where {
		if !strings.Contains(w, "=") {
			return nil, 0, fmt.Errorf("%q: want key=value", w)
		}
	}
	byName := map[string]*plot.Series{}
	var held []float64
	known := map[string]bool{}
	for _, path := range files {
		lines, err := ReadMeasurements(path)
		if err != nil {
			return nil, 0, err
		}
		for _, l := range lines {
			for k := range l {
				known[k] = true
			}
			if !l.is(o.Where) {
				continue
			}
			x, okX := l.Number(o.X)
			y, okY := l.Number(o.Y)
			name, okName := "", true
			if o.By != "" {
				name, okName = l.Text(o.By)
			}
			if !okX || !okY || !okName {
				continue
			}
			if h, ok := l.Number(o.Y + "_heldout"); ok {
				held = append(held, h)
			}
			if byName[name] == nil {
				byName[name] = &plot.Series{Name: name}
			}
			s := byName[name]
			s.X, s.Y = append(s.X, x), append(s.Y, y)
		}
	}
	if len(byName) == 0 {
		keys := slices.Sorted(maps.Keys(known))
		where := ""
		if len(o.Where) > 0 {
			where = " where " + strings.Join(o.Where, ", ")
		}
		return nil, 0, fmt.Errorf("no measurement%s has %s together: there are the keys %s", where, strings.Join(slices.DeleteFunc([]string{o.X, o.Y, o.By}, func(k string) bool { return k == "" }), ", "), strings.Join(keys, ", "))
	}
	for _, name := range sortedNames(byName) {
		s := byName[name]
		if s.Name == "" {
			s.Name = o.Y
		} else if _, err := strconv.ParseFloat(name, 64); err == nil || name == "true" || name == "false" { // which alone says nothing
			s.Name = o.By + " " + name
		}
		series = append(series, *s)
	}
	reference = math.NaN()
	if len(held) > 0 {
		reference = 0
		for _, h := range held {
			reference += h / float64(len(held))
		}
	}
	return series, reference, nil
}

// sortedNames puts numbers in their order, and before words.
func sortedNames(m map[string]*plot.Series) []string {
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		switch {
		case errX == nil && errY == nil && x != y:
			if x < y {
				return -1
			}
			return 1
		case errX == nil && errY != nil:
			return -1
		case errX != nil && errY == nil:
			return 1
		}
		return 0
	})
	return names
}

// Measurement is a line, its keys joined by dots.
type Measurement map[string]any // float64 or string

// find gives the value of a key, or of the one key that ends with it after a dot.
func (m Measurement) find(key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	var found any
	for k, v := range m {
		if strings.HasSuffix(k, "."+key) {
			if found != nil {
				return nil // which one is meant is not known
			}
			found = v
		}
	}
	return found
}

// Number is the number of a key, or of the one key that ends with it after a dot; false: there is none.
func (m Measurement) Number(key string) (float64, bool) {
	switch v := m.find(key).(type) {
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !math.IsNaN(f)
	}
	return 0, false
}

// is reports whether all key=value hold; numbers may be written in any way.
func (m Measurement) is(where []string) bool {
	for _, w := range where {
		key, want, _ := strings.Cut(w, "=")
		if got, ok := m.Text(key); ok && got == want {
			continue
		}
		number, err := strconv.ParseFloat(want, 64)
		if got, ok := m.Number(key); !ok || err != nil || got != number {
			return false
		}
	}
	return true
}

// Text is the value of a key likewise, in words.
func (m Measurement) Text(key string) (string, bool) {
	switch v := m.find(key).(type) {
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case string:
		return v, true
	}
	return "", false
}

// flatten puts a JSON value into m.
func (m Measurement) flatten(key string, v any) {
	switch v := v.(type) {
	case float64, string:
		m[key] = v
	case bool:
		m[key] = strconv.FormatBool(v)
	case map[string]any:
		for k, below := range v {
			if key != "" {
				k = key + "." + k
			}
			m.flatten(k, below)
		}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				if k, value, ok := strings.Cut(s, "="); ok {
					m[k] = value
				}
			}
		}
	}
}

// maxMeasurement bounds a line.
const maxMeasurement = 1 << 20

// ReadMeasurements reads a file of lines of JSON, as eval --json writes them.
func ReadMeasurements(path string) ([]Measurement, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badfile.Read(path, err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, maxMeasurement)
	var out []Measurement
	for n := 1; in.Scan(); n++ {
		if strings.TrimSpace(in.Text()) == "" {
			continue
		}
		var v map[string]any
		d := json.NewDecoder(strings.NewReader(in.Text()))
		err := d.Decode(&v)
		if _, more := d.Token(); err != nil || v == nil || !errors.Is(more, io.EOF) {
			return nil, fmt.Errorf("%s:%d: the line is no JSON object; want lines as eval --json writes them", path, n)
		}
		m := Measurement{}
		m.flatten("", v)
		out = append(out, m)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no measurements: want lines as eval --json writes them", path)
	}
	return out, nil
}
