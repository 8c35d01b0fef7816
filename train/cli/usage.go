package cli

import (
	"errors"
	"fmt"
	"math"
	"regexp"

	"github.com/spf13/cobra"
)

// usageError is a mistake on the command line itself.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef makes a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// first wants at least one argument, which is what.
func first(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return errors.New("missing: " + what)
		}
		return nil
	}
}

// only wants exactly one argument, which is what.
func only(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%q is one argument too many", args[1])
		}
		return first(what)(c, args)
	}
}

// nothing wants no arguments.
func nothing(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is one argument too many", args[0])
	}
	return nil
}

// scale reads --guidance, if it was given.
func scale(c *cobra.Command, value float64) (*float64, error) {
	switch {
	case !c.Flags().Changed("guidance"):
		return nil, nil
	case !(value >= 0) || math.IsInf(value, 0):
		return nil, usagef("--guidance must be finite and not negative, is %g", value)
	}
	return &value, nil
}

var badValue = regexp.MustCompile(`^invalid argument "(.*)" for "(?:-\w, )?(--[\w-]+)" flag: `)

// flagError says what a flag's value must be in the user's terms, not the parser's.
func flagError(c *cobra.Command, err error) error {
	m := badValue.FindStringSubmatch(err.Error())
	if m == nil {
		return usageError{err}
	}
	want := "something else"
	if f := c.Flags().Lookup(m[2][2:]); f != nil {
		switch f.Value.Type() {
		case "int":
			want = "a whole number"
		case "uint64":
			want = "a whole number, 0 or above"
		case "float64":
			want = "a number"
		case "bool":
			want = "true or false"
		}
	}
	return usagef("%s must be %s, is %q", m[2], want, m[1])
}
