package record

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

// Value is one number of a record.
//
// Keys of measurements of the machine, not of the training, begin with WallPrefix:
// they and the time are all that differs between a run and its resumed twin.
type Value struct {
	Key string
	V   float64
}

// V makes a Value.
func V(key string, v float64) Value { return Value{key, v} }

// WallPrefix begins the keys of wall-clock figures, as in wall/steps_per_s.
const WallPrefix = "wall/"

// Metrics appends records to a JSON-lines file, one object a line:
//
//	{"step":100,"time":1700000000.123,"train/loss":0.25,"wall/steps_per_s":80.5}
//
// step and time (Unix seconds, to the millisecond) come first, then the values
// in the order given. JSON has no numbers that are not finite: they are the
// strings "NaN", "Infinity" and "-Infinity", which the number parsers of Python,
// JavaScript and protobuf's JSON read back. All other values are the shortest
// decimals that give back the same float64.
//
// A record is handed to the system in one write, so a killed process leaves at
// most the last line torn; OpenMetrics cuts that off.
type Metrics struct {
	f    *os.File
	size int64
	buf  []byte
	now  func() time.Time
}

// OpenMetrics opens the file for the steps after the given one, the step of the
// checkpoint that the run goes on from (-1 for a new run): records of later
// steps, written before the run was stopped, are cut off. The file is made if need be.
func OpenMetrics(path string, step int64) (*Metrics, error) {
	if err := TruncateAfter(path, step); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("record: %w", err)
	}
	return &Metrics{f: f, size: info.Size(), now: time.Now}, nil
}

// Write appends one record. Steps must not fall; several records may have the
// same step. If the line cannot be written whole (a full disk), what is there of
// it is taken back.
func (m *Metrics) Write(step int64, values ...Value) error {
	b := append(m.buf[:0], `{"step":`...)
	b = strconv.AppendInt(b, step, 10)
	b = append(b, `,"time":`...)
	b = strconv.AppendFloat(b, float64(m.now().UnixMilli())/1e3, 'f', 3, 64)
	for _, v := range values {
		if v.Key == "step" || v.Key == "time" {
			return fmt.Errorf("record: the key %q of a metric is taken by the record itself", v.Key)
		}
		key, err := json.Marshal(v.Key)
		if err != nil {
			return fmt.Errorf("record: key %q: %w", v.Key, err)
		}
		b = append(append(append(b, ','), key...), ':')
		b = appendNumber(b, v.V)
	}
	m.buf = append(b, '}', '\n')
	if _, err := m.f.Write(m.buf); err != nil {
		if cut := m.f.Truncate(m.size); cut != nil {
			return fmt.Errorf("record: %w; the line written in part could not be taken back: %w", err, cut)
		}
		return fmt.Errorf("record: %w", err)
	}
	m.size += int64(len(m.buf))
	return nil
}

func appendNumber(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// Sync puts all records on the disk itself. A checkpoint calls it first, so that
// no record up to its step is lost with the power.
func (m *Metrics) Sync() error {
	if err := m.f.Sync(); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// Close closes the file.
func (m *Metrics) Close() error { return m.f.Close() }
