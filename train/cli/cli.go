// Package cli is the command line of Langevin. A program of one's own registers
// its networks, objectives or data with package train and calls Main: it then
// has every subcommand.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/tensor/backend"
	"github.com/langevin-go/langevin/tensor/cuda"
)

// Options say what a program passes to Main. The zero value of each but Args is fine.
type Options struct {
	Args    []string
	Name    string    // of the program in help texts; "": langevin
	Version string    // shown by the version command beside Langevin's own
	Stdout  io.Writer // results; nil: os.Stdout
	Stderr  io.Writer // progress and errors; nil: os.Stderr
}

// app is what all subcommands share.
type app struct {
	Options
}

// Exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells report Ctrl-C
)

// Main runs a command line and returns the exit code. Ctrl-C and SIGTERM cancel
// the work in hand, which then ends in good order; a second one ends it at once.
func Main(o Options) int {
	if o.Name == "" {
		o.Name = "langevin"
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the next signal has its usual effect
	a := &app{o}
	root := a.root()
	root.SetArgs(o.Args)
	root.SetOut(o.Stdout)
	root.SetErr(o.Stderr)
	err := execute(ctx, root)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(o.Stderr, "%s: %v\nTry '%s --help'.\n", o.Name, err, commandPath(root, o.Args))
		return exitUsage
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(o.Stderr, "%s: %s\n", o.Name, line)
	}
	return exitError
}

// execute runs the command. What a device cannot tell as an error, that it has no memory left or has
// failed, comes as a panic, and is an error from here on.
func execute(ctx context.Context, root *cobra.Command) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *backend.AllocError:
			err = p
		case *cuda.Failure:
			err = p
		default:
			panic(p)
		}
	}()
	return root.ExecuteContext(ctx)
}

// errInterrupted says that work was cut short by the user, who has been told.
var errInterrupted = errors.New("interrupted")

// stopped is err, or if that is of work that was cut short, errInterrupted, having told the user.
func (a *app) stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.Stderr, "Stopped.")
		return errInterrupted
	}
	return err
}

func commandPath(root *cobra.Command, args []string) string {
	if c, _, err := root.Find(args); err == nil {
		return c.CommandPath()
	}
	return root.Name()
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           a.Name,
		Short:         "Train, sample and measure diffusion and flow models",
		Long:          "Langevin trains diffusion and flow models from a YAML file, samples from them,\nmeasures them, and runs models that diffusers has saved. No Python, no cgo.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return nil
		},
		Example: fmt.Sprintf("  %[1]s train examples/digits.yaml\n  %[1]s sample runs/digits --class 7 --out sevens.png\n  %[1]s eval runs/digits", a.Name),
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(a.train(), a.sample(), a.eval(), a.inspect(), a.report(), a.average(), a.export(), a.distill(), a.reflow(), a.sweep(), a.classifier(), a.data(), a.plot(), a.bench(), a.schema(), a.doctor(), a.version())
	root.SetFlagErrorFunc(flagError)
	markUsage(root)
	return root
}

// markUsage makes wrong arguments of a command and those below it mistakes on the command line.
func markUsage(c *cobra.Command) {
	for _, below := range c.Commands() {
		markUsage(below)
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
}
