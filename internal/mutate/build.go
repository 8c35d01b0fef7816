package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// build compiles the tests of a target's stages with all mutants in the
// package. Mutants that do not compile are marked and left out: go tells which
// lines are at fault, and those belong to mutants.
func build(ctx context.Context, o options, t target, ms []*mutant, tmp string) (numbered []*mutant, binaries map[string]string, err error) {
	numbered = ms
	for round := 0; ; round++ {
		if len(numbered) == 0 {
			return nil, nil, nil
		}
		overlay, files, err := writeOverlay(o.root, t, numbered, tmp)
		if err != nil {
			return nil, nil, err
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-gcflags=-e", "-overlay", overlay, "-o", os.DevNull, "./"+t.dir)
		cmd.Dir = o.root
		out, err := cmd.CombinedOutput()
		if err == nil {
			binaries, err = buildTests(ctx, o, t, overlay, tmp)
			return numbered, binaries, err
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		wrong := faults(out, files)
		if len(wrong) == 0 {
			return nil, nil, fmt.Errorf("go build %s: %w\n%s", t.dir, err, tail(out))
		}
		numbered = slices.DeleteFunc(slices.Clone(numbered), func(m *mutant) bool {
			if wrong[m] {
				m.status = notCompiled
			}
			return wrong[m]
		})
	}
}

// writeOverlay writes a target's rewritten files and what tells go about them.
func writeOverlay(root string, t target, ms []*mutant, tmp string) (overlay string, files []*rewritten, err error) {
	if files, err = rewrite(ms); err != nil {
		return "", nil, err
	}
	replace := map[string]string{}
	put := func(name string, text []byte) error {
		to := filepath.Join(tmp, base(name))
		replace[filepath.Join(root, filepath.FromSlash(t.dir), base(name))] = to
		return os.WriteFile(to, text, 0o644)
	}
	for _, f := range files {
		if err := put(f.name, f.text); err != nil {
			return "", nil, err
		}
	}
	if err := put("mutant_number.go", selectorFile(ms[0].decl.file.ast.Name.Name)); err != nil {
		return "", nil, err
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", nil, err
	}
	overlay = filepath.Join(tmp, "overlay.json")
	return overlay, files, os.WriteFile(overlay, text, 0o644)
}

// position begins a line of the compiler's.
var position = regexp.MustCompile(`^(?:.*[/\\])?([^/\\:]+\.go):(\d+):`)

// faults are the mutants on whose lines the compiler found fault.
func faults(output []byte, files []*rewritten) map[*mutant]bool {
	wrong := map[*mutant]bool{}
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		at := position.FindStringSubmatch(lines.Text())
		if at == nil {
			continue
		}
		line, err := strconv.Atoi(at[2])
		if err != nil {
			continue
		}
		for _, f := range files {
			if base(f.name) != at[1] {
				continue
			}
			for _, s := range f.mutants {
				if s.from <= line && line <= s.to {
					wrong[s.m] = true
				}
			}
		}
	}
	return wrong
}

func buildTests(ctx context.Context, o options, t target, overlay, tmp string) (map[string]string, error) {
	binaries := map[string]string{}
	for _, s := range t.stages {
		if binaries[s.dir] != "" {
			continue
		}
		binary := filepath.Join(tmp, fmt.Sprintf("tests%d", len(binaries)))
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./"+s.dir)
		cmd.Dir = o.root
		if out, err := cmd.CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("go test -c %s: %w\n%s", s.dir, err, tail(out))
		}
		binaries[s.dir] = binary
	}
	return binaries, nil
}

// tail is the end of a long text.
func tail(b []byte) []byte { return b[max(0, len(b)-4000):] }
