package schedule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
)

// Encode is the scheduler_config.json of a scheduler: its class, the version of diffusers whose fields these are, and every field, in
// the order of their names.
func Encode(s Scheduler, version string) ([]byte, error) {
	fields := map[string]any{"_class_name": s.Class(), "_diffusers_version": version}
	for name, v := range targets(reflect.ValueOf(s).Elem()) {
		fields[name] = v.Interface()
	}
	var b bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		text, err := encodeField(fields[name])
		if err != nil {
			return nil, fmt.Errorf("%s: field %q: %w", s.Class(), name, err)
		}
		lead := ",\n  "
		if i == 0 {
			lead = "{\n  "
		}
		fmt.Fprintf(&b, "%s%q: %s", lead, name, text)
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

// encodeField is a value as Python's json module writes it, which knows infinite numbers.
func encodeField(v any) ([]byte, error) {
	if x, ok := v.(extended); ok && math.IsInf(float64(x), 0) {
		if x > 0 {
			return []byte("Infinity"), nil
		}
		return []byte("-Infinity"), nil
	}
	return json.Marshal(v)
}
