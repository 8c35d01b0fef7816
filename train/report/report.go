// Package report sums up a run as one HTML file that needs nothing else, and its model as a card in Markdown.
package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/record"
)

// Options say what goes into a report.
type Options struct {
	Stated   string        // file of statements; "": card.yaml in the run's folder, if it is there
	Figures  []string      // files of lines of eval --json and eval --compare --json; none: eval.jsonl in the run's folder, if it is there
	Requests int           // whose latency is measured; 0: none
	Within   time.Duration // that they may take
	Warn     func(format string, args ...any)
}

// Report is what a run's report shows.
type Report struct {
	Name, Path, Title string
	Made              time.Time
	Facts             [][2]string
	Key               []Figure
	Pictures          []Picture
	Training          []*chart
	Levels            *chart
	Quality           []*chart
	Compared          table
	Measured          table
	Card              []Answer
	Stated            Stated
	Timed             *train.Timed
	Machine           string
	Environments      []train.Environment
	Config            string
	Skipped           int

	measurements []measured
	records      []record.Record
	exp          *train.Loaded
}

// Figure is a number with its name.
type Figure struct{ Name, Value, Note string }

// Picture is a PNG in the page.
type Picture struct {
	Title string
	Small bool // one of a series, beside others
	URL   template.URL
	W, H  int
}

// Open counts the questions of the card that are unanswered.
func (r *Report) Open() (n int) {
	for i := range r.Card {
		if r.Card[i].Open() {
			n++
		}
	}
	return n
}

// New reads a run. What it lacks is left out of the report, but for a model to sample from.
func New(ctx context.Context, run string, o Options) (*Report, error) {
	if !train.IsRun(run) {
		return nil, fmt.Errorf("%s is no run (no config.yaml): name the folder of one", run)
	}
	dir := train.RunDir(run)
	t, err := train.Open(run, o.Warn)
	if err != nil {
		return nil, err
	}
	r := &Report{Name: t.Exp.Name, Path: run, Made: time.Now(), Facts: t.Facts(), exp: t.Exp, Machine: t.Device.Name()}
	if r.Stated, err = readStated(o.Stated, filepath.Join(run, "card.yaml")); err != nil {
		return nil, err
	}
	if r.Title = r.Stated.Title; r.Title == "" {
		r.Title = r.Name
	}
	b, err := os.ReadFile(dir.Config())
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", dir.Config(), err)
	}
	r.Config = string(b)
	if r.Environments, err = train.ReadEnvironments(dir); err != nil {
		return nil, err
	}
	if r.records, err = record.ReadMetrics(dir.Metrics()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := r.readFigures(o.Figures, filepath.Join(run, "eval.jsonl")); err != nil {
		return nil, err
	}
	if err := r.readPictures(dir); err != nil {
		return nil, err
	}
	if o.Requests > 0 {
		if r.Timed, err = t.TimeRequests(ctx, o.Requests, o.Within); err != nil {
			return nil, err
		}
	}
	r.curves()
	r.quality()
	if err := r.card(ctx, t); err != nil {
		return nil, err
	}
	r.key(t)
	return r, nil
}

// readStated reads what a person says of the model.
func readStated(file, usual string) (s Stated, err error) {
	if file == "" {
		if _, err := os.Stat(usual); errors.Is(err, fs.ErrNotExist) {
			return s, nil
		}
		file = usual
	}
	_, err = config.LoadFile(file, nil, &s)
	return s, err
}

// maxPicture bounds a picture's file: an HTML page is read as a whole.
const maxPicture = 8 << 20

// readPictures embeds the newest picture of each kind, and some of the samples before.
func (r *Report) readPictures(dir train.RunDir) error {
	for _, kind := range []struct {
		name, title string
		before      int
	}{{"grid", "Samples", 3}, {"points", "Samples over data", 3}, {"field", "Velocity field", 0}, {"peek", "How samples come about", 0}} {
		files, err := filepath.Glob(filepath.Join(dir.Samples(), kind.name+"-*.png"))
		if err != nil {
			return err
		}
		slices.Sort(files)
		if n := len(files); n > 0 {
			for k := 0; k <= kind.before; k++ { // evenly from the first on, and last the newest
				i := (n - 1) * (k + 1) / (kind.before + 1)
				if k < kind.before && (i == n-1 || k > 0 && i == (n-1)*k/(kind.before+1)) {
					continue
				}
				p, err := readPicture(files[i])
				if err != nil {
					return err
				}
				step := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(files[i]), ".png"), kind.name+"-")
				if v, err := strconv.ParseInt(step, 10, 64); err == nil {
					step = group(v)
				}
				p.Title, p.Small = fmt.Sprintf("%s, step %s", kind.title, step), k < kind.before
				r.Pictures = append(r.Pictures, p)
			}
		}
	}
	slices.SortStableFunc(r.Pictures, func(a, b Picture) int { // large ones first
		switch {
		case a.Small == b.Small:
			return 0
		case b.Small:
			return -1
		}
		return 1
	})
	return nil
}

func readPicture(path string) (p Picture, err error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxPicture {
		return p, fmt.Errorf("%s is larger than %d MiB, which is no picture of a run", path, maxPicture>>20)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return p, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return p, fmt.Errorf("%s is no PNG picture: %w; remove it, and the run draws the next one", path, err)
	}
	p.URL = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b))
	p.W, p.H = c.Width, c.Height
	return p, nil
}

// last is the newest value of a metric.
func (r *Report) last(key string) (float64, bool) {
	for i := len(r.records) - 1; i >= 0; i-- {
		if v, ok := r.records[i].Get(key); ok {
			return v, true
		}
	}
	return 0, false
}

// key picks the figures that stand at the top.
func (r *Report) key(t *train.Trained) {
	add := func(name, value, note string) { r.Key = append(r.Key, Figure{name, value, note}) }
	add("Steps", group(t.Step), fmt.Sprintf("of %s", group(t.Exp.Steps)))
	params := 0
	for _, p := range t.Params {
		params += p.Elems()
	}
	add("Parameters", group(int64(params)), "")
	if v, ok := r.last("train/loss"); ok {
		add("Training loss", short(v), "last record")
	}
	if v, ok := r.last("valid/best"); ok {
		add("Held-out loss", short(v), "best")
	}
	for i := range r.measurements {
		if m := &r.measurements[i]; !m.compared() || m.Best() {
			if name, v, held, ok := m.headline(); ok {
				note := ""
				if held != "" {
					note = "held-out data " + held
				}
				add(name, short(v), note)
				break
			}
		}
	}
	if v, ok := r.last(record.WallPrefix + "steps_per_s"); ok {
		add("Throughput", short(v), "steps/s")
	}
	if r.Timed != nil {
		add("Latency", ms(r.Timed.Median), "median, one sample")
	}
}

// trouble is what went wrong in training.
func (r *Report) trouble() []string {
	v, ok := r.last("train/skipped")
	switch {
	case !ok:
		return nil
	case v > 0:
		return []string{fmt.Sprintf("%s steps changed nothing in training, because a loss or gradient was not finite.", group(int64(v)))}
	}
	return nil
}

// group writes 1234567 as 1,234,567.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a number with four digits.
func short(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'g', 4, 64), "-", "−", 1)
}

// ms writes milliseconds.
func ms(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.2f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.2f ms", v)
}
