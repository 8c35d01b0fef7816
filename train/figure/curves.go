package figure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/plot"
	"github.com/langevin-go/langevin/train/record"
)

// Curves reads metrics of runs, folders or their metrics.jsonl, over the training steps. Curves are named by the runs, or of one run by the metrics.
func Curves(runs, metrics []string) ([]plot.Series, error) {
	var out []plot.Series
	for i, run := range runs {
		path := run
		if info, err := os.Stat(run); err == nil && info.IsDir() {
			path = train.RunDir(run).Metrics()
		}
		records, err := record.ReadMetrics(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s: there is no such file; want a run's folder or a metrics.jsonl", path)
		case err != nil:
			return nil, err
		}
		for _, m := range metrics {
			s := plot.Series{Name: curveName(runs, i, metrics, m)}
			for _, r := range records {
				if v, ok := r.Get(m); ok {
					s.X, s.Y = append(s.X, float64(r.Step)), append(s.Y, v)
				}
			}
			if len(s.X) == 0 {
				return nil, fmt.Errorf("%s has no metric %s: it has %s", path, m, strings.Join(keysOf(records), ", "))
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// curveName tells runs and metrics apart, as far as there are several.
func curveName(runs []string, i int, metrics []string, metric string) string {
	var parts []string
	if len(runs) > 1 {
		name := filepath.Base(filepath.Clean(runs[i]))
		for k, other := range runs {
			if k != i && filepath.Base(filepath.Clean(other)) == name {
				name = filepath.Clean(runs[i])
			}
		}
		parts = append(parts, name)
	}
	if len(metrics) > 1 || len(runs) == 1 {
		parts = append(parts, metric)
	}
	return strings.Join(parts, " ")
}

// keysOf are the metrics that records have, in order.
func keysOf(records []record.Record) []string {
	seen := map[string]bool{}
	for _, r := range records {
		for _, v := range r.Values {
			seen[v.Key] = true
		}
	}
	keys := make([]string, 0, len(seen))
	for k := range seen {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
