package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// lockName is the file in a run directory that its process holds locked.
const lockName = "lock"

// Lock keeps other processes out of a run directory.
type Lock struct{ f *os.File }

// LockedError says who holds a run directory.
type LockedError struct {
	Dir  string
	PID  int       // 0 if the holder has not written it yet
	Host string    // "" likewise
	From time.Time // since when
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
		if here, err := os.Hostname(); err != nil || here != e.Host {
			who += " on " + e.Host
		}
		who += " since " + e.From.Local().Format("2006-01-02 15:04:05")
	}
	return fmt.Sprintf("the run directory %s is in use by %s; stop that process or choose another directory", e.Dir, who)
}

// errBusy is what tryLock gives when somebody else holds the lock.
var errBusy = errors.New("locked")

// LockDir locks an existing run directory for this process. If another holds it
// the error is a *LockedError. The operating system drops the lock with the
// process, however that ends, so a lock file left by kill -9 is no obstacle; the
// file itself stays, because removing it would race with the next process.
//
// Where the system has no file locks (js, wasip1, plan9) every call succeeds.
func LockDir(dir string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if errors.Is(err, errBusy) {
			return nil, holder(dir, f)
		}
		return nil, fmt.Errorf("record: the run directory %s cannot be locked: %w", dir, err)
	}
	host, _ := os.Hostname()
	text := fmt.Sprintf("%d\n%s\n%s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	if err := errors.Join(f.Truncate(0), writeAt(f, text)); err != nil {
		f.Close()
		return nil, fmt.Errorf("record: %w", err)
	}
	return &Lock{f}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// holder reads who wrote the lock file.
func holder(dir string, f *os.File) *LockedError {
	e := &LockedError{Dir: dir}
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, 1024))
	lines := strings.Split(string(b), "\n")
	if len(lines) < 4 { // the last line is not yet there
		return e
	}
	pid, err1 := strconv.Atoi(lines[0])
	from, err2 := time.Parse(time.RFC3339, lines[2])
	if err1 == nil && err2 == nil {
		e.PID, e.Host, e.From = pid, lines[1], from
	}
	return e
}

// Unlock lets the next process in. It may be called again.
func (l *Lock) Unlock() error {
	if l.f == nil {
		return nil
	}
	err := errors.Join(l.f.Truncate(0), l.f.Close()) // closing drops the lock
	l.f = nil
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
