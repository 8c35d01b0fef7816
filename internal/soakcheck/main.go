// Command soakcheck trains, draws samples, evaluates and saves in one process, over and over, and watches what that process holds:
// resident memory, live heap, goroutines, open files. It ends with an error if any of them grows.
//
//	go run ./internal/soakcheck [-for 2h] [-cycle 30s] [-out series.csv]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/langevin-go/langevin/internal/atomicfile"
)

func main() {
	o := options{progress: os.Stderr}
	flag.DurationVar(&o.length, "for", 15*time.Minute, "how long")
	flag.DurationVar(&o.cycle, "cycle", 20*time.Second, "how long to train before samples are drawn and the run is resumed")
	out := flag.String("out", "", "file for the series as CSV")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := func() error {
		dir, err := os.MkdirTemp("", "soakcheck-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
		if *out != "" {
			if *out, err = filepath.Abs(*out); err != nil {
				return err
			}
		}
		series, err := soak(ctx, o)
		if *out != "" {
			err = errors.Join(err, atomicfile.Write(*out, func(w io.Writer) error { return series.csv(w) }))
		}
		report, leak := series.report()
		fmt.Print(report)
		return errors.Join(err, leak)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak-check:", err)
		os.Exit(1)
	}
}
