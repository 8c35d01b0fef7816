package cli_test

import (
	"os"
	"path/filepath"
	"testing"
)

const pipelines = "../../internal/golden/testdata/pipelines"

// copyPipeline copies one of the golden folders.
func copyPipeline(t *testing.T, name, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(filepath.Join(pipelines, name))); err != nil {
		t.Fatal(err)
	}
}
