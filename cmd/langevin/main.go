// Command langevin trains, samples, evaluates and inspects diffusion and flow models.
package main

import (
	"os"

	"github.com/langevin-go/langevin/train/cli"
)

func main() { os.Exit(cli.Main(cli.Options{Args: os.Args[1:]})) }
