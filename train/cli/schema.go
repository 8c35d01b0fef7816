package cli

//go:generate go run ../../cmd/langevin schema --out ../../docs/langevin.schema.json

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/internal/atomicfile"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/sweep"
)

// forms are the files that commands read.
var forms = []config.Form{
	{Name: "student", Root: new(train.Distillation), Keys: []string{"teacher", "method"}, Required: []string{"teacher"}},
	{Name: "sweep", Root: new(sweep.Config), Keys: []string{"experiment", "grid", "zip", "seeds"}},
	{Name: "experiment", Root: new(train.Experiment)},
}

func (a *app) schema() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of YAML files, for editors",
		Long: `Print the JSON Schema of the files that train, distill and sweep read, with what this program has
registered. Editors with a YAML language server then complete keys, show what they mean and mark
mistakes, if the first line of a file names the schema:

  # yaml-language-server: $schema=langevin.schema.json`,
		Example: fmt.Sprintf("  %[1]s schema --out langevin.schema.json", a.Name),
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := config.JSONSchema("files of Langevin: experiments, students, sweeps", forms...)
			if err != nil {
				return err
			}
			if out != "" {
				return atomicfile.WriteBytes(out, text)
			}
			_, err = a.Stdout.Write(text)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write (default: the terminal)")
	return c
}
