package optim

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/langevin-go/langevin/tensor"
)

// NoMatchError is a pattern that no parameter's name matches.
type NoMatchError struct {
	Pattern string
	Params  int      // that there are
	Nearest []string // names most like the pattern, the nearest first
}

func (e *NoMatchError) Error() string {
	return fmt.Sprintf("%q matches none of the %d parameters; the nearest are %s", e.Pattern, e.Params, strings.Join(e.Nearest, ", "))
}

// Matcher tells the names that a pattern matches. A pattern is a glob over the
// whole name, in which * stands for any characters, also dots, ? for one and
// [a-c] for one of a class, or a regular expression between slashes, which
// matches any part of the name unless anchored: blocks.*.bias, /norm|bias$/.
func Matcher(pattern string) (func(name string) bool, error) {
	if len(pattern) > 1 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
		re, err := regexp.Compile(pattern[1 : len(pattern)-1])
		if err != nil {
			return nil, fmt.Errorf("%q is not a regular expression: %s", pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		return re.MatchString, nil
	}
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return nil, fmt.Errorf("%q is not a pattern: want parts of a name with * and ? between them, as in blocks.*.bias, or a regular expression between slashes", pattern)
	}
	return func(name string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	}, nil
}

// Assign gives each parameter the first of the patterns (see [Matcher]) that its
// name matches: its place in the list, or −1. bad is the place of the pattern
// that an error is about: one that is malformed, that matches nothing (a
// [NoMatchError]), or whose parameters have all gone to patterns before it.
func Assign(params []*tensor.Param, patterns []string) (group []int, bad int, err error) {
	group = make([]int, len(params))
	for i := range group {
		group[i] = -1
	}
	for k, pattern := range patterns {
		matches, err := Matcher(pattern)
		if err != nil {
			return nil, k, err
		}
		hits, taken, by := 0, 0, 0
		for i, p := range params {
			switch {
			case !matches(p.Name):
			case group[i] < 0:
				group[i] = k
				taken++
				hits++
			default:
				by = group[i]
				hits++
			}
		}
		switch {
		case hits == 0:
			return nil, k, &NoMatchError{pattern, len(params), nearestNames(pattern, params)}
		case taken == 0:
			return nil, k, fmt.Errorf("all %d parameters that %q matches belong to groups before it, as to %q: the first that matches counts", hits, pattern, patterns[by])
		}
	}
	return group, 0, nil
}

var regexpPunctuation = regexp.MustCompile(`\\[wdsb]|[][()|^$+*?{}]+`)

// nearestNames are the three names that take the fewest changes to match a pattern.
func nearestNames(pattern string, params []*tensor.Param) []string {
	if len(pattern) > 1 && pattern[0] == '/' {
		inner := strings.ReplaceAll(regexpPunctuation.ReplaceAllString(pattern[1:len(pattern)-1], "*"), `\`, "")
		pattern = "*" + inner + "*"
	}
	names := make([]string, len(params))
	cost := make(map[string]int)
	for i, p := range params {
		names[i] = p.Name
		cost[p.Name] = globDistance(pattern, p.Name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cost[a] - cost[b] })
	return names[:min(3, len(names))]
}

// globDistance is Levenshtein's, in which * stands for any characters at no cost.
func globDistance(glob, name string) int {
	row := make([]int, len(name)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(glob) {
		free := glob[i] == '*'
		last := row[0]
		if !free {
			row[0]++
		}
		for j := range len(name) {
			old := row[j+1]
			if free {
				row[j+1] = min(old, row[j])
			} else {
				change := 1
				if glob[i] == name[j] || glob[i] == '?' {
					change = 0
				}
				row[j+1] = min(last+change, old+1, row[j]+1)
			}
			last = old
		}
	}
	return row[len(name)]
}
