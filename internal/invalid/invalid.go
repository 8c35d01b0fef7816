// Package invalid holds the error by which option structs of any package say
// which of their fields is wrong, so that train/config can add file and line.
package invalid

import "fmt"

// Error blames a field.
type Error struct {
	Name string // the field's yaml name
	Msg  string
}

// Field makes an Error.
func Field(name, format string, args ...any) error {
	return &Error{Name: name, Msg: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Name + " " + e.Msg }

// ConfigField names the blamed field.
func (e *Error) ConfigField() string { return e.Name }
