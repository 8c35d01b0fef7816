//go:build !linux

package cli_test

import "errors"

func mountTiny(string, string) error { return errors.ErrUnsupported }

func unmount(string) error { return nil }
