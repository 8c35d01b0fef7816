package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// result is a line of the results file; of equal keys the last counts.
type result struct {
	Key    string `json:"key"`
	Status status `json:"status"`
	By     string `json:"by,omitempty"`
	What   string `json:"what"` // for readers
}

// results is the file of what is known, appended to as mutants are run.
type results struct {
	known map[string]result
	file  *os.File
	err   error // the first that a write met
}

func openResults(path string) (*results, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	r := &results{known: map[string]result{}, file: f}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var x result
		if json.Unmarshal(lines.Bytes(), &x) == nil { // a line cut off by an interrupt is run again
			r.known[x.Key] = x
		}
	}
	if err := lines.Err(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *results) put(m *mutant) {
	b, err := json.Marshal(result{m.key, m.status, m.by, m.String()})
	if err == nil {
		_, err = r.file.Write(append(b, '\n'))
	}
	if r.err == nil {
		r.err = err
	}
}

func (r *results) close() { r.file.Close() }

// readEquivalents reads the list of mutants that change nothing: a line each, the
// mutant's id, what it is (for readers), and after " # " the reason.
func readEquivalents(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	why := map[string]string{}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, reason, _ := strings.Cut(line, " # ")
		id, _, _ := strings.Cut(what, " ")
		if reason = strings.TrimSpace(reason); reason == "" {
			return nil, fmt.Errorf("%s:%d: no reason: a line is ID WHAT # REASON", path, i+1)
		}
		if why[id] != "" {
			return nil, fmt.Errorf("%s:%d: %s stands there twice", path, i+1, id)
		}
		why[id] = reason
	}
	return why, nil
}

// staleEquivalents are entries of the list that no mutant has; known only when all were made.
func staleEquivalents(why map[string]string, all []*mutant, complete bool) (stale []string) {
	if !complete {
		return nil
	}
	there := map[string]bool{}
	for _, m := range all {
		there[m.id] = true
	}
	for id := range why {
		if !there[id] {
			stale = append(stale, id)
		}
	}
	slices.Sort(stale)
	return stale
}

// summarise writes a table by file and the survivors as diffs. It fails where there are any.
func summarise(w io.Writer, all []*mutant, stale []string) error {
	fmt.Fprintf(w, "%-32s %8s %8s %8s %10s %8s %8s %8s\n", "", "mutants", "killed", "timeout", "uncompiled", "equal", "survived", "not run")
	row := func(name string, ms []*mutant) {
		n := map[status]int{}
		equal := 0
		for _, m := range ms {
			if m.why != "" {
				equal++
			} else {
				n[m.status]++
			}
		}
		fmt.Fprintf(w, "%-32s %8d %8d %8d %10d %8d %8d %8d\n", name, len(ms), n[killed], n[timedOut], n[notCompiled], equal, n[survived], n[notRun])
	}
	for _, ms := range groupBy(all, func(m *mutant) string { return m.file }) {
		row(ms[0].file, ms)
	}
	row("all", all)
	alive, waiting := 0, 0
	for _, m := range all {
		switch {
		case m.why != "":
		case m.status == notRun:
			waiting++
		case m.status == survived:
			alive++
			fmt.Fprintf(w, "\n%s\n%s", m, m.diff())
		}
	}
	for _, id := range stale {
		fmt.Fprintf(w, "equivalent.txt: %s is no mutant any more\n", id)
	}
	switch {
	case alive > 0:
		return fmt.Errorf("%d mutants survived: write the tests, or say in equivalent.txt why they change nothing", alive)
	case len(stale) > 0:
		return fmt.Errorf("equivalent.txt is out of date")
	case waiting > 0:
		return fmt.Errorf("%d mutants are still to be run: start again to go on", waiting)
	}
	return nil
}

// diff shows the lines that a mutant changes.
func (m *mutant) diff() string {
	text := m.decl.file.text
	from := strings.LastIndexByte(string(text[:m.from]), '\n') + 1
	to := m.to
	if n := strings.IndexByte(string(text[m.to:]), '\n'); n >= 0 {
		to += n
	}
	var b strings.Builder
	side := func(sign, s string) {
		for line := range strings.SplitSeq(s, "\n") {
			fmt.Fprintf(&b, "%s%s\n", sign, line)
		}
	}
	side("-", string(text[from:to]))
	side("+", string(text[from:m.from])+m.after+string(text[m.to:to]))
	return b.String()
}
