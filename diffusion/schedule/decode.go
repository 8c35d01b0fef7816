package schedule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/invalid"
)

// maxConfig bounds the size of a config: the longest have a list of betas.
const maxConfig = 4 << 20

// Decode reads a scheduler_config.json of the class that it names.
func Decode(data []byte) (Scheduler, error) {
	fields, err := parse(data)
	if err != nil {
		return nil, err
	}
	var class string
	if err := json.Unmarshal(fields["_class_name"], &class); err != nil {
		return nil, invalid.Field("_class_name", "must name the scheduler's class")
	}
	return decode(class, fields)
}

// DecodeAs reads a config of any class as one of the given class.
func DecodeAs(class string, data []byte) (Scheduler, error) {
	fields, err := parse(data)
	if err != nil {
		return nil, err
	}
	return decode(class, fields)
}

func parse(data []byte) (map[string]json.RawMessage, error) {
	if len(data) > maxConfig {
		return nil, fmt.Errorf("%d bytes are too many for a scheduler's config", len(data))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	return fields, nil
}

func decode(class string, fields map[string]json.RawMessage) (Scheduler, error) {
	sched, err := New(class)
	if err != nil {
		return nil, err
	}
	own := targets(reflect.ValueOf(sched).Elem())
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		to, ok := own[name]
		if !ok {
			if strings.HasPrefix(name, "_") || others()[name] {
				continue
			}
			return nil, invalid.Field(name, "is not a field of %s that is known here", class)
		}
		if err := set(name, to, fields[name]); err != nil {
			return nil, err
		}
	}
	return sched, sched.Validate()
}

// targets finds a config's fields by their JSON names.
func targets(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch name := f.Tag.Get("json"); {
		case f.Anonymous:
			maps.Copy(out, targets(v.Field(i)))
		case name != "" && name != "-":
			out[name] = v.Field(i)
		}
	}
	return out
}

// others are fields of another class than a config's own, which diffusers
// leaves in and passes over, and fields that it has retired.
func others() map[string]bool {
	known := map[string]bool{"tensor_format": true, "skip_prk_steps": true}
	for _, class := range Classes() {
		s, _ := New(class)
		for name := range targets(reflect.ValueOf(s).Elem()) {
			known[name] = true
		}
	}
	return known
}

func set(name string, to reflect.Value, raw json.RawMessage) error {
	nullable := to.Kind() == reflect.Pointer || to.Kind() == reflect.Slice
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		if !nullable {
			return invalid.Field(name, "must be a %s, is null", kindName(to.Type()))
		}
		to.SetZero()
		return nil
	}
	if err := json.Unmarshal(raw, to.Addr().Interface()); err != nil {
		return invalid.Field(name, "must be a %s, is %.40s", kindName(to.Type()), raw)
	}
	return nil
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Slice:
		return "list of numbers"
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	}
	return "string"
}

// oneOf is an error unless value is among the choices.
func oneOf(name, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return invalid.Field(name, "must be one of %s, is %q", strings.Join(choices, ", "), value)
}
