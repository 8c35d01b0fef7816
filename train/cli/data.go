package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/data"
)

const whatData = `SOURCE is an experiment's YAML file, the name of a data source (digits), or files whose kind shows in their
names: a folder of pictures, .tar and .parquet files, folders or patterns of them, CIFAR's folder, IDX, .npy, .npz,
.csv and .safetensors files. Behind it stand keys of the data section; of an experiment, keys of the experiment.`

func (a *app) data() *cobra.Command {
	c := &cobra.Command{
		Use:   "data",
		Short: "Look at training data, measure and convert them",
		Long:  "Look at training data, measure and convert them.\n\n" + whatData,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q: want inspect, stats or convert", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.dataInspect(), a.dataStats(), a.dataConvert())
	return c
}

// sourceAndKeys wants a source, n further arguments, and keys.
func sourceAndKeys(further ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		for i, what := range append([]string{"SOURCE"}, further...) {
			if len(args) <= i || i > 0 && strings.Contains(args[i], "=") {
				return fmt.Errorf("missing: %s", what)
			}
		}
		for _, v := range args[1+len(further):] {
			if !strings.Contains(v, "=") {
				return fmt.Errorf("%q is one argument too many", v)
			}
		}
		return nil
	}
}

func (a *app) dataInspect() *cobra.Command {
	var verify bool
	c := &cobra.Command{
		Use:   "inspect SOURCE [key=value ...]",
		Short: "Say what data are there",
		Long:  "Say what data are there, in how many classes, and the settings to train on them with.\nWith --verify, read every sample and name those that are corrupt.\n\n" + whatData,
		Example: fmt.Sprintf(`  %[1]s data inspect photos/ height=64 width=64
  %[1]s data inspect 'shards/train-*.tar' height=32 width=32 captions=txt --verify
  %[1]s data inspect examples/digits.yaml`, a.Name),
		Args: sourceAndKeys(),
		RunE: func(c *cobra.Command, args []string) error {
			return a.runDataInspect(c.Context(), args[0], args[1:], verify)
		},
	}
	c.Flags().BoolVar(&verify, "verify", false, "read every sample, name the corrupt ones, and fail if there are some")
	return c
}

// sizesShown is the number of pictures whose files inspect looks at.
const sizesShown = 1000

func (a *app) runDataInspect(ctx context.Context, what string, keys []string, verify bool) error {
	d, err := train.OpenData(ctx, what, keys, a.warn)
	if err != nil {
		return a.stopped(err)
	}
	src := d.Set.Train
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.Stdout, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("kind", "%s", d.Kind)
	row("samples", "%s", d.Describe())
	if d.Set.Heldout != nil && d.Set.Heldout.Len() != data.Infinite {
		row("held out", "%d", d.Set.Heldout.Len())
	}
	if src.Len() != data.Infinite {
		if err := a.classCounts(src, row); err != nil {
			return err
		}
	}
	if c, ok := data.CaptionsOf(src); ok {
		row("captions", "such as %.80q", c.Captions(0)[0])
	}
	switch {
	case data.Streams(src):
		row("read", "decoded whenever they are needed, by loading.workers in the background")
	case src.Len() != data.Infinite:
		row("read", "kept in memory")
	}
	z, err := train.SizesOf(src, sizesShown)
	if err != nil {
		return err
	}
	if z.Count > 0 {
		var formats []string
		for _, f := range slices.Sorted(maps.Keys(z.Formats)) {
			formats = append(formats, fmt.Sprintf("%d %s", z.Formats[f], f))
		}
		row("files", "%s; %d×%d to %d×%d pixels, %.1f kB each", strings.Join(formats, ", "), z.Least.X, z.Least.Y, z.Most.X, z.Most.Y, float64(z.Bytes)/float64(z.Count)/1000)
	}
	fmt.Fprintf(a.Stdout, "\n%s", d.Config)
	if verify {
		return a.verify(ctx, d)
	}
	return nil
}

// classCounts prints how many samples each class has.
func (a *app) classCounts(src data.Source, row func(name, format string, args ...any)) error {
	if src.Classes() == 0 {
		return nil
	}
	counts := make([]int, src.Classes())
	space := make([]float32, volumeOf(src.Shape()))
	for i := range src.Len() {
		l, err := data.Label(src, uint64(i), space)
		if err != nil {
			return err
		}
		counts[l]++
	}
	const most = 20
	names := data.ClassNames(src)
	for k, n := range counts[:min(len(counts), most)] {
		name := fmt.Sprint(k)
		if names != nil {
			name += " " + names[k]
		}
		row("class", "%-24s %d", name, n)
	}
	if len(counts) > most {
		row("class", "and %d more", len(counts)-most)
	}
	return nil
}

func volumeOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// verify reads every sample and names those that are corrupt.
func (a *app) verify(ctx context.Context, d *train.DataFiles) error {
	total, bad := 0, 0
	progress := newStages(a)
	defer progress.finish()
	for _, src := range d.Whole() {
		if src.Len() == data.Infinite {
			return fmt.Errorf("endless data cannot be verified")
		}
		errs, err := data.Verify(ctx, src, func(done, n int) { progress.at("verifying", done, n) })
		if err != nil {
			return a.stopped(err)
		}
		progress.finish()
		for _, e := range errs {
			fmt.Fprintf(a.Stdout, "corrupt    %v\n", e)
		}
		total, bad = total+src.Len(), bad+len(errs)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d samples are corrupt: remove them, or allow for them with max_corrupt: %.2g", bad, total, float64(bad)/float64(total)+5e-5)
	}
	fmt.Fprintf(a.Stdout, "verified   %d samples\n", total)
	return nil
}

func (a *app) dataStats() *cobra.Command {
	var n int
	c := &cobra.Command{
		Use:     "stats SOURCE [key=value ...]",
		Short:   "Measure data: means, deviations, classes, how fast they are read",
		Long:    "Measure data as they are trained on (pictures are scaled to [−1, 1]): means, standard deviations, extremes, samples of each class, and how\nmany samples a second are read. The standard deviation of all is the sigma_data of edm.\n\n" + whatData,
		Example: fmt.Sprintf("  %[1]s data stats digits\n  %[1]s data stats photos/ height=64 width=64 --samples 5000", a.Name),
		Args:    sourceAndKeys(),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("samples") && n < 1 {
				return usagef("--samples must be at least 1, is %d", n)
			}
			return a.runDataStats(c.Context(), args[0], args[1:], n)
		},
	}
	c.Flags().IntVar(&n, "samples", 0, "how many samples to read, the first ones (default all)")
	return c
}

func (a *app) runDataStats(ctx context.Context, what string, keys []string, n int) error {
	d, err := train.OpenData(ctx, what, keys, a.warn)
	if err != nil {
		return a.stopped(err)
	}
	src := d.Set.Train
	if src.Len() == data.Infinite && n == 0 {
		n = 10000
	}
	progress := newStages(a)
	began := time.Now()
	st, err := data.Measure(ctx, src, n, func(done, total int) { progress.at("measuring", done, total) })
	progress.finish()
	if err != nil {
		return a.stopped(err)
	}
	took := time.Since(began).Seconds()
	fmt.Fprintf(a.Stdout, "%-12s%12s%12s%12s%12s\n", "", "mean", "std", "min", "max")
	line := func(name string, m data.Moments) {
		fmt.Fprintf(a.Stdout, "%-12s%12.5g%12.5g%12.5g%12.5g\n", name, m.Mean, m.Std, m.Min, m.Max)
	}
	what = "number"
	if len(src.Shape()) == 3 {
		what = "channel"
	}
	for k, m := range st.Channels {
		if k == 64 {
			fmt.Fprintf(a.Stdout, "and %d more\n", len(st.Channels)-k)
			break
		}
		line(fmt.Sprintf("%s %d", what, k), m)
	}
	line("all", st.All)
	for k, c := range st.Classes {
		name := ""
		if names := data.ClassNames(src); names != nil {
			name = " " + names[k]
		}
		fmt.Fprintf(a.Stdout, "class %d%s: %d\n", k, name, c)
	}
	fmt.Fprintf(a.Stdout, "%d samples of shape %v, %.0f a second\n", st.Samples, src.Shape(), float64(st.Samples)/max(1e-9, took))
	return nil
}

func (a *app) dataConvert() *cobra.Command {
	var o data.Writing
	var part string
	var overwrite bool
	c := &cobra.Command{
		Use:   "convert SOURCE OUT [key=value ...]",
		Short: "Write data in another format: .npz, .safetensors, .tar or .parquet",
		Long: `Write data in another format, which the ending of OUT says: .npz, .safetensors, .tar (a WebDataset archive) or
.parquet (a table as Hugging Face's data sets). Pictures are written as they are trained on, after scaling, or with
--original as they are stored. Each file is written whole or not at all; Ctrl-C leaves none.

` + whatData,
		Example: fmt.Sprintf(`  %[1]s data convert photos/ photos.npz height=64 width=64
  %[1]s data convert photos/ shards/train.tar height=64 width=64 --original --shard 10000
  %[1]s data convert digits digits.parquet`, a.Name),
		Args: sourceAndKeys("OUT"),
		RunE: func(c *cobra.Command, args []string) error {
			if part != "train" && part != "heldout" {
				return usagef("--part must be train or heldout, is %s", part)
			}
			return a.runDataConvert(c.Context(), args[0], args[1], args[2:], part, overwrite, o)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&o.Original, "original", false, "copy the pictures' files as they are")
	fl.IntVar(&o.Shard, "shard", 0, "samples a file: NAME-00000.tar and so on (default one file)")
	fl.StringVar(&part, "part", "train", "train, or heldout: the samples that are held out")
	fl.BoolVar(&overwrite, "overwrite", false, "replace OUT if it is there")
	return c
}

func (a *app) runDataConvert(ctx context.Context, what, out string, keys []string, part string, overwrite bool, o data.Writing) error {
	if _, err := os.Stat(out); err == nil && !overwrite {
		return fmt.Errorf("%s is there already: name another file, or add --overwrite", out)
	}
	d, err := train.OpenData(ctx, what, keys, a.warn)
	if err != nil {
		return a.stopped(err)
	}
	src := d.Set.Train
	if part == "heldout" {
		if src = d.Set.Heldout; src == nil {
			return fmt.Errorf("%s holds no samples out: set heldout", what)
		}
	}
	progress := newStages(a)
	o.Progress = func(done, total int) { progress.at("converting", done, total) }
	files, err := data.Write(ctx, out, src, o)
	progress.finish()
	if err != nil {
		return a.stopped(err)
	}
	fmt.Fprintf(a.Stdout, "%d samples → %s", src.Len(), files[0])
	if len(files) > 1 {
		fmt.Fprintf(a.Stdout, " … %s (%d files)", files[len(files)-1], len(files))
	}
	fmt.Fprintln(a.Stdout)
	return nil
}
