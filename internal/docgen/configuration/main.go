// Command configuration writes docs/configuration.md from the structs that
// experiments are decoded into.
package main

import (
	"fmt"
	"os"

	"github.com/langevin-go/langevin/internal/docgen"
	"github.com/langevin-go/langevin/train"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: configuration FILE")
		os.Exit(2)
	}
	text, err := docgen.Configuration(new(train.Experiment))
	if err == nil {
		err = docgen.Write(os.Args[1], text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
