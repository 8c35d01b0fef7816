// Package docgen generates the reference documents in docs/ from the structs
// and registries that the program itself reads, and checks that they are current.
package docgen

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/train/config"
)

//go:embed configuration.head.md
var configurationHead []byte

// Configuration gives the text of docs/configuration.md: how a file is read, all
// keys of root (the experiment's struct), and all kinds of the registries that
// it leads to and of the extra ones. A key without documentation is an error.
func Configuration(root any, extra ...config.Registered) ([]byte, error) {
	var b bytes.Buffer
	b.Write(configurationHead)
	b.WriteByte('\n')
	if err := config.Reference(&b, root, extra...); err != nil {
		return nil, fmt.Errorf("docgen: %w", err)
	}
	return b.Bytes(), nil
}

// Write replaces the file whole, and only if its text differs.
func Write(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return atomicfile.WriteBytes(path, text)
}

// Check is an error, naming the first line that differs, unless the file has
// exactly this text. command is what brings it up to date.
func Check(path string, text []byte, command string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("docgen: %w; run %s", err, command)
	}
	if bytes.Equal(old, text) {
		return nil
	}
	have, want := bytes.Split(old, []byte("\n")), bytes.Split(text, []byte("\n"))
	for i := range want {
		if i >= len(have) || !bytes.Equal(have[i], want[i]) {
			return fmt.Errorf("docgen: %s:%d is out of date, should be %q; run %s", path, i+1, want[i], command)
		}
	}
	return fmt.Errorf("docgen: %s:%d and on is out of date; run %s", path, len(want)+1, command)
}
