package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/langevin-go/langevin/train/cli"
)

const asCommand = "KILLCHECK_TEST_AS_COMMAND"

// The test binary is langevin, too, and what becomes it.
func TestMain(m *testing.M) {
	if program := os.Getenv(asWatched); program != "" {
		fail(becomeWatched(program))
	}
	if os.Getenv(asCommand) != "" {
		os.Exit(cli.Main(cli.Options{Args: os.Args[1:]}))
	}
	os.Exit(m.Run())
}

// Two kills of each kind; go run ./internal/killcheck makes 200.
func TestKills(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kills := 2 * int(strata)
	if testing.Short() {
		kills = int(strata)
	}
	var out bytes.Buffer
	err = check(context.Background(), kills, 40, uint64(time.Now().UnixNano()), self, []string{asCommand + "=1"}, &out)
	if errors.Is(err, errNoWatching) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Log(out.String())
	for s, name := range strataNames {
		if want := []string{"| 1 |", "| 2 |"}[kills/int(strata)-1]; !strings.Contains(out.String(), name+" "+want) {
			t.Errorf("stratum %d: want %s %s", s, name, want)
		}
	}
}

// What differs is found.
func TestSame(t *testing.T) {
	want := map[string]string{"a": "x", "b": "y"}
	for _, c := range []struct {
		got  map[string]string
		says string
	}{
		{map[string]string{"a": "x", "b": "y"}, ""},
		{map[string]string{"a": "x"}, "b is missing"},
		{map[string]string{"a": "x", "b": "z"}, "b differs"},
		{map[string]string{"a": "x", "b": "y", ".c": ""}, ".c is too much"},
	} {
		err := same(c.got, want)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.got, err, c.says)
		}
	}
}
