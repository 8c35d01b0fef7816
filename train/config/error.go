package config

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one mistake in a config file or an override.
type Error struct {
	File     string // "" for an override
	Line     int    // 1-based; 0 where no line is known
	Override string // the override as typed, "" for a mistake in the file
	Key      string // path of the key, as in optim.lr or layers[2].width; "" for the document
	Msg      string // what is wrong and what would be right
}

// Error formats the mistake as one line: place, key, message.
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.Override != "":
		b.WriteString("override " + e.Override + ": ")
	case e.File != "" && e.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	case e.File != "":
		b.WriteString(e.File + ": ")
	case e.Line > 0:
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Errors are all mistakes of one decoding, one line each, in document order of
// the struct's fields. It is never empty.
type Errors []*Error

// Error joins the mistakes, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors to errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// Move names the mistakes of an override that a file says by their place there: that of the steps of keys and indices.
func (es Errors) Move(override string, ps *Places, steps ...string) {
	at, _ := ps.find(steps)
	for _, e := range es {
		if e.Override == cut(oneLine(override)) {
			e.File, e.Line, e.Override = at.file, at.line, ""
		}
	}
}

// add collects a mistake; beyond maxErrors nobody reads on.
func (es *Errors) add(e *Error) {
	if len(*es) < maxErrors {
		*es = append(*es, e)
	}
}

const maxErrors = 30

// FieldError says which field of a config struct is wrong. A Validate method
// may return any other error too; an error type of another package is taken
// like this one where it has the method ConfigField.
type FieldError struct {
	Name string // yaml name, or a path below the struct: betas[1], decay.rate
	Msg  string
}

// Field is the error of a Validate method that blames the key name, relative
// to the validated struct. The decoder adds file, line and full path.
func Field(name, format string, args ...any) error {
	return &FieldError{Name: name, Msg: fmt.Sprintf(format, args...)}
}

// Error gives "name: message".
func (e *FieldError) Error() string { return e.Name + ": " + e.Msg }

// ConfigField names the blamed key.
func (e *FieldError) ConfigField() string { return e.Name }

// blamed splits an error of a Validate method into field name and message.
func blamed(err error) (name, msg string) {
	var f interface {
		error
		ConfigField() string
	}
	msg = err.Error()
	if errors.As(err, &f) {
		name = f.ConfigField()
		// The place will name the key, so the text need not.
		own := f.Error()
		bare := strings.TrimPrefix(strings.TrimPrefix(own, name+": "), name+" ")
		msg = strings.Replace(msg, own, bare, 1)
	}
	return name, msg
}

// flatten lists the errors joined in err, or err itself.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		if e != nil {
			out = append(out, flatten(e)...)
		}
	}
	return out
}

// oneLine keeps a message on its line, whatever a user's text put into it.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n") {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
