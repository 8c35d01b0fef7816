package train

import (
	"testing"

	"github.com/langevin-go/langevin/internal/docgen"
)

func TestConfigurationReferenceIsUpToDate(t *testing.T) {
	text, err := docgen.Configuration(new(Experiment))
	if err != nil {
		t.Fatal(err)
	}
	if err := docgen.Check("../docs/configuration.md", text, "make generate"); err != nil {
		t.Error(err)
	}
}
