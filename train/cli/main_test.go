package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/langevin-go/langevin/train/cli"
)

// asCommand makes the test binary the command line itself, so that signals,
// exit codes and whole processes can be tested.
const asCommand = "LANGEVIN_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(cli.Main(cli.Options{Args: os.Args[1:]}))
	}
	os.Exit(m.Run())
}

// long skips in short runs what takes many processes or much computing and has
// no goroutines but those of other tests: the race detector makes it minutes.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("many processes, or much computing")
	}
}

// output is what a process left behind.
type output struct {
	code           int
	stdout, stderr string
}

// command is a process of the command line in folder dir.
func command(dir string, args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Dir = dir
	c.Env = append(os.Environ(), asCommand+"=1")
	return c
}

// langevin runs the command line in folder dir.
func langevin(t *testing.T, dir string, args ...string) output {
	t.Helper()
	return run(t, command(dir, args...))
}

func run(t *testing.T, c *exec.Cmd) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return output{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// succeeds runs a command line that must not fail.
func succeeds(t *testing.T, dir string, args ...string) output {
	t.Helper()
	o := langevin(t, dir, args...)
	if o.code != 0 {
		t.Fatalf("langevin %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
	}
	return o
}

// goisms are how Go and the operating system speak to programmers.
var goisms = []string{"panic", "goroutine", "strconv", "open ", "stat ", "mkdir ", "unmarshal", "unexpected EOF", "runtime error", "<nil>", "%!", "context canceled", "*fs."}

// fails runs a command line that must end with the code and one line of error
// that has all the parts, changing nothing in its folder.
func fails(t *testing.T, code int, dir string, args []string, parts ...string) {
	t.Helper()
	before := tree(t, dir)
	o := langevin(t, dir, args...)
	name := "langevin " + strings.Join(args, " ")
	lines := errorLines(o.stderr)
	hint := code == 2
	switch {
	case o.code != code:
		t.Errorf("%s: exit code %d, want %d\n%s%s", name, o.code, code, o.stdout, o.stderr)
	case hint && (len(lines) != 2 || !strings.HasPrefix(lines[1], "Try 'langevin")), !hint && len(lines) != 1:
		t.Errorf("%s: want one line of error (and a hint: %v), got\n%s", name, hint, o.stderr)
	case !strings.HasPrefix(lines[0], "langevin: "):
		t.Errorf("%s: the error %q does not begin with the program's name", name, lines[0])
	case o.stdout != "":
		t.Errorf("%s: an error, and on stdout %q", name, o.stdout)
	}
	for _, p := range parts {
		if !strings.Contains(o.stderr, p) {
			t.Errorf("%s: %q is not in the error\n%s", name, p, o.stderr)
		}
	}
	for _, g := range goisms {
		if len(lines) > 0 && strings.Contains(lines[0], g) {
			t.Errorf("%s: %q is no language for users\n%s", name, g, o.stderr)
		}
	}
	if after := tree(t, dir); !slices.Equal(before, after) {
		t.Errorf("%s: files were\n%v, and are\n%v", name, before, after)
	}
}

// errorLines are the lines of stderr without notes of progress and warnings.
func errorLines(stderr string) []string {
	var lines []string
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "langevin: ") && !strings.HasPrefix(line, "langevin: warning") || strings.HasPrefix(line, "Try ") || strings.Contains(line, "panic") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// tree lists every file and folder below dir with its size and time.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.Name() == "lock" {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(path, dir)
		if !e.IsDir() {
			line += " " + info.ModTime().String()
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const tinyYAML = `name: tiny
seed: 3
steps: 40
batch: 16
data: moons
model: {kind: mlp, width: 16, depth: 1}
optim: {lr: 3e-3, schedule: {kind: cosine, warmup: 5}}
sample: {steps: 3, every: 0}
checkpoint: {every: 6, keep: 2}
log_every: 7
`

const tinyDigitsYAML = `name: digits
steps: 6
batch: 8
data: digits
model: {kind: dit, patch: 4, width: 16, depth: 1, heads: 2}
sample: {steps: 2, every: 0}
`

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// workplace is a folder with tiny.yaml and digits.yaml, and both trained: runs/tiny, runs/digits.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.yaml"), tinyYAML)
	write(t, filepath.Join(dir, "digits.yaml"), tinyDigitsYAML)
	succeeds(t, dir, "train", "tiny.yaml")
	succeeds(t, dir, "train", "digits.yaml")
	return dir
}
