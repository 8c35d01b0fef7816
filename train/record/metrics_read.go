package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// Record is one line of a metrics file.
type Record struct {
	Step   int64
	Time   time.Time
	Values []Value
}

// Get gives the value of a key.
func (r *Record) Get(key string) (v float64, ok bool) {
	for _, x := range r.Values {
		if x.Key == key {
			return x.V, true
		}
	}
	return 0, false
}

// ReadMetrics reads a metrics file, also of a running process: a torn last line
// is left out. Any other bad line is an error that names it.
func ReadMetrics(path string) ([]Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	defer f.Close()
	var out []Record
	_, err = scan(f, path, func(r Record) bool {
		out = append(out, r)
		return true
	})
	return out, err
}

// TruncateAfter cuts a metrics file to the records up to and including the given
// step, and takes a torn last line with them; -1 empties it. A file that is not
// there is no error. What is neither a record nor a torn last line stays
// untouched and is an error: this is not a metrics file.
func TruncateAfter(path string, step int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	defer f.Close()
	end, err := scan(f, path, func(r Record) bool { return r.Step <= step })
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if info.Size() == end {
		return nil
	}
	if err := errors.Join(f.Truncate(end), f.Sync()); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// maxLine bounds a line before it is read into memory.
const maxLine = 1 << 20

// errLongLine says that a line is longer than maxLine.
var errLongLine = errors.New("a long line")

// readLine reads a line, which is good until the next one is read; io.EOF: there is no whole one.
func readLine(r *bufio.Reader) (line []byte, err error) {
	line, err = r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	var long []byte
	for {
		if long = append(long, line...); len(long) > maxLine {
			return nil, errLongLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return long, err
		}
		line, err = r.ReadSlice('\n')
	}
}

// scan calls yield with every record until it returns false, and gives the
// offset of the first byte after the last record accepted.
func scan(f io.Reader, path string, yield func(Record) bool) (end int64, err error) {
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := readLine(r)
		switch {
		case errors.Is(err, io.EOF): // a record ends with its line: this one was torn
			return end, nil
		case errors.Is(err, errLongLine):
			return end, fmt.Errorf("record: %s:%d: the line is longer than %d bytes", path, n, maxLine)
		case err != nil:
			return end, fmt.Errorf("record: %w", err)
		}
		rec, err := parseRecord(line)
		if err != nil {
			if _, eof := r.Peek(1); errors.Is(eof, io.EOF) {
				return end, nil // torn by the machine's failure, which may leave zeros
			}
			return end, fmt.Errorf("record: %s:%d: %w", path, n, err)
		}
		if !yield(rec) {
			return end, nil
		}
		end += int64(len(line))
	}
}

// parseRecord reads one line, keeping the order of its values.
func parseRecord(line []byte) (rec Record, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return rec, errors.New("is not a record; must be a JSON object with step and time")
	}
	stepped := false
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return rec, err
		}
		key, _ := t.(string)
		if key == "step" {
			if err := dec.Decode(&rec.Step); err != nil {
				return rec, errors.New("step must be a whole number")
			}
			stepped = true
			continue
		}
		v, err := number(dec)
		if err != nil {
			return rec, fmt.Errorf("%s: %w", key, err)
		}
		if key == "time" {
			rec.Time = time.UnixMilli(int64(math.Round(v * 1e3)))
			continue
		}
		rec.Values = append(rec.Values, Value{key, v})
	}
	if _, err := dec.Token(); err != nil {
		return rec, err
	}
	if !stepped {
		return rec, errors.New("has no step")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return rec, errors.New("has something after the record")
	}
	return rec, nil
}

func number(dec *json.Decoder) (float64, error) {
	t, err := dec.Token()
	if err != nil {
		return 0, err
	}
	switch t := t.(type) {
	case float64:
		return t, nil
	case string:
		switch t {
		case "NaN":
			return math.NaN(), nil
		case "Infinity":
			return math.Inf(1), nil
		case "-Infinity":
			return math.Inf(-1), nil
		}
	}
	return 0, errors.New(`must be a number, "NaN", "Infinity" or "-Infinity"`)
}
