package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Environment is what a process of a run ran on.
type Environment struct {
	Step    int64     `json:"step"` // from which it went on
	Time    time.Time `json:"time"`
	Go      string    `json:"go"`
	OS      string    `json:"os"`
	Arch    string    `json:"arch"`
	CPUs    int       `json:"cpus"`
	Threads int       `json:"threads"`
	Device  string    `json:"device"`
}

// Environments is the file of what the run's processes ran on, a line of JSON each.
func (d RunDir) Environments() string { return filepath.Join(string(d), "environment.jsonl") }

// recordEnvironment says what this process runs on.
func (t *Trainer) recordEnvironment() error {
	e := Environment{Step: t.step, Time: t.now().UTC().Truncate(time.Second), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		CPUs: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0), Device: t.dev.Name()}
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(t.dir.Environments(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
	if err != nil {
		return unwritten(err)
	}
	b = append(b, '\n')
	if end, err := f.Seek(-1, io.SeekEnd); err == nil { // not empty
		var last [1]byte
		if _, err := f.ReadAt(last[:], end); err == nil && last[0] != '\n' { // a killed process tore its line
			b = append([]byte{'\n'}, b...)
		}
	}
	_, err = f.Write(b)
	return unwritten(errors.Join(err, f.Close()))
}

// ReadEnvironments reads what a run's processes ran on; none, if nothing was recorded. Lines that a killed process tore are left out.
func ReadEnvironments(d RunDir) (out []Environment, err error) {
	b, err := os.ReadFile(d.Environments())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, noRead(d.Environments(), err, "what the run's processes ran on")
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		var e Environment
		switch err := json.Unmarshal([]byte(line), &e); {
		case err == nil:
			out = append(out, e)
		case !strings.HasPrefix(line, "{"):
			return nil, fmt.Errorf("%s:%d: the line is no JSON object as training writes them", d.Environments(), n)
		}
	}
	return out, nil
}
