//go:build linux

package main

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// stratum is a kind of moment at which a process is killed.
type stratum int

const (
	midCheckpoint stratum = iota // a part of the temporary file's bytes are written
	beforeRename                 // all are, and synced or not; the file has not got its name
	afterRename                  // it has; the folder is not synced, or the checkpoints before it are not yet removed
	midMetrics                   // a part of a line is written
	otherFiles                   // config, events, pictures, averages: written in part, synced, renamed
	anyTime                      // after a random time
	strata
)

var strataNames = [strata]string{"middle of a checkpoint", "between write and rename", "after the rename", "middle of a metrics line", "other files", "random moments"}

// tempMark is in the names of what is not yet whole, see package atomicfile.
const tempMark = ".langevin-tmp-"

// moment says in which stratum a call of a run would be killed; ok: false if it is none of the run's. A write is killed in the middle.
func moment(c call, run string) (s stratum, ok bool) {
	var path string
	switch c.nr {
	case unix.SYS_RENAMEAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT:
		path = c.text(1)
	default:
		path = c.file()
	}
	if !filepath.IsAbs(path) { // of this call or to a pipe
		path = filepath.Join(filepath.Dir(run), path)
	}
	path, err := filepath.Rel(run, path)
	if err != nil || path == ".." || strings.HasPrefix(path, "../") {
		return 0, false
	}
	writes := c.nr == unix.SYS_WRITE || c.nr == unix.SYS_PWRITE64
	dir, name := filepath.Split(path)
	switch {
	case path == "metrics.jsonl" && writes:
		return midMetrics, true
	case dir == "checkpoints/" && strings.Contains(name, tempMark) && writes:
		return midCheckpoint, true
	case dir == "checkpoints/" && strings.Contains(name, tempMark) && (c.nr == unix.SYS_FSYNC || c.nr == unix.SYS_RENAMEAT):
		return beforeRename, true
	case path == "checkpoints" && c.nr == unix.SYS_FSYNC, dir == "checkpoints/" && c.nr == unix.SYS_UNLINKAT && !strings.Contains(name, tempMark):
		return afterRename, true
	}
	return otherFiles, true
}
