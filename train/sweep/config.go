// Package sweep trains an experiment many times, over lists of settings and seeds, and
// sums up what came of it.
package sweep

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train"
	"github.com/langevin-go/langevin/train/config"
)

// Config is what a file for the sweep command says.
type Config struct {
	Experiment string                    `yaml:"experiment,required" doc:"the experiment's file; its name is relative to the sweep's"`
	Set        map[string]config.Value   `yaml:"set" doc:"settings of all runs, by key paths such as optim.lr"`
	Seeds      []uint64                  `yaml:"seeds" doc:"seeds; every setting is trained with each. Empty: with the experiment's"`
	Grid       map[string][]config.Value `yaml:"grid" doc:"values by key path, of which every combination is trained"`
	Zip        map[string][]config.Value `yaml:"zip" doc:"values by key path in lists of one length: all first ones together, all second ones together, and so on; with every combination of the grid"`
	Eval       int                       `yaml:"eval" doc:"samples that each run is measured by, as the eval command does; 0: none" range:"[0,inf)"`
	Figures    []string                  `yaml:"figures" doc:"columns of the table, such as train/loss or frechet; empty: all that there are"`
}

// maxRuns bounds what a file may ask for.
const maxRuns = 10000

// Validate checks what belongs together.
func (c *Config) Validate() error {
	length := -1
	for _, key := range slices.Sorted(maps.Keys(c.Zip)) {
		n := len(c.Zip[key])
		if _, both := c.Grid[key]; both {
			return invalid.Field("zip", "has %s, which the grid has, too", key)
		}
		if length >= 0 && n != length {
			return invalid.Field("zip", "has lists of %d and of %d values: want one length", length, n)
		}
		length = n
	}
	if length == 0 {
		return invalid.Field("zip", "has no values")
	}
	total := max(1, length) * max(1, len(c.Seeds))
	for _, key := range slices.Sorted(maps.Keys(c.Grid)) {
		if len(c.Grid[key]) == 0 {
			return invalid.Field("grid", "has no values of %s", key)
		}
		if total *= len(c.Grid[key]); total > maxRuns {
			return invalid.Field("grid", "asks for more than %d runs", maxRuns)
		}
	}
	for where, of := range map[string][]string{"grid": slices.Sorted(maps.Keys(c.Grid)), "zip": slices.Sorted(maps.Keys(c.Zip)), "set": slices.Sorted(maps.Keys(c.Set))} {
		for _, key := range of {
			switch {
			case key == "seed" && len(c.Seeds) > 0 || key == "seed" && where != "set":
				return invalid.Field(where, "has the seed: list seeds under seeds")
			case key == "name":
				return invalid.Field(where, "has the name: runs are called by their settings")
			case strings.ContainsAny(key, "=\n"):
				return invalid.Field(where, "has %q, which is no key path", key)
			}
		}
	}
	for i, s := range c.Seeds {
		if slices.Contains(c.Seeds[:i], s) {
			return invalid.Field("seeds", "has %d twice", s)
		}
	}
	for _, name := range c.Figures {
		switch {
		case slices.Contains(measured, name) && c.Eval == 0:
			return invalid.Field("figures", "has %s, and nothing is measured: set eval", name)
		case !slices.Contains(measured, name) && !slices.Contains(recorded, name):
			return invalid.Field("figures", "has %q; there are %s", name, strings.Join(slices.Concat(recorded, measured), ", "))
		}
	}
	if c.Eval > 0 && c.Eval < 10 {
		return invalid.Field("eval", "must be 0 or at least 10, is %d", c.Eval)
	}
	return nil
}

// Setting is a key path and its value.
type Setting struct {
	Key   string
	Value config.Value
}

// Point is one combination of settings, the same for all seeds.
type Point []Setting

func (p Point) overrides() []string {
	out := make([]string, len(p))
	for i, s := range p {
		out[i] = s.Key + "=" + string(s.Value)
	}
	return out
}

// Points are all combinations, in the order of their keys, the last of which changes fastest.
func (c *Config) Points() []Point {
	points := []Point{nil}
	add := func(key string, values []config.Value) {
		var next []Point
		for _, p := range points {
			for _, v := range values {
				next = append(next, append(p[:len(p):len(p)], Setting{key, v}))
			}
		}
		points = next
	}
	zipped := slices.Sorted(maps.Keys(c.Zip))
	if len(zipped) > 0 {
		points = nil
		for i := range c.Zip[zipped[0]] {
			var p Point
			for _, key := range zipped {
				p = append(p, Setting{key, c.Zip[key][i]})
			}
			points = append(points, p)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Grid)) {
		add(key, c.Grid[key])
	}
	return points
}

// Run is one training of a sweep.
type Run struct {
	Dir   string
	Point Point
	Seed  uint64
	exp   *train.Loaded
}

// Plan is a sweep that has been read: all its runs.
type Plan struct {
	Config
	Name   string // of the file
	Points []Point
	Runs   []Run // of each seed all points
}

// Load reads a file for the sweep command and the experiment with the settings of every
// run; overrides are settings of all of them. dir is the folder of the runs; "": runs/NAME.
func Load(file string, overrides []string, dir string) (*Plan, error) {
	p := new(Plan)
	places, err := config.LoadFile(file, nil, &p.Config)
	if err != nil {
		return nil, err
	}
	p.Name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	if dir == "" {
		dir = filepath.Join("runs", p.Name)
	}
	experiment := p.Experiment
	if !filepath.IsAbs(experiment) {
		experiment = filepath.Join(filepath.Dir(file), experiment)
	}
	var common []string
	for _, key := range slices.Sorted(maps.Keys(p.Set)) {
		common = append(common, key+"="+string(p.Set[key]))
	}
	p.Points = p.Config.Points()
	if p.Seeds == nil {
		p.Runs = make([]Run, len(p.Points))
	} else {
		p.Runs = make([]Run, len(p.Seeds)*len(p.Points))
	}
	short := shortKeys(p.Points[0])
	taken, seen := make(map[string]bool), make(map[string]bool)
	for i := range p.Runs {
		point := p.Points[i%len(p.Points)]
		all := slices.Concat(common, overrides, point.overrides())
		seed := ""
		if p.Seeds != nil {
			seed = fmt.Sprintf("seed=%d", p.Seeds[i/len(p.Points)])
			all = append(all, seed)
		}
		if said := strings.Join(all, "\n"); seen[said] {
			return nil, places.Errorf("", "asks for %s twice", strings.Join(point.overrides(), ", "))
		} else {
			seen[said] = true
		}
		exp, err := train.LoadExperiment(experiment, all)
		if err != nil {
			return nil, p.located(places, err, i)
		}
		name := runName(point, short, seed)
		if taken[name] { // two values that only their odd characters tell apart
			name += fmt.Sprintf("-%08x", crc32.ChecksumIEEE([]byte(strings.Join(all, "\n"))))
		}
		taken[name] = true
		p.Runs[i] = Run{Dir: filepath.Join(dir, name), Point: point, Seed: exp.Seed, exp: exp}
	}
	return p, nil
}

// located is an error of run i's experiment; mistakes of what the sweep's file sets have their lines there.
func (p *Plan) located(places *config.Places, err error, i int) error {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) { // such as a file that is not there
		err = places.Errorf("experiment", "%v", err)
	} else {
		for key, v := range p.Set {
			mistakes.Move(key+"="+string(v), places, "set", key)
		}
		for where, lists := range map[string]map[string][]config.Value{"grid": p.Grid, "zip": p.Zip} {
			for key, values := range lists {
				for j, v := range values {
					mistakes.Move(key+"="+string(v), places, where, key, fmt.Sprintf("[%d]", j))
				}
			}
		}
	}
	if point := p.Points[i%len(p.Points)]; len(point) > 0 {
		return fmt.Errorf("%w (with %s)", err, strings.Join(point.overrides(), ", "))
	}
	return err
}

// shortKeys are the last parts of key paths, where these tell them apart.
func shortKeys(p Point) []string {
	last := func(key string) string { return key[strings.LastIndex(key, ".")+1:] }
	out := make([]string, len(p))
	for i, s := range p {
		out[i] = last(s.Key)
		for j, o := range p {
			if i != j && last(o.Key) == out[i] {
				out[i] = s.Key
				break
			}
		}
	}
	return out
}

var odd = regexp.MustCompile(`[^A-Za-z0-9._=,+-]+`)

// runName is what a run's folder is called.
func runName(p Point, short []string, seed string) string {
	var parts []string
	for i, s := range p {
		parts = append(parts, short[i]+"="+strings.Trim(odd.ReplaceAllString(string(s.Value), "_"), "_"))
	}
	if seed != "" {
		parts = append(parts, seed)
	}
	if len(parts) == 0 {
		return "run"
	}
	name := odd.ReplaceAllString(strings.Join(parts, ","), "_")
	if len(name) > 100 {
		name = fmt.Sprintf("%s-%08x", name[:90], crc32.ChecksumIEEE([]byte(strings.Join(append(p.overrides(), seed), "\n"))))
	}
	return name
}
